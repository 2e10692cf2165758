"""Reasoning items. One item may hold several texts and an encrypted payload: each is a part, with the item's id."""

from dataclasses import dataclass, field

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Reasoning
from adapters.openai_responses.extras import REASONING_TEXT, decode_extra, encode_extra, marked
from adapters.openai_responses.fields import NAME
from adapters.wire.fields import Fields


def decode_reasoning(fields: Fields, *, answer: bool) -> list[Reasoning]:
    """The parts of an item; an item without anything is no part of an answer, but in a history its id counts."""
    identity = fields.string("id") or None
    encrypted = fields.string("encrypted_content") or None
    if answer or fields.rest().get("status") == "completed":
        fields.any("status")
    summary = [Reasoning(text, id=identity, origin=NAME) for text in _texts(fields, "summary")]
    mark = {NAME: {REASONING_TEXT: None}}
    content = [Reasoning(text, id=identity, origin=NAME, extra=mark) for text in _texts(fields, "content")]
    parts = [part for part in (*summary, *content) if part.text or not answer]
    if encrypted is not None or (not parts and not answer):
        parts.append(Reasoning("", redacted=encrypted, id=identity, origin=NAME))
    extra = decode_extra(fields)
    if extra is not None and parts and not answer:
        first = parts[0]
        kept = {NAME: {**extra[NAME], **(first.extra or {}).get(NAME, {})}}
        parts[0] = Reasoning(first.text, redacted=first.redacted, id=first.id, origin=NAME, extra=kept)
    return parts


@dataclass(slots=True)
class ReasoningItem:
    """An item being written."""

    id: str | None
    wire: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wire = {"type": "reasoning"}
        if self.id is not None:
            self.wire["id"] = self.id
        self.wire["summary"] = []

    def takes(self, part: Reasoning) -> bool:
        """Whether the part belongs to this item too: what follows a payload is another item."""
        return part.origin == NAME and part.id == self.id and "encrypted_content" not in self.wire

    def add(self, part: Reasoning) -> None:
        """Put in the text and the payload of a part."""
        if part.text:
            if marked(part, REASONING_TEXT):
                self.wire.setdefault("content", []).append({"type": "reasoning_text", "text": part.text})
            else:
                self.wire["summary"].append({"type": "summary_text", "text": part.text})
        if part.redacted is not None:
            self.wire["encrypted_content"] = part.redacted
        self.wire = encode_extra(self.wire, part.extra)


def unwritten_reasoning(part: Reasoning, path: str) -> list[Loss]:
    """What an item of this dialect has no place for."""
    losses = []
    if part.signature is not None:
        losses.append(Loss(f"{path}.signature", LossReason.UNSUPPORTED, "reasoning has no signature here"))
    if part.text and part.redacted is not None:
        losses.append(Loss(f"{path}.redacted", LossReason.MOVED, "it is a part of its own"))
    return losses


def _texts(fields: Fields, name: str) -> list[str]:
    path = fields.path_of(name)
    texts: list[str] = []
    for index, value in enumerate(fields.array(name) or ()):
        entry = Fields(value, f"{path}[{index}]")
        text = entry.string("text")
        if text is None:
            raise entry.error("text", "is required", code="missing_required_field")
        texts.append(text)
    return texts
