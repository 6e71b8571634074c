"""A model is asked in its provider's own words, and told nothing it need not know."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest
from opentelemetry import trace
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest
from tests.receiver import Received, answer, receiving
from tests.scripted_model import (
    SECRET,
    Line,
    calls,
    never,
    refuses,
    says,
    scripted,
)

from wellhead.domain.errors import UnavailableError
from wellhead.domain.language import Answers, Prompt, Said, Tokens, ToolAnswer, ToolSpec
from wellhead.llm.chain import Chain, Link
from wellhead.llm.model import HttpModel
from wellhead.llm.names import ModelName

LOOK = ToolSpec(
    name="look",
    description="Look for it.",
    parameters={"type": "object", "properties": {"at": {"type": "string"}}},
)
PROMPT = Prompt(instructions="Be brief.", turns=(Said("Where?"),), tools=(LOOK,))

Open = Callable[..., HttpModel]


@pytest.fixture
async def open_model() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        def open_one(url: str, *, provider: str = "openai", seconds: float = 20) -> Any:
            is_openai = provider == "openai"
            name = ModelName(provider, "scripted" if is_openai else "claude-opus-5")
            model = HttpModel.open(name, key=SECRET, url=url, call_seconds=seconds)
            stack.push_async_callback(model.close)
            return model

        yield open_one


@asynccontextmanager
async def asked(open_model: Open, *lines: Line) -> AsyncIterator[Any]:
    async with scripted(*lines) as server:
        yield open_model(server.url), server


async def test_it_is_told_its_task_and_its_tools(open_model: Open) -> None:
    async with asked(open_model, says("There.")) as (model, server):
        reply = await model.reply(PROMPT)

    [sent] = server.asked
    roles = [(one["role"], one["content"]) for one in sent["messages"]]
    assert roles == [("system", "Be brief."), ("user", "Where?")]
    assert sent["model"] == "scripted"
    assert sent["tools"][0]["function"]["name"] == "look"
    assert sent["tools"][0]["function"]["parameters"]["properties"] == {
        "at": {"type": "string"}
    }
    assert sent.get("tool_choice") in (None, "auto")
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert (reply.text, reply.calls, reply.model) == ("There.", (), "openai:scripted")
    assert reply.tokens == Tokens(prompt=100, completion=7)


async def test_it_can_be_made_to_call(open_model: Open) -> None:
    async with asked(open_model, calls(("look", {"at": "it"}))) as (model, server):
        prompt = Prompt(
            instructions="", turns=(Said("x"),), tools=(LOOK,), must_call=True
        )
        reply = await model.reply(prompt)

    assert server.asked[0]["tool_choice"] not in (None, "auto", "none")
    [call] = reply.calls
    assert (call.name, call.arguments) == ("look", {"at": "it"})


async def test_a_talk_goes_on_with_what_the_tools_returned(open_model: Open) -> None:
    lines = (calls(("look", {"at": "it"}), reasoning_content="Hm."), says("Done."))
    async with asked(open_model, *lines) as (model, server):
        first = await model.reply(PROMPT)
        results = Answers((ToolAnswer(first.calls[0], '{"found": 3}'),))
        turns = (*PROMPT.turns, first, results)
        last = await model.reply(Prompt(instructions="", turns=turns, tools=(LOOK,)))

    *_, call, result = server.asked[1]["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "look"
    assert result["role"] == "tool"
    assert result["tool_call_id"] == call["tool_calls"][0]["id"]
    assert result["content"] == '{"found": 3}'
    assert first.thinking == "Hm."
    assert last.text == "Done."


@pytest.mark.parametrize("arguments", ['{"at": ', "[1]", '"text"'])
async def test_arguments_that_are_no_object_are_none(
    open_model: Open, arguments: str
) -> None:
    async with asked(open_model, calls(("look", arguments))) as (model, _):
        reply = await model.reply(PROMPT)

    assert reply.calls[0].arguments is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (refuses(401, json.dumps({"error": {"message": SECRET}})), "HTTP 401"),
        (refuses(400), "HTTP 400"),
        (answer(200, "<html>", **{"content-type": "text/html"}), "the call failed"),
        (answer(200, "{}", **{"content-type": "application/json"}), "the call failed"),
    ],
    ids=["unauthorized", "bad request", "no JSON", "no completion"],
)
async def test_trouble_is_said_in_our_own_words(
    open_model: Open, line: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with asked(open_model, line) as (model, _):
        with pytest.raises(UnavailableError, match=said) as raised:
            await model.reply(PROMPT)

    assert SECRET not in raised.value.message
    assert SECRET not in caplog.text


async def test_a_passing_trouble_is_tried_again_once(open_model: Open) -> None:
    lines = (refuses(503), says("Here."))
    async with asked(open_model, *lines) as (model, server):
        reply = await model.reply(PROMPT)

    assert reply.text == "Here."
    assert len(server.asked) == 2


async def test_a_model_that_hangs_is_given_up(open_model: Open) -> None:
    async with scripted(never) as server:
        model = open_model(server.url, seconds=0.2)
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 seconds"):
            await model.reply(PROMPT)


async def test_nobody_listens(open_model: Open) -> None:
    model = open_model("http://127.0.0.1:9/v1")

    with pytest.raises(UnavailableError, match="the call failed"):
        await model.reply(PROMPT)


async def test_anthropic_is_asked_in_its_own_words(open_model: Open) -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "signed"},
            {"type": "text", "text": "Let me look."},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "look",
                "input": {"at": "it"},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 30, "output_tokens": 4},
    }

    async def react(_: Received) -> bytes:
        return answer(200, json.dumps(body), **{"content-type": "application/json"})

    async with receiving() as receiver:
        receiver.react = react
        url = f"http://127.0.0.1:{receiver.port}"
        model = open_model(url, provider="anthropic")
        reply = await model.reply(PROMPT)
        results = Answers((ToolAnswer(reply.calls[0], '{"found": 3}'),))
        turns = (*PROMPT.turns, reply, results)
        await model.reply(Prompt(instructions="", turns=turns, tools=(LOOK,)))

    request, second = receiver.received
    _, said, result = json.loads(second.body)["messages"]
    assert said["content"][0]["signature"] == "signed", "or it would be refused"
    assert result["content"][0]["type"] == "tool_result"
    assert result["content"][0]["tool_use_id"] == "toolu_1"
    sent = json.loads(request.body)
    assert request.path.startswith("/v1/messages")
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert "Be brief." in json.dumps(sent["system"])
    assert not sent.get("stream")
    assert sent["tools"][0]["name"] == "look"
    assert (reply.text, reply.thinking) == ("Let me look.", "Hm.")
    assert reply.calls[0].arguments == {"at": "it"}
    assert reply.tokens == Tokens(prompt=30, completion=4)


def chain_of(*models: Any) -> Chain:
    async def opened(model: Any) -> Any:
        return model

    return Chain([Link(one.name, partial(opened, one)) for one in models])


async def test_the_next_model_stands_in_for_one_that_fails(open_model: Open) -> None:
    async with (
        scripted(refuses(401)) as broken,
        scripted(says("I."), says("I.")) as fine,
    ):
        chain = chain_of(open_model(broken.url), open_model(fine.url))

        first, second = await chain.reply(PROMPT), await chain.reply(PROMPT)

    assert (first.text, first.retries) == ("I.", 1)
    assert (second.text, second.retries) == ("I.", 0)
    assert len(broken.asked) == 1, "a model that has just failed is asked last"


async def test_a_chain_that_fails_says_why_of_each(open_model: Open) -> None:
    async with scripted(refuses(401)) as one, scripted(refuses(404)) as other:
        chain = chain_of(open_model(one.url), open_model(other.url))

        with pytest.raises(UnavailableError) as raised:
            await chain.reply(PROMPT)

    assert raised.value.message == (
        "No language model answered (openai:scripted: it answered HTTP 401; "
        "openai:scripted: it answered HTTP 404)"
    )


class NotingTracer(trace.NoOpTracer):
    def __init__(self, spans: list[str]) -> None:
        self.spans = spans

    def start_span(self, name: str, *args: Any, **more: Any) -> Any:
        self.spans.append(name)
        return super().start_span(name, *args, **more)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self, name: str, *_: Any, **__: Any
    ) -> Iterator[Any]:
        yield self.start_span(name)


async def test_nothing_is_traced_whatever_the_library_is_told(open_model: Open) -> None:
    spans: list[str] = []

    class Provider(trace.NoOpTracerProvider):
        def get_tracer(self, *_: Any, **__: Any) -> Any:
            return NotingTracer(spans)

    Agent.instrument_all(InstrumentationSettings(tracer_provider=Provider()))
    try:
        async with asked(open_model, says("1"), says("2")) as (model, _):
            await model.reply(PROMPT)
            told = [*spans]
            request = ModelRequest.user_text_prompt("x")
            await model_request(model._model, [request])
    finally:
        Agent.instrument_all(False)

    assert told == []
    assert spans, "it would have been seen"
