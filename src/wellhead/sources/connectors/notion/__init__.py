"""Pages and databases of a Notion workspace, as they are shared with an integration."""

from wellhead.sources.connectors.notion.source import NotionCredentials, NotionSource

__all__ = ["NotionCredentials", "NotionSource"]
