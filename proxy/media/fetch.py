"""Fetching what a client's URL points to, without being led into our own network."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import httpcore

from proxy.addresses import Address, Network, read_address, why_refused
from proxy.media.dial import CheckedBackend
from proxy.media.refusal import FetchRefused
from proxy.media.resolve import Resolver, SystemResolver
from proxy.media.sniff import media_type
from proxy.media.target import Target, read_target, redirected


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How far a fetch goes; times in seconds."""

    max_bytes: int = 25 * 1024 * 1024
    """Of one body."""
    connect: float = 5.0
    """Until the connection stands, and again until TLS does."""
    total: float = 20.0
    """For everything: waiting for a slot, names, redirects, the body."""
    max_redirects: int = 3
    allow_http: bool = False
    """Whether http: and port 80 are allowed besides https:. Never by a redirect from https:."""
    allowed_ports: Collection[int] = (443,)
    least_time_to_refuse: float = 0.25
    """A refusal takes at least so long: "forbidden", "no such name" and "port closed" are to feel alike."""
    at_once: int = 32
    """How many fetches run at the same time, over all requests; bounds the memory for bodies."""
    max_urls: int = 50
    """Different URLs in one request."""
    max_request_bytes: int = 64 * 1024 * 1024
    """Of all bodies fetched for one request."""


class Fetched(NamedTuple):
    """A body, and what it is."""

    data: bytes
    mime_type: str


class Fetcher:
    """Fetches public https addresses; ``allow`` names further networks (an operator's internal media hosts)."""

    def __init__(
        self,
        limits: FetchLimits | None = None,
        resolve: Resolver | None = None,
        allow: Collection[Network] = (),
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._own_resolver = SystemResolver() if resolve is None else None
        self._resolve = resolve or self._own_resolver
        self._allow = frozenset(allow)
        self._trust = trust or ssl.create_default_context()
        self._slots = asyncio.Semaphore(self.limits.at_once)

    async def fetch(self, url: str) -> Fetched:
        """What ``url`` holds. Raises ``FetchRefused``, with the same words whatever the reason."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.limits.total), self._slots:
                return await self._follow(url)
        except FetchRefused as error:
            refused = error
        except TimeoutError:
            refused = FetchRefused(f"not complete after {self.limits.total:g} s")
        except _TRANSPORT_ERRORS as error:
            refused = FetchRefused(f"the connection failed: {type(error).__name__}")
        await asyncio.sleep(self.limits.least_time_to_refuse - (time.monotonic() - started))
        raise refused from None

    def close(self) -> None:
        """Let the threads for name look-ups end. Connections end with their fetches."""
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def _follow(self, url: str) -> Fetched:
        limits = self.limits
        ports = limits.allowed_ports
        target = read_target(url, ports, allow_http=limits.allow_http)
        for _ in range(limits.max_redirects + 1):
            async with self._answer(target, await self._checked_addresses(target)) as answer:
                if answer.status not in _REDIRECTS:
                    return await self._read(answer)
                location = _only_header(answer, b"location")
            target = redirected(target, location, ports, allow_http=limits.allow_http)
        raise FetchRefused(f"more than {limits.max_redirects} redirects")

    async def _checked_addresses(self, target: Target) -> list[Address]:
        """All addresses of the host, looked up this one time. A single bad one refuses all."""
        if target.address is not None:
            addresses = [target.address]
        else:
            assert self._resolve is not None  # one of the two in __init__
            addresses = _read_addresses(await self._resolve(target.host, target.port))
        for address in addresses:
            if reason := why_refused(address, self._allow):
                raise FetchRefused(f"{address} is not public: {reason}")
        return addresses[:_MOST_DIALLED]

    @asynccontextmanager
    async def _answer(self, target: Target, addresses: list[Address]) -> AsyncIterator[httpcore.Response]:
        """The answer's head; its body is still to come. The connection goes with it."""
        backend = CheckedBackend(target, addresses)
        limits = self.limits
        timeouts = {"connect": limits.connect, "read": limits.total, "write": limits.total, "pool": limits.total}
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        headers = [(b"Host", target.authority.encode()), *_HEADERS]
        try:
            # A pool for one request: httpcore's pools lose slots when requests are cancelled (httpcore #1093).
            # It reads no proxy from the environment, keeps no cookies and knows no .netrc.
            async with (
                httpcore.AsyncConnectionPool(self._trust, max_connections=1, network_backend=backend) as pool,
                pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as answer,
            ):
                backend.head_bytes = None
                yield answer
        finally:
            await backend.close()

    async def _read(self, answer: httpcore.Response) -> Fetched:
        """The body, counted as it comes. Nothing compressed: a few bytes could unpack to gigabytes (T10)."""
        if answer.status != 200:
            raise FetchRefused(f"answered with status {answer.status}")
        if _header(answer, b"content-encoding").lower() not in ("", "identity"):
            raise FetchRefused("the body is compressed")
        length = _header(answer, b"content-length")
        if length.isdigit() and int(length) > self.limits.max_bytes:  # h11 has read it: it is short, and one number
            raise FetchRefused("the body is too large")
        body = bytearray()
        pieces = 0
        async for piece in answer.aiter_stream():
            body += piece
            pieces += 1
            if len(body) > self.limits.max_bytes:
                raise FetchRefused("the body is too large")
            if pieces > _MANY_PIECES and len(body) < pieces * _LEAST_PIECE:
                raise FetchRefused("the body comes in crumbs")
        data = bytes(body)
        if not data:
            raise FetchRefused("the body is empty")
        return Fetched(data, media_type(data, _header(answer, b"content-type")))


_TRANSPORT_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    OSError,  # name look-ups, TLS alerts
    UnicodeError,  # name look-ups
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_DIALLED = 4
# A body in chunks of one byte would cost its whole time in CPU.
_MANY_PIECES = 4096
_LEAST_PIECE = 64
_HEADERS = (
    (b"User-Agent", b"dragoman"),
    # Image servers choose by this; the formats named are those that all providers take.
    (
        b"Accept",
        b"image/png, image/jpeg, image/gif, image/webp, application/pdf, audio/*, video/*, text/plain, */*;q=0.1",
    ),
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
)


def _read_addresses(found: Collection[str]) -> list[Address]:
    try:
        addresses = [read_address(address) for address in found]
    except ValueError:
        raise FetchRefused("the name's addresses cannot be read") from None
    if not addresses:
        raise FetchRefused("the name has no address")
    return addresses


def _header(answer: httpcore.Response, name: bytes) -> str:
    """The header's value, several joined by commas; empty if it is not there."""
    return ", ".join(value.decode("latin-1").strip() for key, value in answer.headers if key.lower() == name)


def _only_header(answer: httpcore.Response, name: bytes) -> str:
    values = [value for key, value in answer.headers if key.lower() == name]
    if len(values) != 1:
        raise FetchRefused(f"{len(values)} {name.decode()} headers")
    return values[0].decode()
