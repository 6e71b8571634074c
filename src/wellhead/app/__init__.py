"""The program: settings, wiring, supervisor and command line."""
