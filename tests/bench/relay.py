"""Bare relays, the yardstick of a run: ``python -m tests.bench.relay MODE --upstream PORT`` prints its port.

They read the body, post it on, and hand back status and body. No routing, no keys, no checks: what is left is what
Starlette, uvicorn and an HTTP client cost by themselves.
"""

import argparse
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from yarl import URL

from tests.bench.answers import openai_unary
from tests.bench.mock_upstream import print_port

JSON_HEADERS = {"content-type": "application/json"}
ALONE_BODY = openai_unary()


async def read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


async def send_whole(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(send: Send, status: int, content_type: bytes, chunks: AsyncIterator[bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Endpoint:
    """A raw ASGI endpoint with the lifetime of its HTTP client; Starlette's Route calls such an object directly."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.client():
            yield

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        # The same session for every relay, so that the relays differ in nothing but their interface to it.
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=jar, auto_decompress=False
        ) as self.session:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class Alone(Endpoint):
    """Answers by itself: what the server side costs without any upstream call."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send_whole(send, 200, b"application/json", ALONE_BODY)


class OnAiohttp(Endpoint):
    """Calls aiohttp directly."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        url = self.upstream + scope["path"]
        async with self.session.post(url, data=body, headers=JSON_HEADERS, allow_redirects=False) as answer:
            content_type = answer.headers.get("content-type", "").encode("latin-1")
            if "content-length" in answer.headers:
                await send_whole(send, answer.status, content_type, await answer.read())
            else:
                await send_stream(send, answer.status, content_type, answer.content.iter_any())


class AiohttpStream(httpx.AsyncByteStream):
    """The body of an aiohttp answer, as httpx wants it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.answer.content.iter_any():
            yield chunk

    async def aclose(self) -> None:
        self.answer.release()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """httpx's transport interface on an aiohttp session it does not own."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        url = URL(str(request.url), encoded=True)
        answer = await self.session.request(
            request.method, url, headers=headers, data=request.content, allow_redirects=False
        )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=AiohttpStream(answer))


class OnHttpxTransport(Endpoint):
    """Calls an httpx transport on aiohttp with httpx's Request and Response, without AsyncClient."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with super().client():
            self.transport = AiohttpTransport(self.session)
            yield

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        return await self.transport.handle_async_request(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        request = httpx.Request("POST", self.upstream + scope["path"], headers=JSON_HEADERS, content=body)
        answer = await self.exchange(request)
        try:
            content_type = answer.headers.get("content-type", "").encode("latin-1")
            if "content-length" in answer.headers:
                await send_whole(send, answer.status_code, content_type, await answer.aread())
            else:
                await send_stream(send, answer.status_code, content_type, answer.aiter_raw())
        finally:
            await answer.aclose()


class OnHttpxClient(OnHttpxTransport):
    """The same through AsyncClient, as httpx is meant to be used."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with super().client(), httpx.AsyncClient(transport=self.transport, timeout=None) as self.http:
            yield

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        return await self.http.send(request, stream=True)


MODES: dict[str, type[Endpoint]] = {
    "alone": Alone,
    "aiohttp": OnAiohttp,
    "httpx-transport": OnHttpxTransport,
    "httpx-client": OnHttpxClient,
}


def build_app(mode: str, upstream_port: int) -> Starlette:
    endpoint = MODES[mode](f"http://127.0.0.1:{upstream_port}")
    return Starlette(routes=[Route("/{path:path}", endpoint)], lifespan=endpoint.lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.relay", description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--upstream", type=int, required=True, help="port of the mock upstream")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    given = parser.parse_args()
    app = build_app(given.mode, given.upstream)
    with socket.create_server(("127.0.0.1", given.port), backlog=4096) as listening:
        config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
        print_port(listening.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
