"""Streaming: batches from the upstream -> client's bytes. One read in, one write out."""

from collections.abc import Callable
from typing import Protocol

from adapters.contract import EncodeError, StreamEncoder
from adapters.model.error import ApiError
from adapters.model.event import (
    ArgumentsDelta,
    Event,
    ForeignEvent,
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

    ``fresh_encoder`` makes the encoder that reports a failure: the upstream's own words for it are not forwarded,
    they may quote a key or an address.
    """

    def __init__(self, fresh_encoder: Callable[[], StreamEncoder], pending: Callable[[], int], model: str) -> None:
        self.begun = self.over = False
        self.failure: ApiError | None = None
        self._fresh_encoder = fresh_encoder
        self._pending = pending
        self._model = model
        self._held = b""
        self._structure: list[Event] = []

    def write(self, batch: Batch) -> bytes:
        events = batch.events
        if events and isinstance(events[-1], StreamFailed):
            return self._fail(batch)
        for event in events:
            if not isinstance(event, _CONTENT):
                self._structure.append(event)
            if not self.begun:
                self.begun = not isinstance(event, _PREAMBLE)
        raw = self._held + batch.raw if self._held else batch.raw
        if events and isinstance(events[-1], StreamEnded):
            self.over = True
            return raw
        pending = self._pending()
        if pending == 0:
            self._held = b""
            return raw
        self._held = raw[-pending:]
        return raw[:-pending]

    def _fail(self, batch: Batch) -> bytes:
        """Encode the events of the last batch, in the state that the forwarded ones have led to."""
        writer = TranslatingWriter(self._fresh_encoder(), self._model)
        if self.begun:
            writer.write(Batch(b"", self._structure))  # already at the client, in the upstream's own bytes
            writer.begun = True
        data = writer.write(batch)
        self.begun, self.over, self.failure = writer.begun, True, writer.failure
        return data


_CONTENT = (TextDelta, ReasoningDelta, ArgumentsDelta)


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
