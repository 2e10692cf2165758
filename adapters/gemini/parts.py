"""Parts of the turns of a request; calls and results, which belong together, have their own files."""

from collections.abc import Callable

import orjson

from adapters.gemini.arguments import decode_arguments, encode_arguments
from adapters.gemini.extras import decode_extra, encode_extra, unread
from adapters.gemini.fields import NAME, PART_DATA, PART_QUALIFIERS
from adapters.gemini.media import decode_file_data, decode_inline_data, encode_media
from adapters.gemini.names import is_made_up, wire_name
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult

SIGNATURE = "thoughtSignature"


def data_of(part: WireFields) -> str | None:
    """Which of ``PART_DATA`` the part is; ``None`` for a kind that is not known. Raises ``DecodeError`` for none."""
    present = [name for name in PART_DATA if part.has(name)]
    if len(present) > 1:
        problem = f"must have only one of {', '.join(PART_DATA)}"
        raise DecodeError(f"{part.path} {problem}", part.path, "invalid_value")
    if present:
        return present[0]
    if part.has(SIGNATURE):
        return "text"  # a signature alone: SDKs leave out the empty text that it came with
    if not [name for name, value in part.rest().items() if value is not None and name not in PART_QUALIFIERS]:
        problem = f"must have one of {', '.join(PART_DATA)}"
        raise DecodeError(f"{part.path} {problem}", part.path, "missing_required_field")
    return None


def decode_part(part: WireFields, data: str | None, value: Json) -> Part:
    """The part whose wire form is ``value`` and whose kind is ``data``; calls and results are not read here."""
    decode = _DECODERS.get(data or "")
    thought = value.get("thought")
    if decode is None or (data != "text" and thought is True):
        # What was drafted while thinking (code, images) is no part of what was said.
        return Opaque(NAME, value)
    if thought is False:
        part.any("thought")
    return decode(part)


def decode_call(part: WireFields, positional: str) -> tuple[ToolCall, bool]:
    """The call in ``functionCall``, and whether it came with an id; if not it is known as ``positional``."""
    call = part.wire_fields("functionCall") or WireFields({}, part.path_of("functionCall"))
    name = call.need_string("name")
    arguments = decode_arguments(call.object("args"))
    identity = call.string("id")
    extra = decode_extra(part, functionCall=unread(call))
    return ToolCall(identity or positional, name, arguments, extra=extra), bool(identity)


def encode_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The part on the wire, or ``None`` if it cannot be sent; what is lost joins ``losses``."""
    match part:
        case Text():
            lose_hints(part, path, losses)
            return encode_extra({"text": part.text}, part.extra)
        case Media():
            return encode_media(part, path, losses)
        case Reasoning():
            return _encode_reasoning(part, path, losses)
        case ToolCall():
            return _encode_request_call(part, path, losses)
        case Refusal():
            losses.append(Loss(path, LossReason.APPROXIMATED, "a refusal is sent as text"))
            return encode_extra({"text": part.text}, part.extra)
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None
        case ToolResult():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "a tool's result needs a message of its own"))
            return None


def encode_call(call: ToolCall, arguments: orjson.Fragment | Json) -> Json:
    """The part for a call. ``arguments`` are its own, as ``encode_arguments`` gives them."""
    function: Json = {} if is_made_up(call.id) else {"id": call.id}
    function |= {"name": wire_name(call.name), "args": arguments}
    return encode_extra({"functionCall": function}, call.extra)


def encode_thought(text: str, signature: str | None) -> Json:
    """The part for reasoning of this API; a signature alone comes with an empty text that is no thought."""
    wire: Json = {"text": text}
    if text or not signature:
        wire["thought"] = True
    if signature:
        wire[SIGNATURE] = signature
    return wire


def lose_hints(part: Text | ToolCall | ToolResult, path: str, losses: list[Loss]) -> None:
    """Report the hints of a part that there is no place for."""
    if isinstance(part, Text) and part.citations:
        losses.append(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "a text carries no citations"))
    if part.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "prompt cache marks are not sent"))


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_text(part: WireFields) -> Text | Reasoning:
    text = part.string("text") or ""
    thought = part.boolean("thought")
    signature = part.string(SIGNATURE) or None
    if thought or (signature and not text):
        return Reasoning(text, signature, origin=NAME, extra=decode_extra(part))
    return Text(text, extra=decode_extra(part, **{SIGNATURE: signature}))


def _decode_inline_data(part: WireFields) -> Media:
    blob = part.wire_fields("inlineData") or WireFields({}, part.path_of("inlineData"))
    return decode_inline_data(blob, part)


def _decode_file_data(part: WireFields) -> Media:
    file = part.wire_fields("fileData") or WireFields({}, part.path_of("fileData"))
    return decode_file_data(file, part)


_DECODERS: dict[str, Callable[[WireFields], Part]] = {
    "text": _decode_text,
    "inlineData": _decode_inline_data,
    "fileData": _decode_file_data,
}


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_reasoning(part: Reasoning, path: str, losses: list[Loss]) -> Json | None:
    if part.origin != NAME:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "reasoning goes back only to where it came from"))
        return None
    lose_reasoning(part, path, losses)
    return encode_extra(encode_thought(part.text, part.signature), part.extra)


def lose_reasoning(part: Reasoning, path: str, losses: list[Loss]) -> None:
    """Report what of reasoning there is no field for."""
    losses += [
        Loss(f"{path}.{name}", LossReason.UNSUPPORTED, f"a thought has no {name} here")
        for name in ("redacted", "id")
        if getattr(part, name) is not None
    ]


def _encode_request_call(part: ToolCall, path: str, losses: list[Loss]) -> Json:
    lose_hints(part, path, losses)
    arguments: orjson.Fragment | Json | None = encode_arguments(part.arguments)
    if arguments is None:
        losses.append(Loss(f"{path}.arguments", LossReason.INVALID, "the arguments are not a JSON object"))
        arguments = {"arguments": part.arguments}  # if it is sent all the same, the model sees what it wrote
    return encode_call(part, arguments)
