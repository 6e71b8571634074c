"""A workspace on Slack in memory: two channels, people, messages and their threads."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import httpx

from wellhead.domain.items import Ref
from wellhead.sources.connectors.slack import SlackSource
from wellhead.sources.connectors.slack.messages import MESSAGE
from wellhead.sources.testing import Vendor

TOKEN = "xoxb-0123456789-SECRETabcdef"  # noqa: S105  # of nobody
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
GENERAL, RANDOM = "C0001", "C0002"
HALF_A_DAY = timedelta(hours=12)
Thing = dict[str, Any]
Query = Mapping[str, str]


class Team(Vendor):
    """Somebody says something every half day; each fourth message is answered twice."""

    source = SlackSource
    credentials: ClassVar = {"access_token": TOKEN}
    crowd = 700

    def __init__(self) -> None:
        self.now = BEGINNING
        self.channels = {
            GENERAL: {"id": GENERAL, "name": "general", "is_private": False},
            RANDOM: {"id": RANDOM, "name": "random", "is_private": True},
        }
        self.left: set[str] = set()
        """Channels that the app is not a member of."""
        self.people = {
            "U1": {"id": "U1", "name": "ada", "profile": {"display_name": "Ada"}},
            "U2": {"id": "U2", "name": "bob", "profile": {"real_name": "Bob B."}},
        }
        self.strangers: dict[str, Thing] = {}
        self.messages: dict[str, list[Thing]] = {GENERAL: [], RANDOM: []}
        self.replies: dict[str, list[Thing]] = {}
        self.complaints: dict[str, str] = {}
        """What a method answers instead, by its name."""
        self.count = 0
        self.page = 1_000
        self.requests: list[httpx.Request] = []

    # --- what the suite does to it ---

    def add(self, count: int) -> Sequence[Ref]:
        refs = []
        for _ in range(count):
            self.count += 1
            channel = RANDOM if self.count % 3 == 0 else GENERAL
            message = self.say(f"Number {self.count} by <@U2>", channel)
            if self.count % 4 == 0:
                self.reply(message, "Why?", user="U2")
                self.reply(message, "Because.")
            refs.append(ref_of(message))
            self.now += HALF_A_DAY
        return refs

    def change(self) -> Ref:
        message = self.messages[GENERAL][-1]
        self.reply(message, "One more thing.")
        self.now += timedelta(minutes=1)
        return ref_of(message)

    def remove(self) -> Ref:
        said = self.messages[GENERAL]
        message = said.pop(len(said) // 2)
        self.replies.pop(message["ts"], None)
        return ref_of(message)

    def busy(self) -> Sequence[httpx.Response]:
        body = {"ok": False, "error": "ratelimited"}
        headers = {"retry-after": "7"}
        return [
            httpx.Response(429, headers=headers, json=body),
            httpx.Response(200, headers=headers, json=body),
        ]

    # --- what people do ---

    def say(self, text: str, channel: str = GENERAL, **more: Any) -> Thing:
        message = {"type": "message", "user": "U1", "text": text, "ts": self._ts()}
        self.messages[channel].append({**message, "channel": channel, **more})
        return self.messages[channel][-1]

    def reply(self, message: Thing, text: str, *, user: str = "U1") -> Thing:
        ts = self._ts()
        said = {"type": "message", "user": user, "text": text, "ts": ts}
        thread = self.replies.setdefault(message["ts"], [])
        thread.append({**said, "thread_ts": message["ts"]})
        more = {"thread_ts": message["ts"], "latest_reply": ts}
        message |= {**more, "reply_count": len(thread)}
        return thread[-1]

    def edit(self, message: Thing, text: str) -> None:
        message |= {"text": text, "edited": {"user": "U1", "ts": self._ts()}}

    def _ts(self) -> str:
        self.now += timedelta(microseconds=1)
        return f"{self.now.timestamp():.6f}"

    # --- what Slack answers ---

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        method = request.url.path.removeprefix("/api/")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            body: Thing = {"ok": False, "error": "invalid_auth"}
        elif method in self.complaints:
            body = {"ok": False, "error": self.complaints[method], "needed": "a:read"}
        else:
            body = self._method(method)(request.url.params)
        date = format_datetime(self.now, usegmt=True)
        return httpx.Response(200, json=body, headers={"date": date})

    def _method(self, name: str) -> Callable[[Query], Thing]:
        known = {
            "auth.test": lambda _: {"ok": True, "url": "https://acme.slack.com/"},
            "users.conversations": self._conversations,
            "users.list": lambda query: self._listed(
                "members", list(self.people.values()), query
            ),
            "users.info": self._person,
            "conversations.info": self._channel,
            "conversations.history": self._history,
            "conversations.replies": self._thread,
        }
        return known.get(name, lambda _: {"ok": False, "error": "unknown_method"})

    def _conversations(self, query: Query) -> Thing:
        kinds = query["types"].split(",")
        found = [
            one
            for one in self.channels.values()
            if one["id"] not in self.left
            and ("private_channel" if one["is_private"] else "public_channel") in kinds
        ]
        return self._listed("channels", found, query)

    def _person(self, query: Query) -> Thing:
        found = self.strangers.get(query["user"])
        gone = {"ok": False, "error": "user_not_found"}
        return {"ok": True, "user": found} if found else gone

    def _channel(self, query: Query) -> Thing:
        found = self.channels.get(query["channel"])
        gone = {"ok": False, "error": "channel_not_found"}
        return {"ok": True, "channel": found} if found else gone

    def _history(self, query: Query) -> Thing:
        channel = query["channel"]
        if channel in self.left:
            return {"ok": False, "error": "not_in_channel"}
        oldest, latest = query.get("oldest", "0"), query.get("latest", "9" * 10)
        is_inclusive = query.get("inclusive") == "true"
        found = [
            one
            for one in reversed(self.messages[channel])
            if float(oldest) < float(one["ts"]) < float(latest)
            or (is_inclusive and one["ts"] in (oldest, latest))
        ]
        return self._listed("messages", found, query)

    def _thread(self, query: Query) -> Thing:
        roots = [
            one for one in self.messages[query["channel"]] if one["ts"] == query["ts"]
        ]
        if not roots:
            return {"ok": False, "error": "thread_not_found"}
        whole = [*roots, *self.replies.get(query["ts"], [])]
        page = self._listed("messages", whole, query)
        if page["ok"] and roots[0] not in page["messages"]:
            page["messages"].insert(0, roots[0])  # it stands above every page
        return page

    def _listed(self, name: str, found: list[Thing], query: Query) -> Thing:
        cursor = query.get("cursor") or "at:0"
        if not cursor.startswith("at:"):
            return {"ok": False, "error": "invalid_cursor"}
        begin = int(cursor.removeprefix("at:"))
        end = begin + min(int(query.get("limit", 100)), self.page)
        following = f"at:{end}" if end < len(found) else ""
        return {
            "ok": True,
            name: found[begin:end],
            "has_more": bool(following),
            "response_metadata": {"next_cursor": following},
        }


def ref_of(message: Thing) -> Ref:
    return Ref(MESSAGE, f"{message['channel']}:{message['ts']}")
