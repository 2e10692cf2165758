"""The message of an answer, as parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import Context
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Inline, Json, Media, MediaKind, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.model.request import Request
from adapters.openai_chat.calls import decode_calls
from adapters.openai_chat.extras import decode_extra, own_extra, unwritten_extra
from adapters.openai_chat.fields import ANSWER_AUDIO_TYPES, NAME
from adapters.openai_chat.reasoning import decode_reasoning, unwritten_reasoning
from adapters.openai_chat.tools import encode_tool_call
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64

# The order in which decoding reads the fields of a message.
_ORDER: tuple[type[Part], ...] = (Reasoning, Text, Refusal, Media, ToolCall)
_JOINED = frozenset({Reasoning, Text, Refusal})


def decode_answer(message: Fields, choice: int, context: Context) -> tuple[Part, ...]:
    """The parts of one choice's message; what is empty is no part."""
    message.any("role")
    thought, text = split_content(message.any("content"), message.path_of("content"))
    reasoning = (decode_reasoning(message) or "") + thought
    refusal = message.string("refusal")
    citations = decode_annotations(message.any("annotations"), message.path_of("annotations"))
    parts: list[Part] = []
    if reasoning:
        parts.append(Reasoning(reasoning, origin=NAME))
    if text or citations:
        parts.append(Text(text, citations))
    if refusal:
        parts.append(Refusal(refusal))
    audio = message.fields("audio")
    if audio is not None:
        parts.append(decode_audio(audio, context.request))
    return (*parts, *decode_calls(message, choice, context))


def split_content(content: Any, path: str) -> tuple[str, str]:
    """What was thought and what was said in ``content``: a string, or Mistral's array of ``thinking`` and ``text``."""
    if content is None or isinstance(content, str):
        return "", content or ""
    if not isinstance(content, list):
        raise wrong_type(path, "a string", content)
    thought: list[str] = []
    said: list[str] = []
    for index, value in enumerate(content):
        part = Fields(value, f"{path}[{index}]")
        if part.choice("type", ("text", "thinking")) == "thinking":
            thought.append(split_content(part.any("thinking"), part.path_of("thinking"))[1])
        else:
            said.append(part.string("text") or "")
    return "".join(thought), "".join(said)


def decode_annotations(annotations: Any, path: str) -> tuple[Json, ...]:
    """The annotations, as they stand, for the text they belong to."""
    if annotations is None:
        return ()
    if not isinstance(annotations, list):
        raise wrong_type(path, "an array", annotations)
    for index, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            raise wrong_type(f"{path}[{index}]", "an object", annotation)
    return tuple(annotations)


def decode_audio(audio: Fields, request: Request) -> Media:
    """Spoken words; their format is the one that the request asked for."""
    data = clean_base64(audio.string("data") or "", audio.path_of("data"))
    return Media(MediaKind.AUDIO, Inline(data), answer_audio_type(request), extra=decode_extra(audio))


def answer_audio_type(request: Request) -> str | None:
    """The MIME type of audio in the answer, as far as the request tells."""
    asked = own_extra(request.extra).get("audio")
    form = asked.get("format") if isinstance(asked, Mapping) else None
    return ANSWER_AUDIO_TYPES.get(form) if isinstance(form, str) else None


def encode_answer(parts: tuple[Part, ...], path: str, context: Context, losses: list[Loss]) -> Json:
    """The message; what is lost joins ``losses``."""
    message = _Message()
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        if isinstance(part, Opaque) and part.dialect != NAME:
            continue
        wire_losses, kept = unwritten(part, part_path, context.request)
        losses += wire_losses
        if not kept:
            continue
        if isinstance(part, Media) and message.audio is not None:
            losses.append(Loss(part_path, LossReason.UNSUPPORTED, "an answer has one audio part at most"))
            continue
        message.add(part, context)
    losses += message.arrangement(path)
    return message.wire()


def unwritten(part: Part, path: str, request: Request) -> tuple[list[Loss], bool]:
    """What of a part an answer cannot hold, and whether anything of it remains. Made for parts that are complete."""
    match part:
        case Text():
            losses = [
                Loss(f"{path}.citations[{index}]", LossReason.UNSUPPORTED, "it has not the form of an annotation")
                for index, citation in enumerate(part.citations)
                if not is_annotation(citation)
            ]
            if not part.text and len(losses) == len(part.citations):
                return [Loss(path, LossReason.APPROXIMATED, "empty text is no part of an answer")], False
            return losses + unwritten_extra(path, part.extra), True
        case Refusal():
            if not part.text:
                return [Loss(path, LossReason.APPROXIMATED, "empty text is no part of an answer")], False
            return unwritten_extra(path, part.extra), True
        case Reasoning():
            if not part.text:
                return [Loss(path, LossReason.UNSUPPORTED, "reasoning without text has no field here")], False
            return foreign_origin(part, path) + unwritten_reasoning(part, path), True
        case ToolCall() | Opaque():
            return [], True
        case Media(kind=MediaKind.AUDIO, source=Inline()):
            return _unwritten_audio(part, path, request), True
        case _:
            return [Loss(path, LossReason.UNSUPPORTED, "an answer cannot hold it")], False


def foreign_origin(part: Reasoning, path: str) -> list[Loss]:
    """The loss of where reasoning came from: whoever reads it here takes it for this dialect's own."""
    if part.origin == NAME:
        return []
    return [Loss(f"{path}.origin", LossReason.APPROXIMATED, "it counts as this dialect's own from here on")]


def is_annotation(citation: Json) -> bool:
    """Whether a citation has OpenAI's form: ``{"type": "url_citation", "url_citation": {...}}``."""
    kind = citation.get("type")
    return isinstance(kind, str) and isinstance(citation.get(kind), dict)


def encode_audio(part: Media, context: Context) -> Json:
    """The field ``audio``; what OpenAI adds to it is made up where the answer came from elsewhere."""
    own = own_extra(part.extra)
    data = part.source.data if isinstance(part.source, Inline) else ""
    wire: Json = {"id": own.get("id") or context.new_id("audio_"), "data": data}
    wire |= {"expires_at": own.get("expires_at", context.now), "transcript": own.get("transcript", "")}
    return wire | {name: value for name, value in own.items() if name not in wire}


# --- details ----------------------------------------------------------------------------------------------------


def _unwritten_audio(part: Media, path: str, request: Request) -> list[Loss]:
    losses = []
    if part.mime_type != answer_audio_type(request):
        losses.append(Loss(f"{path}.mime_type", LossReason.UNSUPPORTED, "audio carries no type in an answer"))
    if part.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "audio has no name in an answer"))
    return losses


@dataclass(slots=True)
class _Message:
    texts: list[str] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    audio: Json | None = None
    _order: list[int] = field(default_factory=list)

    def add(self, part: Part, context: Context) -> None:
        match part:
            case Text():
                self.texts.append(part.text)
                self.annotations += filter(is_annotation, part.citations)
            case Reasoning():
                self.reasoning.append(part.text)
            case Refusal():
                self.refusals.append(part.text)
            case ToolCall():
                self.calls.append(encode_tool_call(part))
            case Opaque():
                self.calls.append(part.payload)
            case Media():
                self.audio = encode_audio(part, context)
            case _:
                raise AssertionError
        self._order.append(_ORDER.index(ToolCall if isinstance(part, Opaque) else type(part)))

    def arrangement(self, path: str) -> list[Loss]:
        if any(self._order.count(_ORDER.index(kind)) > 1 for kind in _JOINED):
            return [Loss(f"{path}.parts", LossReason.APPROXIMATED, "parts of one kind are joined into one")]
        if self._order != sorted(self._order):
            return [Loss(f"{path}.parts", LossReason.MOVED, "each kind of part has its own field: the order is lost")]
        return []

    def wire(self) -> Json:
        others = bool(self.refusals or self.calls or self.audio is not None)
        # "" where there is nothing at all: clients read the content without a look (FIN-06, hard-cases.md).
        wire: Json = {"role": "assistant", "content": "".join(self.texts) if self.texts or not others else None}
        wire["refusal"] = "".join(self.refusals) or None
        if self.annotations:
            wire["annotations"] = self.annotations
        if self.reasoning:
            wire["reasoning_content"] = "".join(self.reasoning)
        if self.audio is not None:
            wire["audio"] = self.audio
        if self.calls:
            wire["tool_calls"] = self.calls
        return wire
