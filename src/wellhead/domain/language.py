"""A talk with a language model: what it is told, what it may call, what it replies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool that the model may call; `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model wants; None for arguments that are no JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a call returned, as JSON text: to the model it is data."""

    call: ToolCall
    content: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a reply cost."""

    prompt: int = 0
    completion: int = 0
    cache_written: int = 0
    cache_read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said; `native` is what its client keeps to go on from here."""

    calls: tuple[ToolCall, ...] = ()
    text: str | None = None
    thinking: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    model: str = ""
    retries: int = 0
    """How many models had failed before this one replied."""
    native: object = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the model is told by whoever asks."""

    text: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What the calls of the reply before returned, one for each."""

    answers: tuple[ToolAnswer, ...]


Turn = Said | Reply | Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question to a model, with the talk so far.

    With `must_call` the reply is a call and no text; `thinking` lets the model take
    its time, if it can.
    """

    instructions: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...]
    must_call: bool = False
    thinking: bool = False
