"""What may be called: ``toolConfig``, and ``agentId``, which brings tools of its own."""

from typing import Any

from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import NAME
from adapters.contract import DecodeError
from adapters.model.loss import EMPTY_SCHEMA, Loss, LossReason
from adapters.model.message import Json, Opaque
from adapters.model.request import Request, Tool, ToolChoice, ToolChoiceMode
from adapters.wire.fields import Fields, wrong_type

AUTO_EXECUTE = "autoExecute"
AGENT_ID = "agentId"


def decode_tools(body: Fields) -> tuple[tuple[Tool | Opaque, ...], Json]:
    """The tools, and the fields of ``toolConfig`` that the model has no place for.

    An agent and server-run tools change the meaning of the turn (Q23). As ``Opaque`` tools they are refused for
    every other dialect, instead of being passed over as extra fields are.
    """
    tools: list[Tool | Opaque] = []
    config = body.fields("toolConfig")
    if config is not None:
        path = config.path_of("tools")
        tools += [_decode_tool(entry, f"{path}[{index}]") for index, entry in enumerate(config.array("tools") or [])]
        auto_execute = _auto_execute(config)
        if auto_execute:
            tools.append(Opaque(NAME, {AUTO_EXECUTE: auto_execute}))
    agent = body.string(AGENT_ID)
    if agent:
        tools.append(Opaque(NAME, {AGENT_ID: agent}))
    return tuple(tools), {} if config is None else config.rest()


def _decode_tool(value: object, path: str) -> Tool | Opaque:
    entry = Fields(value, path)
    if not entry.has("toolSpec"):
        return _decode_other_tool(entry)
    specification = entry.need_fields("toolSpec")
    name, description = specification.need_string("name"), specification.string("description")
    schema = specification.fields("inputSchema")
    parameters = None if schema is None else schema.object("json")
    beside_schema = {} if schema is None else schema.rest()
    inside = kept_in(keep(specification.rest(), inputSchema=beside_schema))
    return Tool(name, description, parameters, extra=keep(entry.rest(), toolSpec=inside))


def _decode_other_tool(entry: Fields) -> Opaque:
    """Bedrock's other kinds of entries (``systemTool``, ``cachePoint``), which are not ours to read."""
    kind = [name for name, value in entry.rest().items() if value is not None]
    if len(kind) != 1 or kind[0] in (AUTO_EXECUTE, AGENT_ID):
        path = entry.path_of("toolSpec")
        raise DecodeError(f"{path} is required", param=path, code="missing_required_field")
    return Opaque(NAME, entry.rest())


def _auto_execute(config: Fields) -> bool | list[Any]:
    """True, or the array of names that one sentence of SPEC gives instead; false is the same as not said."""
    value = config.any(AUTO_EXECUTE)
    if value is not None and not isinstance(value, bool | list):
        raise wrong_type(config.path_of(AUTO_EXECUTE), "a boolean", value)
    return value or False


def encode_tools(request: Request, losses: list[Loss]) -> Json:
    """The fields ``toolConfig`` and ``agentId``, as far as there is something to say in them."""
    written: Json = {}
    config: Json = {}
    entries: list[Json] = []
    for index, tool in _offered(request, losses):
        if isinstance(tool, Tool):
            entries.append(_encode_tool(tool, f"tools[{index}]", losses))
        elif AUTO_EXECUTE in tool.payload:
            config[AUTO_EXECUTE] = tool.payload[AUTO_EXECUTE]
        elif AGENT_ID in tool.payload:
            written[AGENT_ID] = tool.payload[AGENT_ID]
        else:
            entries.append(tool.payload)
    if entries:
        config = {"tools": entries, **config}
    if config:
        written = {"toolConfig": config, **written}
    return written


def _offered(request: Request, losses: list[Loss]) -> list[tuple[int, Tool | Opaque]]:
    """The tools to send, with their places in the request: there is no ``tool_choice`` to send with them (Q27)."""
    ours = [(index, tool) for index, tool in enumerate(request.tools) if isinstance(tool, Tool) or tool.dialect == NAME]
    choice = request.tool_choice
    if choice is None or choice == ToolChoice(ToolChoiceMode.AUTO):
        return ours
    if choice.mode is ToolChoiceMode.NONE:
        losses.append(Loss("tool_choice", LossReason.APPROXIMATED, "no tools are sent, so that none is called"))
        if ours:
            losses.append(Loss("tools", LossReason.APPROXIMATED, "left out, as none may be called"))
        return []
    if choice.mode is not ToolChoiceMode.AUTO:
        losses.append(Loss("tool_choice", LossReason.UNSUPPORTED, "a tool call cannot be forced"))
    else:
        losses.append(Loss("tool_choice", LossReason.APPROXIMATED, "only the allowed tools are sent"))
    if not choice.allowed:
        return ours
    allowed = [entry for entry in ours if isinstance(entry[1], Opaque) or entry[1].name in choice.allowed]
    if len(allowed) < len(ours):
        losses.append(Loss("tools", LossReason.APPROXIMATED, "those that may not be called are left out"))
    return allowed


def _encode_tool(tool: Tool, path: str, losses: list[Loss]) -> Json:
    specification: Json = {"name": tool.name}
    if tool.description:
        specification["description"] = tool.description
    elif tool.description is not None:
        losses.append(Loss(f"{path}.description", LossReason.APPROXIMATED, "an empty description is left out"))
    specification["inputSchema"] = {"json": tool.parameters or EMPTY_SCHEMA}
    if tool.strict is not None:
        losses.append(Loss(f"{path}.strict", LossReason.UNSUPPORTED, "there is no strict mode"))
    if tool.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "there are no cache marks"))
    return with_kept({"toolSpec": specification}, kept_in(tool.extra))
