"""Tools and the choice among them."""

from typing import Any

from adapters.gemini.extras import decode_extra, encode_extra, own_extra, unread
from adapters.gemini.fields import NAME
from adapters.gemini.names import is_good_name, wire_name
from adapters.gemini.schemas import decode_schema, encode_schema
from adapters.gemini.spelling import WireFields
from adapters.model.error import EncodeError
from adapters.model.loss import EMPTY_SCHEMA, Loss, LossReason
from adapters.model.message import Extra, Json, Opaque
from adapters.model.request import Tool, ToolChoice, ToolChoiceMode

_MODES = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
_NAME_RULE = "must begin with a letter or _ and have at most 128 letters, digits and _ . : -"

# To call or not is left to the model, but only functions of the list come into question, or all with checked arguments.
_VALIDATED = "VALIDATED"


def decode_tools(body: WireFields) -> tuple[Tool | Opaque, ...]:
    """The functions, then the tools that Google runs."""
    functions: list[Tool] = []
    others: list[Opaque] = []
    for path, value in body.repeated("tools") or ():
        entry = WireFields(value, path)
        declarations = entry.repeated("functionDeclarations") or ()
        functions += [_decode_function(WireFields(item, item_path)) for item_path, item in declarations]
        others += [Opaque(NAME, {name: item}) for name, item in entry.rest().items() if item is not None]
    return (*functions, *others)


def decode_tool_choice(body: WireFields) -> tuple[ToolChoice | None, Json]:
    """The choice, and what of ``toolConfig`` the model has no place for."""
    config = body.wire_fields("toolConfig")
    if config is None:
        return None, {}
    calling = config.wire_fields("functionCallingConfig")
    if calling is None:
        return None, unread(config)
    mode = calling.choice("mode", _MODES)
    names = calling.strings("allowedFunctionNames") or ()
    rest = unread(calling)
    if mode == _VALIDATED:
        rest["mode"] = mode
    return _choice(mode, names), unread(config, functionCallingConfig=rest)


def encode_tools(tools: tuple[Tool | Opaque, ...], losses: list[Loss]) -> Json:
    """The field ``tools``, if there are any: all functions in one entry, as the API wants them."""
    functions: list[Json] = []
    others: list[Json] = []
    for index, tool in enumerate(tools):
        if isinstance(tool, Tool):
            if others:
                losses.append(Loss(f"tools[{index}]", LossReason.MOVED, "functions stand before other tools"))
            functions.append(_encode_function(tool, f"tools[{index}]", losses))
        elif tool.dialect == NAME:
            others.append(tool.payload)
    entries = [{"functionDeclarations": functions}] if functions else []
    return {"tools": [*entries, *others]} if entries or others else {}


def encode_tool_choice(choice: ToolChoice, extra: Extra | None, losses: list[Loss]) -> Json:
    """The value of ``toolConfig``. ``extra`` is the request's, which may know a mode of this API's own."""
    names = [wire_name(name) for name in choice.allowed]
    mode = "AUTO"
    match choice.mode:
        case ToolChoiceMode.TOOL:
            if not choice.name:
                raise EncodeError("tool_choice demands one tool but names none", "tool_choice", "invalid_tool_choice")
            if choice.allowed:
                losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "one tool is named already"))
            mode, names = "ANY", [wire_name(choice.name)]
        case ToolChoiceMode.NONE:
            if choice.allowed:
                losses.append(Loss("tool_choice.allowed", LossReason.UNSUPPORTED, "no tool may be used"))
            mode, names = "NONE", []
        case ToolChoiceMode.REQUIRED:
            if len(names) == 1:
                losses.append(Loss("tool_choice", LossReason.APPROXIMATED, "the only one allowed is the one demanded"))
            mode = "ANY"
        case ToolChoiceMode.AUTO:
            if names or _asks_for_validation(extra):
                mode = _VALIDATED
    calling: Json = {"mode": mode}
    if names:
        calling["allowedFunctionNames"] = names
    return {"functionCallingConfig": calling}


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_function(fields: WireFields) -> Tool:
    name = fields.need_string("name")
    if not is_good_name(name):
        raise fields.error("name", _NAME_RULE)
    description = fields.string("description")
    parameters: Json | None = fields.object("parameters")
    schema: Any = fields.object("parametersJsonSchema")
    if parameters is not None and schema is not None:
        raise fields.error("parametersJsonSchema", "and parameters must not be given together")
    if parameters is not None:
        schema = decode_schema(parameters, fields.path_of("parameters"))
    return Tool(name, description, schema, extra=decode_extra(fields))


def _choice(mode: str | None, names: tuple[str, ...]) -> ToolChoice | None:
    if mode is None or mode == "MODE_UNSPECIFIED":
        return ToolChoice(ToolChoiceMode.AUTO, allowed=names) if names else None
    if mode == "ANY":
        if len(names) == 1:
            return ToolChoice(ToolChoiceMode.TOOL, names[0])
        return ToolChoice(ToolChoiceMode.REQUIRED, allowed=names)
    return ToolChoice(ToolChoiceMode.NONE if mode == "NONE" else ToolChoiceMode.AUTO, allowed=names)


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_function(tool: Tool, path: str, losses: list[Loss]) -> Json:
    wire: Json = {"name": wire_name(tool.name)}
    if tool.description is not None:
        wire["description"] = tool.description
    # Without parameters the field is left out: an object without properties was long refused here.
    if tool.parameters and tool.parameters != EMPTY_SCHEMA:
        wire |= encode_schema(tool.parameters, "parameters", "parametersJsonSchema")
    if tool.strict is not None:
        detail = "arguments keep to the schema as far as the model goes"
        losses.append(Loss(f"{path}.strict", LossReason.APPROXIMATED, detail))
    if tool.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "prompt cache marks are not sent"))
    return encode_extra(wire, tool.extra)


def _asks_for_validation(extra: Extra | None) -> bool:
    config = own_extra(extra).get("toolConfig")
    calling = config.get("functionCallingConfig") if isinstance(config, dict) else None
    return isinstance(calling, dict) and calling.get("mode") == _VALIDATED
