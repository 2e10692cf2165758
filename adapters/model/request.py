"""What a client asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapters.model.message import CacheHint, Extra, Json, Message, Opaque

LOCAL = {"local": True}
"""Marks a field that concerns only the client's own connection and so never has to reach an upstream."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are picked. Numbers are the client's own; ranges differ by dialect and are checked there."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: Mapping[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the client runs. ``parameters`` is a JSON Schema object, key order kept; ``None``: none given."""

    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None
    cache: CacheHint | None = None
    extra: Extra | None = None


class ToolChoiceMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether tools may, must or must not be used. ``name`` goes with mode ``TOOL``; ``allowed`` is a subset."""

    mode: ToolChoiceMode
    name: str | None = None
    allowed: tuple[str, ...] = ()


class OutputKind(StrEnum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The form the answer must have. ``schema`` is set for kind ``JSON_SCHEMA``."""

    kind: OutputKind
    schema: Json | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ReasoningOptions:
    """How much to think. ``effort`` is one of none, minimal, low, medium, high, xhigh, max."""

    effort: str | None = None
    budget_tokens: int | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A history kept by the server. ``store``: whether this turn is to be kept."""

    id: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One generation request.

    ``model`` is the name the client used; the proxy puts the target's own name there before encoding.
    ``variables`` fill the slots of instructions that are kept elsewhere (a preset, an Amarsia deployment).
    ``include_usage`` says whether the client wants token counts at the end of its stream.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool | Opaque, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    output: OutputFormat | None = None
    reasoning: ReasoningOptions | None = None
    choice_count: int | None = None
    stream: bool = False
    include_usage: bool | None = field(default=None, metadata=LOCAL)
    user: str | None = None
    metadata: Mapping[str, str] | None = None
    conversation: Conversation | None = None
    variables: Mapping[str, str] | None = None
    extra: Extra | None = None
