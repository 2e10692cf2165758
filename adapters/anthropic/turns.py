"""Turns as the API wants them: results first, system messages where they may stand, no blank text, a user's turn first.

Two user turns in a row are one to the API (``message_create_params.py``), so they need not be joined, and stay apart.
"""

from dataclasses import dataclass, field

from adapters.anthropic.extras import own, with_kept
from adapters.anthropic.fields import NAME, PLACEHOLDER, REMINDER
from adapters.anthropic.notes import Notes
from adapters.anthropic.parts import as_text, encode_part, is_blank
from adapters.contract import EncodeError
from adapters.model.loss import LossReason
from adapters.model.message import Json, Message, Opaque, Role, Text, ToolResult

_Block = tuple[str, Json]
"""The path of a part, and its block."""


@dataclass(slots=True)
class _Turn:
    role: str
    path: str
    blocks: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    kept: Json = field(default_factory=dict)

    def wire(self) -> Json:
        content = as_text([*self.results, *self.blocks])
        return with_kept({"role": self.role, "content": content}, self.kept)


@dataclass(slots=True)
class _Waiting:
    """A system message of which it is not clear yet what follows; ``position``: how many of its run came before it."""

    message: Message
    path: str
    position: int


class Turns:
    """Takes one message after the other. A *run* is what stands between two assistant messages.

    ``last`` is the index of the last message: an assistant's is then one that the model is to continue.
    """

    def __init__(self, notes: Notes, last: int) -> None:
        self._notes = notes
        self._last_path = f"messages[{last}]"
        self._turns: list[_Turn] = []
        self._run_start = 0
        self._run_length = 0
        self._user_spoke = False
        self._results: _Turn | None = None
        self._waiting: list[_Waiting] = []

    def add(self, message: Message, path: str) -> None:
        """Take the message at ``path``."""
        match message.role:
            case Role.ASSISTANT:
                self._end_run()
                self._turns.append(self._assistant(message, path))
                self._run_start = len(self._turns)
            case Role.TOOL:
                self._run_length += 1
                self._add_results(message, path)
            case Role.USER:
                self._remind()
                self._run_length += 1
                self._add_user(message, path)
                self._user_spoke = True
            case Role.SYSTEM if self._notes.facts.system_turns:
                self._waiting.append(_Waiting(message, path, self._run_length))
            case Role.SYSTEM:
                self._add_reminder(message, path)

    def wire(self) -> list[Json]:
        """The turns, after the last message. Raises ``EncodeError`` if there is none."""
        self._end_run()
        if not self._turns:
            raise EncodeError("the messages hold nothing that can be sent", "messages", "nothing_to_send")
        if self._turns[0].role == "assistant":
            detail = "the first turn must be the user's: a placeholder stands for it"
            self._notes.lose(self._turns[0].path, LossReason.APPROXIMATED, detail)
            self._turns.insert(0, _Turn("user", "", [{"type": "text", "text": PLACEHOLDER}]))
        return [turn.wire() for turn in self._turns]

    # --- user turns

    def _add_results(self, message: Message, path: str) -> None:
        found: list[Json] = []
        for index, part in enumerate(message.parts):
            part_path = f"{path}.parts[{index}]"
            if isinstance(part, ToolResult):
                block = encode_part(part, part_path, Role.USER, self._notes)
                found += [block] if block is not None else []
            elif not isinstance(part, Opaque) or part.dialect == NAME:
                self._notes.lose(part_path, LossReason.UNSUPPORTED, "a tool message holds tool results only")
        if not found:
            self._notes.lose(path, LossReason.UNSUPPORTED, "there is no tool result in it")
            return
        moved = self._put_results(found, path)
        if len(found) > 1:
            self._notes.lose(path, LossReason.MOVED, "each tool result is a message of its own")
        elif moved:
            self._notes.lose(path, LossReason.MOVED, "tool results come first in a turn")
        turn = self._results
        if turn is not None and turn.path == path:
            turn.kept = own(message.extra)
        else:
            self._notes.lose_kept(f"{path}.", message.extra)

    def _put_results(self, blocks: list[Json], path: str) -> bool:
        """All results of a run are in its first turn (TRES-01, TRES-03); says whether they had to go past a message."""
        if self._results is None:
            self._results = _Turn("user", path)
            self._turns.insert(self._run_start, self._results)
        self._results.results += blocks
        return self._user_spoke

    def _add_user(self, message: Message, path: str) -> None:
        results = [(index, part) for index, part in enumerate(message.parts) if isinstance(part, ToolResult)]
        rest = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        if results:
            blocks = [encode_part(part, f"{path}.parts[{index}]", Role.USER, self._notes) for index, part in results]
            self._put_results([block for block in blocks if block is not None], path)
            self._notes.lose(path, LossReason.MOVED, "each tool result is a message of its own")
        if rest or not results:
            self._put_user([block for _, block in self._filled(message, path, Role.USER)], path, own(message.extra))
        else:
            self._notes.lose_kept(f"{path}.", message.extra)

    def _put_user(self, blocks: list[Json], path: str, kept: Json) -> None:
        turn = self._results
        if turn is not None and self._turns[-1] is turn and not turn.blocks and not kept:
            turn.blocks = blocks
        else:
            self._turns.append(_Turn("user", path, blocks, kept=kept))

    # --- system messages

    def _remind(self) -> None:
        """What waits cannot stand where it is: a user's message follows."""
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._add_reminder(entry.message, entry.path)

    def _add_reminder(self, message: Message, path: str) -> None:
        """A system message as a user turn: this model takes none here, or there is no user turn it could follow."""
        blocks = system_blocks(message, path, self._notes)
        texts = [block for block in blocks if block.get("type") == "text"]
        for block in texts:
            block["text"] = REMINDER.format(block["text"])
        self._notes.lose_kept(f"{path}.", message.extra)
        if len(texts) < len(blocks):
            self._notes.lose(path, LossReason.UNSUPPORTED, "only text can be sent as a reminder")
        if texts:
            self._notes.lose(path, LossReason.MOVED, "sent as a reminder in a user turn")
            self._put_user(texts, path, {})

    def _end_run(self) -> None:
        """Writes the system messages that end the run; those that do not are reminders.

        They must follow a user turn, come last or before an assistant's, and no two may stand in a row (ROLE-03):
        docs /build-with-claude/mid-conversation-system-messages.
        """
        spoken = len(self._turns) > self._run_start
        at_the_end = [entry for entry in self._waiting if spoken and entry.position == self._run_length]
        self._waiting = [entry for entry in self._waiting if entry not in at_the_end]
        self._remind()
        turn: _Turn | None = None
        for entry in at_the_end:
            kept = own(entry.message.extra)
            blocks = system_blocks(entry.message, entry.path, self._notes, stays=bool(kept))
            if turn is not None and (blocks or kept):
                self._notes.lose(entry.path, LossReason.MOVED, "joined with the system message before it")
                turn.blocks += blocks
                turn.kept = with_kept(turn.kept, kept)
            elif blocks or kept:
                turn = _Turn("system", entry.path, blocks, kept=kept)
                self._turns.append(turn)
        self._run_length, self._results, self._user_spoke = 0, None, False

    # --- assistant turns

    def _assistant(self, message: Message, path: str) -> _Turn:
        kept = own(message.extra)
        if path != self._last_path:
            blocks = [block for _, block in self._filled(message, path, Role.ASSISTANT)]
            return _Turn("assistant", path, blocks, kept=kept)
        if message.parts == (Text(""),):
            return _Turn("assistant", path, [{"type": "text", "text": ""}], kept=kept)
        found = self._said(message, path, Role.ASSISTANT)
        if found and found[-1][1].get("type") == "text":
            last_path, last = found[-1]
            trimmed = last["text"].rstrip()
            if trimmed != last["text"]:  # refused, where the model is to go on from it (ROLE-10)
                last["text"] = trimmed
                detail = "white space at the end of an answer that is begun is left out"
                self._notes.lose(f"{last_path}.text", LossReason.APPROXIMATED, detail)
        return _Turn("assistant", path, [block for _, block in found], kept=kept)

    # --- blocks

    def _filled(self, message: Message, path: str, role: Role) -> list[_Block]:
        """The blocks, or a placeholder where there is none."""
        found = self._said(message, path, role)
        if not found:
            detail = "nothing of it can be sent: a placeholder keeps its place"
            self._notes.lose(path, LossReason.APPROXIMATED, detail)
            found.append((path, {"type": "text", "text": PLACEHOLDER}))
        return found

    def _said(self, message: Message, path: str, role: Role) -> list[_Block]:
        """The blocks of what is not blank and no tool result."""
        found: list[_Block] = []
        for index, part in enumerate(message.parts):
            part_path = f"{path}.parts[{index}]"
            if is_blank(part):
                self._notes.lose(part_path, LossReason.APPROXIMATED, "blank text is left out")
            elif role is not Role.USER or not isinstance(part, ToolResult):
                block = encode_part(part, part_path, role, self._notes)
                found += [(part_path, block)] if block is not None else []
        return found


def system_blocks(message: Message, path: str, notes: Notes, *, stays: bool = False) -> list[Json]:
    """The blocks of a system message. Without any it is reported as lost, unless it ``stays`` for something else."""
    blocks: list[Json] = []
    blanks: list[str] = []
    for index, part in enumerate(message.parts):
        part_path = f"{path}.parts[{index}]"
        if is_blank(part):
            blanks.append(part_path)
            continue
        block = encode_part(part, part_path, Role.SYSTEM, notes)
        if block is not None:
            blocks.append(block)
    if not blocks and not stays:
        notes.lose(path, LossReason.APPROXIMATED, "there is nothing in it to send")
        return []
    for part_path in blanks:
        notes.lose(part_path, LossReason.APPROXIMATED, "blank text is left out")
    return blocks
