"""A stream that was cut never looks finished."""

import pytest
from hypothesis import given as draws
from hypothesis import settings

from adapters.conformance import check_truncation, context, encode_stream
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import FINISHED, STREAMS, Case, given
from tests.strategies import event_streams

ASKED = FEATURES["text"].request


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_captured_stream_that_was_cut_does_not_look_finished(case: Case):
    check_truncation(case.codec, case.raw, given())


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=8)
@draws(events=event_streams())
def test_own_stream_that_was_cut_does_not_look_finished(name, events):
    raw = b"".join(encode_stream(DIALECTS[name], events, ASKED).pieces)
    check_truncation(DIALECTS[name], raw, context(ASKED))


def test_there_are_finished_streams_to_cut():
    assert {case.dialect for case in FINISHED} == set(DIALECTS)
