"""Streaming: batches from the upstream -> client's bytes. One read in, one write out."""

from collections.abc import Callable
from typing import Protocol

from adapters.contract import EncodeError, StreamEncoder
from adapters.model.error import ApiError
from adapters.model.event import (
    ArgumentsDelta,
    Event,
    ForeignEvent,
    PartStarted,
    ReasoningDelta,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from proxy.errors import RequestFailed, seen_by_client, unspeakable
from proxy.upstream import Batch, UpstreamStream

# Events that do not yet show that the upstream is answering: some answer 200 and fail in the next event.
_PREAMBLE = (StreamStarted, UsageReported, ForeignEvent)


class Writer(Protocol):
    """Turns batches into the client's bytes."""

    begun: bool
    """The upstream really answers, and there is something to send: the status line can go out."""
    over: bool
    """Nothing follows."""
    failure: ApiError | None
    """Why the stream did not end well. Before ``begun`` it is still worth a status of its own."""

    def write(self, batch: Batch) -> bytes:
        """The bytes for the client, ``b""`` if there are none yet."""


class TranslatingWriter:
    """Encodes every event in the client's dialect, under the model name the client asked for."""

    def __init__(self, encoder: StreamEncoder, model: str) -> None:
        self.begun = self.over = False
        self.failure: ApiError | None = None
        self._encoder = encoder
        self._model = model

    def write(self, batch: Batch) -> bytes:
        pieces: list[bytes] = []
        for event in batch.events:
            if isinstance(event, StreamFailed):
                pieces.append(self._fail(seen_by_client(event.error)))
                break
            if isinstance(event, StreamStarted):
                event = StreamStarted(event.id, self._model, event.created, event.extra)
            try:
                piece = self._encoder.encode(event)
            except EncodeError as error:
                pieces.append(self._fail(unspeakable(error)))
                break
            pieces.append(piece)
            if not self.begun:
                self.begun = bool(piece) and not isinstance(event, _PREAMBLE)
            if isinstance(event, StreamEnded):
                self.over = True
                break
        return b"".join(pieces)

    def _fail(self, error: ApiError) -> bytes:
        self.over = True
        self.failure = error
        return self._encoder.encode(StreamFailed(error)) if self.begun else b""


class RelayingWriter:
    """Forwards the upstream's bytes as they came, whole frames only; the events are watched for the end.

    ``fresh_encoder`` makes the encoder for what the upstream did not say itself: a failure in our words (its own may
    quote a key or an address), and an end that it left out.
    """

    def __init__(
        self,
        fresh_encoder: Callable[[], StreamEncoder],
        pending: Callable[[], int],
        model: str,
        *,
        ends_with_body: bool = False,
    ) -> None:
        self.begun = self.over = False
        self.failure: ApiError | None = None
        self._fresh_encoder = fresh_encoder
        self._pending = pending
        self._model = model
        self._ends_with_body = ends_with_body
        self._held = b""
        self._structure: list[Event] = []
        self._texts: list[int] = []  # how many text deltas came after each event of the structure

    def write(self, batch: Batch) -> bytes:
        if not batch.raw:
            return self._conclude(batch.events) if batch.events else b""
        events = batch.events
        last = events[-1] if events else None
        told = events[:-1] if isinstance(last, StreamFailed) else events
        for event in told:
            self._remember(event)
            if not self.begun:
                self.begun = not isinstance(event, _PREAMBLE)
        data = self._forwarded(batch.raw)
        if isinstance(last, StreamFailed):
            return data + self._conclude([last])
        self.over = isinstance(last, StreamEnded)
        return data

    def _remember(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            if self._texts:
                self._texts[-1] += 1
        elif not isinstance(event, _NO_MARK):
            self._structure.append(event)
            self._texts.append(0)

    def _replayed(self, failed: bool) -> list[Event]:
        """What an encoder must have seen to go on from here; of the text only into how many events it was cut.

        A dialect may number its events, so a failure has to know how many there were. No text is kept for that.
        """
        events: list[Event] = []
        for event, count in zip(self._structure, self._texts, strict=True):
            events.append(event)
            if failed and isinstance(event, PartStarted):
                events += [TextDelta(event.index, "x")] * count
        return events

    def _forwarded(self, raw: bytes) -> bytes:
        raw = self._held + raw if self._held else raw
        whole = len(raw) - min(self._pending(), len(raw))
        self._held = raw[whole:]
        return raw[:whole] if self._held else raw

    def _conclude(self, events: list[Event]) -> bytes:
        """Encode the last events, in the state that the forwarded ones have led to."""
        if self._ends_with_body and isinstance(events[-1], StreamEnded) and self._held:
            self.begun = self.over = True
            return self._held  # a whole frame, held back only until it was known to be the last
        writer = TranslatingWriter(self._fresh_encoder(), self._model)
        failed = isinstance(events[-1], StreamFailed)
        writer.write(Batch(b"", self._replayed(failed)))  # already at the client, in the upstream's own bytes
        writer.begun = self.begun
        data = writer.write(Batch(b"", events))
        self.begun, self.over, self.failure = writer.begun, True, writer.failure
        return data


# What is forwarded but leaves no mark on an encoder's state; token counts would be told twice.
_NO_MARK = (ReasoningDelta, ArgumentsDelta, UsageReported)


async def first_bytes(stream: UpstreamStream, writer: Writer) -> bytes:
    """Reads until the upstream has really begun to answer, and gives what the client gets first.

    Until then nothing is sent, so that an early failure keeps its status: raises ``RequestFailed`` with it.
    """
    ready: list[bytes] = []
    while not writer.begun and not writer.over:
        batch = await stream.read()
        if batch is None:
            break
        ready.append(writer.write(batch))
    if writer.failure is not None and not writer.begun:
        raise RequestFailed(writer.failure)
    return b"".join(ready)
