"""Tools, and the choice among them."""

from typing import Any

from adapters.anthropic.cache import decode_cache
from adapters.anthropic.extras import keep, unread
from adapters.anthropic.fields import NAME
from adapters.anthropic.names import wire_name
from adapters.anthropic.notes import Notes
from adapters.contract import EncodeError
from adapters.model.loss import EMPTY_SCHEMA, LossReason
from adapters.model.message import Json, Opaque
from adapters.model.request import Request, Tool, ToolChoice, ToolChoiceMode
from adapters.model.tables import reverse
from adapters.wire.fields import Fields

_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.REQUIRED,
    "tool": ToolChoiceMode.TOOL,
    "none": ToolChoiceMode.NONE,
}
_WIRE_MODES = reverse(_MODES)
_FORCED = (ToolChoiceMode.REQUIRED, ToolChoiceMode.TOOL)


def decode_tools(body: Fields) -> tuple[Tool | Opaque, ...]:
    """The tools; those that are not the client's own functions are for this dialect alone."""
    path = body.path_of("tools")
    return tuple(_decode_tool(value, f"{path}[{index}]") for index, value in enumerate(body.array("tools") or ()))


def _decode_tool(value: Any, path: str) -> Tool | Opaque:
    fields = Fields(value, path)
    whole = dict(fields.rest())
    if (fields.string("type") or "custom") != "custom":
        return Opaque(NAME, whole)
    name, description = fields.need_string("name"), fields.string("description")
    parameters = fields.need_object("input_schema")
    strict = fields.boolean("strict")
    cache, beside_cache = decode_cache(fields)
    return Tool(name, description, parameters, strict, cache, keep(unread(fields, cache_control=beside_cache)))


def decode_tool_choice(body: Fields) -> tuple[ToolChoice | None, bool | None, Json]:
    """The choice, whether calls may come in parallel, and the fields that the model has no place for."""
    fields = body.fields("tool_choice")
    if fields is None:
        return None, None, {}
    kind = fields.choice("type", _MODES)
    if kind is None:
        raise fields.error("type", "is required", code="missing_required_field")
    name = fields.need_string("name") if kind == "tool" else None
    one_at_a_time = fields.boolean("disable_parallel_tool_use")
    parallel = None if one_at_a_time is None else not one_at_a_time
    return ToolChoice(_MODES[kind], name), parallel, unread(fields)


def encode_tools(request: Request, notes: Notes) -> list[Json]:
    """The tools to send: all, or those that may be called, if only some may (CHO-11)."""
    allowed = _allowed(request.tool_choice)
    tools: list[Json] = []
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        name = tool.name if isinstance(tool, Tool) else tool.payload.get("name")
        if isinstance(tool, Opaque) and tool.dialect != NAME:
            continue
        if allowed and name not in allowed:
            notes.lose(path, LossReason.APPROXIMATED, "left out, as it may not be called")
        elif isinstance(tool, Tool):
            tools.append(_encode_tool(tool, path, notes))
        else:
            tools.append(tool.payload)
    return tools


def _allowed(choice: ToolChoice | None) -> tuple[str, ...]:
    return choice.allowed if choice is not None and choice.mode in _SUBSET_MODES else ()


_SUBSET_MODES = (ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED)


def _encode_tool(tool: Tool, path: str, notes: Notes) -> Json:
    written: Json = {"name": wire_name(tool.name)}
    if tool.description is not None:
        written["description"] = tool.description
    schema = tool.parameters or EMPTY_SCHEMA  # TOOL-31
    if schema.get("type") is None:
        schema = {"type": "object"} | schema | {"type": "object"}
        notes.lose(f"{path}.parameters", LossReason.APPROXIMATED, "a schema must say that it is one of an object")
    written["input_schema"] = schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    return notes.mark(written, tool.cache, tool.extra, path)


def encode_tool_choice(request: Request, tools: list[Json], thinks: bool, notes: Notes) -> Json | None:
    """The choice, ``None`` if there is nothing to say. ``thinks``: thinking is asked for."""
    choice = request.tool_choice
    if not tools:
        _lose_choice(request, notes)
        return None
    if choice is not None and choice.allowed:
        reason = LossReason.APPROXIMATED if choice.mode in _SUBSET_MODES else LossReason.UNSUPPORTED
        notes.lose("tool_choice.allowed", reason, "only the tools that may be called are sent")
    written = None if choice is None else _encode_choice(choice, thinks, notes)
    if request.parallel_tool_calls is False:
        if written == {"type": "none"}:  # the flag is refused here (CHO-03)
            notes.lose("parallel_tool_calls", LossReason.APPROXIMATED, "no tool may be called at all")
        else:
            written = {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    return written


def _lose_choice(request: Request, notes: Notes) -> None:
    choice = request.tool_choice
    if choice not in (None, ToolChoice(ToolChoiceMode.AUTO)):
        notes.lose("tool_choice", LossReason.UNSUPPORTED, "there are no tools to choose from")
    if request.parallel_tool_calls is False:
        notes.lose("parallel_tool_calls", LossReason.UNSUPPORTED, "there are no tools to call")


def _encode_choice(choice: ToolChoice, thinks: bool, notes: Notes) -> Json | None:
    if choice.mode in _FORCED:
        why = _unforced(thinks, notes)
        if why:
            notes.lose("tool_choice", LossReason.UNSUPPORTED, why)
            return None
    written: Json = {"type": _WIRE_MODES[choice.mode]}
    if choice.mode is ToolChoiceMode.TOOL:
        if not choice.name:
            raise EncodeError("tool_choice demands one tool but names none", "tool_choice", "invalid_tool_choice")
        written["name"] = wire_name(choice.name)
    elif choice.name is not None:
        notes.lose("tool_choice.name", LossReason.UNSUPPORTED, "only the choice of one tool names it")
    return written


def _unforced(thinks: bool, notes: Notes) -> str:
    """Why no tool can be forced, empty if one can: docs /build-with-claude/thinking, CHO-09."""
    if not notes.facts.forced_tools:
        return "this model cannot be forced to use a tool"
    return "a tool cannot be forced while reasoning is asked for" if thinks else ""
