"""Messages of Slack as entities: one for each that begins something, with its thread.

A reply alone rarely says what it is about ("yes, that worked"). So a thread is one
text, found by anything that is said in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Ref
from wellhead.sources.connectors.slack.markup import mentioned, readable, text_of

MESSAGE = "SlackMessageEntity"
CHANNEL = "SlackChannelEntity"
LIVELY = timedelta(days=7)
"""For so long after the last reply a thread is read again once a day."""
LONGEST_NAME = 100
_NOISE = frozenset(
    {
        *("channel_join", "channel_leave", "channel_topic", "channel_purpose"),
        *(
            "channel_name",
            "channel_archive",
            "channel_unarchive",
            "channel_convert_to_private",
        ),
        *("group_join", "group_leave", "group_topic", "group_purpose", "group_name"),
        *("group_archive", "group_unarchive", "pinned_item", "unpinned_item"),
        *("bot_add", "bot_remove", "bot_enable", "bot_disable", "reminder_add"),
        *("joiner_notification", "channel_posting_permissions", "sh_room_created"),
    }
)
Message = Mapping[str, Any]
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where messages are; `home` is the address of the workspace."""

    id: str
    name: str
    home: str

    def ref(self, ts: str) -> Ref:
        return Ref(MESSAGE, f"{self.id}:{ts}")

    def link(self, ts: str) -> str:
        return f"{self.home}archives/{self.id}/p{ts.replace('.', '')}"


def is_root(message: Message) -> bool:
    """Tell whether it begins something: no reply, no note on who came and went."""
    if message.get("subtype") in _NOISE or message.get("hidden"):
        return False
    if message.get("thread_ts") not in (None, message.get("ts")):
        return False
    return bool(reply_count(message) or _said(message) or _files(message))


def reply_count(message: Message) -> int:
    return int(message.get("reply_count") or 0)


def people_in(messages: Iterable[Message]) -> Iterator[str]:
    """Return the ids whose names are needed to write these."""
    for message in messages:
        if message.get("user") and not message.get("username"):
            yield str(message["user"])
        yield from mentioned(text_of(message))


def message_entity(
    message: Message, channel: Channel, names: Names, now: datetime | None
) -> Entity:
    """Describe a message; one that has no replies with its text."""
    ts = str(message["ts"])
    text = readable(text_of(message), names)
    last = max(ts, str(message.get("latest_reply") or ""), _edited(message))
    files = _files(message)
    return Entity(
        type=MESSAGE,
        source_id=channel.ref(ts).source_id,
        name=_name(text or ", ".join(files), channel),
        text=None if reply_count(message) else thread_text([message], channel, names),
        source_version=_version(message, now),
        created_at=time_of(ts),
        updated_at=time_of(last),
        breadcrumbs=(Breadcrumb(channel.id, f"#{channel.name}", CHANNEL),),
        url=channel.link(ts),
        raw={
            "channel": channel.name,
            "channel_id": channel.id,
            "ts": ts,
            "author": _author(message, names),
            "user": message.get("user"),
            "replies": reply_count(message),
            "files": files,
        },
    )


def thread_text(messages: Iterable[Message], channel: Channel, names: Names) -> str:
    """Write what was said, by whom and when; the first line says where."""
    parts: list[str] = []
    for message in messages:
        if message.get("subtype") in _NOISE:
            continue
        where = "" if parts else f" in #{channel.name}"
        at = time_of(str(message["ts"])).strftime("%Y-%m-%d %H:%M")
        head = f"{_author(message, names)} on {at} UTC{where}:"
        files = _files(message)
        said = [
            readable(text_of(message), names).strip(),
            f"Files: {', '.join(files)}" if files else "",
        ]
        parts.append("\n".join([head, *(one for one in said if one)]))
    return "\n\n".join(parts) + "\n"


def time_of(ts: str) -> datetime:
    """Read a time, which is also a name; raises ValueError."""
    return datetime.fromtimestamp(float(ts), UTC)


def _version(message: Message, now: datetime | None) -> str:
    """Say what a list tells of changes: nothing of a reply that was edited.

    So the version of a thread that is lively is another one every day.
    """
    last = message.get("latest_reply")
    marks = [_edited(message), reply_count(message), last or "", len(_files(message))]
    if last and (now is None or now - time_of(str(last)) < LIVELY):
        marks.append("" if now is None else now.date())
    return "|".join(map(str, marks))


def _edited(message: Message) -> str:
    return str((message.get("edited") or {}).get("ts") or "")


def _author(message: Message, names: Names) -> str:
    user = str(message.get("user") or "")
    app = (message.get("bot_profile") or {}).get("name")
    shown = (message.get("username"), names.get(user), app, user)
    return next((str(one) for one in shown if one), "somebody")


def _name(text: str, channel: Channel) -> str:
    line = next((one for one in text.splitlines() if one.strip()), "")
    words = " ".join(line.split())
    if len(words) > LONGEST_NAME:
        words = f"{words[: LONGEST_NAME - 1].rstrip()}…"
    return words or f"#{channel.name}"


def _files(message: Message) -> list[str]:
    names = [one.get("name") or one.get("title") for one in message.get("files") or ()]
    return [str(one) for one in names if one]


def _said(message: Message) -> bool:
    return bool(text_of(message).strip())
