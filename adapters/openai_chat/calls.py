"""Tool calls in answers. Servers that only look like OpenAI leave out ids or send arguments as an object."""

from typing import Any

import orjson

from adapters.contract import Context
from adapters.model.error import DecodeError
from adapters.model.message import Opaque, ToolCall
from adapters.openai_chat.extras import decode_extra, unread
from adapters.openai_chat.fields import NAME
from adapters.wire.fields import Fields, wrong_type


def decode_calls(message: Fields, choice: int, context: Context) -> list[ToolCall | Opaque]:
    """The entries of ``tool_calls``, and the call in the deprecated ``function_call``."""
    path = message.path_of("tool_calls")
    calls = [
        _decode_call(value, f"{path}[{index}]", positional_id(context, choice, index))
        for index, value in enumerate(message.array("tool_calls") or ())
    ]
    function = message.fields("function_call")
    if function is not None:
        identity = positional_id(context, choice, len(calls))
        calls.append(ToolCall(identity, function.need_string("name"), argument_text(function) or "{}"))
    return calls


def positional_id(context: Context, choice: int, position: int) -> str:
    """The id of a call that came without one: the same streamed or whole, and another one in every answer."""
    return f"call_{context.request_id}_{choice}_{position}"


def argument_text(function: Fields) -> str:
    """The arguments as JSON text; an object is written out once (TOOL-35, hard-cases.md)."""
    arguments = function.any("arguments")
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    if isinstance(arguments, dict):
        return orjson.dumps(arguments).decode()
    raise wrong_type(function.path_of("arguments"), "a string", arguments)


def _decode_call(value: Any, path: str, positional: str) -> ToolCall | Opaque:
    fields = Fields(value, path)
    kind = fields.string("type") or "function"
    if kind != "function":
        return Opaque(NAME, value)
    identity = fields.string("id") or positional
    fields.any("index")  # Mistral and DeepSeek number whole calls too; the order says it
    function = fields.fields("function")
    if function is None:
        raise DecodeError(f"{path}.function is required", f"{path}.function", "missing_required_field")
    name, arguments = function.need_string("name"), argument_text(function) or "{}"
    return ToolCall(identity, name, arguments, extra=decode_extra(fields, function=unread(function)))
