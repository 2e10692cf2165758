"""The life of one request: decode, route, prepare, send, translate back."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapters.contract import JSON_HEADERS, Context, DecodeError, Dialect, StreamEncoder, WireRequest, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.loss import Loss
from adapters.model.request import Request
from proxy import presets
from proxy.errors import RequestFailed, refused_by_client_codec
from proxy.fidelity import Mode, fidelity_headers, header_text, refusal
from proxy.media import Fetcher, inline_media
from proxy.pump import RelayingWriter, TranslatingWriter, Writer, first_bytes
from proxy.routing import Route, find_route
from proxy.settings import Settings
from proxy.upstream import Prepared, Upstream, UpstreamStream


@dataclass(frozen=True, slots=True)
class Services:
    """What every request shares. One immutable set; a new configuration makes a new one."""

    settings: Settings
    upstreams: Mapping[str, Upstream]
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Provider -> why it cannot be used."""
    fetcher: Fetcher | None = None
    """Fetches media for upstreams that take bytes only; ``None``: nothing is fetched."""


LONGEST_TARGET = 400
"""A client may name any model of a provider; a longer name is cut in the header."""


@dataclass(slots=True)
class Call:
    """One request on its way. ``request_id`` is 24 hex digits."""

    dialect: Dialect
    services: Services
    request_id: str = field(default_factory=lambda: secrets.token_hex(12))
    mode: Mode = Mode.REPORT
    target: str = ""
    losses: list[Loss] = field(default_factory=list)

    def headers(self, *, answered: bool) -> dict[str, str]:
        """What every reply to this call says about it. An error is neither exact nor lossy, but may be about losses."""
        request_id = self.dialect.request_id_prefix + self.request_id
        headers = {"x-request-id": request_id, self.dialect.request_id_header: request_id}
        if self.target:
            headers["x-dragoman-target"] = header_text(self.target[:LONGEST_TARGET])
            if answered or self.losses:
                headers |= fidelity_headers(self.losses)
        return headers

    def context(self, request: Request) -> Context:
        return Context(request, self.request_id, _new_id, int(time.time()))


@dataclass(slots=True)
class StreamedAnswer:
    """A stream that has begun: ``first`` goes out at once, the rest comes from ``stream`` through ``writer``."""

    stream: UpstreamStream
    writer: Writer
    encoder: StreamEncoder
    first: bytes
    content_type: str


def _new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


async def exchange(call: Call, wire: WireRequest) -> WireResponse | StreamedAnswer:
    """The answer to one generation request, in the client's dialect. Raises ``RequestFailed`` and codec errors."""
    try:
        request = call.dialect.decode_request(wire)
    except DecodeError as error:
        raise RequestFailed(refused_by_client_codec(error)) from None
    route = find_route(call.services.settings, request.model)
    upstream = find_upstream(call.services, route)
    call.target = route.target
    prepared = await _prepare(call, upstream, route, request, wire)
    if route.preset is not None:  # what the preset asks for shapes the answer as if the client had asked
        request = replace(prepared.request, model=request.model)
    refused = refusal(prepared.request, prepared.losses, call.mode)
    call.losses.extend(prepared.losses)
    if refused is not None:
        raise RequestFailed(refused)
    # Same dialect on both sides and no other name to put in: the answer's bytes can go through as they are.
    relayed = upstream.dialect is call.dialect and route.preset is None and route.model == request.model
    if request.stream:
        return await _stream(call, upstream, prepared, request, relayed)
    return await _send(call, upstream, prepared, request, relayed)


def find_upstream(services: Services, route: Route) -> Upstream:
    """The upstream of this route. Raises ``RequestFailed`` if its provider is disabled."""
    if route.provider in services.disabled:
        message = f"provider {route.provider!r} is disabled: its credential is not configured"
        raise RequestFailed(ApiError(ErrorKind.OVERLOADED, message, Fault.PROXY, code="provider_disabled"))
    return services.upstreams[route.provider]


async def _prepare(call: Call, upstream: Upstream, route: Route, request: Request, wire: WireRequest) -> Prepared:
    if route.preset is not None:
        request = presets.apply_preset(route.preset, request)
    elif upstream.dialect is call.dialect:
        original = call.dialect.readdress(_passed_on(call.dialect, wire), request, route.model)
        if original is not None:
            return upstream.prepare(request, original)
    request = replace(request, model=route.model)
    if call.services.fetcher is not None and upstream.dialect is not None:
        request = await inline_media(request, upstream.dialect.needs_bytes, call.services.fetcher)
    return upstream.prepare(request, None)


def _passed_on(dialect: Dialect, wire: WireRequest) -> WireRequest:
    """The client's request without its key, its host and everything else that concerns only this connection."""
    own = {name: value for name, value in wire.headers.items() if name in dialect.request_headers}
    query = {name: value for name, value in wire.query.items() if name in dialect.request_query}
    return WireRequest(wire.method, wire.path, wire.body, {**JSON_HEADERS, **own}, query)


async def _send(call: Call, upstream: Upstream, prepared: Prepared, request: Request, relayed: bool) -> WireResponse:
    reply = await upstream.send(prepared, call.context(prepared.request))
    if relayed and reply.wire is not None:
        return WireResponse(reply.wire.status, reply.wire.body)
    response = replace(reply.response, model=request.model)
    encoded = call.dialect.encode_response(response, call.context(request))
    call.losses.extend(encoded.losses)
    return encoded.wire


async def _stream(
    call: Call, upstream: Upstream, prepared: Prepared, request: Request, relayed: bool
) -> StreamedAnswer:
    stream = await upstream.open_stream(prepared, call.context(prepared.request))
    try:
        context = call.context(request)
        encoder = call.dialect.stream_encoder(context)
        writer: Writer
        if relayed:
            writer = RelayingWriter(
                lambda: call.dialect.stream_encoder(context),
                stream.pending,
                request.model,
                ends_with_body=call.dialect.ends_with_body,
            )
        else:
            writer = TranslatingWriter(encoder, request.model)
        first = await first_bytes(stream, writer)
        call.losses.extend(encoder.losses)
        answer_type = call.dialect.answer_type
        content_type = call.dialect.stream_type if answer_type is None else answer_type(request)
        return StreamedAnswer(stream, writer, encoder, first, content_type)
    except BaseException:  # also when the client leaves: the upstream must not be left waiting
        await stream.close()
        raise
