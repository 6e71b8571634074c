"""Files of a server that speaks SFTP; needs the extra `sftp`."""

from wellhead.sources.connectors.sftp.source import SFTPConfig, SFTPSource

__all__ = ["SFTPConfig", "SFTPSource"]
