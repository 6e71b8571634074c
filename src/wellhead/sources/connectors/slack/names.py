"""How people and channels are called; a workspace's people are asked for together."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from wellhead.sources.http import (
    ApiClient,
    Call,
    DeniedError,
    GoneError,
    RefusedError,
    by_cursor,
    pages,
)

NEXT = "response_metadata.next_cursor"
MOST_STRANGERS = 2_000
_CHANNEL_MARKS = ("C", "G", "D")


class Names:
    """Knows those of the workspace; strangers, such as of shared channels, singly."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._people: dict[str, str] | None = None
        self._channels: dict[str, str] = {}
        self._strangers: OrderedDict[str, str] = OrderedDict()

    def note(self, channel: Mapping[str, Any]) -> None:
        """Remember a channel that was listed anyway."""
        self._channels[str(channel["id"])] = str(channel.get("name") or "")

    async def of(self, idents: Iterable[str]) -> dict[str, str]:
        """Return names by ids; who has none that may be seen is left out."""
        found = {one: await self._name(one) for one in dict.fromkeys(idents)}
        return {ident: name for ident, name in found.items() if name}

    async def _name(self, ident: str) -> str:
        if ident in self._channels:
            return self._channels[ident]
        if self._people is None:
            self._people = await self._everybody()
        known = self._people.get(ident)
        return await self._stranger(ident) if known is None else known

    async def _everybody(self) -> dict[str, str]:
        call = Call(url="/users.list", query={"limit": 500})
        people: dict[str, str] = {}
        try:
            listing = pages(
                self._client, call, by_cursor("cursor", NEXT), records="members"
            )
            async for page in listing:
                people |= {str(one["id"]): person_name(one) for one in page.records}
        except DeniedError:
            return people  # without users:read people are shown by their ids
        return people

    async def _stranger(self, ident: str) -> str:
        if ident not in self._strangers:
            self._strangers[ident] = await self._asked(ident)
            if len(self._strangers) > MOST_STRANGERS:
                self._strangers.popitem(last=False)
        return self._strangers[ident]

    async def _asked(self, ident: str) -> str:
        try:
            if ident.startswith(_CHANNEL_MARKS):
                found = await self._client.get_json(
                    "/conversations.info", channel=ident
                )
                return str((found.get("channel") or {}).get("name") or "")
            found = await self._client.get_json("/users.info", user=ident)
            return person_name(found.get("user") or {})
        except (DeniedError, GoneError, RefusedError):
            return ""


def person_name(user: Mapping[str, Any]) -> str:
    """Return what others see: the name that somebody chose, else the full one."""
    profile = user.get("profile") or {}
    shown = (
        profile.get("display_name"),
        profile.get("real_name"),
        user.get("real_name"),
        user.get("name"),
    )
    return next((str(one) for one in shown if one), "")
