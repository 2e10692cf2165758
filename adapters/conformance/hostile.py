"""Checks that nothing sent to a codec gets more out of it than an error."""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.conformance.declaration import address
from adapters.conformance.judge import context, demand
from adapters.conformance.streams import Received, demand_legal
from adapters.contract import DecodeError, Dialect, WireRequest, WireResponse
from adapters.model.error import ApiError
from adapters.model.event import StreamFailed
from adapters.samples import FEATURES

_DEEP = b"[" * 100_000

NASTY_BODIES: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"1e999",
    b"NaN",
    b'{"messages":',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\\ud800"}',
    _DEEP,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b'{"error":' + _DEEP,
    b'{"error":{"message":5,"type":[],"code":{},"param":1}}',
    b'{"error":[],"detail":[[]],"message":{}}',
    b"data: " + _DEEP + b"\n\n",
    b"data: {}\n\ndata: []\n\ndata: null\n\ndata: 1\n\ndata: \n\ndata\n\n",
    b"event: done\ndata: null\n\nevent: error\ndata: []\n\n",
    b"data: {\n\n",
    b"data: \xff\n\n",
    b"\r\r\n\n\r",
)
"""Bodies that have crashed other people's readers; each is to be met with an error and nothing else."""

_HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"content-type": "text/html", "retry-after": "soon"},
    {"content-type": "application/json", "retry-after": "-1"},
    {"retry-after": "1e999"},
    {"retry-after": "nan"},
    {"retry-after": "9" * 5000},
    {"retry-after": "\u0661\u00b2"},
    {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
)


def check_hostile(dialect: Dialect, raw: bytes, *, clean: bool = False) -> None:
    """These bytes as request, answer, error or stream cause ``DecodeError`` or a failed stream, and no other failure.

    They may also happen to be good; then a stream of them must still be a legal one.
    """
    for route in dialect.routes:
        for value in ("x", "%FF%00%2F.."):
            wire = WireRequest(route.method, address(route, value), raw, {"content-type": "\x00"}, {"": "\ud800"})
            _expect(f"{dialect.name}.decode_request", raw, dialect.decode_request, wire)
    given = context(FEATURES["text"].request)
    for headers in _HEADERS:
        _expect(
            f"{dialect.name}.decode_response",
            raw,
            lambda wire: dialect.decode_response(wire, given),
            WireResponse(200, raw, headers),
        )
        for status in (200, 400, 429, 500, 599, 999):
            _check_error(dialect, WireResponse(status, raw, headers))
    _check_feed(dialect, raw, clean)


def _expect(what: str, raw: bytes, decode: Callable[[Any], object], wire: object) -> None:
    try:
        decode(wire)
    except DecodeError as error:
        demand(bool(error.message), f"{what} gives no reason for refusing {raw[:200]!r}")
    # Any other exception is the finding itself: the caller must see which one, and that it was ours.
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise AssertionError(f"{what} fails with {type(error).__name__} ({error}) on {raw[:200]!r}") from error


def _check_error(dialect: Dialect, wire: WireResponse) -> None:
    what = f"{dialect.name}.decode_error on status {wire.status}, {dict(wire.headers)!r:.80}, {wire.body[:200]!r}"
    try:
        error = dialect.decode_error(wire)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise AssertionError(f"{what} raises {type(problem).__name__} ({problem})") from problem
    demand(isinstance(error, ApiError) and isinstance(error.message, str), f"{what} gives {error!r}")
    demand(bool(error.message), f"{what} gives an error without a message")
    wait = error.retry_after
    demand(wait is None or 0 <= wait < float("inf"), f"{what} gives the waiting time {wait}")
    for name in ("code", "param", "request_id"):
        value = getattr(error, name)
        demand(value is None or isinstance(value, str), f"{what} gives {name} {value!r}")


def _check_feed(dialect: Dialect, raw: bytes, clean: bool) -> None:
    what = f"{dialect.name}'s stream decoder on {raw[:200]!r}"
    decoder = dialect.stream_decoder(context(FEATURES["text"].request))
    received = Received()
    try:
        received.events += decoder.feed(raw)
        received.events += decoder.close(clean=clean)
    except DecodeError as error:
        demand(bool(error.message), f"{what} gives no reason for refusing")
        return
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise AssertionError(f"{what} fails with {type(error).__name__} ({error})") from error
    demand_legal(received.events, what)
    demand(received.ended or isinstance(received.events[-1], StreamFailed), f"{what} does not end")
