"""Tool calls: ``tool_use`` blocks of a request, of an answer and of a stream."""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from adapters.anthropic.extras import keep, own, said, with_kept
from adapters.anthropic.fields import CALL_ID_PREFIX
from adapters.contract import Context
from adapters.model.message import Json, ToolCall
from adapters.wire.fields import Fields, wrong_type

_LONG_INTEGER = re.compile(rb"[0-9]{19}")


def keep_digits(raw: bytes, wire: Json, *path: str) -> None:
    """Puts the calls' inputs back as they are written in ``raw``, if ``wire`` may have rounded numbers in them.

    ``path`` leads from ``wire`` to the blocks, through objects and arrays. orjson reads integers of more than 64 bits
    as floats (ENC-02).
    """
    if _LONG_INTEGER.search(raw):
        exact = json.loads(raw, parse_int=orjson.Fragment, parse_float=orjson.Fragment)
        _exchange(wire, exact, path)


def _exchange(rounded: Any, exact: Any, path: tuple[str, ...]) -> None:
    if isinstance(rounded, list) and isinstance(exact, list):
        for one, other in zip(rounded, exact, strict=True):
            _exchange(one, other, path)
    elif isinstance(rounded, dict) and isinstance(exact, dict):
        if path:
            _exchange(rounded.get(path[0]), exact.get(path[0]), path[1:])
        elif rounded.get("type") == "tool_use" and isinstance(rounded.get("input"), dict):
            rounded["input"] = orjson.Fragment(orjson.dumps(exact["input"]))


def decode_request_call(block: Fields) -> ToolCall:
    """The call in a block of a request; its cache mark is read by the caller."""
    identity, name = block.need_string("id"), block.need_string("name")
    value = block.any("input")
    if value is None:
        raise block.error("input", "is required", code="missing_required_field")
    if not isinstance(value, dict | orjson.Fragment):
        raise wrong_type(block.path_of("input"), "an object", value)
    return ToolCall(identity, name, orjson.dumps(value).decode())


def decode_answer_call(block: Fields, names: Mapping[str, str], context: Context) -> ToolCall:
    """The call in a block of an answer, under the client's own name for the tool."""
    identity, name = block.string("id"), block.need_string("name")
    arguments = decode_input(block.any("input"))
    extra = keep(said(block.rest()))
    return ToolCall(identity or context.new_id(CALL_ID_PREFIX), names.get(name, name), arguments, extra=extra)


def decode_input(value: Any) -> str:
    """The arguments as JSON text. Some servers of this API send text, or nothing, where an object should be."""
    if value is None:
        return "{}"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def encode_arguments(text: str) -> orjson.Fragment | None:
    """The arguments as they stand, digit for digit; ``None`` if they are not a JSON object."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    return orjson.Fragment(text or "{}") if isinstance(value, dict) else None


def encode_answer_call(call: ToolCall, arguments: orjson.Fragment | Json) -> Json:
    """The block for a call in an answer."""
    block = {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}
    return with_kept(block, own(call.extra))
