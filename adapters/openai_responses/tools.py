"""Tools and the choice among them."""

from collections.abc import Mapping
from typing import Any

from adapters.model.error import EncodeError
from adapters.model.loss import EMPTY_SCHEMA, Loss, LossReason
from adapters.model.message import Json, Opaque
from adapters.model.request import Request, Tool, ToolChoice, ToolChoiceMode
from adapters.openai_responses.extras import CUSTOM, STRICT, decode_extra, encode_extra, marked, own_extra, unread
from adapters.openai_responses.fields import NAME
from adapters.openai_responses.names import wire_tool_name
from adapters.openai_responses.parts import lose_cache
from adapters.wire.fields import Fields

_WIRE_MODES = ("auto", "none", "required")
_NAMED = ("function", "custom")

CUSTOM_SCHEMA: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
"""What a custom tool takes, as other dialects can say it: one string (TOOL-29, hard-cases.md)."""


def decode_tools(fields: Fields) -> tuple[Tool | Opaque, ...]:
    """The entries of ``tools``; those that the provider runs are opaque."""
    return tuple(_decode_tool(value, f"tools[{index}]") for index, value in enumerate(fields.array("tools") or ()))


def decode_tool_choice(fields: Fields) -> tuple[ToolChoice | None, Json]:
    """The choice, and the fields of it that the model has no place for.

    A choice that involves tools only this dialect knows stays unread, and so becomes an extra field whole.
    """
    value = fields.rest().get("tool_choice")
    if value is None or isinstance(value, str):
        mode = fields.choice("tool_choice", _WIRE_MODES)
        return (None if mode is None else ToolChoice(ToolChoiceMode(mode))), {}
    choice = Fields(value, "tool_choice")
    kind = choice.need_string("type")
    if kind == "allowed_tools":
        return _decode_allowed(fields, choice)
    if kind not in _NAMED:
        return None, {}
    name = choice.need_string("name")
    fields.any("tool_choice")
    return ToolChoice(ToolChoiceMode.TOOL, name), unread(choice)


def encode_tools(tools: tuple[Tool | Opaque, ...], losses: list[Loss]) -> list[Json]:
    """The entries of ``tools``."""
    entries: list[Json] = []
    for index, tool in enumerate(tools):
        if isinstance(tool, Opaque):
            entries += [tool.payload] if tool.dialect == NAME else []
            continue
        lose_cache(tool, f"tools[{index}]", losses)
        entries.append(_encode_tool(tool, f"tools[{index}]", losses))
    return entries


def encode_tool_choice(choice: ToolChoice, request: Request, losses: list[Loss]) -> str | Json:
    """The value of ``tool_choice``."""
    custom = custom_names(request)
    if choice.mode is ToolChoiceMode.TOOL:
        if not choice.name:
            raise EncodeError("tool_choice demands one tool but names none", "tool_choice", "invalid_tool_choice")
        if choice.allowed:
            losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "one tool is named already"))
        return _named(choice.name, custom)
    if not choice.allowed:
        return choice.mode.value
    if choice.mode is ToolChoiceMode.NONE:
        losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "no tool may be used"))
        return choice.mode.value
    tools = [_named(name, custom) for name in choice.allowed]
    return {"type": "allowed_tools", "mode": choice.mode.value, "tools": tools}


def custom_names(request: Request) -> Mapping[str, Tool]:
    """The tools that take free text, by name."""
    return {tool.name: tool for tool in request.tools if isinstance(tool, Tool) and marked(tool, CUSTOM)}


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_tool(value: Any, path: str) -> Tool | Opaque:
    fields = Fields(value, path)
    kind = fields.need_string("type")
    if kind not in _NAMED:
        return Opaque(NAME, value)
    name, description = fields.need_string("name"), fields.string("description")
    if kind == "custom":
        return Tool(name, description, CUSTOM_SCHEMA, extra={NAME: {CUSTOM: unread(fields) or None}})
    parameters, strict = fields.object("parameters"), fields.boolean("strict")
    # Only here a tool is strict unless it says otherwise; elsewhere "false" is what not saying it means.
    marks = (STRICT,) if strict is None else ()
    return Tool(name, description, parameters, strict or None, extra=decode_extra(fields, *marks))


def _decode_allowed(fields: Fields, choice: Fields) -> tuple[ToolChoice | None, Json]:
    mode = choice.choice("mode", ("auto", "required"))
    if mode is None:
        raise choice.error("mode", "is required: one of auto, required", code="missing_required_field")
    names: list[str] = []
    for index, value in enumerate(choice.need_array("tools")):
        tool = Fields(value, f"tool_choice.tools[{index}]")
        if tool.need_string("type") not in _NAMED:
            return None, {}
        names.append(tool.need_string("name"))
    fields.any("tool_choice")
    return ToolChoice(ToolChoiceMode(mode), allowed=tuple(names)), unread(choice)


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_tool(tool: Tool, path: str, losses: list[Loss]) -> Json:
    if marked(tool, CUSTOM):
        wire: Json = {"type": "custom", "name": wire_tool_name(tool.name)}
        if tool.description is not None:
            wire["description"] = tool.description
        return wire | (own_extra(tool.extra)[CUSTOM] or {})
    wire = {"type": "function", "name": wire_tool_name(tool.name)}
    if tool.description is not None:
        wire["description"] = tool.description
    wire["parameters"] = tool.parameters or EMPTY_SCHEMA
    if tool.strict is False:
        losses.append(Loss(f"{path}.strict", LossReason.APPROXIMATED, "it is the same as not said"))
    if tool.strict or not marked(tool, STRICT):
        wire["strict"] = bool(tool.strict)
    return encode_extra(wire, tool.extra)


def _named(name: str, custom: Mapping[str, Tool]) -> Json:
    return {"type": "custom" if name in custom else "function", "name": wire_tool_name(name)}
