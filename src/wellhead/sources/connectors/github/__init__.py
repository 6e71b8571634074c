"""Issues and pull requests of a GitHub repository, with what was said about them."""

from wellhead.sources.connectors.github.source import (
    GitHubConfig,
    GitHubCredentials,
    GitHubSource,
)

__all__ = ["GitHubConfig", "GitHubCredentials", "GitHubSource"]
