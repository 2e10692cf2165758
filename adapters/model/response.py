"""What a model answers, complete."""

from dataclasses import dataclass
from enum import StrEnum

from adapters.model.message import Extra, Json, Part


class FinishReason(StrEnum):
    """Why a choice ended. ``OTHER`` keeps the dialect's own word in the choice's ``extra``."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALL = "tool_call"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSED = "paused"
    ERROR = "error"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts: ``input_tokens`` with the cached ones, ``output_tokens`` with reasoning. Unknown is ``None``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer. ``logprobs`` has OpenAI's shape: ``{"content": [...], "refusal": [...]}``."""

    index: int
    parts: tuple[Part, ...]
    finish_reason: FinishReason
    stop_sequence: str | None = None
    logprobs: Json | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer. ``created`` is in Unix seconds."""

    choices: tuple[Choice, ...]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None
    extra: Extra | None = None
