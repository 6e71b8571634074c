"""A language model's server on loopback that says what a test wrote for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.receiver import Received, answer, receiving

Message = dict[str, Any]
Line = Message | bytes | Callable[[Any], "Line"] | Callable[[Any], Awaitable["Line"]]
"""What is answered: a message, raw bytes, or what a function makes of the request."""
SECRET = "sk-secret-of-the-operator"  # noqa: S105  # not one


def says(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def calls(*wanted: tuple[str, Any], **more: Any) -> Message:
    """Call tools; arguments that are text are sent as they are."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{number}_{name}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for number, (name, given) in enumerate(wanted, start=1)
        ],
        **more,
    }


def plan(primary: str, *variations: str, **more: Any) -> Message:
    given = {
        "query": {"primary": primary, "variations": list(variations)},
        "retrieval_strategy": "hybrid",
        "filter_groups": [],
    }
    return calls(("plan", given | more))


def refuses(status: int, body: str = '{"error": {"message": "no"}}') -> bytes:
    return answer(status, body, **{"content-type": "application/json"})


async def never(_: Any) -> Line:
    await asyncio.Event().wait()
    return b""


@dataclass
class ScriptedModel:
    """Speaks the wire protocol of OpenAI's chat completions."""

    lines: Iterator[Line]
    url: str = ""
    asked: list[Any] = field(default_factory=list)
    """The bodies of the requests."""
    headers: list[dict[str, str]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    async def react(self, request: Received) -> bytes:
        assert request.path == "/v1/chat/completions"
        body = json.loads(request.body)
        self.asked.append(body)
        self.headers.append(request.headers)
        self.came.set()
        line: Any = next(self.lines, says("I have nothing more to say."))
        while callable(line):
            line = line(body)
            if asyncio.iscoroutine(line):
                line = await line
        return line if isinstance(line, bytes) else _completion(line)

    def told(self, which: int = -1) -> list[Any]:
        """Return what the tools returned to the model before one of its replies."""
        messages = self.asked[which]["messages"]
        return [json.loads(one["content"]) for one in messages if one["role"] == "tool"]


def _completion(message: Message) -> bytes:
    has_calls = "tool_calls" in message
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if has_calls else "stop",
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
    }
    return answer(200, json.dumps(body), **{"content-type": "application/json"})


@asynccontextmanager
async def scripted(*lines: Line) -> AsyncIterator[ScriptedModel]:
    async with receiving() as receiver:
        model = ScriptedModel(iter(lines), f"http://127.0.0.1:{receiver.port}/v1")
        receiver.react = model.react
        yield model
