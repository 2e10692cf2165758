"""Checks of whole requests and answers."""

import re
from urllib.parse import quote

import orjson

from adapters.conformance.judge import context, demand, demand_content, demand_reported
from adapters.contract import Dialect, Encoded, EncodeError, Operation, WireRequest, WireResponse
from adapters.model.loss import Loss
from adapters.model.request import Request
from adapters.model.response import Response

OTHER_MODEL = "another-model"


def carry(request: Request, dialect: Dialect) -> tuple[Request, tuple[Loss, ...]]:
    """The request as it arrives at the other end of the dialect, and what was reported lost on the way.

    Raises ``EncodeError`` if the dialect refuses to write it.
    """
    encoded = dialect.encode_request(request)
    return dialect.decode_request(encoded.wire), encoded.losses


def carry_response(response: Response, dialect: Dialect, request: Request) -> tuple[Response, tuple[Loss, ...]]:
    """The answer to ``request`` as it arrives at the other end of the dialect, and what was reported lost.

    Raises ``EncodeError`` if the dialect refuses to write it.
    """
    encoded = dialect.encode_response(response, context(request))
    return dialect.decode_response(encoded.wire, context(request)), encoded.losses


def check_request(dialect: Dialect, request: Request) -> None:
    """The request comes back as it was, except for exactly what is reported; an ``EncodeError`` is an honest no."""
    try:
        encoded = dialect.encode_request(request)
    except EncodeError:
        return
    demand(encoded == dialect.encode_request(request), f"{dialect.name} writes the same request in two ways")
    _check_address(dialect, encoded)
    after = dialect.decode_request(encoded.wire)
    demand_reported(request, after, encoded.losses, f"{dialect.name}, request:")
    demand_content(request, after, encoded.losses, f"{dialect.name}, request:")


def _check_address(dialect: Dialect, encoded: Encoded[WireRequest]) -> None:
    wire = encoded.wire
    matching = [
        route
        for route in dialect.routes
        if route.operation is Operation.GENERATE and route.method == wire.method and route.match(wire.path) is not None
    ]
    demand(bool(matching), f"{dialect.name} sends to {wire.method} {wire.path}, which is none of its routes")
    demand(
        all(name == name.lower() for name in wire.headers),
        f"{dialect.name} writes header names that are not lower case: {', '.join(wire.headers)}",
    )
    secret = [name for name in wire.headers if name in (dialect.credential.header, "authorization", "host")]
    demand(not secret, f"{dialect.name} writes a header that is the proxy's to write: {', '.join(secret)}")


def check_response(dialect: Dialect, response: Response, request: Request) -> None:
    """The answer to ``request`` comes back as it was, except for its id, its time and exactly what is reported."""
    try:
        encoded = dialect.encode_response(response, context(request))
    except EncodeError:
        return
    again = dialect.encode_response(response, context(request))
    demand(encoded == again, f"{dialect.name} writes the same answer in two ways")
    demand(encoded.wire.status == 200, f"{dialect.name} answers with status {encoded.wire.status}")
    check_headers(dialect, encoded.wire)
    after = dialect.decode_response(encoded.wire, context(request))
    demand_reported(response, after, encoded.losses, f"{dialect.name}, answer:")


def check_headers(dialect: Dialect, wire: WireResponse) -> None:
    """Header names are lower case, there is a content type, and no value can start another header."""
    for name, value in wire.headers.items():
        demand(name == name.lower(), f"{dialect.name} writes the header name {name}, which is not lower case")
        demand(re.search(r"[\r\n\0]", value) is None, f"{dialect.name} writes a line break into the header {name}")
    demand("content-type" in wire.headers, f"{dialect.name} writes an answer without content-type")


def check_readdress(dialect: Dialect, request: Request) -> None:
    """A readdressed request asks another model for the very same, and differs in the model's name alone."""
    try:
        wire = dialect.encode_request(request).wire
    except EncodeError:
        return
    sent = dialect.decode_request(wire)
    other = dialect.readdress(wire, sent, OTHER_MODEL)
    if other is None:
        return
    arrived = dialect.decode_request(other)
    demand(arrived.model == OTHER_MODEL, f"{dialect.name} readdresses to {arrived.model!r}, not {OTHER_MODEL!r}")
    undone = dialect.readdress(other, arrived, sent.model)
    demand(undone == wire, f"{dialect.name} does not give the first request back when readdressed twice")
    rest_is_equal = (wire.method, wire.headers, wire.query) == (other.method, other.headers, other.query)
    paths = _renamed(wire.path.encode(), quote(sent.model, safe="").encode(), OTHER_MODEL.encode())
    bodies = _renamed(wire.body, orjson.dumps(sent.model), orjson.dumps(OTHER_MODEL))
    demand(
        rest_is_equal and other.path.encode() in paths and other.body in bodies,
        f"{dialect.name} changes more than the model's name when it readdresses a request",
    )


def _renamed(raw: bytes, old: bytes, new: bytes) -> list[bytes]:
    """The bytes as they are, and with each one of the places where ``old`` stands changed to ``new``."""
    places = [match.start() for match in re.finditer(re.escape(old), raw)]
    return [raw, *(raw[:place] + new + raw[place + len(old) :] for place in places)]
