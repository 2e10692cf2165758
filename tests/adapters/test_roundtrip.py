"""Whatever can be said in the common model is carried by every dialect, or reported."""

import pytest
from hypothesis import given

from adapters.conformance import check_request, check_response, check_stream
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS
from tests.strategies import event_streams, failing_streams, requests, responses

ASKED = FEATURES["text"].request


@pytest.mark.parametrize("name", DIALECTS)
@given(request_=requests())
def test_no_request_changes_silently(name, request_):
    check_request(DIALECTS[name], request_)


@pytest.mark.parametrize("name", DIALECTS)
@given(response=responses())
def test_no_answer_changes_silently(name, response):
    check_response(DIALECTS[name], response, ASKED)


@pytest.mark.parametrize("name", DIALECTS)
@given(events=event_streams())
def test_no_stream_changes_silently(name, events):
    check_stream(DIALECTS[name], events, ASKED)


@pytest.mark.parametrize("name", DIALECTS)
@given(events=failing_streams())
def test_no_failed_stream_looks_finished(name, events):
    check_stream(DIALECTS[name], events, ASKED)
