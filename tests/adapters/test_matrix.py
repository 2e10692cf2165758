"""From every dialect to every other: what was understood arrives, or is reported; and nothing else is reported."""

from itertools import product

import pytest

from adapters.conformance import (
    carry,
    carry_response,
    check_request,
    check_response,
    check_stream,
    in_pieces,
)
from adapters.contract import EncodeError
from adapters.model.fold import collect
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS
from tests.adapters.vectors import (
    ASKED,
    FINISHED,
    REQUESTS,
    RESPONSES,
    Case,
    addressed,
    addressed_events,
    given,
    wire_request,
    wire_response,
)

PAIRS = list(product(DIALECTS, DIALECTS))


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_request_that_one_dialect_carried_is_carried_by_the_next(source, target, feature):
    try:
        request, _ = carry(FEATURES[feature].request, DIALECTS[source])
    except EncodeError:
        return
    check_request(DIALECTS[target], request)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_answer_that_one_dialect_carried_is_carried_by_the_next(source, target, feature):
    sample = FEATURES[feature]
    try:
        response, _ = carry_response(sample.response, DIALECTS[source], sample.request)
    except EncodeError:
        return
    response = addressed(response)
    check_response(DIALECTS[target], response, sample.request)
    check_stream(DIALECTS[target], in_pieces(response), sample.request)


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_captured_request_is_carried_by_every_dialect(case: Case, target):
    check_request(DIALECTS[target], case.codec.decode_request(wire_request(case)))


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("case", RESPONSES, ids=str)
def test_captured_answer_is_carried_by_every_dialect(case: Case, target):
    response = addressed(case.codec.decode_response(wire_response(case), given()))
    check_response(DIALECTS[target], response, ASKED)
    check_stream(DIALECTS[target], in_pieces(response), ASKED)


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("case", FINISHED, ids=str)
def test_captured_stream_is_carried_by_every_dialect(case: Case, target):
    events = addressed_events(case)
    check_stream(DIALECTS[target], events, ASKED)
    check_response(DIALECTS[target], collect(events), ASKED)
