"""Histories as the one user turn that this API takes (A31); ``fields.py`` shows the form."""

from collections.abc import Sequence

from adapters.amarsia.fields import LABELS, LATEST_TURN_FOLLOWS, LINE_IN_TURN, MEDIA_KINDS, TURN_SEPARATOR
from adapters.amarsia.losses import hint_losses, own_extra_losses
from adapters.amarsia.parts import encode_part
from adapters.contract import EncodeError
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, MediaKind, Message, Part, Refusal, Role, Text


def encode_content(messages: Sequence[Message], losses: list[Loss]) -> list[Json]:
    """``content`` for these turns: a lone user turn as it is, all else as a transcript and the latest user turn."""
    for index, message in enumerate(messages):
        if message.name is not None:
            losses.append(Loss(f"messages[{index}].name", LossReason.UNSUPPORTED, "there are no participants' names"))
        losses += own_extra_losses(message.extra, f"messages[{index}].")
    if len(messages) == 1 and messages[0].role is Role.USER:
        content = _encode_turn(0, messages[0], losses)
    else:
        losses.append(Loss("messages", LossReason.APPROXIMATED, "sent as one user turn with a transcript"))
        content = _flatten(messages, losses)
    if not content:
        # An empty or blank ``content`` is refused (section 4), and there are no words to put in its place.
        problem = "the messages hold nothing that an Amarsia deployment takes: text that is not blank, or media"
        raise EncodeError(problem, "messages", "nothing_to_send", ErrorKind.UNSUPPORTED)
    return content


def _encode_turn(index: int, message: Message, losses: list[Loss]) -> list[Json]:
    path = f"messages[{index}].parts"
    parts = (encode_part(part, f"{path}[{place}]", losses) for place, part in enumerate(message.parts))
    return [part for part in parts if part is not None]


def _flatten(messages: Sequence[Message], losses: list[Loss]) -> list[Json]:
    spoken = [index for index, message in enumerate(messages) if message.role is not Role.SYSTEM]
    last = spoken[-1] if spoken else None
    transcript = _Transcript(losses)
    latest: list[Json] = []
    for index, message in enumerate(messages):
        if index == last and message.role is Role.USER:
            latest = _encode_turn(index, message, losses)
        else:
            transcript.add(index, message)
    if last is not None and messages[last].role is Role.ASSISTANT:
        # Never deleted, never made the user's (hard-cases ROLE-09): it stands in the transcript, for those who insist.
        detail = "an answer that is begun cannot be continued"
        losses.append(Loss(f"messages[{last}]", LossReason.UNSUPPORTED, detail))
    turns = transcript.turns
    if turns and latest:
        turns.append(LATEST_TURN_FOLLOWS)
    text: list[Json] = [{"type": "text", "text": TURN_SEPARATOR.join(turns)}] if turns else []
    return [*transcript.media, *text, *latest]


class _Transcript:
    """Earlier turns as labelled text, and their media, to which the text points by number."""

    def __init__(self, losses: list[Loss]) -> None:
        self.turns: list[str] = []
        self.media: list[Json] = []
        self._losses = losses
        self._count: dict[MediaKind, int] = {}

    def add(self, index: int, message: Message) -> None:
        path = f"messages[{index}].parts"
        pieces = [self._tell(part, f"{path}[{place}]") for place, part in enumerate(message.parts)]
        words = "\n".join(piece for piece in pieces if piece is not None)
        if words.strip():
            self.turns.append(LABELS[message.role] + words.replace("\n", LINE_IN_TURN))

    def _tell(self, part: Part, path: str) -> str | None:
        if isinstance(part, Text | Refusal):
            self._losses += [*hint_losses(part, path), *own_extra_losses(part.extra, f"{path}.")]
            return part.text
        wire = encode_part(part, path, self._losses)
        if wire is None:
            return None
        self.media.append(wire)
        kind = MEDIA_KINDS[wire["type"]]
        self._count[kind] = self._count.get(kind, 0) + 1
        return f"[{kind} {self._count[kind]}]"
