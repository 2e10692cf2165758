"""Requests over real sockets, and what came back: status, headers, bytes, when they came, and whether they all did."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from adapters.contract import Dialect, WireRequest, WireResponse
from adapters.model.error import ApiError, ErrorKind
from adapters.model.event import StreamEnded
from adapters.model.fold import collect
from adapters.model.request import Request
from adapters.model.response import Response
from proxy.matrix import context

TIMEOUT = 20.0
ORGANISATION = "acme"
JSON = {"content-type": "application/json"}


@dataclass(slots=True)
class Answer:
    """One HTTP answer. Header names are lower case; ``complete``: the body came to its end in order."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    complete: bool = True
    arrivals: list[float] = field(default_factory=list)
    """When each read brought body bytes, in seconds of one clock."""

    def json(self) -> Any:
        """The body as JSON; an error in the server's own content type is one here too."""
        assert self.headers["content-type"].startswith("application/json"), self
        return orjson.loads(self.body)


def call(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = JSON) -> Answer:
    """The answer to one request on a connection of its own."""
    place = urlsplit(url)
    assert place.hostname is not None
    with closing(HTTPConnection(place.hostname, place.port, timeout=TIMEOUT)) as connection:
        connection.request(method, place.path + (f"?{place.query}" if place.query else ""), body, dict(headers))
        with connection.getresponse() as response:
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()})
            try:
                while piece := response.read1(65536):
                    answer.arrivals.append(time.monotonic())
                    answer.body += piece
            except (HTTPException, OSError):
                answer.complete = False
        declared = answer.headers.get("content-length")
        if declared is not None and int(declared) != len(answer.body):
            answer.complete = False
        return answer


def post(url: str, body: bytes | Mapping[str, Any], headers: Mapping[str, str] = JSON) -> Answer:
    """The answer to a POST of these bytes, or of this object as JSON."""
    return call("POST", url, body if isinstance(body, bytes) else orjson.dumps(body), headers)


def get(url: str) -> Answer:
    return call("GET", url, None, {})


def root_of(dialect: Dialect) -> str:
    """The path prefix under which this dialect's clients expect the API."""
    return dialect.roots[0].replace("{organisation}", ORGANISATION)


def overload_status(dialect: Dialect) -> int:
    """The status by which this dialect's clients know overload: 503 but for those who know 529 alone (ERR-07)."""
    return dialect.encode_error(ApiError(ErrorKind.OVERLOADED, "busy")).status


def address(wire: WireRequest) -> str:
    """Path and query as they stand in the request line."""
    return wire.path + (f"?{urlencode(wire.query)}" if wire.query else "")


def send_wire(base: str, dialect: Dialect, wire: WireRequest, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to a request of this dialect, sent to the server at ``base``."""
    return call(
        wire.method, base + root_of(dialect) + address(wire), wire.body, {**JSON, **wire.headers, **(headers or {})}
    )


def send(base: str, dialect: Dialect, request: Request, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to ``request`` as a client of this dialect says it."""
    return send_wire(base, dialect, dialect.encode_request(request).wire, headers)


def read_wire(dialect: Dialect, wire: WireResponse, request: Request) -> Response:
    """The answer in these bytes, which must be whole."""
    if not request.stream:
        return dialect.decode_response(wire, context(request))
    decoder = dialect.stream_decoder(context(request))
    events = decoder.feed(wire.body)
    if not events or not isinstance(events[-1], StreamEnded):
        events += decoder.close(clean=True)
    return collect(events)
