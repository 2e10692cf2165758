"""The ``messages`` and the ``system`` prompt of a request."""

from dataclasses import replace

from adapters.anthropic.extras import keep, unread
from adapters.anthropic.fields import ROLES
from adapters.anthropic.notes import Notes
from adapters.anthropic.pairs import Pairs
from adapters.anthropic.parts import BLOCKS_OF_ROLES, as_text, decode_content, decode_system
from adapters.anthropic.turns import Turns, system_blocks
from adapters.contract import DecodeError, EncodeError
from adapters.model.error import ErrorKind
from adapters.model.loss import LossReason
from adapters.model.message import Extra, Json, Message, Part, Role, ToolCall, ToolResult
from adapters.wire.fields import Fields


def decode_messages(body: Fields, *, whole: bool) -> tuple[Message, ...]:
    """The system prompt as one message, then the messages, with every tool result as a message of its own.

    ``whole``: the model is to go on from here, so no call may be without its result, and no result without its call.
    """
    system = body.any("system")
    parts = [] if system is None else decode_system(system, body.path_of("system"))
    messages = [Message(Role.SYSTEM, tuple(parts))] if parts else []
    path = body.path_of("messages")
    pairs = Pairs(DecodeError)
    for index, entry in enumerate(body.need_array("messages")):
        fields = Fields(entry, f"{path}[{index}]")
        role = fields.choice("role", ROLES)
        if role is None:
            raise fields.error("role", "is required", code="missing_required_field")
        parts = _decode_parts(fields, role)
        if whole:
            _pair(pairs, ROLES[role], parts, fields.path_of("content"))
        messages += _split(ROLES[role], parts, keep(unread(fields)))
    if whole:
        pairs.end()
    return tuple(messages)


def _decode_parts(fields: Fields, role: str) -> list[Part]:
    parts = decode_content(fields, BLOCKS_OF_ROLES[role])
    if parts is None:
        raise fields.error("content", "is required", code="missing_required_field")
    if not parts and role == "user":
        raise fields.error("content", "must not be empty")
    return parts


def _pair(pairs: Pairs, role: Role, parts: list[Part], path: str) -> None:
    if role is not Role.ASSISTANT:
        pairs.user_turn()
    elif not any(isinstance(part, ToolCall) for part in parts):
        pairs.other_assistant_turn()
    for index, part in enumerate(parts):
        if isinstance(part, ToolCall):
            pairs.call(part.id, f"{path}[{index}].id")
        elif isinstance(part, ToolResult):
            pairs.result(part.call_id, f"{path}[{index}].tool_use_id")


def _split(role: Role, parts: list[Part], extra: Extra | None) -> list[Message]:
    """The model's messages for one of the wire: its results come first, wherever they stand in it (TRES-03)."""
    results = [Message(Role.TOOL, (part,)) for part in parts if isinstance(part, ToolResult)]
    rest = tuple(part for part in parts if not isinstance(part, ToolResult))
    first, *others = [*results, Message(role, rest)] if rest or not results else results
    return [Message(first.role, first.parts, extra=extra), *others]


def encode_messages(
    messages: tuple[Message, ...], notes: Notes, *, whole: bool
) -> tuple[str | list[Json] | None, list[Json]]:
    """The system prompt, and the turns.

    If they are ``whole``, raises ``EncodeError`` for calls without results and for results without calls.
    """
    if not messages:
        raise EncodeError("there must be a message", "messages", "nothing_to_send", ErrorKind.INVALID_REQUEST)
    if whole:
        _check_pairs(messages)
    for index, message in enumerate(messages):
        if message.name is not None:
            notes.lose(f"messages[{index}].name", LossReason.UNSUPPORTED, "participants have no names")
    last = len(messages) - 1
    if all(message.role is Role.SYSTEM for message in messages):
        notes.lose(f"messages[{last}]", LossReason.MOVED, "sent as the user's turn: there must be one")
        messages = (*messages[:-1], replace(messages[-1], role=Role.USER))
    leading = next(index for index, message in enumerate(messages) if message.role is not Role.SYSTEM)
    system = _encode_system(messages[:leading], notes)
    turns = Turns(notes, last)
    for index in range(leading, len(messages)):
        turns.add(messages[index], f"messages[{index}]")
    return system, turns.wire()


def _check_pairs(messages: tuple[Message, ...]) -> None:
    pairs = Pairs(EncodeError)
    for index, message in enumerate(messages):
        called = False
        for place, part in enumerate(message.parts):
            path = f"messages[{index}].parts[{place}]"
            if isinstance(part, ToolCall) and message.role is Role.ASSISTANT:
                pairs.call(part.id, f"{path}.id")
                called = True
            elif isinstance(part, ToolResult) and message.role in (Role.TOOL, Role.USER):
                pairs.result(part.call_id, f"{path}.call_id")
        if message.role is not Role.ASSISTANT:
            pairs.user_turn()
        elif not called:
            pairs.other_assistant_turn()
    pairs.end()


def _encode_system(messages: tuple[Message, ...], notes: Notes) -> str | list[Json] | None:
    """One system prompt of all these messages, each part a block of its own."""
    blocks: list[Json] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        added = system_blocks(message, path, notes)
        notes.lose_kept(f"{path}.", message.extra)
        if added and blocks:
            notes.lose(path, LossReason.MOVED, "joined with the system message before it into one prompt")
        blocks += added
    return as_text(blocks) if blocks else None
