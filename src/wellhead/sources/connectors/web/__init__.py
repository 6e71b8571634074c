"""Pages of a web site."""

from wellhead.sources.connectors.web.config import WebConfig
from wellhead.sources.connectors.web.source import WebSource

__all__ = ["WebConfig", "WebSource"]
