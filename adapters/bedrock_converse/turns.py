"""The messages of a request as Converse wants them: a system prompt, then turns of user and assistant in exchange."""

from dataclasses import dataclass, field, replace

from adapters.bedrock_converse.extra import kept_in, with_kept
from adapters.bedrock_converse.families import UNKNOWN, is_prompt
from adapters.bedrock_converse.fields import MOST_CACHE_POINTS, NAME, WIRE_ROLES
from adapters.bedrock_converse.parts import PLACEHOLDER, Writing, encode_part, without_blanks
from adapters.model.loss import LossReason
from adapters.model.message import (
    Json,
    Media,
    Message,
    Opaque,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.model.request import Request, Tool

DOCUMENT_TEXT = "(document)"
"""The text that must stand beside a document (MED-13)."""
_TOOL_BLOCKS = frozenset({"toolUse", "toolResult"})
_SYSTEM_BLOCKS = frozenset({"cachePoint", "guardContent"})
_OTHER_ROLE = {"user": "assistant", "assistant": "user"}


@dataclass(slots=True)
class _Turn:
    """``path`` is that of the last message in it; ``joined`` are the messages that one message will be read as."""

    role: str
    blocks: list[Json]
    path: str
    kept: Json = field(default_factory=dict)
    joined: list[list[tuple[str, Message]]] = field(default_factory=lambda: [[]])


def encode_messages(request: Request, writing: Writing) -> tuple[list[Json], list[Json]]:
    """The blocks of the system prompt, and the messages."""
    messages = request.messages
    count = _hoisted(messages)
    system = _encode_system(messages[:count], writing)
    turns: list[_Turn] = []
    for index in range(count, len(messages)):
        _add_turn(turns, messages, index, writing)
    if not (turns or is_prompt(request.model)):
        writing.lose("messages", LossReason.APPROXIMATED, "there must be a message: a placeholder is sent")
        turns.append(_Turn("user", [{"text": PLACEHOLDER}], "messages"))
    if turns and turns[0].role != "user" and not is_prompt(request.model):
        # A turn of the user must come first, and not be blank (ROLE-06).
        writing.lose(
            f"messages[{count}]", LossReason.APPROXIMATED, "a user turn is put before it, as one must be first"
        )
        turns.insert(0, _Turn("user", [{"text": PLACEHOLDER}], turns[0].path))
    _lose_joined(turns, writing)
    wire: list[Json] = []
    for turn in turns:
        wire += _encode_turn(turn, writing)
    return system, wire


def too_many_marks(request: Request) -> frozenset[str]:
    """The paths whose cache marks must go, as only four are taken (CAC-05).

    The marks late in the messages cover the most and stay; so do those of tools and the system prompt, which change
    least.
    """
    early = [f"tools[{index}]" for index, tool in enumerate(request.tools) if _is_marked(tool)]
    late: list[str] = []
    hoisted = _hoisted(request.messages)
    for index, message in enumerate(request.messages):
        paths = [f"messages[{index}].parts[{place}]" for place, part in enumerate(message.parts) if _is_marked(part)]
        (early if index < hoisted else late).extend(paths)
    excess = len(early) + len(late) - MOST_CACHE_POINTS
    return frozenset([*late, *early][:excess]) if excess > 0 else frozenset()


def _is_marked(thing: object) -> bool:
    if isinstance(thing, Opaque):
        return thing.dialect == NAME and "cachePoint" in thing.payload
    return isinstance(thing, Text | Media | ToolCall | ToolResult | Tool) and thing.cache is not None


# --- system prompt ----------------------------------------------------------------------------------------------


def _hoisted(messages: tuple[Message, ...]) -> int:
    """How many messages go into the system prompt: the leading run of those it can hold."""
    for index, message in enumerate(messages):
        if message.role is not Role.SYSTEM or not all(map(_fits_system, message.parts)):
            return index
    return len(messages)


def _fits_system(part: object) -> bool:
    if isinstance(part, Opaque):
        return part.dialect != NAME or part.payload.keys() <= _SYSTEM_BLOCKS
    guarded = isinstance(part, Media) and "guardContent" in kept_in(part.extra)
    return isinstance(part, Text) or guarded


def _encode_system(messages: tuple[Message, ...], writing: Writing) -> list[Json]:
    system: list[Json] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        blocks = _system_blocks(message, path, writing)
        if not blocks:
            writing.lose(path, LossReason.APPROXIMATED, "there is nothing in it that can be sent")
        elif system:
            writing.lose(path, LossReason.MOVED, "joined with the system prompt before it")
        system += blocks
    return system


def _system_blocks(message: Message, path: str, writing: Writing) -> list[Json]:
    _lose_name(message, path, writing)
    blocks: list[Json] = []
    for index, part in enumerate(message.parts):
        part_path = f"{path}.parts[{index}]"
        if isinstance(part, Text) and not part.text.strip():
            writing.lose(part_path, LossReason.APPROXIMATED, "blank text is left out")
        else:
            blocks += encode_part(part, part_path, "system", writing)
    kept = kept_in(message.extra)
    if kept:
        writing.lose(f"{path}.extra.{NAME}", LossReason.UNSUPPORTED, "the system prompt has no fields of its own")
    return blocks


# --- turns ------------------------------------------------------------------------------------------------------


def _add_turn(turns: list[_Turn], messages: tuple[Message, ...], index: int, writing: Writing) -> None:
    message, path = messages[index], f"messages[{index}]"
    role = WIRE_ROLES[message.role]
    is_itself = True
    if role == "system" and not _may_stay(turns, messages, index, writing):
        # Never to the top: that would change the order, and break the prompt cache with every turn (ROLE-02).
        writing.lose(path, LossReason.MOVED, "sent as a marked turn of the user: no system message is taken there")
        message, role, is_itself = _marked_as_system(message), "user", False
    blocks = _encode_parts(message, role, path, writing)
    member = [(path, message)] * is_itself
    kept = kept_in(message.extra)
    if not turns or turns[-1].role != role:
        turns.append(_Turn(role, blocks, path, kept, [member]))
        return
    # Converse refuses two turns of one role in a row (ROLE-05), and wants the results of one turn in one message
    # (TRES-01). Results are messages of their own here, so nothing is joined where one begins or ends.
    turn = turns[-1]
    if role == "user" and ("toolResult" in _last_of(turn.blocks) or "toolResult" in blocks[0]):
        turn.joined.append(member)
        if kept:
            writing.lose(f"{path}.extra.{NAME}", LossReason.MOVED, "joined with the message before it")
    else:
        turn.joined[-1] += member
    turn.blocks += blocks
    turn.path = path
    turn.kept = with_kept(turn.kept, kept)


def _last_of(blocks: list[Json]) -> Json:
    """The last block that is no cache point: that belongs to the one before it."""
    return next((block for block in reversed(blocks) if "cachePoint" not in block), {})


def _lose_joined(turns: list[_Turn], writing: Writing) -> None:
    """Reports the messages that are no longer messages: all but the one of each group that is best recognised."""
    changed = {loss.field.removesuffix(".arguments") for loss in writing.losses}

    def unchanged_parts(member: tuple[str, Message]) -> int:
        path, message = member
        return sum(f"{path}.parts[{index}]" not in changed for index in range(len(message.parts)))

    for group in (group for turn in turns for group in turn.joined if len(group) > 1):
        best = max(group, key=unchanged_parts)
        for member in group:
            if member is not best:
                writing.lose(member[0], LossReason.MOVED, "joined with one beside it, which has the same role")


def _may_stay(turns: list[_Turn], messages: tuple[Message, ...], index: int, writing: Writing) -> bool:
    """Whether a system message can stand where it is.

    Claude takes one after a turn of the user, at the end or before the assistant's (ROLE-03). Nothing is known of
    models that nobody knows: there it stays.
    """
    if not turns or not writing.family.system_turns:
        return False
    if writing.family is UNKNOWN:
        return True
    following = next((message.role for message in messages[index + 1 :] if message.role is not Role.SYSTEM), None)
    return turns[-1].role in ("user", "system") and following in (None, Role.ASSISTANT)


def _marked_as_system(message: Message) -> Message:
    parts = tuple(
        replace(part, text=f"<system>\n{part.text}\n</system>")
        if isinstance(part, Text) and part.text.strip()
        else part
        for part in message.parts
    )
    return replace(message, parts=parts)


def _encode_parts(message: Message, role: str, path: str, writing: Writing) -> list[Json]:
    _lose_name(message, path, writing)
    groups: list[tuple[str, list[Json]]] = []
    for index, part in enumerate(message.parts):
        part_path = f"{path}.parts[{index}]"
        if message.role is Role.TOOL and not isinstance(part, ToolResult):
            writing.lose(part_path, LossReason.UNSUPPORTED, "a tool message holds tool results only")
            continue
        blocks = encode_part(part, part_path, role, writing)
        if blocks:
            groups.append((part_path, blocks))
    results = sum("toolResult" in blocks[0] for _, blocks in groups)
    if role == "user" and results > (message.role is Role.TOOL):
        writing.lose(path, LossReason.MOVED, "each tool result is a message of its own")
    if not groups:
        writing.lose(path, LossReason.APPROXIMATED, "nothing of it can be sent: a placeholder keeps its place")
        return [{"text": PLACEHOLDER}]
    return without_blanks(groups, writing.losses)


def _lose_name(message: Message, path: str, writing: Writing) -> None:
    if message.name is not None:
        writing.lose(f"{path}.name", LossReason.UNSUPPORTED, "participants have no names")


def _encode_turn(turn: _Turn, writing: Writing) -> list[Json]:
    """The message, or several where the model takes no text beside tool blocks (TRES-18)."""
    if any("document" in block for block in turn.blocks) and not any("text" in block for block in turn.blocks):
        writing.lose(turn.path, LossReason.APPROXIMATED, "a text must stand beside a document: one was added")
        turn.blocks.append({"text": DOCUMENT_TEXT})
    if writing.family.mixed_turns or turn.role == "system":
        return [with_kept({"role": turn.role, "content": turn.blocks}, turn.kept)]
    runs: list[list[Json]] = []
    for block in turn.blocks:
        if runs and _is_tool_block(runs[-1][-1]) == _is_tool_block(block):
            runs[-1].append(block)
        else:
            runs.append([block])
    if len(runs) > 1:
        problem = "this model takes no text beside tool calls or results: filler turns separate them"
        writing.lose(turn.path, LossReason.APPROXIMATED, problem)
    filler = {"role": _OTHER_ROLE[turn.role], "content": [{"text": PLACEHOLDER}]}
    messages: list[Json] = []
    for run in runs:
        messages += [filler] * bool(messages) + [{"role": turn.role, "content": run}]
    messages[0] = with_kept(messages[0], turn.kept)
    return messages


def _is_tool_block(block: Json) -> bool:
    return not _TOOL_BLOCKS.isdisjoint(block)
