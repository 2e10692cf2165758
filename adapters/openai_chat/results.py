"""Results of tools, in messages of their own."""

from collections.abc import Set as AbstractSet

from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Part, Text, ToolResult
from adapters.openai_chat.fields import TEXT_PARTS
from adapters.openai_chat.parts import decode_content, encode_part, lose_cache, shortened
from adapters.wire.fields import Fields

ERROR_MARK = "[tool error] "
"""Stands before the text of a failed tool's result: the format has no field for it (TRES-11, hard-cases.md)."""

MOVED_MARK = "[see the attachment in the next user message]"
"""Ends the text of a result whose media had to move: these messages take text only (TRES-06, hard-cases.md)."""


def decode_result(fields: Fields, known_calls: AbstractSet[str]) -> ToolResult:
    """The result in a message of role ``tool``; it must answer one of the calls before it (TRES-15)."""
    call_id = fields.need_string("tool_call_id")
    if call_id not in known_calls:
        path = fields.path_of("tool_call_id")
        message = f"{path} is not the id of a call in an earlier assistant message"
        raise DecodeError(message, path, "unknown_tool_call_id")
    content = decode_content(fields, TEXT_PARTS)
    if content is None:
        raise fields.error("content", "is required", code="missing_required_field")
    return ToolResult(call_id, tuple(part for part in content if isinstance(part, Text)))


def encode_results(
    parts: tuple[Part, ...], path: str, known_calls: AbstractSet[str], waiting: list[Json], losses: list[Loss]
) -> list[Json]:
    """One message for each result in ``parts``, without role.

    Their media joins ``waiting``, for a user message after the run of results.
    """
    messages: list[Json] = []
    missing: list[Loss] = []
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        if not isinstance(part, ToolResult):
            missing.append(Loss(part_path, LossReason.UNSUPPORTED, "a tool's message holds results only"))
        elif part.call_id not in known_calls:
            # Refused by the API: the call was dropped, or stands in a history that another server keeps.
            missing.append(Loss(part_path, LossReason.UNSUPPORTED, "the call that it answers is not in the messages"))
        else:
            content = _encode_content(part, part_path, waiting, losses)
            messages.append({"tool_call_id": part.call_id, "content": shortened(content)})
    if not messages:
        detail = missing[0].detail if missing else "a tool's message without a result"
        missing = [Loss(path, LossReason.UNSUPPORTED, detail)]
    elif len(messages) > 1:
        losses.append(Loss(path, LossReason.MOVED, "each result has a message of its own"))
    losses += missing
    return messages


def _encode_content(result: ToolResult, path: str, waiting: list[Json], losses: list[Loss]) -> list[Json]:
    lose_cache(result, path, losses)
    content: list[Json] = []
    moved: list[Json] = []
    for index, part in enumerate(result.parts):
        part_path = f"{path}.parts[{index}]"
        wire = encode_part(part, part_path, losses)
        if wire is None:
            continue
        if isinstance(part, Media):
            losses.append(Loss(part_path, LossReason.MOVED, "it stands in the user message after the results"))
            moved.append(wire)
            continue
        if result.is_error and not content and isinstance(part, Text):
            wire["text"] = ERROR_MARK + part.text
            losses.append(Loss(f"{part_path}.text", LossReason.APPROXIMATED, f'it begins with "{ERROR_MARK.strip()}"'))
        content.append(wire)
    if result.is_error:
        losses.append(Loss(f"{path}.is_error", LossReason.APPROXIMATED, "there is no field for it: the text says it"))
        content = content or [{"type": "text", "text": ERROR_MARK.strip()}]
    if moved:
        waiting += [{"type": "text", "text": f"[attachment of tool result {result.call_id}]"}, *moved]
        content.append({"type": "text", "text": MOVED_MARK})
    if not content:
        losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, "an empty text stands in for nothing"))
    return content
