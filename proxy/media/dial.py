"""Connections to checked addresses and to nothing else."""

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from proxy.addresses import Address
from proxy.media.target import Target

MAX_HEAD_BYTES = 128 * 1024
"""How much may arrive before the answer's head is complete. Else interim answers could be sent without end."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Dials the addresses that were checked, whatever the name resolves to by now.

    httpcore keeps the name for ``Host``, SNI and the certificate.
    """

    def __init__(self, target: Target, addresses: Sequence[Address]) -> None:
        self._target = target
        self._addresses = addresses
        self._backend = httpcore.AnyIOBackend()
        self._streams: list[httpcore.AsyncNetworkStream] = []
        self.head_bytes: int | None = 0
        """Read so far; ``None`` once the head is complete."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        assert (host, port) == (self._target.host, self._target.port)  # one pool, one target
        share = timeout / len(self._addresses) if timeout is not None else None
        for address in self._addresses:
            try:
                stream = await self._backend.connect_tcp(str(address), port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            self._streams.append(stream)
            return _CountedStream(stream, self)
        raise httpcore.ConnectError("none of the addresses answers")

    def count(self, size: int) -> None:
        """Raises ``RemoteProtocolError`` if the head of the answer goes on for too long."""
        if self.head_bytes is not None:
            self.head_bytes += size
            if self.head_bytes > MAX_HEAD_BYTES:
                raise httpcore.RemoteProtocolError("the head of the answer is too long")

    async def close(self) -> None:
        """Close the sockets. The pool does so too, but not that of a TLS handshake that is cancelled."""
        for stream in self._streams:
            await stream.aclose()


class _CountedStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, backend: CheckedBackend) -> None:
        self._stream = stream
        self._backend = backend

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        piece = await self._stream.read(max_bytes, timeout)
        self._backend.count(len(piece))
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's signature
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        return _CountedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
