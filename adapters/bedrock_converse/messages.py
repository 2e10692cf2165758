"""The messages of a request as they are read: tool results become messages of their own."""

from typing import Any

from adapters.bedrock_converse.blocks import BLOCKS_BY_ROLE, SYSTEM_BLOCKS, decode_blocks
from adapters.bedrock_converse.extra import keep
from adapters.bedrock_converse.fields import ROLES
from adapters.bedrock_converse.pairing import Pairing
from adapters.model.message import Extra, Message, Part, Role, ToolCall, ToolResult
from adapters.wire.fields import Fields


def decode_messages(body: Fields, *, prompted: bool) -> tuple[Message, ...]:
    """The system prompt, then the messages. ``prompted``: a stored prompt stands before them."""
    messages: list[Message] = []
    system = body.array("system")
    if system:
        messages.append(Message(Role.SYSTEM, tuple(decode_blocks(system, body.path_of("system"), SYSTEM_BLOCKS))))
    entries = (body.array("messages") or []) if prompted else body.need_array("messages")
    pairing = Pairing()
    for index, entry in enumerate(entries):
        path = f"{body.path_of('messages')}[{index}]"
        role, blocks, extra = _decode_message(entry, path)
        parts = decode_blocks(blocks, f"{path}.content", BLOCKS_BY_ROLE[role])
        if not prompted:
            pairing.check(blocks, f"{path}.content", role)
        messages += _split(ROLES[role], parts, extra)
    return tuple(messages)


def _decode_message(entry: Any, path: str) -> tuple[str, list[Any], Extra | None]:
    fields = Fields(entry, path)
    role = fields.choice("role", ROLES)
    if role is None:
        raise fields.error("role", "is required", code="missing_required_field")
    blocks = fields.need_array("content")
    return role, blocks, keep(fields.rest())


def _split(role: Role, parts: list[Part], extra: Extra | None) -> list[Message]:
    """The model's messages for one of the wire; fields of the wire's message stay with the first."""
    groups: list[tuple[Role, list[Part]]] = []
    for part in parts:
        if isinstance(part, ToolResult):
            groups.append((Role.TOOL, [part]))
        elif groups and groups[-1][0] is role:
            groups[-1][1].append(part)
        else:
            groups.append((role, [part]))
    first, *others = groups
    return [
        Message(first[0], tuple(first[1]), extra=extra),
        *(Message(other_role, tuple(group)) for other_role, group in others),
    ]


def has_calls(messages: tuple[Message, ...]) -> bool:
    """Whether the history holds calls or their results."""
    return any(isinstance(part, ToolCall | ToolResult) for message in messages for part in message.parts)
