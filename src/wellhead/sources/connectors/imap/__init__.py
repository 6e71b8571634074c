"""Mailboxes that are read by IMAP."""

from wellhead.sources.connectors.imap.source import IMAPConfig, IMAPSource

__all__ = ["IMAPConfig", "IMAPSource"]
