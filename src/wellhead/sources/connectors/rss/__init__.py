"""Entries of RSS and Atom feeds."""

from wellhead.sources.connectors.rss.source import RSSConfig, RSSSource

__all__ = ["RSSConfig", "RSSSource"]
