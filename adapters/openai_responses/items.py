"""The ``input`` and ``instructions`` of a request."""

from collections.abc import Sequence
from typing import Any

from adapters.model.error import EncodeError, ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Message, Opaque, Part, Role, Text, ToolCall
from adapters.model.request import Request
from adapters.openai_responses.calls import CALL_TEXTS, decode_call
from adapters.openai_responses.extras import IN_INPUT, SYSTEM_ROLE, decode_extra, encode_extra, marked, own_extra
from adapters.openai_responses.fields import (
    ASSISTANT_PARTS,
    INPUT_PARTS,
    ITEM_ROLES,
    KEPT_PARTS,
    NAME,
    ROLES,
    WIRE_ROLES,
)
from adapters.openai_responses.parts import decode_content, encode_input_part, shortened
from adapters.openai_responses.reasoning import decode_reasoning
from adapters.openai_responses.results import RESULTS, decode_result, encode_results
from adapters.openai_responses.turns import encode_turn, with_item_mark
from adapters.wire.fields import Fields, wrong_type

_STAND_IN = "a message must have content: an empty text stands in"


def decode_messages(fields: Fields, *, stored: bool) -> tuple[Message, ...]:
    """The messages; ``stored``: earlier ones are kept by the server. The items of a model's turn are one message."""
    instructions = fields.string("instructions")
    head = () if instructions is None else (Message(Role.SYSTEM, (Text(instructions),)),)
    value = fields.any("input")
    if isinstance(value, str):
        return (*head, Message(Role.USER, (Text(value),)))
    if not value and (stored or fields.has("prompt")):
        return head
    if value is None:
        raise fields.error("input", "is required", code="missing_required_field")
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array of items", value)
    if not value:
        raise fields.error("input", "must not be empty")
    items = [Fields(item, f"input[{index}]") for index, item in enumerate(value)]
    return _decode_items(items, value, head, stored=stored or any(_is_reference(item) for item in value))


def encode_messages(request: Request, losses: list[Loss]) -> Json:
    """The fields ``instructions`` and ``input``; what is lost joins ``losses``."""
    messages = request.messages
    wire: Json = {}
    start = 0
    leading = instructions(request)
    if leading is not None:
        encode_input_part(messages[0].parts[0], "messages[0].parts[0]", losses)  # for its losses
        wire["instructions"] = leading
        start = 1
    items = _encode_items(messages, start, losses, stored=_is_stored(request))
    if items:
        wire["input"] = items
    elif not _is_stored(request) and "prompt" not in own_extra(request.extra):
        raise EncodeError("no message is left that could be sent", code="no_messages", kind=ErrorKind.UNSUPPORTED)
    return wire


def instructions(request: Request) -> str | None:
    """The leading system message, if it is one text and nothing that would need an item of its own."""
    first = request.messages[0] if request.messages else None
    if first is None or first.role is not Role.SYSTEM or len(first.parts) != 1 or first.name is not None:
        return None
    only = first.parts[0]
    if not isinstance(only, Text) or own_extra(first.extra) or own_extra(only.extra):
        return None
    return only.text


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_items(
    items: Sequence[Fields], values: Sequence[Any], head: tuple[Message, ...], *, stored: bool
) -> tuple[Message, ...]:
    messages = list(head)
    known_calls: set[str] = set()
    turn: list[Part] = []
    for fields, value in zip(items, values, strict=True):
        kind = _item_type(fields)
        if kind in RESULTS:
            message = Message(Role.TOOL, (decode_result(fields, kind, None if stored else known_calls),))
        elif kind == "message" and (role := _decode_role(fields)) is not Role.ASSISTANT:
            message = _decode_message(fields, role, first=not messages and not turn)
        else:
            parts = _decode_turn_item(fields, value, kind)
            role = ITEM_ROLES.get(kind, Role.TOOL if kind.endswith("_output") else Role.ASSISTANT)
            known_calls.update(_call_ids(parts))
            if role is Role.ASSISTANT:
                turn += with_item_mark(turn, parts)
                continue
            message = Message(role, tuple(parts))
        if turn:
            messages.append(Message(Role.ASSISTANT, tuple(turn)))
            turn = []
        messages.append(message)
    if turn:
        messages.append(Message(Role.ASSISTANT, tuple(turn)))
    return tuple(messages)


def _item_type(fields: Fields) -> str:
    kind = fields.string("type")
    if kind is not None:
        if not kind:
            raise fields.error("type", "must not be empty")
        return kind
    if fields.has("role"):
        return "message"
    if fields.has("id"):
        return "item_reference"
    raise fields.error("type", "is required", code="missing_required_field")


def _is_reference(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return value.get("type") == "item_reference" or (value.get("type") is None and value.get("role") is None)


def _decode_role(fields: Fields) -> Role:
    word = fields.rest().get("role")
    known = ", ".join(ROLES)
    if word is None:
        raise fields.error("role", f"is required: one of {known}", code="missing_required_field")
    if not isinstance(word, str):
        raise wrong_type(fields.path_of("role"), "a string", word)
    if word not in ROLES:
        raise fields.error("role", f"must be one of {known}")
    return ROLES[word]


def _decode_message(fields: Fields, role: Role, *, first: bool) -> Message:
    word = fields.any("role")
    parts = decode_content(_content(fields), fields.path_of("content"), INPUT_PARTS)
    if not parts:
        raise fields.error("content", "must not be empty")
    if fields.rest().get("status") == "completed":
        fields.any("status")  # it says nothing
    marks = []
    if role is Role.SYSTEM:
        marks = [mark for mark, true in ((IN_INPUT, first), (SYSTEM_ROLE, word == "system")) if true]
    return Message(role, parts, extra=decode_extra(fields, *marks))


def _content(fields: Fields) -> Any:
    content = fields.any("content")
    if content is None:
        raise fields.error("content", "is required", code="missing_required_field")
    return content


def _decode_turn_item(fields: Fields, value: Json, kind: str) -> Sequence[Part]:
    if kind in CALL_TEXTS:
        return [decode_call(fields, kind)]
    if kind == "reasoning":
        return decode_reasoning(fields, answer=False)
    if kind != "message":
        return [Opaque(NAME, value)]
    fields.any("role")
    parts = decode_content(_content(fields), fields.path_of("content"), ASSISTANT_PARTS)
    if not parts:
        raise fields.error("content", "must not be empty")
    if fields.rest().get("status") == "completed":
        fields.any("status")
    kept = {name: entry for name, entry in fields.rest().items() if entry is not None}
    return with_item_mark((), parts, kept)


def _call_ids(parts: Sequence[Part]) -> list[str]:
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    others = [part.payload.get("call_id") for part in parts if isinstance(part, Opaque)]
    return calls + [identity for identity in others if isinstance(identity, str)]


# --- encoding ---------------------------------------------------------------------------------------------------


def _is_stored(request: Request) -> bool:
    conversation = request.conversation
    if conversation is not None and (conversation.id or conversation.previous_response_id):
        return True
    opaque = (part for message in request.messages for part in message.parts if isinstance(part, Opaque))
    return any(part.dialect == NAME and _is_reference(part.payload) for part in opaque)


def _encode_items(messages: Sequence[Message], start: int, losses: list[Loss], *, stored: bool) -> list[Json]:
    items: list[Json] = []
    known_calls: set[str] = set()
    turn: list[int] = []  # the messages that readers take for one
    for index, message in enumerate(messages[start:], start):
        path = f"messages[{index}]"
        if message.name is not None:
            losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "a message has no name here"))
        if message.role is Role.ASSISTANT:
            known_calls.update(_call_ids(message.parts))
        written = _encode_message(message, path, None if stored else known_calls, losses)
        if message.role is not Role.ASSISTANT:
            if written:
                losses += _joined(messages, turn)
                turn = []
        elif written:
            turn.append(index)
        else:
            losses.append(Loss(path, LossReason.UNSUPPORTED, "nothing of it can be sent"))
        items += written
    losses += _joined(messages, turn)
    return items


def _joined(messages: Sequence[Message], turn: Sequence[int]) -> list[Loss]:
    """The messages of a turn that are told as parts of another: all but the longest."""
    longest = max(turn, key=lambda index: len(messages[index].parts), default=None)
    detail = "it is one turn with the message beside it"
    return [Loss(f"messages[{index}]", LossReason.MOVED, detail) for index in turn if index != longest]


def _encode_message(message: Message, path: str, known_calls: set[str] | None, losses: list[Loss]) -> list[Json]:
    only = message.parts[0] if len(message.parts) == 1 else None
    if isinstance(only, Opaque) and only.dialect == NAME and only.payload.get("type") not in KEPT_PARTS:
        return [only.payload]
    if message.role is Role.ASSISTANT:
        return encode_turn(message.parts, path, losses)
    if message.role is Role.TOOL:
        return encode_results(message.parts, path, known_calls, losses)
    content = [encode_input_part(part, f"{path}.parts[{index}]", losses) for index, part in enumerate(message.parts)]
    kept = [part for part in content if part is not None]
    if not kept:
        losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, _STAND_IN))
    role = "system" if marked(message, SYSTEM_ROLE) else WIRE_ROLES[message.role]
    wire: Json = {"role": role, "content": shortened(kept) if kept else ""}
    if own_extra(message.extra).keys() - {IN_INPUT, SYSTEM_ROLE}:
        wire = {"type": "message"} | wire
    return [encode_extra(wire, message.extra)]
