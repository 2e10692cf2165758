"""Checks of streams: framing, order of events, ends."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from adapters.conformance.judge import context, demand, demand_reported
from adapters.contract import Context, DecodeError, Dialect, EncodeError, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import (
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    EventOrder,
    ForeignEvent,
    PartEnded,
    PartStarted,
    ReasoningDelta,
    SignatureDelta,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import collect, explode
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Text
from adapters.model.request import Request
from adapters.model.response import FinishReason, Response, Usage
from adapters.samples import FEATURES, MODEL

MOST_CUTS = 1200
"""Streams longer than this are cut near their line ends and at even distances only: each cut decodes a prefix."""

PIECE = 7

DELTA_FIELDS: dict[type[Event], str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    ArgumentsDelta: "arguments",
    SignatureDelta: "signature",
}


@dataclass(slots=True)
class Sent:
    """What an encoder made of a stream, one piece of bytes per event; ``failed``: it told the client of a failure."""

    pieces: list[bytes] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    breaks_off: bool = False
    failed: bool = False


@dataclass(slots=True)
class Received:
    """What a decoder made of bytes. After a ``DecodeError`` there is no more, and ``events`` may lack the last read."""

    events: list[Event] = field(default_factory=list)
    error: DecodeError | None = None

    @property
    def ended(self) -> bool:
        """Whether the stream looks finished."""
        return self.error is None and bool(self.events) and isinstance(self.events[-1], StreamEnded)


def encode_stream(dialect: Dialect, events: Iterable[Event], request: Request) -> Sent:
    """The stream as a client that asked for ``request`` gets it.

    Where the encoder refuses an event, the client is told of a failure, as the proxy does it.
    """
    # A client that did not ask for token counts gets none, and that is no loss: so this one asks.
    request = replace(request, stream=True, include_usage=True)
    encoder = dialect.stream_encoder(context(request))
    sent = Sent(losses=encoder.losses)
    for event in events:
        try:
            sent.pieces.append(encoder.encode(event))
        except EncodeError as error:
            event = StreamFailed(ApiError(ErrorKind.BAD_UPSTREAM, error.message, Fault.UPSTREAM, code=error.code))
            sent.pieces.append(encoder.encode(event))
        if isinstance(event, StreamFailed):
            sent.failed = True
            break
    sent.losses = list(encoder.losses)
    sent.breaks_off = encoder.breaks_off
    return sent


def decode_stream(dialect: Dialect, pieces: Iterable[bytes], given: Context, *, clean: bool) -> Received:
    """The events in these reads, up to the first ``DecodeError``; ids are counted anew for every run."""
    decoder = dialect.stream_decoder(context(given.request))
    received = Received()
    try:
        for piece in pieces:
            received.events += decoder.feed(piece)
        received.events += decoder.close(clean=clean)
    except DecodeError as error:
        received.error = error
    return received


def merged(events: Iterable[Event]) -> list[Event]:
    """The events with neighbouring deltas of one part made one: where a text is cut has no meaning."""
    out: list[Event] = []
    for event in events:
        name = DELTA_FIELDS.get(type(event))
        last = out[-1] if out else None
        if (
            name
            and last
            and type(last) is type(event)
            and getattr(last, "index", None) == getattr(event, "index", None)
        ):
            out[-1] = replace(last, **{name: getattr(last, name) + getattr(event, name)})
        else:
            out.append(event)
    return out


def in_pieces(response: Response, size: int = PIECE) -> list[Event]:
    """The events of a stream that would have given this answer, its texts in deltas of ``size`` characters."""
    events: list[Event] = []
    for event in explode(response):
        match event:
            case TextDelta() | ReasoningDelta():
                events += [replace(event, text=piece) for piece in _pieces(event.text, size)]
            case ArgumentsDelta():
                events += [replace(event, arguments=piece) for piece in _pieces(event.arguments, size)]
            case _:
                events.append(event)
    return events


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def demand_legal(events: Iterable[Event], who: str) -> None:
    """Demand that the events obey the grammar, and that the last one ends the stream."""
    order = EventOrder()
    last: Event | None = None
    for last in events:
        try:
            order.check(last)
        except ValueError as error:
            raise AssertionError(f"{who} gives a stream that no encoder need accept: {error}") from None
    demand(isinstance(last, StreamEnded | StreamFailed), f"{who} gives a stream without an end; last is {last!r}")


def check_stream(dialect: Dialect, events: Sequence[Event], request: Request) -> None:
    """A legal stream comes back legal and collects to the same answer, except for exactly what is reported.

    A stream that fails, or that the encoder refuses in its middle, must not look finished to whoever reads it.
    """
    demand_legal(events, "the test itself")
    who = f"{dialect.name}, stream:"
    sent = encode_stream(dialect, events, request)
    again = encode_stream(dialect, events, request)
    demand(sent.pieces == again.pieces and sent.losses == again.losses, f"{who} written in two ways")
    raw = b"".join(sent.pieces)
    _check_lines(dialect, raw)
    received = decode_stream(dialect, [raw], context(request), clean=not (sent.failed and sent.breaks_off))
    demand(received.error is None, f"{who} what we write cannot be read: {received.error}")
    demand_legal(received.events, f"{dialect.name}'s decoder")
    if sent.failed:
        demand(not received.ended, f"{who} a failed stream looks finished")
        return
    demand(received.ended, f"{who} a finished stream ends with {received.events[-1]!r}")
    read_alike = decode_stream(dialect, sent.pieces, context(request), clean=True)
    demand(merged(read_alike.events) == merged(received.events), f"{who} reads differ when events come one by one")
    losses = _without_foreign_events(sent.losses, events, dialect)
    before, after = collect(events), collect(received.events)
    if before.model == request.model:  # the client knows the name it asked for, so leaving it out loses nothing
        after = replace(after, model=before.model)
    demand_reported(before, after, losses, who)


def _without_foreign_events(losses: Sequence[Loss], events: Iterable[Event], dialect: Dialect) -> list[Loss]:
    """The losses that concern the collected answer: a foreign event is no part of it, and must be reported apart."""
    strange = any(isinstance(event, ForeignEvent) and event.dialect != dialect.name for event in events)
    told = [loss for loss in losses if loss.reason is LossReason.FOREIGN and not loss.field.startswith(_ANSWER_PATHS)]
    demand(bool(told) == strange, f"{dialect.name}, stream: foreign events {strange}, reported as {told}")
    return [loss for loss in losses if loss not in told]


_ANSWER_PATHS = ("choices", "usage", "extra", "model")


def _check_lines(dialect: Dialect, raw: bytes) -> None:
    """Naive readers end lines at U+2028 and the like; written raw, these would cut our JSON in two."""
    if dialect.stream_type.startswith("text/event-stream"):
        text = raw.decode()
        demand("\r" not in text, f"{dialect.name}, stream: a carriage return is written, which naive readers keep")
        demand(
            text.splitlines() == text.removesuffix("\n").split("\n") or not text,
            f"{dialect.name}, stream: a character at which str.splitlines ends a line is written unescaped",
        )


def check_decoding(
    dialect: Dialect, raw: bytes, given: Context, splits: Iterable[Sequence[int]] = (), *, clean: bool = True
) -> None:
    """The bytes give the same events whole, byte by byte and cut at each of the given lists of places."""
    whole = decode_stream(dialect, [raw], given, clean=clean)
    ways = [("byte by byte", [raw[place : place + 1] for place in range(len(raw))])]
    ways += [(f"cut at {list(places)}", cut(raw, places)) for places in splits]
    for name, pieces in ways:
        other = decode_stream(dialect, pieces, given, clean=clean)
        _demand_same(dialect, whole, other, name)
    if whole.error is None:
        demand_legal(whole.events, f"{dialect.name}'s decoder")


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes cut at these places; places may repeat (an empty read) and need no order."""
    borders = [0, *sorted(min(max(place, 0), len(raw)) for place in places), len(raw)]
    return [raw[start:stop] for start, stop in pairwise(borders)]


def _demand_same(dialect: Dialect, whole: Received, other: Received, name: str) -> None:
    who = f"{dialect.name}, stream read {name}:"
    problems = [(error.message, error.param, error.code) if error else None for error in (whole.error, other.error)]
    demand(problems[0] == problems[1], f"{who} fails with {problems[1]}, read whole with {problems[0]}")
    if whole.error is None:
        expected, got = merged(whole.events), merged(other.events)
        place = next(
            (index for index in range(min(len(expected), len(got))) if expected[index] != got[index]),
            min(len(expected), len(got)),
        )
        demand(
            expected == got,
            f"{who} event {place} is {got[place : place + 1]}, read whole it is {expected[place : place + 1]}",
        )


def check_truncation(dialect: Dialect, raw: bytes, given: Context) -> None:
    """No part of the stream that was cut off looks finished, unless only padding is missing.

    Padding is what carries no field: CR and LF after the last line, and lines at the end that are comments (``:``).
    """
    padded_from = len(_without_padding(raw))
    whole = decode_stream(dialect, [raw], given, clean=False)
    for place in _cuts(raw):
        if place >= padded_from:
            continue
        received = decode_stream(dialect, [raw[:place]], given, clean=False)
        _demand_unfinished(dialect, received, f"cut at byte {place} of {len(raw)}, in {raw[:place][-60:]!r}")
        if whole.ended:  # this dialect has an end mark, and these bytes had it
            _check_early_end(dialect, raw[:place], given, collect(whole.events))


def _check_early_end(dialect: Dialect, raw: bytes, given: Context, whole: Response) -> None:
    """An end mark may be missing if the connection ended in order and each choice that came is whole.

    Some servers never send the mark (reliability.md, section 3). But the end of the body is no finish reason.
    """
    received = decode_stream(dialect, [raw], given, clean=True)
    if received.error is None:
        who = f"{dialect.name}, stream ending in order at byte {len(raw)}, without its mark:"
        demand_legal(received.events, who)
        choices = collect(received.events).choices if received.ended else ()
        broken = [choice for choice in choices if choice not in whole.choices]
        demand(not broken, f"{who} looks finished, but this is not the whole answer: {broken}")


def _demand_unfinished(dialect: Dialect, received: Received, what: str) -> None:
    who = f"{dialect.name}, stream {what}:"
    demand(not received.ended, f"{who} looks finished")
    if received.error is None:
        demand_legal(received.events, who)


def _without_padding(raw: bytes) -> bytes:
    while True:
        shorter = re.sub(rb"[\r\n]+:[^\r\n]*\Z", b"", raw.rstrip(b"\r\n"))
        if shorter == raw:
            return raw
        raw = shorter


def _cuts(raw: bytes) -> list[int]:
    """Every place if the stream is short; else those around line ends at both ends of it, and evenly spread ones."""
    if len(raw) <= MOST_CUTS:
        return list(range(len(raw)))
    lines = [match.start() for match in re.finditer(rb"\n", raw)]
    near = [end + step for end in lines[:40] + lines[-80:] for step in (-1, 0, 1, 2)]
    spread = range(0, len(raw), len(raw) // 250)
    return sorted({place for place in (*near, *spread, *range(len(raw) - 400, len(raw))) if 0 <= place < len(raw)})


def check_agreement(dialect: Dialect, raw: bytes, unary: WireResponse, given: Context) -> None:
    """The stream collects to the answer that its unary twin gives; id and time are each call's own."""
    received = decode_stream(dialect, [raw], given, clean=True)
    demand(received.ended, f"{dialect.name}: the stream has no end, but {received.error or received.events[-1:]}")
    streamed = collect(received.events)
    whole = dialect.decode_response(unary, context(given.request))
    # A stream may leave out the name that the client itself has asked for.
    streamed = replace(streamed, id=whole.id, created=whole.created, model=streamed.model or whole.model)
    demand_reported(whole, streamed, (), f"{dialect.name}, stream against its unary twin:")
    demand(streamed == whole, f"{dialect.name}: streamed {streamed!r}\n is not {whole!r}")


def check_keepalive(dialect: Dialect, events: Sequence[Event], request: Request) -> None:
    """Keep-alive bytes between the events, and before them, change nothing for the reader."""
    asked = replace(request, stream=True, include_usage=True)
    encoder = dialect.stream_encoder(context(asked))
    raw = encoder.keepalive()
    try:
        for event in events:
            raw += encoder.encode(event)
            if not isinstance(event, StreamEnded | StreamFailed):
                raw += encoder.keepalive()
    except EncodeError:
        return
    plain = decode_stream(dialect, encode_stream(dialect, events, request).pieces, context(request), clean=True)
    kept = decode_stream(dialect, [raw], context(request), clean=True)
    demand(
        kept.error is None and merged(kept.events) == merged(plain.events),
        f"{dialect.name}, stream: keep-alive bytes change what is read: {kept.error or kept.events}",
    )


def check_promptness(dialect: Dialect) -> None:
    """Each piece of an answer's text reaches the reader at once, and waits for nothing that follows."""
    request = replace(FEATURES["text"].request, stream=True, include_usage=True)
    encoder = dialect.stream_encoder(context(request))
    decoder = dialect.stream_decoder(context(request))
    shown = ""
    written: list[Event] = [StreamStarted("id", MODEL, 1700000000), PartStarted(0, Text(""))]
    written += [TextDelta(0, word) for word in ("Can", "ber", "ra", ".")]
    sent = ""
    for event in written:
        for arrived in decoder.feed(encoder.encode(event)):
            shown += arrived.text if isinstance(arrived, TextDelta) else ""
        sent += event.text if isinstance(event, TextDelta) else ""
        demand(shown == sent, f"{dialect.name}, stream: {sent!r} was sent, but the reader has {shown!r}")
    rest = (PartEnded(0), ChoiceFinished(0, FinishReason.STOP), UsageReported(Usage(1, 1)), StreamEnded())
    for event in rest:
        decoder.feed(encoder.encode(event))
