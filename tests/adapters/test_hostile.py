"""Nothing that is sent to a codec gets more out of it than an error that keeps secrets."""

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given as draws
from hypothesis import settings
from hypothesis import strategies as st

from adapters.conformance import NASTY_BODIES, check_hostile, decode_stream, encode_stream
from adapters.contract import DecodeError, WireRequest, WireResponse
from adapters.model.event import StreamFailed
from adapters.samples import FEATURES
from adapters.wire.sse import MAX_EVENT_BYTES
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import ERRORS, REQUESTS, RESPONSES, STREAMS, Case, given, wire_request, wire_response
from tests.strategies import event_streams

ASKED = FEATURES["text"].request
CANARY = "sk-canary-9f8e7d"

ODD_VALUES = (
    None, True, 0, -1, 1.5, 2**63, 10**400, "", CANARY, [], {}, [None], [CANARY], {"type": CANARY}, [[]],
    [{"type": "text"}], {"": CANARY}, [{}, 1], "\u0000", "data:;base64,%", "data:image/png;base64,!", "%ff",
)  # fmt: skip

# Words that make arbitrary JSON look like something, so that it gets past the first checks.
WORDS = st.sampled_from(
    ("messages", "role", "content", "type", "text", "model", "modelId", "choices", "delta", "usage", "tool_calls",
     "toolUse", "index", "function", "arguments", "finish_reason", "error", "message", "code", "param", "response",
     "complete", "detail", "user", "assistant", "tool", "image_url", "file_uri", "mime_type", "tools", "input", "stop")
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(ODD_VALUES[:9]) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)


def dumps(value: object) -> bytes:
    """JSON, also of numbers that orjson does not write."""
    return json.dumps(value, ensure_ascii=False).encode()


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The paths of everything in a JSON value."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def changed(value: object, path: tuple, new: object) -> object:
    """The value with another one at this path; ``KeyError`` as new value takes the field away."""
    if not path:
        return {} if new is KeyError else new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is KeyError:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def is_json(raw: bytes) -> bool:
    """Whether the body can be read at all; some error vectors are cut on purpose."""
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def mutations(raw: bytes) -> st.SearchStrategy[bytes]:
    """The JSON body with one or two of its values exchanged for something odd, or taken away."""
    body = orjson.loads(raw)

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        value = body
        for _ in range(draw(st.integers(1, 2))):
            value = changed(value, draw(st.sampled_from(places(value))), draw(st.sampled_from((*ODD_VALUES, KeyError))))
        return dumps(value)

    return mutated()


def damaged(raw: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some of them changed, doubled or lost."""

    @st.composite
    def damage(draw: st.DrawFn) -> bytes:
        out = raw
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(out)))
            stop = min(len(out), start + draw(st.integers(0, 4)))
            new = draw(st.binary(max_size=3) | st.sampled_from((b"\n\n", b"\r", b"}", b'"', b"null", b"\xff")))
            out = out[:start] + new + out[stop:]
        return out

    return damage()


@pytest.mark.parametrize("body", NASTY_BODIES, ids=lambda body: repr(body[:16]))
@pytest.mark.parametrize("name", DIALECTS)
def test_nasty_body_is_refused(name, body):
    check_hostile(DIALECTS[name], body)
    check_hostile(DIALECTS[name], body, clean=True)


@pytest.mark.parametrize("name", DIALECTS)
@draws(raw=st.binary(max_size=40) | VALUES.map(dumps), clean=st.booleans())
def test_arbitrary_bytes_are_refused(name, raw, clean):
    check_hostile(DIALECTS[name], raw, clean=clean)


@pytest.mark.parametrize("name", DIALECTS)
@draws(frames=st.lists(VALUES.map(dumps), max_size=4), event=WORDS | st.sampled_from(("done", "content", "start")))
def test_arbitrary_frames_are_refused(name, frames, event):
    raw = b"".join(b"event: " + event.encode() + b"\ndata: " + frame + b"\n\n" for frame in frames)
    check_hostile(DIALECTS[name], raw, clean=True)
    check_hostile(DIALECTS[name], raw.replace(b"event: " + event.encode() + b"\n", b""), clean=True)


def demand_discreet(decode: Callable[..., object], *wire: object) -> None:
    """Demand that the wire is understood, or refused in words that repeat none of its values."""
    refusal = None
    try:
        decode(*wire)
    except DecodeError as error:
        refusal = error
    if refusal is not None:
        assert refusal.message
        assert CANARY not in refusal.message, "the message repeats a value"
        assert CANARY not in (refusal.code or "")


@pytest.mark.parametrize("case", REQUESTS, ids=str)
@settings(max_examples=25)
@draws(data=st.data())
def test_request_with_odd_values_is_understood_or_refused_without_echo(case: Case, data):
    wire = wire_request(case)
    body = data.draw(mutations(wire.body))
    demand_discreet(case.codec.decode_request, WireRequest(wire.method, wire.path, body, wire.headers, wire.query))


@pytest.mark.parametrize("case", RESPONSES, ids=str)
@settings(max_examples=25)
@draws(data=st.data())
def test_answer_with_odd_values_is_understood_or_refused_without_echo(case: Case, data):
    wire = wire_response(case)
    body = data.draw(mutations(wire.body))
    demand_discreet(case.codec.decode_response, WireResponse(200, body, wire.headers), given())


@pytest.mark.parametrize("case", ERRORS, ids=str)
@settings(max_examples=25)
@draws(data=st.data())
def test_error_with_odd_values_is_still_an_error(case: Case, data):
    wire = wire_response(case)
    whole = mutations(wire.body) | damaged(wire.body) if is_json(wire.body) else damaged(wire.body)
    check_hostile(case.codec, data.draw(whole))


@pytest.mark.parametrize("case", STREAMS, ids=str)
@settings(max_examples=20)
@draws(data=st.data())
def test_damaged_stream_is_read_as_a_legal_one_or_refused(case: Case, data):
    check_hostile(case.codec, data.draw(damaged(case.raw)), clean=data.draw(st.booleans()))


@pytest.mark.parametrize("case", STREAMS, ids=str)
@settings(max_examples=25)
@draws(data=st.data())
def test_stream_with_odd_values_in_a_frame_is_read_as_a_legal_one_or_refused(case: Case, data):
    lines = case.raw.split(b"\n")
    full = [index for index, line in enumerate(lines) if line.startswith(b"data: {") and line.rstrip().endswith(b"}")]
    if full:
        index = data.draw(st.sampled_from(full))
        lines[index] = b"data: " + data.draw(mutations(lines[index].removeprefix(b"data: ")))
        check_hostile(case.codec, b"\n".join(lines), clean=True)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=30)
@draws(events=event_streams(), data=st.data())
def test_own_stream_damaged_is_read_as_a_legal_one_or_refused(name, events, data):
    raw = b"".join(encode_stream(DIALECTS[name], events, ASKED).pieces)
    check_hostile(DIALECTS[name], data.draw(damaged(raw)), clean=True)


@pytest.mark.parametrize(
    "name", [name for name in DIALECTS if DIALECTS[name].stream_type.startswith("text/event-stream")]
)
def test_event_without_end_is_refused_before_it_fills_the_memory(name):
    read = b"x" * 65536
    reads = [b"data: ", *[read] * (MAX_EVENT_BYTES // len(read) + 1)]
    received = decode_stream(DIALECTS[name], reads, given(), clean=True)
    if received.error is None:
        last = received.events[-1]
        assert isinstance(last, StreamFailed)
        assert last.error.code == "event_too_large"
