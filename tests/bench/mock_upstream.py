"""A fixed mock upstream, as cheap as Python allows: ``python -m tests.bench.mock_upstream`` prints its port.

It speaks just enough HTTP/1.1 for a keep-alive client, in three dialects. ``GET /counts`` says what it served.
"""

import argparse
import asyncio
import contextlib
import gc
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools
import orjson
import uvloop

from tests.bench import answers

STREAM_ASKED = re.compile(rb'"stream"\s*:\s*true')
PACED_MODEL = re.compile(rb'"model(?:Id)?"\s*:\s*"paced"')
PACED_MODEL_PAUSE_MS = 20
JSON_TYPE = b"application/json"
SSE_TYPE = b"text/event-stream"
TEXT_TYPE = b"text/plain; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"


def head(status: bytes, content_type: bytes, length: int | None) -> bytes:
    """A response head; ``length`` None announces a chunked body."""
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    return b"HTTP/1.1 %s\r\ncontent-type: %s\r\n%s\r\n\r\n" % (status, content_type, framing)


def whole(status: bytes, body: bytes) -> bytes:
    return head(status, JSON_TYPE, len(body)) + body


@dataclass(frozen=True, slots=True)
class Stream:
    """One streamed answer: its pieces for paced sending, and the very same bytes joined for a burst."""

    pieces: tuple[bytes, ...]
    burst: bytes


def stream(content_type: bytes, events: list[bytes]) -> Stream:
    start = head(b"200 OK", content_type, None)
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    chunks[0] = start + chunks[0]
    chunks[-1] += LAST_CHUNK
    return Stream(tuple(chunks), b"".join(chunks))


OPENAI_ANSWER = whole(b"200 OK", answers.openai_unary())
OPENAI_STREAM = stream(SSE_TYPE, answers.openai_stream())
QUANT_ANSWER = whole(b"200 OK", answers.bedrock_sse_unary())
QUANT_STREAM = stream(SSE_TYPE, answers.bedrock_sse_stream())
AMARSIA_ANSWER = whole(b"200 OK", answers.amarsia_unary())
AMARSIA_STREAM = stream(TEXT_TYPE, answers.amarsia_stream())
NOT_FOUND = whole(b"404 Not Found", b'{"error":{"message":"the mock upstream has no such path"}}')


@dataclass(slots=True)
class Counts:
    unary: int = 0
    streams: int = 0
    unknown: int = 0


def choose(path: bytes, body: bytes) -> bytes | Stream:
    """The answer for a POST: the path picks the dialect, then path or body picks unary or stream."""
    if path.endswith(b"/chat/completions"):
        return OPENAI_STREAM if STREAM_ASKED.search(body) else OPENAI_ANSWER
    if path.endswith(b"/ai/chat"):
        return QUANT_ANSWER
    if path.endswith(b"/ai/chat/stream"):
        return QUANT_STREAM
    if b"/v1/runner/" in path:
        return AMARSIA_STREAM if path.endswith(b"/stream") else AMARSIA_ANSWER
    return NOT_FOUND


class MockConnection(asyncio.Protocol):
    """One keep-alive connection; a request is answered from prepared bytes as soon as it is complete."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.body = b""
        self.pause_ms = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio.Transport, so an isinstance check would refuse them.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self.url = self.body = b""
        self.pause_ms = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 12 and name.lower() == b"x-bench-pace" and value.isdigit():
            self.pause_ms = int(value)

    def on_body(self, body: bytes) -> None:
        self.body = self.body + body if self.body else body

    def on_message_complete(self) -> None:
        path = self.url.partition(b"?")[0]
        if path == b"/counts":
            self.transport.write(whole(b"200 OK", self._counts()))
            return
        answer = choose(path, self.body)
        if isinstance(answer, Stream):
            self.counts.streams += 1
            self._send_stream(answer)
            return
        if answer is NOT_FOUND:
            self.counts.unknown += 1
        else:
            self.counts.unary += 1
        self.transport.write(answer)
        self._close_if_asked()

    def _counts(self) -> bytes:
        counts = self.counts
        return orjson.dumps({"unary": counts.unary, "streams": counts.streams, "unknown": counts.unknown})

    def _send_stream(self, answer: Stream) -> None:
        pause_ms = self.pause_ms or (PACED_MODEL_PAUSE_MS if PACED_MODEL.search(self.body) else 0)
        if not pause_ms:
            self.transport.write(answer.burst)
            self._close_if_asked()
            return
        self._send_paced(answer.pieces, pause_ms / 1000)

    def _send_paced(self, pieces: tuple[bytes, ...], pause: float) -> None:
        # Times are counted from the first chunk, so that a late timer does not slow the whole stream down.
        loop = asyncio.get_running_loop()
        started = loop.time()

        def send_next(number: int) -> None:
            if self.transport.is_closing():
                return
            self.transport.write(pieces[number])
            if number + 1 == len(pieces):
                self._close_if_asked()
                return
            loop.call_at(started + (number + 1) * pause, send_next, number + 1)

        send_next(0)

    def _close_if_asked(self) -> None:
        if not self.parser.should_keep_alive():
            self.transport.close()


async def serve(port: int, announce: Callable[[int], None]) -> None:
    """Serve on loopback until cancelled; ``announce`` gets the port that was bound."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: MockConnection(counts), "127.0.0.1", port, backlog=4096)
    announce(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def print_port(port: int) -> None:
    print(orjson.dumps({"port": port}).decode(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.mock_upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    port = parser.parse_args().port
    gc.disable()  # nothing here makes cycles per request, and a collection would show up in the measured latencies
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(port, print_port))


if __name__ == "__main__":
    main()
