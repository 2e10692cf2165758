"""Decoders emit only legal streams, whatever comes; encoders accept every legal one."""

import pytest
from hypothesis import given as draws
from hypothesis import settings
from hypothesis import strategies as st

from adapters.conformance import decode_stream
from adapters.conformance.streams import demand_legal
from adapters.contract import EncodeError
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import STREAMS, Case, given
from tests.strategies import event_streams, failing_streams

ASKED = FEATURES["text"].request


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_captured_stream_is_read_as_a_legal_one(case: Case, clean):
    received = decode_stream(case.codec, [case.raw], given(), clean=clean)
    assert received.error is None or case.name.startswith("failed-")
    if received.error is None:
        demand_legal(received.events, str(case))


@pytest.mark.parametrize("case", STREAMS, ids=str)
@settings(max_examples=25)
@draws(data=st.data())
def test_stream_with_frames_lost_doubled_or_swapped_is_read_as_a_legal_one(case: Case, data):
    frames = case.raw.replace(b"\r\n", b"\n").split(b"\n\n")
    places = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=len(frames) + 3))
    kept = [frames[place] for place in places]
    if data.draw(st.booleans()):
        kept = sorted(kept, key=lambda frame: frames.index(frame))
    received = decode_stream(case.codec, [b"\n\n".join(kept) + b"\n\n"], given(), clean=data.draw(st.booleans()))
    if received.error is None:
        demand_legal(received.events, str(case))


@pytest.mark.parametrize("name", DIALECTS)
@draws(events=event_streams() | failing_streams())
def test_encoder_takes_every_legal_stream(name, events):
    encoder = DIALECTS[name].stream_encoder(given())
    for event in events:
        try:
            assert isinstance(encoder.encode(event), bytes)
        except EncodeError:
            return
