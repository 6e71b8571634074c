"""Wellhead: connect to people's data, keep it in sync, serve it as searchable text."""

__version__ = "0.1.0"
