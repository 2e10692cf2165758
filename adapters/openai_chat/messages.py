"""The ``messages`` of a request."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapters.model.error import EncodeError, ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    Json,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.openai_chat.extras import decode_extra, encode_extra, own_extra
from adapters.openai_chat.fields import ASSISTANT_PARTS, NAME, ROLES, TEXT_PARTS, USER_PARTS, WIRE_ROLES
from adapters.openai_chat.parts import CACHE_MARK, decode_cache, decode_content, encode_part, lose_cache, shortened
from adapters.openai_chat.reasoning import decode_reasoning, unwritten_reasoning
from adapters.openai_chat.results import decode_result, encode_results
from adapters.openai_chat.tools import decode_tool_calls, encode_tool_call
from adapters.wire.fields import Fields

_STAND_IN = "a message must have content: an empty text stands in"


def decode_messages(values: Sequence[Any]) -> tuple[Message, ...]:
    """The messages; every tool result answers a call made before it."""
    known_calls: set[str] = set()
    messages = []
    for index, value in enumerate(values):
        fields = Fields(value, f"messages[{index}]")
        role = _decode_role(fields)
        parts: tuple[Part, ...]
        if role is Role.TOOL:
            parts = (decode_result(fields, known_calls),)
        elif role is Role.ASSISTANT:
            parts = _decode_assistant(fields)
            known_calls.update(_call_ids(parts))
        else:
            parts = _decode_content(fields, USER_PARTS if role is Role.USER else TEXT_PARTS)
        parts = _with_cache(parts, fields)
        messages.append(Message(role, parts, fields.string("name"), decode_extra(fields)))
    return tuple(messages)


def encode_messages(messages: Sequence[Message], losses: list[Loss]) -> list[Json]:
    """The messages; what is lost joins ``losses``. Raises ``EncodeError`` if nothing is left."""
    wire: list[Json] = []
    waiting: list[Json] = []  # media of tool results, until the run of results is over
    known_calls: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        parts = _without_carried_cache(message)
        if message.role is Role.TOOL:
            results = encode_results(parts, path, known_calls, waiting, losses)
            wire += [_encode_message(message, body) for body in results[:1]]
            wire += [{"role": WIRE_ROLES[Role.TOOL]} | body for body in results[1:]]
            continue
        if message.role is not Role.USER:
            wire += _after_results(waiting)
            waiting = []
        if message.role is Role.ASSISTANT:
            body = _encode_assistant(message, parts, path, losses)
            known_calls.update(call["id"] for call in body.get("tool_calls", ()) if isinstance(call.get("id"), str))
        else:
            body = {"content": _encode_content(parts, path, waiting, losses)}
            waiting = []
        wire.append(_encode_message(message, body))
    wire += _after_results(waiting)
    if not wire:
        raise EncodeError("no message is left that could be sent", code="no_messages", kind=ErrorKind.UNSUPPORTED)
    return wire


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_role(fields: Fields) -> Role:
    word = fields.string("role")
    known = ", ".join(ROLES)
    if word is None:
        raise fields.error("role", f"is required: one of {known}", code="missing_required_field")
    if word == "function":
        raise fields.error("role", 'is deprecated as "function": send role "tool" with the tool_call_id it answers')
    if word not in ROLES:
        raise fields.error("role", f"must be one of {known}")
    return ROLES[word]


def _decode_content(fields: Fields, allowed: Sequence[str]) -> tuple[Part, ...]:
    content = decode_content(fields, allowed)
    if content is None:
        raise fields.error("content", "is required", code="missing_required_field")
    if not content:
        raise fields.error("content", "must not be empty")
    return content


def _decode_assistant(fields: Fields) -> tuple[Part, ...]:
    if fields.has("function_call"):
        raise fields.error("function_call", 'is deprecated: send tool_calls, and the results with role "tool"')
    parts: list[Part] = []
    reasoning = decode_reasoning(fields)
    if reasoning is not None:
        parts.append(Reasoning(reasoning, origin=NAME))
    parts += decode_content(fields, ASSISTANT_PARTS) or ()
    refusal = fields.string("refusal")
    if refusal is not None:
        parts.append(Refusal(refusal))
    parts += decode_tool_calls(fields)
    if fields.rest().get("annotations") == []:
        fields.any("annotations")  # clients send answers back as they got them, and there it is empty
    if not parts and not fields.has("audio"):
        raise fields.error("content", "is required unless there are tool_calls", code="missing_required_field")
    return tuple(parts)


def _with_cache(parts: tuple[Part, ...], fields: Fields) -> tuple[Part, ...]:
    """A mark on the message as a whole belongs to its last part (CAC-02, hard-cases.md)."""
    mark = decode_cache(fields)
    last = parts[-1] if parts else None
    if mark is None or not isinstance(last, Text | Media | ToolCall | ToolResult) or last.cache is not None:
        return parts
    return (*parts[:-1], replace(last, cache=mark))


def _call_ids(parts: tuple[Part, ...]) -> list[str]:
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    others = [part.payload.get("id") for part in parts if isinstance(part, Opaque)]
    return calls + [identity for identity in others if isinstance(identity, str)]


# --- encoding ---------------------------------------------------------------------------------------------------


def _without_carried_cache(message: Message) -> tuple[Part, ...]:
    """The parts without the mark that the message's own fields bring back."""
    parts = message.parts
    last = parts[-1] if parts else None
    if CACHE_MARK in own_extra(message.extra) and isinstance(last, Text | Media | ToolCall | ToolResult):
        return (*parts[:-1], replace(last, cache=None))
    return parts


def _encode_message(message: Message, body: Json) -> Json:
    wire: Json = {"role": WIRE_ROLES[message.role]}
    if message.name is not None:
        wire["name"] = message.name
    return encode_extra(wire | body, message.extra)


def _after_results(waiting: list[Json]) -> list[Json]:
    return [{"role": WIRE_ROLES[Role.USER], "content": waiting}] if waiting else []


def _encode_content(
    parts: Sequence[Part], path: str, waiting: Sequence[Json], losses: list[Loss]
) -> str | Sequence[Json]:
    content = [encode_part(part, f"{path}.parts[{index}]", losses) for index, part in enumerate(parts)]
    kept = [wire for wire in (*content, *waiting) if wire is not None]
    if not kept:
        losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, _STAND_IN))
    return shortened(kept)


def _encode_assistant(message: Message, parts: Sequence[Part], path: str, losses: list[Loss]) -> Json:
    reasoning: list[str] = []
    content: list[Json] = []
    calls: list[Json] = []
    order: list[int] = []  # of the fields that decoding reads one after the other
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        if isinstance(part, Reasoning):
            if _is_own(part, part_path, losses):
                reasoning.append(part.text)
                order.append(0)
        elif isinstance(part, ToolCall):
            lose_cache(part, part_path, losses)
            calls.append(encode_tool_call(part))
            order.append(2)
        elif isinstance(part, Opaque):
            if part.dialect == NAME:
                calls.append(part.payload)
                order.append(2)
        elif isinstance(part, Text | Refusal):
            content += filter(None, (encode_part(part, part_path, losses),))
            order.append(1)
        else:
            losses.append(Loss(part_path, LossReason.UNSUPPORTED, "the model's turns cannot hold it"))
    bare = not content and not calls and "audio" not in own_extra(message.extra)
    losses += _arrangement(order, bare, path)
    wire: Json = {"content": shortened(content) if content or bare else None}
    if reasoning:
        wire["reasoning_content"] = "".join(reasoning)
    if calls:
        wire["tool_calls"] = calls
    return wire


def _is_own(part: Reasoning, path: str, losses: list[Loss]) -> bool:
    if part.origin != NAME:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "reasoning goes back only to where it came from"))
        return False
    losses += unwritten_reasoning(part, path)
    return True


def _arrangement(order: list[int], bare: bool, path: str) -> list[Loss]:
    """What is lost because text, reasoning and calls stand in fields of their own."""
    if bare:
        return [Loss(f"{path}.parts", LossReason.APPROXIMATED, _STAND_IN)]
    if order.count(0) > 1:
        return [Loss(f"{path}.parts", LossReason.APPROXIMATED, "several parts of reasoning become one")]
    if order != sorted(order):
        return [Loss(f"{path}.parts", LossReason.MOVED, "the order among text, reasoning and calls is not kept")]
    return []
