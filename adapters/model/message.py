"""Messages and the parts they are made of.

Everything here is immutable. ``None`` means "not said"; ``0``, ``""`` and ``False`` are values and are
never dropped. ``extra`` keeps, per dialect name, the wire fields that the model has no place for: the
dialect that read them writes them back, every other dialect reports them as foreign losses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
"""A JSON object as it stands on the wire, keys and values untouched."""

Extra = Mapping[str, Json]
"""Dialect name -> the fields of that dialect which the model has no place for."""


class Role(StrEnum):
    """Who speaks. OpenAI's ``developer`` is ``SYSTEM`` here; tool results always have their own ``TOOL`` message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MediaKind(StrEnum):
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes carried in the message: ``data`` is standard base64, padded, without line breaks or ``data:`` prefix."""

    data: str


@dataclass(frozen=True, slots=True)
class Url:
    """An address the provider is to fetch. Never a ``data:`` URL: those are decoded to ``Inline``."""

    url: str


@dataclass(frozen=True, slots=True)
class FileId:
    """A file uploaded earlier, known by its id at one provider."""

    id: str


Source = Inline | Url | FileId


@dataclass(frozen=True, slots=True)
class CacheHint:
    """A prompt-cache mark after the part that holds it. ``ttl`` as the provider spells it (``5m``, ``1h``)."""

    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    citations: tuple[Json, ...] = ()
    cache: CacheHint | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """An image, sound, film or document. ``detail`` is OpenAI's resolution hint (``low``, ``high``, ``auto``)."""

    kind: MediaKind
    source: Source
    mime_type: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: CacheHint | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thought. ``signature`` and ``redacted`` go back only to ``origin``, the dialect that made them."""

    text: str
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    origin: str | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. ``arguments`` is the JSON text exactly as the model produced it."""

    id: str
    name: str
    arguments: str
    cache: CacheHint | None = None
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's words for declining, where its dialect keeps them apart from text."""

    text: str
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part or tool that only ``dialect`` understands; ``payload`` is its wire form, untouched."""

    dialect: str
    payload: Json


ResultPart = Text | Media | Opaque


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to the ``ToolCall`` whose id is ``call_id``."""

    call_id: str
    parts: tuple[ResultPart, ...]
    is_error: bool | None = None
    cache: CacheHint | None = None
    extra: Extra | None = None


Part = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Opaque


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``name`` is the participant's name, where a dialect has one."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extra: Extra | None = None


def plain_text(parts: tuple[Part, ...]) -> str:
    """All text of these parts, glued together; other parts are passed over."""
    return "".join(part.text for part in parts if isinstance(part, Text))
