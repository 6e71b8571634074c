"""The mail source: folder by folder, by the numbers that a server gives messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from typing import Any, Literal

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.items import Item, Ref
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.downloads import Downloads

MESSAGE = "Message"
ATTACHMENT = "Attachment"


class IMAPConfig(Config):
    host: str = Field(min_length=1, title="Host", description="Name of the server.")
    port: int = Field(
        993, ge=1, le=65_535, title="Port", description="Usually 993, else 143."
    )
    security: Literal["tls", "starttls", "none"] = Field(
        "tls",
        title="Encryption",
        description="tls (port 993), starttls (port 143), or none on a trusted line.",
    )
    folders: list[str] = Field(
        default_factory=list,
        title="Folders",
        description="Only these, with all below them; without any, all of them.",
    )
    exclude_folders: list[str] = Field(
        default_factory=list,
        title="Other folders",
        description="None of these, nor what is below them.",
    )
    include_hidden: bool = Field(
        default=False,
        title="Trash and the like",
        description="Also read trash, spam and drafts, if no folders are named.",
    )
    since: date | None = Field(
        None,
        title="Since",
        description="Only messages that arrived on this day (2026-01-31) or later.",
    )
    read_attachments: bool = Field(
        default=True, title="Attachments", description="Also read attached documents."
    )
    max_attachment_mb: int = Field(
        25,
        ge=1,
        le=10_000,
        title="Largest attachment (MB)",
        description="Larger attachments are reported as failed.",
    )

    def digest(self) -> str:
        """Return what changes when other messages are chosen."""
        told = self.model_dump_json(exclude={"port", "security", "max_attachment_mb"})
        return blake2b(told.encode(), digest_size=8).hexdigest()


class IMAPCredentials(Config):
    username: str = Field(
        min_length=1, title="User name", description="Often the mail address."
    )
    password: str = Field(
        min_length=1,
        title="Password",
        description="With two-factor sign-in, an app password.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class IMAPSource(Source):
    """Each folder is a scope; a message never changes, it comes or goes."""

    info = SourceInfo(
        short_name="imap",
        name="Mail (IMAP)",
        description="Messages and attachments of a mailbox on any IMAP server.",
        entity_types=(MESSAGE, ATTACHMENT),
        needs_trust=True,
        labels=("Email",),
        tested=Tested.REAL_SERVER,
        supports_continuous=True,
        is_incremental=True,
        yields_deletes=True,
    )
    config_model = IMAPConfig
    credentials_model = IMAPCredentials
    config: IMAPConfig
    credentials: IMAPCredentials

    def __init__(self, config: IMAPConfig, credentials: IMAPCredentials) -> None:
        super().__init__(config, credentials)
        self._downloads = Downloads()

    async def check(self) -> None:
        await self._mailbox.check()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in self._mailbox.read(cursor):
            yield item

    def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        found: AsyncIterator[Item] = self._mailbox.fetch(refs)
        return found

    async def close(self) -> None:
        if "_mailbox" in self.__dict__:
            await asyncio.to_thread(self._mailbox.close)
        await asyncio.to_thread(self._downloads.close)

    @cached_property
    def _mailbox(self) -> Any:
        """Loaded when it is needed: the program starts without its library."""
        made = import_module("wellhead.sources.connectors.imap.mailbox")
        return made.Mailbox(self.config, self.credentials, self._downloads)
