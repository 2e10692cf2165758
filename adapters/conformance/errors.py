"""Checks of errors: as whole answers, and in the middle of a stream."""

from dataclasses import replace

import orjson

from adapters.conformance.judge import context, demand
from adapters.conformance.streams import decode_stream, encode_stream, in_pieces
from adapters.conformance.translation import check_headers
from adapters.contract import Dialect
from adapters.model.error import RETRYABLE, ApiError, ErrorKind, Fault
from adapters.model.event import StreamFailed
from adapters.samples import FEATURES, Sample

FAILURE = ApiError(ErrorKind.BAD_UPSTREAM, "The answer broke off.", Fault.UPSTREAM, code="upstream_error")
AWKWARD = 'Line one\r\nx-injected: 1\r\n\r\n"two" \u2028 \u0085 \\ \U0001f600'
INTERNAL_WORDS = (b"Traceback", b"ErrorKind", b"Fault", b"ApiError(", b"None", b"nan", b"NaN")


def check_errors(dialect: Dialect) -> None:
    """Every kind of error is written as a proper error answer and read back as what it was.

    Kind, status, message and waiting time arrive; code and parameter arrive or are left out. A code of ours may give
    way to the dialect's own word for the kind, which then must stay what it is.
    """
    for kind in ErrorKind:
        check_error(dialect, ApiError(kind, "Something went wrong."))
        for fault in Fault:
            check_error(dialect, ApiError(kind, AWKWARD, fault, param="messages[0].content"))
        check_error(dialect, ApiError(kind, "Wait.", retry_after=7.0, request_id="0123456789abcdef01234567"))
        _check_code(dialect, ApiError(kind, "Something went wrong.", code="some_code"))
    for status in (409, 418, 422, 451):
        wire = dialect.encode_error(ApiError(ErrorKind.INVALID_REQUEST, "No.", status=status))
        demand(wire.status == status, f"{dialect.name} answers an error of status {status} with {wire.status}")


def check_error(dialect: Dialect, error: ApiError) -> None:
    """The error is written as an error, says nothing of our insides, and is read back as what it was."""
    wire = dialect.encode_error(error)
    who = f"{dialect.name}, error {error.kind}:"
    demand(wire == dialect.encode_error(error), f"{who} written in two ways")
    # Anthropic's own status for overload is 529, and its clients know no other (ERR-07, hard-cases.md).
    statuses = (error.http_status, 529) if error.kind is ErrorKind.OVERLOADED else (error.http_status,)
    demand(wire.status in statuses, f"{who} status {wire.status} instead of {error.http_status}")
    check_headers(dialect, wire)
    demand(_is_object(wire.body), f"{who} the body is no JSON object: {wire.body!r}")
    inside = [word.decode() for word in INTERNAL_WORDS if word in wire.body]
    demand(not inside, f"{who} the body shows our insides ({', '.join(inside)}): {wire.body!r}")
    read = dialect.decode_error(wire)
    for name in ("kind", "http_status", "message"):
        was, got = getattr(error, name), getattr(read, name)
        demand(was == got, f"{who} {name} was {was!r} and is read back as {got!r} from {wire.body!r}")
    demand(read.param in (error.param, None), f"{who} param was {error.param!r} and is read back as {read.param!r}")
    wait = (error.retry_after,) if error.kind in RETRYABLE else (error.retry_after, None)
    demand(
        read.retry_after in wait, f"{who} retry_after was {error.retry_after} and is read back as {read.retry_after}"
    )
    again = dialect.decode_error(dialect.encode_error(replace(read, fault=error.fault)))
    demand(replace(again, fault=read.fault) == read, f"{who} the second trip changes {read!r} to {again!r}")


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _check_code(dialect: Dialect, error: ApiError) -> None:
    """A code that is given arrives, or makes room for the word by which the dialect tells the kind."""
    read = dialect.decode_error(dialect.encode_error(error))
    who = f"{dialect.name}, error {error.kind} with code {error.code}:"
    demand(read.http_status == error.http_status, f"{who} is read back with status {read.http_status}")
    if read.code != error.code:
        demand(read.kind is error.kind, f"{who} lost its code and is read back as {read.kind}, {read.code!r}")


def check_failure(dialect: Dialect) -> None:
    """A failure is told at any moment of a stream, and the reader never takes what came before for an answer."""
    for name in ("text", "tools", "reasoning"):
        _check_failing(dialect, FEATURES[name])


def _check_failing(dialect: Dialect, sample: Sample) -> None:
    events = in_pieces(sample.response)
    for moment in range(len(events)):
        sent = encode_stream(dialect, [*events[:moment], StreamFailed(FAILURE)], sample.request)
        who = f"{dialect.name}, a stream that fails after {moment} events of {sample.name}:"
        raw = b"".join(sent.pieces)
        # A dialect without words for a failure breaks the connection, and that is all its readers see.
        for clean in (False,) if sent.breaks_off else (False, True):
            received = decode_stream(dialect, [raw], context(sample.request), clean=clean)
            demand(received.error is None, f"{who} what we write cannot be read: {received.error}")
            demand(not received.ended, f"{who} looks finished")
            last = received.events[-1] if received.events else None
            if not isinstance(last, StreamFailed):
                raise AssertionError(f"{who} ends with {last!r}")
            told = sent.breaks_off or last.error.message == FAILURE.message
            demand(told, f"{who} the reader is told {last.error.message!r} instead of {FAILURE.message!r}")
