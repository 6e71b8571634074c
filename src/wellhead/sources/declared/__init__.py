"""Sources that are declared in a YAML file and executed on the HTTP kit."""
