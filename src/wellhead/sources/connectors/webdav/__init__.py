"""Files of a WebDAV server, such as Nextcloud."""

from wellhead.sources.connectors.webdav.source import WebDAVConfig, WebDAVSource

__all__ = ["WebDAVConfig", "WebDAVSource"]
