"""An answer while it is being written: events of the model become events of the wire, which the answer adds up."""

from dataclasses import dataclass

from adapters.contract import Context
from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    CitationAdded,
    Event,
    ForeignEvent,
    LogprobsReported,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import InOrder
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Extra, Json, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from adapters.model.response import Response, Usage
from adapters.openai_responses.citations import encode_citation
from adapters.openai_responses.extras import CUSTOM, ITEM, marked, merged, own_extra
from adapters.openai_responses.fields import ENCRYPTED, NAME
from adapters.openai_responses.finish import encode_finish_reason
from adapters.openai_responses.output_items import CallItem, MessageItem, OutputItem, ReasoningItem
from adapters.openai_responses.reasoning import unwritten_reasoning
from adapters.openai_responses.request import echo
from adapters.openai_responses.tools import custom_names
from adapters.openai_responses.usage import encode_usage

_ANSWER = 0
"""The choice that is written: there is room for one."""


@dataclass(slots=True)
class _Open:
    """The part being written; ``written``: readers have seen something of it."""

    index: int
    part: Part
    path: str
    written: bool = False
    citations: int = 0


class Output:
    """Takes the events of one answer, in any legal order; items follow each other in the order in which they began."""

    def __init__(self, context: Context) -> None:
        self.losses: list[Loss] = []
        self.answer: Json = {}
        self._context = context
        self._reported: set[str] = set()
        self._order = InOrder()
        self._left_out: set[int] = set()  # parts of other choices
        self._open: _Open | None = None
        self._item: OutputItem | None = None
        self._items: list[Json | None] = []
        self._announced: dict[str, int] = {}  # opaque items by id
        self._count = 0
        self._called = self._refused = False
        self._usage: Usage | None = None
        self._custom = custom_names(context.request)
        include = own_extra(context.request.extra).get("include")
        self._with_payload = isinstance(include, list) and ENCRYPTED in include

    def take(self, event: Event) -> list[Json]:
        """The wire events for this event, without their numbers."""
        match event:
            case StreamStarted():
                return self._start(event)
            case UsageReported():
                self._usage = event.usage
                return []
            case ForeignEvent():
                return self._foreign(event)
            case PartStarted() | ChoiceFinished() | LogprobsReported() if event.choice != _ANSWER:
                if isinstance(event, PartStarted):
                    self._left_out.add(event.index)
                self._report(f"choices[{event.choice}]", LossReason.UNSUPPORTED, "there is one answer only")
                return []
            case TextDelta() | ReasoningDelta() | ArgumentsDelta() | SignatureDelta() | CitationAdded() | PartEnded():
                if event.index in self._left_out:
                    return []
            case _:
                pass
        return [wire for ordered in self._order.feed(event) for wire in self._write(ordered)]

    def flowing(self, index: int) -> MessageItem | None:
        """The message that holds this part, if further text of it needs nothing but to be sent."""
        opened, item = self._open, self._item
        if opened is None or opened.index != index or not opened.written or not isinstance(opened.part, Text):
            return None
        return item if isinstance(item, MessageItem) else None

    def count(self) -> None:
        """Write down the token counts. They are running totals, so only the last ones can be told or lost."""
        if self._usage is not None:
            self._report_all(foreign_losses(Response((), usage=self._usage), NAME))
            self.answer["usage"], losses = encode_usage(self._usage)
            self._report_all(losses)

    def snapshot(self, **changes: object) -> Json:
        """The answer as it stands, with the items that are complete."""
        return self.answer | {"output": [item for item in self._items if item is not None]} | changes

    # --- the answer as a whole

    def _start(self, event: StreamStarted) -> list[Json]:
        if event.model is None:
            self._report("model", LossReason.APPROXIMATED, "the model that was asked for is named")
        self._report_foreign("", event.extra)
        context = self._context
        self.answer = {
            "id": "resp_" + context.request_id,
            "object": "response",
            "created_at": context.now,
            "status": "in_progress",
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": event.model or context.request.model,
            "output": [],
            **echo(context.request),
            "service_tier": None,
            "usage": None,
        }
        return [{"type": f"response.{word}", "response": self.snapshot()} for word in ("created", "in_progress")]

    def _finish(self, event: ChoiceFinished) -> list[Json]:
        own = own_extra(event.extra)
        details = own.get("incomplete_details")
        raw = details.get("reason") if isinstance(details, dict) else None
        word, read = encode_finish_reason(event.reason, raw, called=self._called, refused=self._refused)
        if read is not event.reason:
            self._report(
                f"choices[{_ANSWER}].finish_reason", LossReason.APPROXIMATED, f"{read} is the nearest there is"
            )
        if details is not None and (raw is None or word != raw):
            path = f"choices[{_ANSWER}].extra.{NAME}.incomplete_details"
            self._report(path, LossReason.INVALID, "it does not say why the answer is incomplete")
        if event.stop_sequence is not None:
            detail = "which stop sequence it was is not told"
            self._report(f"choices[{_ANSWER}].stop_sequence", LossReason.UNSUPPORTED, detail)
        self._report_foreign(f"choices[{_ANSWER}].", event.extra)
        status = "completed" if word is None else "incomplete"
        events = self._close_item(status)
        self.answer |= {"status": status, "completed_at": self._context.now if word is None else None}
        self.answer["incomplete_details"] = None if word is None else {"reason": word}
        more = {name: value for name, value in own.items() if name != "incomplete_details" or word == raw is not None}
        blank = {name for name, value in self.answer.items() if value is None and more.get(name) is not None}
        self.answer = merged({name: value for name, value in self.answer.items() if name not in blank}, more)
        return events

    def _foreign(self, event: ForeignEvent) -> list[Json]:
        if event.dialect != NAME:
            self._report("events", LossReason.FOREIGN, f"only {event.dialect} understands some of its events")
            return []
        payload = event.payload
        kind = payload.get("type")
        if not isinstance(kind, str) or not kind.isascii() or not kind.isprintable():
            return []  # it stands in a line of its own
        item = payload.get("item")
        identity = item.get("id") if isinstance(item, dict) else payload.get("item_id")
        if kind == "response.output_item.added":
            if isinstance(identity, str) and identity not in self._announced:
                return [payload | {"output_index": self._announce(identity)}]
            return []
        if isinstance(identity, str) and "output_index" in payload:
            if identity not in self._announced:
                return []
            return [payload | {"output_index": self._announced[identity]}]
        return [payload]

    def _announce(self, identity: str | None) -> int:
        index = len(self._items)
        self._items.append(None)
        if identity is not None:
            self._announced[identity] = index
        return index

    # --- parts

    def _write(self, event: Event) -> list[Json]:
        match event:
            case PartStarted():
                return self._start_part(event.index, event.part)
            case ChoiceFinished():
                return self._finish(event)
            case LogprobsReported():
                return self._logprobs(event.logprobs)
            case PartEnded():
                return self._end_part()
            case _ if self._open is None:
                return []
            case TextDelta() | ReasoningDelta():
                return self._text(self._open, event.text)
            case ArgumentsDelta():
                return self._item.delta(event.arguments) if isinstance(self._item, CallItem) else []
            case CitationAdded():
                return self._citation(self._open, event.citation)
            case SignatureDelta():
                if isinstance(self._open.part, Reasoning):
                    detail = "reasoning has no signature here"
                    self._report(f"{self._open.path}.signature", LossReason.UNSUPPORTED, detail)
                return []
            case _:
                raise AssertionError(event)

    def _start_part(self, index: int, part: Part) -> list[Json]:
        path = f"choices[{_ANSWER}].parts[{self._count}]"
        self._count += 1
        self._open = opened = _Open(index, part, path)
        if not isinstance(part, Opaque):
            self._report_foreign(f"{path}.", part.extra)
        match part:
            case Text() | Refusal():
                return self._text(opened, part.text)
            case Reasoning():
                return self._start_reasoning(opened, part)
            case ToolCall():
                return self._start_call(opened, part)
            case Opaque() if part.dialect == NAME:
                opened.written = True
                return self._opaque(part.payload)
            case Opaque():
                self._report(path, LossReason.FOREIGN, f"only {part.dialect} understands it")
            case _:
                self._report(path, LossReason.UNSUPPORTED, "an answer cannot hold it")
        opened.written = True  # there is nothing more to say of it
        return []

    def _end_part(self) -> list[Json]:
        opened, self._open = self._open, None
        if opened is None:
            return []
        if not opened.written:
            if isinstance(opened.part, Reasoning):
                self._report(opened.path, LossReason.UNSUPPORTED, "there is nothing in it that could be shown")
            else:
                self._report(opened.path, LossReason.APPROXIMATED, "empty text is no part of an answer")
        if isinstance(self._item, CallItem) and self._item.is_free_text:
            detail = "they are taken for the tool's plain text"
            self._report(f"{opened.path}.arguments", LossReason.APPROXIMATED, detail)
        return []

    def _text(self, opened: _Open, text: str) -> list[Json]:
        if not text:
            return []
        part = opened.part
        if isinstance(part, Reasoning):
            events = [] if opened.written else self._open_reasoning(opened, part)
            item = self._item
            return [*events, item.delta(text)] if isinstance(item, ReasoningItem) else events
        if not isinstance(part, Text | Refusal):
            return []
        events = self._open_text(opened, part)
        if isinstance(self._item, MessageItem):
            events.append(self._item.delta(text))
        return events

    def _open_text(self, opened: _Open, part: Text | Refusal) -> list[Json]:
        if opened.written:
            return []
        opened.written = True
        self._refused = self._refused or isinstance(part, Refusal)
        events: list[Json] = []
        item = self._item
        if isinstance(item, MessageItem) and ITEM not in own_extra(part.extra):
            events += item.close_part()
        else:
            events += self._close_item("completed")
            item = MessageItem(self._context.new_id("msg_"), self._announce(None), part)
            self._item = item
            events.append(item.added())
        return [*events, item.open(part)]

    def _citation(self, opened: _Open, citation: Json) -> list[Json]:
        path = f"{opened.path}.citations[{opened.citations}]"
        opened.citations += 1
        losses: list[Loss] = []
        annotation = encode_citation(citation, path, losses)
        self._report_all(losses)
        if annotation is None or not isinstance(opened.part, Text):
            return []
        events = self._open_text(opened, opened.part)
        return [*events, self._item.annotate(annotation)] if isinstance(self._item, MessageItem) else events

    def _logprobs(self, logprobs: Json) -> list[Json]:
        """Log probabilities of what was just sent: a message stays open until something else begins."""
        entries = logprobs.get("content")
        item = self._item
        part = item.part if isinstance(item, MessageItem) else None
        fits = part is not None and part["type"] == "output_text" and logprobs.keys() == {"content"}
        if fits and isinstance(item, MessageItem) and isinstance(entries, list) and entries:
            return [item.delta("", entries)]
        detail = "they are only told with the text that they belong to"
        self._report(f"choices[{_ANSWER}].logprobs", LossReason.UNSUPPORTED, detail)
        return []

    def _start_reasoning(self, opened: _Open, part: Reasoning) -> list[Json]:
        path = opened.path
        self._report_all(unwritten_reasoning(part, path))
        if part.redacted is not None and not self._sends_payload(part):
            detail = "it goes back only to where it came from" if part.origin != NAME else "it was not asked for"
            self._report(f"{path}.redacted", LossReason.UNSUPPORTED, detail)
        if self._sends_payload(part):
            events = self._reasoning_item(opened, part)
            opened.written = True
            return events + self._text(opened, part.text)
        return self._text(opened, part.text)

    def _sends_payload(self, part: Reasoning) -> bool:
        """Whether the encrypted payload goes out: RSP-10, hard-cases.md."""
        return part.redacted is not None and part.origin == NAME and self._with_payload

    def _reasoning_item(self, opened: _Open, part: Reasoning) -> list[Json]:
        """The item that the part belongs to, which may be open already."""
        item = self._item
        events: list[Json] = []
        if isinstance(item, ReasoningItem) and item.takes(part):
            events += item.close_part()
        else:
            events += self._close_item("completed")
            identity = part.id if part.origin == NAME and part.id else self._context.new_id("rs_")
            if identity != part.id:
                self._report(f"{opened.path}.id", LossReason.APPROXIMATED, "reasoning needs an id: one was made up")
            item = ReasoningItem(identity, self._announce(None))
            self._item = item
            events.append(item.added(summary=[]))
        if part.origin != NAME:
            detail = "it counts as this dialect's own from here on"
            self._report(f"{opened.path}.origin", LossReason.APPROXIMATED, detail)
        item.add(part, with_payload=self._sends_payload(part))
        return events

    def _open_reasoning(self, opened: _Open, part: Reasoning) -> list[Json]:
        opened.written = True
        events = self._reasoning_item(opened, part)
        return [*events, self._item.open(part)] if isinstance(self._item, ReasoningItem) else events

    def _start_call(self, opened: _Open, part: ToolCall) -> list[Json]:
        opened.written = True
        self._called = True
        events = self._close_item("completed")
        custom = part.name in self._custom or marked(part, CUSTOM)
        identity = self._context.new_id("ctc_" if custom else "fc_")
        item = CallItem(identity, self._announce(None), part, custom=custom)
        self._item = item
        return [*events, item.added(), *(item.delta(part.arguments) if part.arguments else [])]

    def _opaque(self, payload: Json) -> list[Json]:
        events = self._close_item("completed")
        identity = payload.get("id")
        known = self._announced.get(identity) if isinstance(identity, str) else None
        index = self._announce(None) if known is None or self._items[known] is not None else known
        if known != index:
            events.append({"type": "response.output_item.added", "output_index": index, "item": payload})
        self._items[index] = payload
        return [*events, {"type": "response.output_item.done", "output_index": index, "item": payload}]

    def _close_item(self, status: str) -> list[Json]:
        item, self._item = self._item, None
        if item is None:
            return []
        events = item.close(status)
        self._items[item.index] = item.wire
        return events

    # --- reporting

    def _report(self, path: str, reason: LossReason, detail: str = "") -> None:
        self._report_all([Loss(path, reason, detail)])

    def _report_all(self, losses: list[Loss]) -> None:
        for loss in losses:
            if loss.field not in self._reported:
                self._reported.add(loss.field)
                self.losses.append(loss)

    def _report_foreign(self, prefix: str, extra: Extra | None) -> None:
        for owner, kept in (extra or {}).items():
            if owner != NAME:
                names = [name for name, value in kept.items() if value is not None]
                self._report_all([Loss(f"{prefix}extra.{owner}.{name}", LossReason.FOREIGN) for name in names])
