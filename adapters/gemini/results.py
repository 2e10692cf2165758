"""Results of functions: always an object on this wire, text and media in the model."""

from typing import Any

import orjson

from adapters.gemini.extras import decode_extra, encode_extra, own_extra, unread
from adapters.gemini.fields import NAME
from adapters.gemini.media import decode_file_data, decode_inline_data, encode_media
from adapters.gemini.names import is_made_up, wire_name
from adapters.gemini.parts import lose_hints
from adapters.gemini.spelling import WireFields
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json, Media, Opaque, ResultPart, Text, ToolResult

RESULT = "result"
"""The key that plain text stands under (TRES-13, hard-cases.md), as in Google's SDK for what is no object."""

ERROR = "error"
"""The key for what went wrong: FunctionResponse in types.py."""


def decode_response_parts(response: WireFields) -> tuple[tuple[ResultPart, ...], bool | None]:
    """The parts of a ``functionResponse``, and whether it tells of a failure."""
    value = response.object("response") or {}
    parts: list[ResultPart] = []
    text = _decode_text(value)
    if text is not None:
        parts.append(Text(text))
    for path, item in response.repeated("parts") or ():
        parts.append(_decode_part(WireFields(item, path), item))
    return tuple(parts), True if ERROR in value else None


def decode_response_extra(response: WireFields, part: WireFields) -> Extra | None:
    """What a ``functionResponse`` and its part hold besides."""
    return decode_extra(part, functionResponse=unread(response))


def encode_result(result: ToolResult, name: str, path: str, losses: list[Loss]) -> tuple[Json, list[Json]]:
    """The part for the result of function ``name``, and the media in it as parts of their own."""
    lose_hints(result, path, losses)
    texts: list[str] = []
    media: list[Json] = []
    order: list[int] = []
    for index, part in enumerate(result.parts):
        part_path = f"{path}.parts[{index}]"
        wire = _encode_part(part, part_path, losses)
        if isinstance(part, Text):
            texts.append(part.text)
            order.append(0)
        elif wire is not None:
            media.append(wire)
            order.append(1)
    if len(texts) > 1:
        losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, "its texts are joined into one"))
    elif order != sorted(order):
        losses.append(Loss(f"{path}.parts", LossReason.MOVED, "its text stands before its media"))
    response: Json = {} if is_made_up(result.call_id) else {"id": result.call_id}
    response |= {"name": wire_name(name), "response": _encode_response(texts, bool(result.is_error))}
    return encode_extra({"functionResponse": response}, result.extra), media


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_text(response: Json) -> str | None:
    """The text of a response: what stands under our key, else all of it as JSON; ``None`` if there is nothing."""
    if not response or response == {ERROR: None}:
        return None
    if len(response) == 1:
        [(key, value)] = response.items()
        if key in (RESULT, ERROR) and isinstance(value, str):
            return value
    return orjson.dumps(response).decode()


def _decode_part(part: WireFields, value: Json) -> Media | Opaque:
    inline, file = part.wire_fields("inlineData"), part.wire_fields("fileData")
    if inline is not None:
        return decode_inline_data(inline, part)
    return Opaque(NAME, value) if file is None else decode_file_data(file, part)


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_part(part: ResultPart, path: str, losses: list[Loss]) -> Json | None:
    match part:
        case Text():
            lose_hints(part, path, losses)
            detail = "there is no object to put it in here"
            losses += [
                Loss(f"{path}.extra.{NAME}.{name}", LossReason.UNSUPPORTED, detail) for name in own_extra(part.extra)
            ]
            return None
        case Media():
            return encode_media(part, path, losses)
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None


def _encode_response(texts: list[str], is_error: bool) -> Any:
    """An object from which decoding gets the very same text: as it stands where it is one, else under a key."""
    if not texts:
        return {ERROR: None} if is_error else {}
    text = "\n".join(texts)
    value = _as_object(text)
    if value is not None and (ERROR in value) is is_error:
        return orjson.Fragment(text)
    return {ERROR if is_error else RESULT: text}


def _as_object(text: str) -> Json | None:
    """The object, if the text is the JSON of one and comes back from it byte for byte (TRES-13)."""
    if not text.startswith("{"):
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or orjson.dumps(value).decode() != text:
        return None
    return value if _decode_text(value) == text else None
