"""How the network cuts a stream changes nothing."""

import pytest
from hypothesis import given as draws
from hypothesis import settings
from hypothesis import strategies as st

from adapters.conformance import check_decoding, context, encode_stream
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import STREAMS, Case, given
from tests.strategies import event_streams, failing_streams, splits

ASKED = FEATURES["text"].request


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_captured_stream_reads_the_same_byte_by_byte(case: Case, clean):
    check_decoding(case.codec, case.raw, given(), [range(0, len(case.raw), step) for step in (2, 3, 7)], clean=clean)


@pytest.mark.parametrize("case", STREAMS, ids=str)
@settings(max_examples=10)
@draws(data=st.data())
def test_captured_stream_reads_the_same_however_it_is_cut(case: Case, data):
    check_decoding(case.codec, case.raw, given(), [data.draw(splits(case.raw))])


@pytest.mark.parametrize("ends", [b"\r\n", b"\r"])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_captured_stream_with_other_line_ends_reads_the_same_byte_by_byte(case: Case, ends):
    if case.codec.stream_type.startswith("text/event-stream"):
        check_decoding(case.codec, case.raw.replace(b"\n", ends), given())


@pytest.mark.parametrize("name", DIALECTS)
@draws(events=event_streams() | failing_streams(), data=st.data())
def test_own_stream_reads_the_same_however_it_is_cut(name, events, data):
    raw = b"".join(encode_stream(DIALECTS[name], events, ASKED).pieces)
    check_decoding(DIALECTS[name], raw, context(ASKED), [data.draw(splits(raw))])
