"""The content of a candidate, as parts."""

from adapters.contract import Context
from adapters.gemini.arguments import encode_arguments
from adapters.gemini.extras import encode_extra
from adapters.gemini.fields import NAME
from adapters.gemini.media import encode_media
from adapters.gemini.names import answer_call_id, original_names
from adapters.gemini.parts import (
    SIGNATURE,
    data_of,
    decode_call,
    decode_part,
    encode_call,
    encode_thought,
    lose_hints,
    lose_reasoning,
)
from adapters.gemini.spelling import WireFields
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult

_STREAMED_ARGUMENTS = ("partialArgs", "willContinue")


class AnswerParts:
    """Reads the parts of one candidate, one after the other; ``called``: a call was among them."""

    __slots__ = ("_candidate", "_count", "_names", "_request_id", "called")

    def __init__(self, context: Context, candidate: int) -> None:
        self.called = False
        self._request_id = context.request_id
        self._names = original_names(context.request)
        self._candidate = candidate
        self._count = 0

    def decode(self, value: Json, path: str) -> list[Part]:
        """What a part of the wire means: nothing, a part, or a text and the signature that came with it."""
        if not value:
            return []
        part = WireFields(value, path)
        data = data_of(part)
        if data == "functionCall":
            return [self._decode_call(part, value)]
        if data == "functionResponse":
            return [Opaque(NAME, value)]
        decoded = decode_part(part, data, value)
        if isinstance(decoded, Text):
            return _apart(decoded)
        if isinstance(decoded, Reasoning) and not decoded.text and decoded.signature is None and not decoded.extra:
            return []
        return [decoded]

    def _decode_call(self, part: WireFields, value: Json) -> ToolCall | Opaque:
        self.called = True
        call = value.get("functionCall")
        if isinstance(call, dict) and any(name in call for name in _STREAMED_ARGUMENTS):
            return Opaque(NAME, value)  # a piece of a call, which only those get who asked for it
        positional = answer_call_id(self._request_id, self._candidate, self._count)
        decoded, _ = decode_call(part, positional)
        self._count += 1
        original = self._names.get(decoded.name)
        if original is None:
            return decoded
        return ToolCall(decoded.id, original, decoded.arguments, extra=decoded.extra)


def encode_answer_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """A complete part on the wire, or ``None`` if an answer cannot hold it; what is lost joins ``losses``."""
    match part:
        case Text() | Refusal():
            return encode_answer_text(part, path, losses)
        case Reasoning():
            return encode_answer_reasoning(part, path, losses)
        case ToolCall():
            lose_hints(part, path, losses)
            arguments = encode_arguments(part.arguments)
            if arguments is None:
                losses.append(Loss(path, LossReason.INVALID, "its arguments are not a JSON object"))
                return None
            return encode_call(part, arguments)
        case Media():
            return encode_media(part, path, losses)
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None
        case ToolResult():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "an answer cannot hold it"))
            return None


def encode_answer_text(part: Text | Refusal, path: str, losses: list[Loss]) -> Json | None:
    """The part for a text; an empty one is none."""
    lose_text(part, path, losses, said=bool(part.text))
    return encode_extra({"text": part.text}, part.extra) if part.text else None


def lose_text(part: Text | Refusal, path: str, losses: list[Loss], *, said: bool) -> None:
    """Report what of a text is lost. ``said``: it is not empty, whatever ``part`` itself holds of it."""
    if not said:
        losses.append(Loss(path, LossReason.APPROXIMATED, "empty text is no part of an answer"))
    elif isinstance(part, Refusal):
        losses.append(Loss(path, LossReason.APPROXIMATED, "a refusal is told as text"))
    else:
        lose_hints(part, path, losses)


def encode_answer_reasoning(part: Reasoning, path: str, losses: list[Loss]) -> Json | None:
    """The part for reasoning: its text, whoever thought it, and its signature if it is this API's."""
    lose_answer_reasoning(part, path, losses, said=bool(part.text))
    signature = own_signature(part)
    return encode_extra(encode_thought(part.text, signature), part.extra) if part.text or signature else None


def own_signature(part: Reasoning) -> str | None:
    """The signature, if it is one that this API gave."""
    return (part.signature or None) if part.origin == NAME else None


def lose_answer_reasoning(part: Reasoning, path: str, losses: list[Loss], *, said: bool) -> None:
    """Report what of reasoning is lost. ``said``: it has a text, whatever ``part`` itself holds of it."""
    if not said and own_signature(part) is None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "reasoning without text has no field here"))
        return
    lose_reasoning(part, path, losses)
    if part.origin != NAME:
        losses.append(Loss(f"{path}.origin", LossReason.APPROXIMATED, "it counts as this dialect's own from here on"))
        if part.signature is not None:
            losses.append(Loss(f"{path}.signature", LossReason.UNSUPPORTED, "it goes back only to where it came from"))


def _apart(text: Text) -> list[Part]:
    """The text, and what was signed with it: in a stream the signature comes when the text is out (THK-09)."""
    extra = dict((text.extra or {}).get(NAME, {}))
    signature = extra.pop(SIGNATURE, None)
    parts: list[Part] = [Text(text.text, extra={NAME: extra} if extra else None)] if text.text else []
    return parts if signature is None else [*parts, Reasoning("", signature, origin=NAME)]
