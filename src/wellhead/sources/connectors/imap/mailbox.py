"""Reading a mailbox: which messages came and which went, folder after folder."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from imapclient.exceptions import ProtocolError

from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import ConfigError, CursorInvalidError, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.connectors.imap.messages import (
    ASKED,
    ASKED_WITHOUT_STRUCTURE,
    MESSAGE,
    Described,
    Mail,
    Place,
    deletes,
    place_of,
)
from wellhead.sources.connectors.imap.numbers import read_numbers, written_numbers
from wellhead.sources.connectors.imap.session import (
    Folder,
    FolderError,
    Login,
    Session,
    Values,
    is_marked,
)
from wellhead.sources.connectors.imap.source import IMAPConfig, IMAPCredentials
from wellhead.sources.downloads import Downloads

BATCH = 200
MOST_SCOPE = 600
_HIDDEN = frozenset({"\\trash", "\\junk", "\\drafts"})
_HIDDEN_NAMES = frozenset(
    {"bulk mail", "deleted items", "deleted messages", "drafts", "junk", "junk e-mail"}
    | {"junk email", "spam", "trash"}
)
_CLOSED = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(slots=True)
class State:
    """What is known of a folder: which messages, and since which change."""

    validity: int = 0
    modseq: int = 0
    """0 until all of it was read, or where the server counts no changes."""
    uids: set[int] = field(default_factory=set)
    files: dict[int, list[str]] = field(default_factory=dict)
    """Sections of the attachments of those that have some."""

    def token(self) -> list[Any]:
        files = {str(uid): sections for uid, sections in self.files.items()}
        return [self.validity, self.modseq, written_numbers(self.uids), files]

    @classmethod
    def of(cls, token: list[Any]) -> "State":
        validity, modseq, uids, files = token
        told = {int(uid): list(sections) for uid, sections in files.items()}
        return cls(int(validity), int(modseq), read_numbers(uids), told)

    def forget(self, folder: str, uids: set[int]) -> Iterator[Item]:
        """Tell that these are gone, with their attachments."""
        for uid in sorted(uids & self.uids):
            place = Place(folder, self.validity, uid)
            yield from map(Delete, deletes(place, self.files.pop(uid, [])))
        self.uids -= uids


@dataclass(slots=True)
class Progress:
    """How far a read has come, as its checkpoints tell it."""

    digest: str
    is_listing: bool = True
    folders: dict[str, State] = field(default_factory=dict)

    @classmethod
    def of(cls, token: dict[str, Any] | None, digest: str) -> "Progress":
        """Raises CursorInvalidError when other messages were chosen since."""
        if token is None:
            return cls(digest)
        if token.get("config") != digest:
            raise CursorInvalidError("other messages were chosen than the last time")
        folders = {name: State.of(one) for name, one in token["folders"].items()}
        return cls(digest, bool(token["is_listing"]), folders)

    def enter(self, name: str, validity: int) -> tuple[State, list[Item]]:
        """Return what is known of a folder, and what is gone because it was made anew.

        The same numbers then mean other messages.
        """
        state = self.folders.get(name)
        if state is not None and state.validity == validity:
            return state, []
        gone = [] if state is None else [*state.forget(name, set(state.uids))]
        fresh = self.folders[name] = State(validity)
        return fresh, gone

    def checkpoint(self) -> Checkpoint:
        folders = {name: one.token() for name, one in self.folders.items()}
        return Checkpoint(
            {
                "config": self.digest,
                "is_listing": self.is_listing,
                "folders": folders,
            }
        )


class Mailbox:
    """Does the work of an IMAPSource, with one connection to list and one for files."""

    def __init__(
        self, config: IMAPConfig, secrets: IMAPCredentials, downloads: Downloads
    ) -> None:
        login = Login(
            host=config.host,
            port=config.port,
            security=config.security,
            user=secrets.username,
            password=secrets.password,
        )
        self._config = config
        self._session = Session(login)
        self._files = Session(login)
        self._root = Breadcrumb(secrets.username, secrets.username, "Mailbox")
        self._delimiters: dict[str, str] = {}
        self._mail = Mail(
            files=self._files,
            downloads=downloads,
            steps=self._way_to,
            most_mb=config.max_attachment_mb,
            reads_attachments=config.read_attachments,
        )

    async def check(self) -> None:
        folders = await self._folders()
        try:
            await asyncio.to_thread(self._session.open, folders[0])
        except FolderError as error:
            raise ConfigError(f"The folder '{folders[0]}': {error}") from error

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Look at every folder: after a crash, those that were read are as known."""
        progress = Progress.of(cursor, self._config.digest())
        names = await self._folders()
        yield ScopeStart()
        for name in names:
            async with aclosing(self._folder(name, progress)) as items:
                async for item in items:
                    yield item
            yield progress.checkpoint()
        for name in progress.folders.keys() - set(names):
            # the server's list of folders is whole, or it is an error
            state = progress.folders.pop(name)
            for item in state.forget(name, set(state.uids)):
                yield item
        yield ScopeEnd(complete=progress.is_listing)
        progress.is_listing = False
        yield progress.checkpoint()

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        names = await self._folders()
        for ref in refs:
            place = place_of(ref)
            if place is None or place.folder not in names:
                yield Delete(ref)
                continue
            try:
                yield await self._fetched(ref, place)
            except (FolderError, ProtocolError) as error:
                yield Failure(ref, f"Its folder cannot be read: {error}")

    def close(self) -> None:
        self._session.close()
        self._files.close()

    async def _fetched(self, ref: Ref, place: Place) -> Item:
        opened = await asyncio.to_thread(self._session.open, place.folder)
        if opened.validity != place.validity:
            return Delete(ref)
        found = await asyncio.to_thread(self._values, place.folder, [place.uid])
        values = found.get(place.uid)
        if values is None or is_marked(values):
            return Delete(ref)
        for item in _describe(self._mail, place, values).items:
            match item:
                case Upsert() if item.key == ref.key:
                    return item
                case Failure(ref=about) if about == ref:
                    return item
        return Delete(ref)

    async def _folder(self, name: str, progress: Progress) -> AsyncGenerator[Item]:
        scope = _scope(name)
        yield ScopeStart(scope)
        try:
            async with aclosing(self._messages(name, progress)) as items:
                async for item in items:
                    yield item
        except (FolderError, ProtocolError) as error:
            yield Failure(None, f"The folder '{name}' cannot be read: {error}")
            yield ScopeEnd(scope, complete=False)
        else:
            is_empty = not progress.folders[name].uids
            yield ScopeEnd(
                scope, complete=progress.is_listing, confirmed_empty=is_empty
            )

    async def _messages(self, name: str, progress: Progress) -> AsyncGenerator[Item]:
        """Yield what went, then what came; a checkpoint after each batch."""
        # first, so that what changes while this is read is read again the next time
        opened = await asyncio.to_thread(self._session.open, name)
        state, gone = progress.enter(name, opened.validity)
        for item in gone:
            yield item
        if state.modseq and state.modseq == opened.modseq:
            return
        current = await asyncio.to_thread(self._current, name, state)
        for item in state.forget(name, state.uids - current):
            yield item
        new = sorted(current - state.uids)
        for at in range(0, len(new), BATCH):
            for item in await self._batch(name, state, new[at : at + BATCH]):
                yield item
            if at + BATCH < len(new):
                yield progress.checkpoint()
        state.modseq = opened.modseq

    async def _batch(self, name: str, state: State, uids: list[int]) -> list[Item]:
        """Describe what is still there of these; what came and went is passed over."""
        items: list[Item] = []
        found = await asyncio.to_thread(self._values, name, uids)
        for uid, values in found.items():
            described = _describe(self._mail, Place(name, state.validity, uid), values)
            items += described.items
            state.uids.add(uid)
            if described.sections:
                state.files[uid] = described.sections
        return items

    def _current(self, name: str, state: State) -> set[int]:
        """Return which messages there are now, in a thread."""
        session = self._session
        # only the server knows which of the changed ones are young enough
        if not session.tells_vanished or not state.modseq or self._config.since:
            return session.numbers(name, self._config.since)
        there, marked, gone = session.changes(name, state.modseq)
        return (state.uids | there) - marked - gone

    def _values(self, name: str, uids: list[int]) -> dict[int, Values]:
        """Ask for all together; one by one where the server says something odd."""
        try:
            return self._session.fetch(name, uids, ASKED)
        except ProtocolError:
            pass
        found: dict[int, Values] = {}
        for uid in uids:
            try:
                found |= self._session.fetch(name, [uid], ASKED)
            except ProtocolError:
                found |= self._session.fetch(name, [uid], ASKED_WITHOUT_STRUCTURE)
        return found

    async def _folders(self) -> list[str]:
        """Return the chosen folders; raises ConfigError if one is not there."""
        try:
            listed = await asyncio.to_thread(self._session.folders)
        except (FolderError, ProtocolError) as error:
            raise RetryableError(f"Folders cannot be listed: {error}") from error
        self._delimiters = {one.name: one.delimiter for one in listed}
        found = [one for one in listed if not one.kinds & _CLOSED]
        for name in self._config.folders:
            if not any(_is_below(one, name) for one in found):
                have = ", ".join(f"'{one.name}'" for one in found[:20])
                raise ConfigError(f"There is no folder '{name}', but {have}")
        chosen = [one.name for one in found if self._is_chosen(one, found)]
        if not chosen:
            raise ConfigError("No folder is left to be read")
        return sorted(chosen, key=lambda name: (name.upper() != "INBOX", name))

    def _is_chosen(self, folder: Folder, listed: list[Folder]) -> bool:
        if any(_is_below(folder, name) for name in self._config.exclude_folders):
            return False
        if self._config.folders:
            return any(_is_below(folder, name) for name in self._config.folders)
        if _is_hidden(folder, listed):
            return self._config.include_hidden
        # where one folder holds all messages, the others hold them once more
        everything = [one for one in listed if "\\all" in one.kinds]
        return not everything or folder in everything

    def _way_to(self, folder: str) -> tuple[Breadcrumb, ...]:
        delimiter = self._delimiters.get(folder) or "\0"
        way, found = "", [self._root]
        for step in folder.split(delimiter):
            way = f"{way}{delimiter}{step}" if way else step
            found.append(Breadcrumb(way, step or way, "Folder"))
        return tuple(found)


def _describe(mail: Mail, place: Place, values: Values) -> Described:
    """Whatever one message holds, the others are read."""
    try:
        return mail.describe(place, values)
    except (ValueError, TypeError, KeyError, LookupError) as error:
        reason = f"The server describes it oddly: {error!r}"
        return Described([Failure(Ref(MESSAGE, place.source_id), reason)], [])


def _is_hidden(folder: Folder, listed: list[Folder]) -> bool:
    """Tell by what the server says of folders, by their names if it says nothing."""
    if any(one.kinds & _HIDDEN for one in listed):
        return bool(folder.kinds & _HIDDEN)
    last = folder.name.rpartition(folder.delimiter or "/")[2]
    return last.lower() in _HIDDEN_NAMES


def _is_below(folder: Folder, name: str) -> bool:
    if folder.name.upper() == name.upper() == "INBOX" or folder.name == name:
        return True
    return bool(folder.delimiter) and folder.name.startswith(name + folder.delimiter)


def _scope(name: str) -> str:
    """Return the folder's name as one step of a path, and not too long."""
    told = quote(name, safe="")
    if len(told) <= MOST_SCOPE:
        return told
    mark = blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{told[:MOST_SCOPE]}-{mark}"
