"""One language model behind HTTP, asked by pydantic-ai; loading this takes seconds."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import anthropic
import httpx2
import openai
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelHTTPError,
    ModelTimeoutError,
    UserError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from wellhead.domain.errors import UnavailableError
from wellhead.domain.language import (
    Answers,
    Prompt,
    Reply,
    Said,
    Tokens,
    ToolCall,
    ToolSpec,
    Turn,
)
from wellhead.llm.names import ModelName

CONNECT_SECONDS = 5
RETRIES = 1
"""How often the provider's client tries again what looks like a passing trouble."""
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
MOST_TOKENS = 16_000
"""Anthropic has to be told; more than this it would only send as a stream."""
NO_KEY = "none"
"""Sent to servers of one's own that want no key: the client insists on one."""


class HttpModel:
    """Implements the LanguageModel port; tells nobody but the provider anything."""

    def __init__(
        self,
        name: str,
        model: Model,
        http: httpx2.AsyncClient,
        call_seconds: float,
    ) -> None:
        self._name = name
        self._model = model
        self._http = http
        self._call_seconds = call_seconds

    @classmethod
    def open(
        cls, name: ModelName, *, key: str | None, url: str | None, call_seconds: float
    ) -> "HttpModel":
        """Make a client; a `url` is that of a server that speaks the same."""
        # like every client it heeds proxies of the environment
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(call_seconds, connect=CONNECT_SECONDS)
        )
        make = _anthropic if name.provider == "anthropic" else _openai
        return cls(str(name), make(name.model, key, url, http), http, call_seconds)

    @property
    def name(self) -> str:
        return self._name

    async def reply(self, prompt: Prompt) -> Reply:
        try:
            async with asyncio.timeout(self._call_seconds):
                response = await model_request(
                    self._model,
                    list(_messages(prompt)),
                    model_settings=_settings(prompt),
                    model_request_parameters=_parameters(prompt),
                    instrument=False,
                )
        except (AgentRunError, UserError, TimeoutError) as error:
            raise UnavailableError(self._said(error)) from error
        return _reply(_sendable(response), self._name)

    async def close(self) -> None:
        await self._http.aclose()

    def _said(self, error: Exception) -> str:
        """Say what went wrong in words of our own: theirs may repeat what was sent."""
        match error:
            case TimeoutError() | ModelTimeoutError():
                return f"no answer within {self._call_seconds:g} seconds"
            case ModelHTTPError(status_code=status):
                return f"it answered HTTP {status}"
            case _:
                return f"the call failed ({type(error).__name__})"


def _openai(
    model: str, key: str | None, url: str | None, http: httpx2.AsyncClient
) -> Model:
    client = openai.AsyncOpenAI(
        api_key=key or NO_KEY,
        base_url=url or OPENAI_URL,
        http_client=http,
        max_retries=RETRIES,
    )
    if url is None:
        return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
    # how long a reply may be is left to the server: some refuse more than fits
    provider = OpenAICompatibleProvider("openai-compatible", openai_client=client)
    return OpenAIChatModel(model, provider=provider)


def _anthropic(
    model: str, key: str | None, url: str | None, http: httpx2.AsyncClient
) -> Model:
    client = anthropic.AsyncAnthropic(
        api_key=key or NO_KEY,
        base_url=url or ANTHROPIC_URL,
        http_client=http,
        max_retries=RETRIES,
    )
    return AnthropicModel(
        model,
        provider=AnthropicProvider(anthropic_client=client),
        settings=ModelSettings(max_tokens=MOST_TOKENS),
    )


def _settings(prompt: Prompt) -> ModelSettings:
    return ModelSettings(thinking=True) if prompt.thinking else ModelSettings()


def _parameters(prompt: Prompt) -> ModelRequestParameters:
    tools = [_tool(one) for one in prompt.tools]
    if prompt.must_call:
        return ModelRequestParameters(
            output_mode="tool", output_tools=tools, allow_text_output=False
        )
    return ModelRequestParameters(function_tools=tools)


def _tool(spec: ToolSpec) -> ToolDefinition:
    return ToolDefinition(
        name=spec.name,
        description=spec.description,
        parameters_json_schema=dict(spec.parameters),
        strict=False,  # what comes is checked here, whoever made it
    )


def _messages(prompt: Prompt) -> Iterator[ModelMessage]:
    for turn in prompt.turns:
        yield _message(turn, prompt.instructions)


def _message(turn: Turn, instructions: str) -> ModelMessage:
    match turn:
        case Said():
            said = UserPromptPart(_encodable(turn.text))
            return ModelRequest([said], instructions=instructions)
        case Answers():
            parts = [
                ToolReturnPart(one.call.name, _encodable(one.content), one.call.id)
                for one in turn.answers
            ]
            return ModelRequest(parts, instructions=instructions)
        case Reply(native=ModelResponse() as response):
            return response
        case Reply():
            raise TypeError("this reply is of another client")


def _reply(response: ModelResponse, name: str) -> Reply:
    usage = response.usage
    return Reply(
        calls=tuple(
            _call(one) for one in response.parts if isinstance(one, ToolCallPart)
        ),
        text=_joined(response, TextPart),
        thinking=_joined(response, ThinkingPart),
        tokens=Tokens(
            prompt=usage.input_tokens,
            completion=usage.output_tokens,
            cache_written=usage.cache_write_tokens,
            cache_read=usage.cache_read_tokens,
        ),
        model=name,
        native=response,
    )


def _call(part: ToolCallPart) -> ToolCall:
    try:
        given = json.dumps(part.args_as_dict(raise_if_invalid=True), ensure_ascii=False)
        arguments = json.loads(_encodable(given))
    except (ValueError, AssertionError):
        return ToolCall(part.tool_call_id, part.tool_name, None)
    return ToolCall(part.tool_call_id, part.tool_name, arguments)


def _sendable(response: ModelResponse) -> ModelResponse:
    """Mend what could neither be sent back nor shown."""
    parts = [
        replace(one, content=_encodable(one.content))
        if isinstance(one, TextPart | ThinkingPart)
        else one
        for one in response.parts
    ]
    return replace(response, parts=parts)


def _encodable(text: str) -> str:
    """Replace what UTF-8 cannot hold: half a surrogate pair is not worth an error."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _joined(
    response: ModelResponse, kind: type[TextPart] | type[ThinkingPart]
) -> str | None:
    return (
        "\n".join(one.content for one in response.parts if isinstance(one, kind))
        or None
    )
