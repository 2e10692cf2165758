"""Batches in, client's bytes out: what is held back, what is forwarded, and how a failure is told at each moment."""

from collections.abc import Iterable
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Context, EncodeError
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
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.fold import collect, explode
from adapters.model.loss import Loss
from adapters.model.message import Message, Reasoning, Role, Text, ToolCall
from adapters.model.request import Request
from adapters.model.response import Choice, FinishReason, Response, Usage
from proxy.errors import RequestFailed
from proxy.pump import RelayingWriter, TranslatingWriter, Writer, first_bytes
from proxy.upstream import Batch
from tests.adapters.toy import TOY

CUT = ApiError(ErrorKind.BAD_UPSTREAM, "cut", Fault.UPSTREAM, code="stream_interrupted")
OVERLOADED = ApiError(ErrorKind.OVERLOADED, "busy", Fault.UPSTREAM, status=529, code="overloaded", retry_after=3)
REFUSED = ApiError(ErrorKind.AUTHENTICATION, "key sk-canary is wrong", Fault.UPSTREAM, status=401)

STARTED = StreamStarted("id", "their-name", 1700000000)
OPENED = PartStarted(0, Text(""))
SAYS = TextDelta(0, "Hello")
ENDING: list[Event] = [PartEnded(0), ChoiceFinished(0, FinishReason.STOP), StreamEnded()]

ANSWER = Response(
    (
        Choice(0, (Reasoning("hm"), Text("Hello \u2028 there"), ToolCall("c", "f", '{"a":1}')), FinishReason.TOOL_CALL),
        Choice(1, (Text("two"),), FinishReason.LENGTH),
    ),
    id="x",
    model="their-name",
    created=1,
    usage=Usage(1, 2),
)


class Frames:
    """A stream encoder of one line per event, that holds its events to the grammar of streams."""

    breaks_off = False

    def __init__(self, refuses: type[Event] | None = None) -> None:
        self.losses: list[Loss] = []
        self.order = EventOrder()
        self._refuses = refuses

    def encode(self, event: Event) -> bytes:
        self.order.check(event)
        if self._refuses is not None and isinstance(event, self._refuses):
            raise EncodeError("there are no words for this", code="unsupported_part")
        match event:
            case StreamStarted():
                return b"<start %s>" % (event.model or "nameless").encode()
            case TextDelta() | ReasoningDelta():
                return b"<text %s>" % event.text.encode()
            case StreamFailed():
                return b"<failed %s>" % (event.error.code or "").encode()
            case StreamEnded():
                return b"<end>"
            case _:
                return b""

    def keepalive(self) -> bytes:
        return b""


class Played:
    """An upstream stream that plays these batches."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = list(batches)
        self.reads = 0

    async def read(self) -> Batch | None:
        self.reads += 1
        return self._batches.pop(0) if self._batches else None

    def pending(self) -> int:
        return 0

    async def close(self) -> None:
        raise AssertionError("closing is the owner's business")


def batch(*events: Event) -> Batch:
    return Batch(b"", list(events))


def written(writer: Writer, batches: Iterable[Batch]) -> bytes:
    out = b""
    for one in batches:
        assert not writer.over, "nothing is written after the end"
        out += writer.write(one)
    return out


# --- translating --------------------------------------------------------------------------------------------------


def test_the_answer_bears_the_name_the_client_asked_for() -> None:
    writer = TranslatingWriter(Frames(), "our-name")
    assert written(writer, [batch(STARTED, OPENED, SAYS), batch(*ENDING)]) == b"<start our-name><text Hello><end>"
    assert (writer.begun, writer.over, writer.failure) == (True, True, None)


def test_what_no_byte_was_written_for_has_not_begun() -> None:
    writer = TranslatingWriter(Frames(), "m")
    writer.write(batch(STARTED, UsageReported(Usage(1)), ForeignEvent("toy", {}), OPENED))
    assert not writer.begun
    writer.write(batch(SAYS))
    assert writer.begun


def test_events_are_not_changed_in_place() -> None:
    """Observers and relays see the same event objects."""
    TranslatingWriter(Frames(), "our-name").write(batch(STARTED))
    assert STARTED.model == "their-name"


EARLY: dict[str, list[Event]] = {
    "at once": [],
    "after the start": [STARTED],
    "after usage": [STARTED, UsageReported(Usage(1))],
    "after an empty part": [STARTED, OPENED],
}


@pytest.mark.parametrize("before", EARLY.values(), ids=EARLY.keys())
@pytest.mark.parametrize("together", [True, False], ids=["one read", "two reads"])
async def test_an_early_failure_keeps_its_status(before: list[Event], together: bool) -> None:
    failed = StreamFailed(OVERLOADED)
    batches = [batch(*before, failed)] if together else [batch(*before), batch(failed)]
    with pytest.raises(RequestFailed) as caught:
        await first_bytes(Played(*batches), TranslatingWriter(Frames(), "m"))
    error = caught.value.error
    assert (error.http_status, error.code, error.retry_after) == (503, "overloaded", 3)


async def test_an_early_refusal_of_our_key_is_not_the_clients() -> None:
    with pytest.raises(RequestFailed) as caught:
        await first_bytes(Played(batch(STARTED, StreamFailed(REFUSED))), TranslatingWriter(Frames(), "m"))
    error = caught.value.error
    assert (error.http_status, error.code) == (502, "upstream_auth")
    assert "canary" not in error.message


async def test_the_first_bytes_hold_everything_so_far() -> None:
    stream = Played(batch(STARTED), batch(), batch(OPENED, SAYS), batch(*ENDING))
    writer = TranslatingWriter(Frames(), "m")
    assert await first_bytes(stream, writer) == b"<start m><text Hello>"
    assert stream.reads == 3, "it reads no further than to the first content"


async def test_an_answer_without_content_begins_with_its_end() -> None:
    writer = TranslatingWriter(Frames(), "m")
    stream = Played(batch(STARTED), batch(ChoiceFinished(0, FinishReason.STOP), StreamEnded()))
    assert await first_bytes(stream, writer) == b"<start m><end>"
    assert (writer.over, writer.failure) == (True, None)


def test_a_late_failure_is_told_in_the_stream() -> None:
    writer = TranslatingWriter(Frames(), "m")
    assert written(writer, [batch(STARTED, OPENED, SAYS), batch(StreamFailed(CUT))]) == (
        b"<start m><text Hello><failed stream_interrupted>"
    )
    assert (writer.over, writer.failure and writer.failure.code) == (True, "stream_interrupted")


def test_content_and_failure_in_one_read_are_both_told() -> None:
    writer = TranslatingWriter(Frames(), "m")
    out = writer.write(batch(STARTED, OPENED, SAYS, StreamFailed(CUT)))
    assert out == b"<start m><text Hello><failed stream_interrupted>"
    assert writer.begun


def test_a_late_refusal_of_our_key_is_not_told() -> None:
    writer = TranslatingWriter(Frames(), "m")
    assert written(writer, [batch(STARTED, OPENED, SAYS), batch(StreamFailed(REFUSED))]).endswith(
        b"<failed upstream_auth>"
    )
    assert writer.failure is not None
    assert "canary" not in writer.failure.message


async def test_what_cannot_be_said_at_first_is_an_error_status() -> None:
    writer = TranslatingWriter(Frames(refuses=PartStarted), "m")
    with pytest.raises(RequestFailed) as caught:
        await first_bytes(Played(batch(STARTED, OPENED, SAYS)), writer)
    assert (caught.value.error.http_status, caught.value.error.code) == (502, "unsupported_part")
    assert writer.over


def test_what_cannot_be_said_later_ends_the_stream_with_an_error() -> None:
    writer = TranslatingWriter(Frames(refuses=ArgumentsDelta), "m")
    call = [PartEnded(0), PartStarted(1, ToolCall("c", "f", "")), ArgumentsDelta(1, "{}"), TextDelta(0, "never")]
    assert written(writer, [batch(STARTED, OPENED, SAYS, *call)]) == b"<start m><text Hello><failed unsupported_part>"
    assert (writer.over, writer.failure and writer.failure.http_status) == (True, 502)


@pytest.mark.parametrize("last", [StreamEnded(), StreamFailed(CUT)], ids=["end", "failure"])
def test_nothing_follows_the_end(last: Event) -> None:
    encoder = Frames()
    before = [STARTED, OPENED, SAYS, *ENDING[:-1]]
    writer = TranslatingWriter(encoder, "m")
    written(writer, [batch(*before, last, TextDelta(0, "never"), StreamEnded())])
    assert writer.over


# --- relaying -----------------------------------------------------------------------------------------------------

CONTEXT = Context(Request("m", (Message(Role.USER, (Text("?"),)),)), "0" * 24, lambda prefix: prefix + "1", 1700000000)


def toy_bytes(response: Response) -> bytes:
    encoder = TOY.stream_encoder(CONTEXT)
    return b"".join(encoder.encode(event) for event in explode(response))


def relay(pieces: Iterable[bytes], ending: str) -> tuple[bytes, RelayingWriter]:
    """What a client gets of a same-dialect stream that comes in these pieces and ends so."""
    decoder = TOY.stream_decoder(CONTEXT)
    writer = RelayingWriter(lambda: TOY.stream_encoder(CONTEXT), lambda: decoder.sse.pending, "m")
    out = b""
    for piece in pieces:
        out += writer.write(Batch(piece, decoder.feed(piece)))
        if writer.over:
            return out, writer
    return out + writer.write(Batch(b"", decoder.close(clean=ending == "clean"))), writer


RAW = toy_bytes(ANSWER)


@given(st.lists(st.integers(0, len(RAW)), max_size=6))
def test_a_whole_stream_is_forwarded_byte_for_byte(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(RAW)]
    out, writer = relay([RAW[start:stop] for start, stop in pairwise(edges)], "clean")
    assert out == RAW
    assert (writer.over, writer.failure) == (True, None)


def test_single_bytes_are_forwarded_as_whole_frames() -> None:
    decoder = TOY.stream_decoder(CONTEXT)
    writer = RelayingWriter(lambda: TOY.stream_encoder(CONTEXT), lambda: decoder.sse.pending, "m")
    chunks = [writer.write(Batch(RAW[at : at + 1], decoder.feed(RAW[at : at + 1]))) for at in range(len(RAW))]
    assert b"".join(chunks) == RAW
    assert all(chunk.endswith(b"\n\n") for chunk in chunks if chunk)
    assert sum(map(bool, chunks)) == RAW.count(b"\n\n")


def read_back(out: bytes) -> list[Event]:
    """The events a client of the toy dialect reads, whole frames and legal order demanded."""
    assert not out or out.endswith(b"\n\n"), f"half a frame: {out[-40:]!r}"
    decoder = TOY.stream_decoder(CONTEXT)
    order = EventOrder()
    events = decoder.feed(out)
    for event in events:
        order.check(event)
    return events


@pytest.mark.parametrize("ending", ["clean", "reset"])
def test_a_cut_stream_is_whole_frames_and_then_an_error(ending: str) -> None:
    for at in range(0, len(RAW) - 2, 5):
        out, writer = relay([RAW[: at // 2], RAW[at // 2 : at]], ending)
        assert (writer.over, writer.failure and writer.failure.code) == (True, "stream_interrupted"), at
        if writer.begun:
            assert isinstance(read_back(out)[-1], StreamFailed), at
        else:
            assert not any(isinstance(event, TextDelta | ReasoningDelta) for event in read_back(out)), at


def test_the_last_line_end_may_be_missing_but_not_at_the_client() -> None:
    """A cut that takes only padding leaves a whole answer; what is sent on must be whole frames all the same."""
    for missing in (1, 2):
        out, writer = relay([RAW[:-missing]], "clean")
        assert (writer.over, writer.failure) == (True, None)
        assert isinstance(read_back(out)[-1], StreamEnded)


def test_what_follows_the_end_is_not_forwarded() -> None:
    """reliability.md, section 3, "events after done": the client sees one end."""
    out, writer = relay([RAW + b'data: {"event":"TextDelta","index":0,"text":"more"}\n\n'], "clean")
    assert writer.over
    assert out == RAW


def test_the_upstreams_words_for_a_failure_are_not_forwarded() -> None:
    frames = RAW.split(b"\n\n")
    theirs = TOY.stream_encoder(CONTEXT).encode(StreamFailed(REFUSED))
    out, writer = relay([b"\n\n".join(frames[:6]) + b"\n\n" + theirs], "clean")
    assert b"canary" not in out
    failed = read_back(out)[-1]
    assert isinstance(failed, StreamFailed)
    assert failed.error.code == "upstream_auth"
    assert writer.failure is not None


class Strict(Frames):
    """As ``Frames``; remembers each one made."""

    made: list["Strict"] = []  # noqa: RUF012  emptied by each test

    def __init__(self) -> None:
        super().__init__()
        Strict.made.append(self)


def relaying(*pending: int) -> RelayingWriter:
    """A writer whose decoder has so many bytes pending after each read; none after those that are not named."""
    Strict.made.clear()
    left = list(pending)
    return RelayingWriter(Strict, lambda: left.pop(0) if left else 0, "our-name")


def test_no_encoder_is_made_for_a_stream_that_ends_well() -> None:
    writer = relaying()
    assert written(writer, [Batch(b"one", [STARTED, OPENED, SAYS]), Batch(b"two", ENDING)]) == b"onetwo"
    assert Strict.made == []


def test_a_failure_after_relayed_frames_is_encoded_in_their_state() -> None:
    writer = relaying()
    out = written(writer, [Batch(b"one", [STARTED, OPENED, SAYS]), Batch(b"", [StreamFailed(CUT)])])
    assert out == b"one<failed stream_interrupted>"


def test_content_that_comes_with_the_failure_is_not_lost() -> None:
    """It goes on as it came; the decoder counts the frame that is the failure, and what follows it, as pending."""
    writer = relaying(0, len(b"failure"))
    last = [TextDelta(0, "more"), PartEnded(0), PartStarted(1, Text("")), TextDelta(1, "two"), StreamFailed(CUT)]
    out = written(writer, [Batch(b"one", [STARTED, OPENED, SAYS]), Batch(b"moretwofailure", last)])
    assert out == b"onemoretwo<failed stream_interrupted>"


def test_half_a_frame_held_back_is_dropped_at_a_failure() -> None:
    Strict.made.clear()
    held = 3
    writer = RelayingWriter(Strict, lambda: held, "m")
    out = written(writer, [Batch(b"one<ha", [STARTED, OPENED, SAYS]), Batch(b"", [StreamFailed(CUT)])])
    assert out == b"one<failed stream_interrupted>"


# An opened part is not among them: it is a frame of the upstream's own, which counts as its answer.
@pytest.mark.parametrize(
    "before", [[], [STARTED], [STARTED, UsageReported(Usage(1))]], ids=["at once", "after the start", "after usage"]
)
async def test_a_relayed_stream_that_fails_early_keeps_its_status(before: list[Event]) -> None:
    stream = Played(Batch(b"raw", before), batch(StreamFailed(OVERLOADED)))
    with pytest.raises(RequestFailed) as caught:
        await first_bytes(stream, relaying())
    assert (caught.value.error.http_status, caught.value.error.retry_after) == (503, 3)


async def test_a_start_relayed_before_the_first_content_fails_counts_as_told() -> None:
    """The start came in a read of its own, and content together with the failure in the next: both must add up."""
    stream = Played(Batch(b"start", [STARTED]), Batch(b"Hello{}", [OPENED, SAYS, StreamFailed(CUT)]))
    writer = relaying(0, len(b"{}"))
    out = await first_bytes(stream, writer)
    assert (writer.begun, writer.over) == (True, True)
    assert out == b"startHello<failed stream_interrupted>"


@given(st.lists(st.integers(0, len(RAW)), max_size=4), st.integers(0, len(RAW) - 3))
def test_a_relayed_cut_never_looks_finished(cuts: list[int], end: int) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < end), end]
    out, writer = relay([RAW[start:stop] for start, stop in pairwise(edges)], "reset")
    assert writer.failure is not None
    if writer.begun:
        events = read_back(out)
        assert not any(isinstance(event, StreamEnded) for event in events)
        said = "".join(event.text for event in events if isinstance(event, TextDelta))
        whole = [event for event in TOY.stream_decoder(CONTEXT).feed(RAW) if isinstance(event, TextDelta)]
        assert "".join(event.text for event in whole).startswith(said)


def test_the_toy_stream_is_what_it_is_taken_for() -> None:
    assert collect(read_back(RAW)).choices == ANSWER.choices
    assert all(orjson.loads(frame[6:]) for frame in RAW.split(b"\n\n")[:-1])
