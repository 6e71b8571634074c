"""Files of a folder on this machine or on a mounted disk."""

from wellhead.sources.connectors.file_system.source import (
    FileSystemConfig,
    FileSystemSource,
)

__all__ = ["FileSystemConfig", "FileSystemSource"]
