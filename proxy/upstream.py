"""Upstreams over HTTP: the only file of the hot path that knows an HTTP client.

aiohttp is called directly: plain httpx loses its pool's slots when requests are cancelled (httpcore #1093), and the
httpx objects around aiohttp cost as much again as aiohttp itself (``docs/decisions/0002-http-client.md``).
"""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import aiohttp
from yarl import URL

from adapters.contract import (
    Context,
    CredentialPlace,
    DecodeError,
    Dialect,
    Encoded,
    EncodeError,
    StreamDecoder,
    WireRequest,
    WireResponse,
)
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import Event, StreamFailed
from adapters.model.loss import Loss
from adapters.model.request import Request
from adapters.model.response import Response
from proxy.credentials import CommandSecret, MissingReferenceError, Scrubber, Secret
from proxy.errors import RequestFailed, refused_by_upstream_codec
from proxy.quirks import apply_quirks
from proxy.settings import Quirks, Timeouts

log = logging.getLogger("dragoman")

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024


class Prepared(NamedTuple):
    """A request as the upstream will get it, with what that could not carry. ``wire`` is None for in-process ones."""

    request: Request
    wire: WireRequest | None
    losses: tuple[Loss, ...] = ()


class Reply(NamedTuple):
    """A whole answer, and its bytes if there are any."""

    response: Response
    wire: WireResponse | None = None


class Batch(NamedTuple):
    """What one network read brought: the bytes as they came, and what they mean."""

    raw: bytes
    events: list[Event]


class UpstreamStream(Protocol):
    async def read(self) -> Batch | None:
        """The next batch; ``None`` after the last. Failures come as a final ``StreamFailed``, not as exceptions."""

    def pending(self) -> int:
        """How many of the last bytes read belong to a frame that is not complete yet."""

    async def close(self) -> None:
        """Let go of the connection; at once, whatever state it is in."""


class Upstream(Protocol):
    """Something that answers requests."""

    @property
    def dialect(self) -> Dialect | None:
        """What it speaks; ``None`` if it takes the common model as it is."""

    def prepare(self, request: Request, original: WireRequest | None) -> Prepared:
        """How ``request`` would be sent. ``original``: the client's own bytes, to be sent on with another model name.

        Raises ``RequestFailed`` if the upstream cannot be used at all.
        """

    async def send(self, prepared: Prepared, context: Context) -> Reply:
        """The whole answer. Raises ``RequestFailed``."""

    async def open_stream(self, prepared: Prepared, context: Context) -> UpstreamStream:
        """The answer as it comes. Raises ``RequestFailed`` for everything known before the first byte."""

    async def count_tokens(self, request: Request) -> tuple[int, tuple[Loss, ...]]:
        """How many input tokens the request has, and what of it was not counted. Raises ``RequestFailed``."""

    async def close(self) -> None:
        """Let go of all connections."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where and how to reach a provider. ``headers`` and ``query`` go with every request, references filled in.

    ``place`` is where the key goes if not where the dialect has it; of ``quirks`` only what concerns bodies counts.
    """

    base_url: str
    credential: Secret | CommandSecret | None = None
    place: CredentialPlace | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    quirks: Quirks | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


class HttpUpstream:
    """A provider that speaks a dialect over HTTP."""

    def __init__(self, dialect: Dialect, connection: Connection, scrub: Scrubber) -> None:
        self.dialect = dialect
        self._scrub = scrub
        self._base_url = connection.base_url.rstrip("/")
        self._query = connection.query
        self._quirks = connection.quirks
        timeouts = connection.timeouts
        self._timeout = aiohttp.ClientTimeout(
            total=timeouts.total, sock_connect=timeouts.connect, sock_read=timeouts.between_events
        )
        # Never compressed: a compressed stream is delivered late, and one read must mean one write.
        self._headers = {**connection.headers, "accept-encoding": "identity", "user-agent": "dragoman"}
        self._place = connection.place or dialect.credential
        self._changing = connection.credential if isinstance(connection.credential, CommandSecret) else None
        if isinstance(connection.credential, Secret):
            self._headers[self._place.header] = self._place.prefix + connection.credential.reveal()
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None

    def prepare(self, request: Request, original: WireRequest | None) -> Prepared:
        if original is not None:
            encoded = Encoded(original)
        else:
            try:
                encoded = self.dialect.encode_request(request)
            except EncodeError as error:
                raise RequestFailed(ApiError(error.kind, error.message, code=error.code, param=error.param)) from None
        if self._quirks is not None:
            encoded = apply_quirks(self._quirks, self.dialect.name, request, encoded)
        return Prepared(request, encoded.wire, encoded.losses)

    async def send(self, prepared: Prepared, context: Context) -> Reply:
        try:
            async with await self._request(prepared) as answer:
                wire = WireResponse(answer.status, await _read_limited(answer, MAX_ANSWER_BYTES), _headers(answer))
        except _TRANSPORT_ERRORS as error:
            raise RequestFailed(_transport_error(error)) from None
        try:
            return Reply(self.dialect.decode_response(wire, context), wire)
        except DecodeError as error:
            hidden = self._hidden_error(wire)
            raise RequestFailed(self._scrub.error(hidden or refused_by_upstream_codec(error))) from None

    async def open_stream(self, prepared: Prepared, context: Context) -> UpstreamStream:
        try:
            answer = await self._request(prepared)
        except _TRANSPORT_ERRORS as error:
            raise RequestFailed(_transport_error(error)) from None
        if not self._is_stream(answer):
            answer.close()
            raise RequestFailed(_bad_upstream("the upstream's answer is no stream", "bad_content_type"))
        return HttpStream(answer, self.dialect.stream_decoder(context), self._scrub)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def count_tokens(self, request: Request) -> tuple[int, tuple[Loss, ...]]:
        counting = self.dialect.tokens
        if counting is None:
            message = "the provider behind this model does not count tokens"
            raise RequestFailed(ApiError(ErrorKind.NOT_FOUND, message, Fault.PROXY, code="no_token_counting"))
        try:
            encoded = counting.encode_request(request)
        except EncodeError as error:
            raise RequestFailed(ApiError(error.kind, error.message, code=error.code, param=error.param)) from None
        try:
            async with await self._request(Prepared(request, encoded.wire)) as answer:
                wire = WireResponse(answer.status, await _read_limited(answer, MAX_ERROR_BYTES), _headers(answer))
            return counting.decode_count(wire), encoded.losses
        except _TRANSPORT_ERRORS as error:
            raise RequestFailed(_transport_error(error)) from None
        except DecodeError as error:
            raise RequestFailed(self._scrub.error(refused_by_upstream_codec(error))) from None

    async def _request(self, prepared: Prepared) -> aiohttp.ClientResponse:
        """The upstream's answer, its body unread. Raises ``RequestFailed`` for an error status."""
        wire = prepared.wire
        assert wire is not None  # prepare() above always sets it
        headers = {**wire.headers, **self._headers}
        secret = None
        if self._changing is not None:
            secret = await _fetched(self._changing)
            headers[self._place.header] = self._place.prefix + secret.reveal()
        answer = await self._client().request(
            wire.method, self._url(wire), data=wire.body, headers=headers, allow_redirects=False
        )
        if answer.status == 401 and self._changing is not None and secret is not None:
            self._changing.refused(secret)
        if 200 <= answer.status < 300 and answer.status != 204:
            return answer
        async with answer:
            body = await _read_head(answer, MAX_ERROR_BYTES)
        if 300 <= answer.status < 400:
            # Following one would send the credential to wherever the answer says (reliability.md, T3).
            raise RequestFailed(_bad_upstream("the upstream answered with a redirect", "upstream_redirect"))
        if answer.status < 400:
            raise RequestFailed(_bad_upstream("the upstream's answer has no content", "upstream_invalid_response"))
        error = self.dialect.decode_error(WireResponse(answer.status, body, _headers(answer)))
        raise RequestFailed(self._scrub.error(error))

    def _is_stream(self, answer: aiohttp.ClientResponse) -> bool:
        """Whether the answer can be what was asked for, as far as its type tells; none said counts as right.

        Plain text has no frames by which its decoder could tell a page or an error object from the model's words.
        """
        said = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        framed = not self.dialect.stream_type.startswith("text/plain")
        return said != "text/html" and (framed or not said.endswith("json"))

    def _hidden_error(self, wire: WireResponse) -> ApiError | None:
        """An error body under status 200, as some providers send it; ``None`` if it is something else."""
        return self.dialect.decode_error(wire) if b'"error"' in wire.body[:200] else None

    def _url(self, wire: WireRequest) -> URL:
        """Where this request goes; parsed once per path. Raises ``RequestFailed`` if it is no address."""
        url = self._urls.get(wire.path)
        if url is None:
            if len(self._urls) > 1000:
                self._urls.clear()
            try:
                url = URL(self._base_url + wire.path, encoded=True)
                url = self._urls[wire.path] = url.with_query(self._query) if self._query else url
            except ValueError:
                raise RequestFailed(_bad_upstream("the upstream's address is not valid", "upstream_address")) from None
        return url.update_query(wire.query) if wire.query else url

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:  # made on first use: it belongs to the running event loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                skip_auto_headers=("accept", "content-type"),
            )
        return self._session


class HttpStream:
    """One streamed answer: network reads in, batches of events out."""

    def __init__(self, answer: aiohttp.ClientResponse, decoder: StreamDecoder, scrub: Scrubber) -> None:
        self._answer = answer
        self._decoder = decoder
        self._scrub = scrub
        self._over = False
        self._unreadable = 0

    async def read(self) -> Batch | None:
        if self._over:
            return None
        raw = b""
        try:
            raw = await self._answer.content.readany()
            events = self._decoder.feed(raw) if raw else self._end(clean=True)
        except _TRANSPORT_ERRORS as error:
            events = self._end(clean=False)
            if isinstance(error, TimeoutError) and events and isinstance(events[-1], StreamFailed):
                events[-1] = StreamFailed(_transport_error(error))
        except DecodeError as error:
            self._over = True
            self._unreadable = len(raw)
            events = [StreamFailed(refused_by_upstream_codec(error))]
        if events and isinstance(events[-1], StreamFailed):
            events[-1] = StreamFailed(self._scrub.error(events[-1].error))
        return Batch(raw, events)

    def pending(self) -> int:
        return self._decoder.pending + self._unreadable

    async def close(self) -> None:
        self._answer.close()

    def _end(self, *, clean: bool) -> list[Event]:
        self._over = True
        return self._decoder.close(clean=clean)


async def _fetched(credential: CommandSecret) -> Secret:
    """The key as it is now. Raises ``RequestFailed`` without the reason, which is for the operator."""
    try:
        return await credential.current()
    except MissingReferenceError as error:
        log.warning("no credential: %s", error)
        message = "the proxy has no credential for the upstream at the moment"
        raise RequestFailed(
            ApiError(ErrorKind.OVERLOADED, message, Fault.PROXY, code="credential_unavailable")
        ) from None


_TRANSPORT_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


def _transport_error(error: BaseException) -> ApiError:
    """What a client may know of a failed connection: the class of failure, never a host name or address."""
    match error:
        case aiohttp.ConnectionTimeoutError() | aiohttp.SocketTimeoutError() | TimeoutError():
            message, code, kind = "the upstream did not answer in time", "upstream_timeout", ErrorKind.TIMEOUT
        case aiohttp.ClientConnectorDNSError():
            message, code, kind = "the upstream's name cannot be resolved", "upstream_dns", ErrorKind.BAD_UPSTREAM
        case aiohttp.ClientSSLError() | ssl.SSLError():
            message, code, kind = "no secure connection to the upstream", "upstream_tls", ErrorKind.BAD_UPSTREAM
        case aiohttp.ClientConnectorError():
            message, code, kind = "the upstream cannot be reached", "upstream_unavailable", ErrorKind.BAD_UPSTREAM
        case _:
            message, code, kind = "the connection to the upstream broke", "upstream_reset", ErrorKind.BAD_UPSTREAM
    return ApiError(kind, message, Fault.UPSTREAM, code=code)


def _bad_upstream(message: str, code: str) -> ApiError:
    return ApiError(ErrorKind.BAD_UPSTREAM, message, Fault.UPSTREAM, code=code)


def _headers(answer: aiohttp.ClientResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


async def _read_head(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The first ``limit`` bytes of the body; whatever else an error page says is not needed."""
    pieces: list[bytes] = []
    size = 0
    while size < limit and (piece := await answer.content.readany()):
        size += len(piece)
        pieces.append(piece)
    if size >= limit:
        answer.close()
    return b"".join(pieces)[:limit]


async def _read_limited(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body. Raises ``RequestFailed`` once it is larger than ``limit`` bytes."""
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.content.readany():
        size += len(piece)
        if size > limit:
            answer.close()
            raise RequestFailed(_bad_upstream("the upstream's answer is too large", "upstream_too_large"))
        pieces.append(piece)
    return b"".join(pieces)
