"""Messages of a Slack workspace's channels, with their threads."""

from wellhead.sources.connectors.slack.source import (
    SlackConfig,
    SlackCredentials,
    SlackSource,
)

__all__ = ["SlackConfig", "SlackCredentials", "SlackSource"]
