"""The public kit for sources."""
