"""Files of a git repository, wherever it is."""

from wellhead.sources.connectors.git.source import GitConfig, GitCredentials, GitSource

__all__ = ["GitConfig", "GitCredentials", "GitSource"]
