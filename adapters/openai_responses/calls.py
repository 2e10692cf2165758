"""Calls of tools, as items; a custom tool's free text is the string ``input`` of the arguments (TOOL-29)."""

from collections.abc import Mapping

import orjson

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, ToolCall
from adapters.openai_responses.extras import CUSTOM, decode_extra, encode_extra, marked, own_extra
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.names import wire_call_id, wire_tool_name
from adapters.wire.fields import Fields

CALL_TEXTS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Item types of calls, and the field that holds what the tool is called with."""

CUSTOM_HEAD = '{"input":"'
CUSTOM_TAIL = '"}'


def decode_call(fields: Fields, kind: str) -> ToolCall:
    """A call in the history."""
    text_field = CALL_TEXTS[kind]
    call_id, name = fields.need_string("call_id"), fields.need_string("name")
    text = fields.string(text_field)
    if text is None:
        raise fields.error(text_field, "is required", code="missing_required_field")
    if fields.rest().get("status") == "completed":
        fields.any("status")  # it says nothing
    if kind == "custom_tool_call":
        return ToolCall(call_id, name, custom_arguments(text), extra=decode_extra(fields, CUSTOM))
    return ToolCall(call_id, name, text, extra=decode_extra(fields))


def decode_answered_call(fields: Fields, kind: str, names: Mapping[str, str], spare_id: str) -> ToolCall:
    """A call in an answer, by the client's own name of the tool; ids and states of items are minted anew."""
    identity = fields.string("id")
    fields.any("status")
    call_id = fields.string("call_id") or identity or spare_id
    name = fields.need_string("name")
    text = fields.string(CALL_TEXTS[kind]) or ""
    arguments = custom_arguments(text) if kind == "custom_tool_call" else text or "{}"
    marks = (CUSTOM,) if kind == "custom_tool_call" else ()
    return ToolCall(call_id, names.get(name, name), arguments, extra=decode_extra(fields, *marks))


def custom_arguments(text: str) -> str:
    """The arguments that hold a custom tool's text."""
    return CUSTOM_HEAD + escaped(text) + CUSTOM_TAIL


def escaped(text: str) -> str:
    """The text as it stands inside a JSON string; texts that are escaped piece by piece add up."""
    return orjson.dumps(text).decode()[1:-1]


def custom_input(arguments: str) -> str | None:
    """The text in the arguments of a custom tool; ``None`` if they hold something else."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    text = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return text if isinstance(text, str) else None


def encode_call(call: ToolCall, path: str, losses: list[Loss], *, with_id: bool) -> Json:
    """The item of a call in the history; it has no role (RSP-07, hard-cases.md)."""
    wire: Json = {"type": "function_call", "call_id": wire_call_id(call.id), "name": wire_tool_name(call.name)}
    if marked(call, CUSTOM):
        wire |= {"type": "custom_tool_call", "input": raw_input(call.arguments, path, losses)}
    else:
        wire["arguments"] = call.arguments
    if not with_id and "id" in own_extra(call.extra):
        # Refused: "function_call was provided without its required reasoning item" (THK-21, hard-cases.md).
        detail = "it belongs to reasoning that is not sent"
        losses.append(Loss(f"{path}.extra.{NAME}.id", LossReason.UNSUPPORTED, detail))
        return encode_extra(wire, call.extra, (CUSTOM, "id"))
    return encode_extra(wire, call.extra, (CUSTOM,))


def raw_input(arguments: str, path: str, losses: list[Loss]) -> str:
    """The text for a custom tool; arguments of another form are passed on as they came (TOOL-34)."""
    text = custom_input(arguments)
    if text is None:
        losses.append(Loss(f"{path}.arguments", LossReason.APPROXIMATED, "they are taken for the tool's plain text"))
        return arguments
    return text
