"""Turns: the system prompt, and tool results as blocks of user messages."""

from dataclasses import dataclass

from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import NAME, ROLES, WIRE_ROLES
from adapters.bedrock_sse.parts import (
    BLOCKS_BY_ROLE,
    PLACEHOLDER,
    decode_block,
    encode_part,
    text_losses,
    without_blanks,
)
from adapters.contract import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json, Message, Part, Role, Text, ToolCall, ToolResult
from adapters.wire.fields import Fields, wrong_type


def decode_messages(body: Fields, *, whole_history: bool) -> tuple[Message, ...]:
    """The system prompt, then the messages (Q21), with every tool result as a message of its own.

    ``whole_history``: all calls are in this request, so a result for any other call is an error (TRES-15).
    """
    entries, path = body.need_array("messages"), body.path_of("messages")
    prompt = body.string("systemPrompt")
    messages = [] if prompt is None else [Message(Role.SYSTEM, (Text(prompt),))]
    called: set[str] = set()
    for index, entry in enumerate(entries):
        fields = Fields(entry, f"{path}[{index}]")
        role = fields.choice("role", ROLES)
        if role is None:
            raise fields.error("role", "is required", code="missing_required_field")
        parts = _decode_content(fields, role)
        called.update(part.id for part in parts if isinstance(part, ToolCall))
        if whole_history:
            _check_results(parts, called, f"{path}[{index}].content")
        messages += _split(ROLES[role], parts, keep(fields.rest()))
    return tuple(messages)


def _decode_content(message: Fields, role: str) -> list[Part]:
    content, path = message.any("content"), message.path_of("content")
    if content is None:
        raise message.error("content", "is required", code="missing_required_field")
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise wrong_type(path, "a string or an array", content)
    if not content:
        raise message.error("content", "must not be empty")
    return [decode_block(block, f"{path}[{index}]", BLOCKS_BY_ROLE[role]) for index, block in enumerate(content)]


def _check_results(parts: list[Part], called: set[str], path: str) -> None:
    for index, part in enumerate(parts):
        if isinstance(part, ToolResult) and part.call_id not in called:
            param = f"{path}[{index}].toolResult.toolUseId"
            raise DecodeError(
                f"{param} names no toolUse block of an earlier message", param=param, code="unknown_tool_use"
            )


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
    first, *others = groups or [(role, [])]
    return [
        Message(first[0], tuple(first[1]), extra=extra),
        *(Message(other_role, tuple(group)) for other_role, group in others),
    ]


def encode_messages(
    messages: tuple[Message, ...], losses: list[Loss], *, whole_history: bool
) -> tuple[str | None, list[Json]]:
    """The system prompt, and the messages with no two user or assistant turns in a row."""
    prompt, first = _encode_prompt(messages, losses)
    turns = _Turns(losses, whole_history)
    for index in range(first, len(messages)):
        turns.add(messages[index], f"messages[{index}]")
    return prompt, [_encode_turn(turn) for turn in turns.turns]


def _encode_prompt(messages: tuple[Message, ...], losses: list[Loss]) -> tuple[str | None, int]:
    """The leading system messages as one text, and the index of the first message that is not in it.

    What one text cannot hold without loss stays where it is, as a message with role system, which is exact.
    """
    count = next((index for index, message in enumerate(messages) if message.role is not Role.SYSTEM), 0)
    leading = messages[:count]
    if not all(_is_mere_text(message) for message in leading) or (count == 1 and len(leading[0].parts) != 1):
        return None, 0
    texts: list[str] = []
    for index, message in enumerate(leading):
        path = f"messages[{index}]"
        texts.append("\n\n".join(_prompt_texts(message, path, losses)))
        if count > 1:
            losses.append(Loss(path, LossReason.APPROXIMATED, "the system messages are joined into one prompt"))
    return ("\n\n".join(texts) if texts else None), count


def _is_mere_text(message: Message) -> bool:
    return not kept_in(message.extra) and all(isinstance(part, Text) for part in message.parts)


def _prompt_texts(message: Message, path: str, losses: list[Loss]) -> list[str]:
    _name_loss(message, path, losses)
    texts: list[str] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, Text):
            text_losses(part, f"{path}.parts[{index}]", losses)
            texts.append(part.text)
    return texts


@dataclass(slots=True)
class _Turn:
    role: str
    blocks: list[Json]
    kept: Json


class _Turns:
    """The messages of the wire while they are put together."""

    def __init__(self, losses: list[Loss], whole_history: bool) -> None:
        self.turns: list[_Turn] = []
        self._losses = losses
        self._whole_history = whole_history
        self._called: set[str] = set()

    def add(self, message: Message, path: str) -> None:
        role = WIRE_ROLES[message.role]
        blocks = self._encode_parts(message, role, path)
        kept = kept_in(message.extra)
        # Converse refuses two user or two assistant turns in a row (ROLE-05), and wants the results of one turn in one
        # message (TRES-01).
        if not self.turns or self.turns[-1].role != role or role == "system":
            self.turns.append(_Turn(role, blocks, kept))
            return
        turn = self.turns[-1]
        if role == "assistant" or not ("toolResult" in turn.blocks[-1] or "toolResult" in blocks[0]):
            self._lose(path, LossReason.MOVED, "joined with the message before it, which has the same role")
        elif kept:
            self._lose(f"{path}.extra.{NAME}", LossReason.MOVED, "joined with the message before it")
        turn.blocks += blocks
        turn.kept = with_kept(turn.kept, kept)

    def _encode_parts(self, message: Message, role: str, path: str) -> list[Json]:
        _name_loss(message, path, self._losses)
        blocks: list[tuple[str, Json]] = []
        for index, part in enumerate(message.parts):
            part_path = f"{path}.parts[{index}]"
            problem = self._problem(part, message.role)
            if problem is not None:
                self._lose(part_path, LossReason.UNSUPPORTED, problem)
            elif (block := encode_part(part, part_path, self._losses)) is not None:
                blocks.append((part_path, block))
        results = sum("toolResult" in block for _, block in blocks)
        if results > (message.role is Role.TOOL):
            self._lose(path, LossReason.MOVED, "each tool result is a message of its own")
        if not blocks:
            self._lose(path, LossReason.APPROXIMATED, "nothing of it can be sent: a placeholder keeps its place")
            return [{"text": PLACEHOLDER}]
        if role == "system":
            return [block for _, block in blocks]
        return without_blanks(blocks, self._losses)

    def _problem(self, part: Part, role: Role) -> str | None:
        """Why this part cannot stand in a message of this role, at this place."""
        match part:
            case ToolCall():
                if role is not Role.ASSISTANT:
                    return "only assistant messages hold tool calls"
                self._called.add(part.id)
            case ToolResult():
                if role not in (Role.USER, Role.TOOL):
                    return "only user and tool messages hold tool results"
                if self._whole_history and part.call_id not in self._called:
                    return "a result needs its call in an earlier message"  # which may have been lost itself (TRES-15)
            case _ if role is Role.TOOL:
                return "a tool message holds tool results only"
            case _:
                pass
        return None

    def _lose(self, field: str, reason: LossReason, detail: str) -> None:
        self._losses.append(Loss(field, reason, detail))


def _name_loss(message: Message, path: str, losses: list[Loss]) -> None:
    if message.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "participants have no names"))


def _encode_turn(turn: _Turn) -> Json:
    content: str | list[Json] = turn.blocks
    if len(turn.blocks) == 1 and turn.blocks[0].keys() == {"text"}:
        content = turn.blocks[0]["text"]
    return with_kept({"role": turn.role, "content": content}, turn.kept)
