"""The sync protocol: from items of a source to committed chunks."""
