"""Tools, the choice among them, and calls of them."""

from typing import Any

from adapters.model.error import EncodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Opaque, ToolCall
from adapters.model.request import Tool, ToolChoice, ToolChoiceMode
from adapters.openai_chat.extras import decode_extra, encode_extra, unread
from adapters.openai_chat.fields import NAME
from adapters.openai_chat.parts import decode_cache, lose_cache
from adapters.wire.fields import Fields

LEGACY_FUNCTION = "legacy_function"
"""The type we give to entries of the deprecated ``functions``, so that no other dialect takes them for tools."""

_WIRE_MODES = ("auto", "none", "required")
_CHOICE_TYPES = ("function", "custom", "allowed_tools")


def decode_tools(fields: Fields) -> tuple[Tool | Opaque, ...]:
    """The entries of ``tools``, then those of ``functions``."""
    tools = [_decode_tool(value, f"tools[{index}]") for index, value in enumerate(fields.array("tools") or ())]
    functions = fields.array("functions") or ()
    legacy = [_decode_function(value, f"functions[{index}]") for index, value in enumerate(functions)]
    return (*tools, *legacy)


def decode_tool_choice(fields: Fields) -> tuple[ToolChoice | None, Json]:
    """The choice, and the fields of it that the model has no place for.

    A choice that involves tools only this dialect knows stays unread, and so becomes an extra field whole.
    """
    value = fields.rest().get("tool_choice")
    if value is None or isinstance(value, str):
        mode = fields.choice("tool_choice", _WIRE_MODES)
        return (None if mode is None else ToolChoice(ToolChoiceMode(mode))), {}
    choice = Fields(value, "tool_choice")
    kind = choice.choice("type", _CHOICE_TYPES)
    if kind is None:
        raise choice.error("type", f"is required: one of {', '.join(_CHOICE_TYPES)}", code="missing_required_field")
    if kind == "custom":
        return None, {}
    if kind == "allowed_tools":
        return _decode_allowed(fields, choice)
    function = choice.need_fields("function")
    name = function.need_string("name")
    fields.any("tool_choice")
    return ToolChoice(ToolChoiceMode.TOOL, name), unread(choice, function=unread(function))


def decode_tool_calls(fields: Fields) -> tuple[ToolCall | Opaque, ...]:
    """The calls in an assistant message of a request."""
    path = fields.path_of("tool_calls")
    calls = fields.array("tool_calls") or ()
    return tuple(_decode_tool_call(value, f"{path}[{index}]") for index, value in enumerate(calls))


def encode_tools(tools: tuple[Tool | Opaque, ...], losses: list[Loss]) -> Json:
    """The fields ``tools`` and ``functions``, each only if it has entries."""
    entries: list[Json] = []
    functions: list[Json] = []
    for index, tool in enumerate(tools):
        if isinstance(tool, Tool):
            lose_cache(tool, f"tools[{index}]", losses)
            entries.append(_encode_tool(tool))
        elif tool.dialect == NAME:
            function = tool.payload.get("function") if tool.payload.get("type") == LEGACY_FUNCTION else None
            if isinstance(function, dict):
                functions.append(function)
            else:
                entries.append(tool.payload)
    return {name: values for name, values in (("tools", entries), ("functions", functions)) if values}


def encode_tool_choice(choice: ToolChoice, losses: list[Loss]) -> str | Json:
    """The value of ``tool_choice``."""
    if choice.mode is ToolChoiceMode.TOOL:
        if not choice.name:
            raise EncodeError("tool_choice demands one tool but names none", "tool_choice", "invalid_tool_choice")
        if choice.allowed:
            losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "one tool is named already"))
        return {"type": "function", "function": {"name": choice.name}}
    if not choice.allowed:
        return choice.mode.value
    if choice.mode is ToolChoiceMode.NONE:
        losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "no tool may be used"))
        return choice.mode.value
    tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode.value, "tools": tools}}


def encode_tool_call(call: ToolCall) -> Json:
    """An entry of ``tool_calls``."""
    function = {"name": call.name, "arguments": call.arguments}
    return encode_extra({"id": call.id, "type": "function", "function": function}, call.extra)


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_tool(value: Any, path: str) -> Tool | Opaque:
    fields = Fields(value, path)
    if fields.need_string("type") != "function":
        return Opaque(NAME, value)
    function = fields.need_fields("function")
    return Tool(
        function.need_string("name"),
        function.string("description"),
        function.object("parameters"),
        function.boolean("strict"),
        decode_cache(fields),
        decode_extra(fields, function=unread(function)),
    )


def _decode_function(value: Any, path: str) -> Opaque:
    Fields(value, path).need_string("name")
    return Opaque(NAME, {"type": LEGACY_FUNCTION, "function": value})


def _decode_allowed(fields: Fields, choice: Fields) -> tuple[ToolChoice | None, Json]:
    allowed = choice.need_fields("allowed_tools")
    mode = allowed.choice("mode", ("auto", "required"))
    if mode is None:
        raise allowed.error("mode", "is required: one of auto, required", code="missing_required_field")
    names: list[str] = []
    path = allowed.path_of("tools")
    for index, value in enumerate(allowed.need_array("tools")):
        tool = Fields(value, f"{path}[{index}]")
        if tool.need_string("type") != "function":
            return None, {}
        names.append(tool.need_fields("function").need_string("name"))
    fields.any("tool_choice")
    return ToolChoice(ToolChoiceMode(mode), allowed=tuple(names)), unread(choice, allowed_tools=unread(allowed))


def _decode_tool_call(value: Any, path: str) -> ToolCall | Opaque:
    fields = Fields(value, path)
    identity = fields.need_string("id")
    if fields.need_string("type") != "function":
        return Opaque(NAME, value)
    function = fields.need_fields("function")
    name = function.need_string("name")
    arguments = function.string("arguments")
    if arguments is None:
        raise function.error("arguments", "is required", code="missing_required_field")
    fields.any("index")  # left over from a stream by clients that add up deltas; the order says it
    return ToolCall(identity, name, arguments, extra=decode_extra(fields, function=unread(function)))


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    for name in ("description", "parameters", "strict"):
        value = getattr(tool, name)
        if value is not None:
            function[name] = value
    return encode_extra({"type": "function", "function": function}, tool.extra)
