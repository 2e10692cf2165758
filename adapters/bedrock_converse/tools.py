"""What may be called: ``toolConfig``, and the field of Claude's own that forbids several calls at once."""

from collections.abc import Iterable
from typing import Any

from adapters.bedrock_converse.blocks import read_cache_point
from adapters.bedrock_converse.extra import keep, kept_in, with_kept
from adapters.bedrock_converse.families import Thinking
from adapters.bedrock_converse.fields import NAME
from adapters.bedrock_converse.messages import has_calls
from adapters.bedrock_converse.names import wire_name
from adapters.bedrock_converse.parts import Writing, encode_cache
from adapters.contract import DecodeError
from adapters.model.loss import EMPTY_SCHEMA, LossReason
from adapters.model.message import Json, Opaque, ToolCall
from adapters.model.request import Request, Tool, ToolChoice, ToolChoiceMode
from adapters.wire.fields import Fields, wrong_type

_MODES = {"auto": ToolChoiceMode.AUTO, "any": ToolChoiceMode.REQUIRED, "tool": ToolChoiceMode.TOOL}
_FORCED = (ToolChoiceMode.REQUIRED, ToolChoiceMode.TOOL)
_ENTRIES = ("toolSpec", "systemTool", "cachePoint")


def decode_tools(config: Fields) -> tuple[tuple[Tool | Opaque, ...], ToolChoice | None, Json]:
    """The tools, the choice among them, and the fields beside. A cache point marks the tool before it."""
    path = config.path_of("tools")
    tools: list[Tool | Opaque] = []
    for index, entry in enumerate(config.need_array("tools")):
        tool = _decode_entry(entry, f"{path}[{index}]")
        last = tools[-1] if tools else None
        hint = read_cache_point(tool.payload.get("cachePoint")) if isinstance(tool, Opaque) else None
        if hint is not None and isinstance(last, Tool) and last.cache is None:
            tools[-1] = Tool(last.name, last.description, last.parameters, last.strict, hint, last.extra)
        else:
            tools.append(tool)
    choice, beside_choice = _decode_choice(config.fields("toolChoice"))
    return tuple(tools), choice, kept_in(keep(config.rest(), toolChoice=beside_choice))


def _decode_entry(value: Any, path: str) -> Tool | Opaque:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    kinds = [name for name, inner in value.items() if inner is not None]
    if len(kinds) != 1:
        problem = f"{path} must be an object with exactly one of these keys: {', '.join(_ENTRIES)}"
        raise DecodeError(problem, param=path, code="invalid_tool")
    if kinds[0] != "toolSpec":
        if not isinstance(value[kinds[0]], dict):
            raise wrong_type(f"{path}.{kinds[0]}", "an object", value[kinds[0]])
        return Opaque(NAME, value)
    specification = Fields(value["toolSpec"], f"{path}.toolSpec")
    name, description = specification.need_string("name"), specification.string("description")
    schema = specification.need_fields("inputSchema")
    parameters, strict = schema.object("json"), specification.boolean("strict")
    extra = keep(specification.rest(), inputSchema=schema.rest())
    return Tool(name, description, parameters, strict, extra=extra)


def _decode_choice(choice: Fields | None) -> tuple[ToolChoice | None, Json]:
    if choice is None:
        return None, {}
    said = [name for name in _MODES if choice.has(name)]
    if len(said) != 1:
        problem = f"{choice.path} must be an object with exactly one of these keys: {', '.join(_MODES)}"
        raise DecodeError(problem, param=choice.path, code="invalid_tool_choice")
    inner = choice.need_fields(said[0])
    name = inner.need_string("name") if said[0] == "tool" else None
    return ToolChoice(_MODES[said[0]], name), kept_in(keep(choice.rest(), **{said[0]: inner.rest()}))


def decode_claude_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """Claude's own ``tool_choice``, and whether it allows several calls at once; it is left alone if it says more."""
    value = fields.rest().get("tool_choice")
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or value["type"] not in _MODES:
        return None, None
    name, single = value.get("name"), value.get("disable_parallel_tool_use")
    if (value["type"] == "tool") != isinstance(name, str) or not isinstance(single, bool | None):
        return None, None
    if not value.keys() <= {"type", "name", "disable_parallel_tool_use"}:
        return None, None
    fields.any("tool_choice")
    return ToolChoice(_MODES[value["type"]], name), None if single is None else not single


def encode_tools(request: Request, writing: Writing, *, thinks: bool) -> tuple[Json | None, Json | None]:
    """``toolConfig``, and Claude's own ``tool_choice``, which must not stand beside that in ``toolConfig``."""
    offered = _offered(request, writing)
    entries = [entry for path, tool in offered for entry in _encode_entry(tool, path, writing)]
    called = has_calls(request.messages)
    if not entries and called:
        entries = [*_entries_of_history(request, writing)]
    choice = _possible_choice(request, writing, thinks=thinks, offered=bool(entries))
    single = _single_call(request, writing, offered=bool(entries))
    if not entries:
        return None, None
    config: Json = {"tools": entries}
    if single:
        # SEEN (families.py): "tool_choice/type conflicts with the existing field toolConfig.toolChoice" (CHO-05).
        return config, {**_claude_choice(choice), "disable_parallel_tool_use": True}
    if choice is not None:
        config["toolChoice"] = _encode_choice(choice)
    return config, None


def _offered(request: Request, writing: Writing) -> list[tuple[str, Tool | Opaque]]:
    """The tools to send, with their paths: fewer where some or all of them must not be called (CHO-02, CHO-11)."""
    ours = [
        (f"tools[{index}]", tool)
        for index, tool in enumerate(request.tools)
        if isinstance(tool, Tool) or tool.dialect == NAME
    ]
    choice = request.tool_choice
    if choice is None:
        return ours
    if choice.mode is ToolChoiceMode.NONE:
        if has_calls(request.messages):
            return ours
        if ours:
            writing.lose("tools", LossReason.APPROXIMATED, "left out, as none may be called")
        return []
    allowed = [entry for entry in ours if isinstance(entry[1], Opaque) or entry[1].name in choice.allowed]
    if not choice.allowed:
        return ours
    writing.lose("tool_choice.allowed", LossReason.APPROXIMATED, "only the allowed tools are sent")
    if len(allowed) < len(ours):
        writing.lose("tools", LossReason.APPROXIMATED, "those that may not be called are left out")
    return allowed


def _encode_entry(tool: Tool | Opaque, path: str, writing: Writing) -> list[Json]:
    if isinstance(tool, Opaque):
        return [tool.payload]
    specification: Json = {"name": wire_name(tool.name)}
    if tool.description:
        specification["description"] = tool.description
    elif tool.description is not None:
        writing.lose(f"{path}.description", LossReason.APPROXIMATED, "an empty description is left out")
    specification["inputSchema"] = {"json": tool.parameters or EMPTY_SCHEMA}
    if tool.strict is not None:
        specification["strict"] = tool.strict
    entry = {"toolSpec": with_kept(specification, kept_in(tool.extra))}
    return [entry, *encode_cache(tool.cache, path, writing, tool=True)]


def _entries_of_history(request: Request, writing: Writing) -> Iterable[Json]:
    """A history with calls is refused without tools, so those that were called are told of (TRES-17)."""
    writing.lose("tools", LossReason.APPROXIMATED, "the tools called before are named, as their calls need them")
    calls = [part for message in request.messages for part in message.parts if isinstance(part, ToolCall)]
    for name in dict.fromkeys(wire_name(call.name) for call in calls) or ("unknown",):
        yield {"toolSpec": {"name": name, "inputSchema": {"json": EMPTY_SCHEMA}}}


def _possible_choice(request: Request, writing: Writing, *, thinks: bool, offered: bool) -> ToolChoice | None:
    choice = request.tool_choice
    if choice is None:
        return None
    if choice.mode is ToolChoiceMode.NONE:
        if offered:
            problem = "calls cannot be ruled out, as the history has some and so needs the tools"
            writing.lose("tool_choice", LossReason.UNSUPPORTED, problem)
        else:
            writing.lose("tool_choice", LossReason.APPROXIMATED, "no tools are sent, so that none is called")
        return None
    if not offered:
        if choice.mode in _FORCED or choice.allowed:
            writing.lose("tool_choice", LossReason.UNSUPPORTED, "there are no tools to choose from")
        return None
    if choice.mode in _FORCED and (thinks or writing.family.thinking is Thinking.ALWAYS):
        # Claude refuses the pair (CHO-09); models that always think refuse every forced call (families.py, ANT).
        writing.lose("tool_choice", LossReason.UNSUPPORTED, "Claude cannot be forced to call a tool while it thinks")
        return None
    return choice


def _single_call(request: Request, writing: Writing, *, offered: bool) -> bool:
    """Whether to say that only one call at a time may be made; Claude has words for it."""
    if request.parallel_tool_calls is not False:
        return False
    if offered and writing.family.claude:
        return True
    writing.lose("parallel_tool_calls", LossReason.UNSUPPORTED, "several calls at once cannot be ruled out")
    return False


def _encode_choice(choice: ToolChoice) -> Json:
    match choice.mode:
        case ToolChoiceMode.TOOL:
            return {"tool": {"name": wire_name(choice.name or "")}}
        case ToolChoiceMode.REQUIRED:
            return {"any": {}}
        case _:
            return {"auto": {}}


def _claude_choice(choice: ToolChoice | None) -> Json:
    if choice is None or choice.mode is ToolChoiceMode.AUTO:
        return {"type": "auto"}
    if choice.mode is ToolChoiceMode.TOOL:
        return {"type": "tool", "name": wire_name(choice.name or "")}
    return {"type": "any"}
