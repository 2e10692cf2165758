"""What a client is told: an upstream's trouble is never the client's, and a bug is a clean 500 with an id."""

import logging

import pytest

from adapters.contract import DecodeError, EncodeError
from adapters.model.error import ApiError, ErrorKind, Fault
from proxy.errors import (
    RequestFailed,
    refused_by_client_codec,
    refused_by_upstream_codec,
    seen_by_client,
    to_api_error,
    unspeakable,
)

KEPT = "kept"  # the upstream's own code

# Kind of the upstream's error -> status, kind and code at the client (reliability.md, section 3).
SEEN: dict[ErrorKind, tuple[int, ErrorKind, str]] = {
    ErrorKind.INVALID_REQUEST: (400, ErrorKind.INVALID_REQUEST, KEPT),
    ErrorKind.CONTEXT_LENGTH: (400, ErrorKind.CONTEXT_LENGTH, KEPT),
    ErrorKind.CONTENT_FILTER: (400, ErrorKind.CONTENT_FILTER, KEPT),
    ErrorKind.UNSUPPORTED: (400, ErrorKind.UNSUPPORTED, KEPT),
    ErrorKind.AUTHENTICATION: (502, ErrorKind.BAD_UPSTREAM, "upstream_auth"),
    ErrorKind.QUOTA: (502, ErrorKind.BAD_UPSTREAM, "upstream_quota"),
    ErrorKind.PERMISSION: (502, ErrorKind.BAD_UPSTREAM, "upstream_auth"),
    ErrorKind.NOT_FOUND: (404, ErrorKind.NOT_FOUND, KEPT),
    ErrorKind.TOO_LARGE: (413, ErrorKind.TOO_LARGE, KEPT),
    ErrorKind.CANCELLED: (502, ErrorKind.BAD_UPSTREAM, "upstream_error"),
    ErrorKind.INTERNAL: (502, ErrorKind.BAD_UPSTREAM, "upstream_error"),
    ErrorKind.RATE_LIMIT: (429, ErrorKind.RATE_LIMIT, KEPT),
    ErrorKind.BAD_UPSTREAM: (502, ErrorKind.BAD_UPSTREAM, KEPT),
    ErrorKind.OVERLOADED: (503, ErrorKind.OVERLOADED, KEPT),
    ErrorKind.TIMEOUT: (504, ErrorKind.TIMEOUT, KEPT),
}


def test_the_table_has_every_kind() -> None:
    assert set(SEEN) == set(ErrorKind)


@pytest.mark.parametrize(("kind", "seen"), SEEN.items(), ids=[kind.value for kind in SEEN])
def test_an_upstreams_error_as_the_client_sees_it(kind: ErrorKind, seen: tuple[int, ErrorKind, str]) -> None:
    error = seen_by_client(ApiError(kind, "words", Fault.UPSTREAM, status=418, code=KEPT, param="p", retry_after=7))
    assert (error.http_status, error.kind, error.code) == seen
    assert (error.fault, error.param, error.retry_after) == (Fault.UPSTREAM, "p", 7)


@pytest.mark.parametrize("kind", [ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION, ErrorKind.QUOTA])
def test_words_about_our_account_stay_with_us(kind: ErrorKind) -> None:
    error = seen_by_client(ApiError(kind, "Incorrect API key provided: sk-canary", Fault.UPSTREAM))
    assert "canary" not in error.message
    assert error.message


def test_what_only_the_upstream_knows_is_left_out() -> None:
    told = ApiError(
        ErrorKind.RATE_LIMIT, "slow down", Fault.UPSTREAM, request_id="req_theirs", extra={"organisation": "ours"}
    )
    error = seen_by_client(told)
    assert (error.request_id, error.extra) == (None, None)


def test_two_kilobytes_of_an_upstreams_words_are_enough() -> None:
    """reliability.md T4: an upstream's text is capped at 2 KB."""
    error = seen_by_client(ApiError(ErrorKind.INVALID_REQUEST, "x" * 100_000, Fault.UPSTREAM, code="c" * 100_000))
    assert len(error.message) <= 2100
    assert len(error.code or "") <= 2100


@pytest.mark.parametrize("fault", [Fault.CLIENT, Fault.PROXY])
@pytest.mark.parametrize("kind", ErrorKind)
def test_all_other_errors_pass_unchanged(kind: ErrorKind, fault: Fault) -> None:
    error = ApiError(kind, "words", fault, status=418, code="c", param="p", retry_after=1, request_id="r", extra={})
    assert seen_by_client(error) is error


def test_a_bad_request_names_the_field() -> None:
    error = refused_by_client_codec(DecodeError("m must be x", "messages[0].role", "invalid_type", ErrorKind.TOO_LARGE))
    assert error == ApiError(
        ErrorKind.TOO_LARGE, "m must be x", Fault.CLIENT, code="invalid_type", param="messages[0].role"
    )


def test_a_bad_answer_is_the_upstreams_and_its_words_stay_out() -> None:
    error = refused_by_upstream_codec(DecodeError("canary", param="canary", kind=ErrorKind.INVALID_REQUEST))
    assert (error.http_status, error.fault, error.code, error.param) == (
        502,
        Fault.UPSTREAM,
        "upstream_invalid_response",
        None,
    )
    assert "canary" not in error.message


def test_an_answer_that_cannot_be_said_is_bad_gateway() -> None:
    error = unspeakable(EncodeError("there are no tool calls here", code="unsupported_tool_call"))
    assert (error.http_status, error.fault, error.code) == (502, Fault.UPSTREAM, "unsupported_tool_call")
    assert unspeakable(EncodeError("no")).code == "untranslatable_answer"


def test_a_bug_is_a_clean_500_with_the_id_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dragoman"):
        try:
            raise KeyError("canary")
        except KeyError as bug:
            error = to_api_error(bug, "0123456789abcdef01234567")
    assert (error.http_status, error.kind, error.fault) == (500, ErrorKind.INTERNAL, Fault.PROXY)
    assert "canary" not in error.message
    [record] = caplog.records
    assert vars(record)["request_id"] == "0123456789abcdef01234567"
    assert record.exc_info is not None


def test_what_ends_a_request_on_purpose_is_not_logged_as_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    told = ApiError(ErrorKind.NOT_FOUND, "none", code="model_not_found")
    with caplog.at_level(logging.DEBUG, "dragoman"):
        assert to_api_error(RequestFailed(told), "x") == told
        assert to_api_error(EncodeError("no"), "x").http_status == 502
    assert caplog.records == []


def test_an_upstreams_error_is_seen_through_on_its_way_out() -> None:
    told = ApiError(ErrorKind.AUTHENTICATION, "sk-canary", Fault.UPSTREAM, status=401)
    assert to_api_error(RequestFailed(told), "x").http_status == 502
