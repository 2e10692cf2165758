"""An upstream that misbehaves on demand, a client on a bare socket, and tests that both do what they say.

The upstream plays a script for the model it is asked for; it keeps every request byte for byte and the moment at
which the proxy let go of the connection. The client sees what is on the wire, down to the last chunk.
"""

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import quote, unquote

import pytest

from adapters.contract import Context
from adapters.model.event import (
    ChoiceFinished,
    PartEnded,
    PartStarted,
    StreamEnded,
    StreamStarted,
    TextDelta,
    UsageReported,
)
from adapters.model.event import Event as StreamEvent
from adapters.model.message import Message, Role, Text
from adapters.model.request import Request
from adapters.model.response import Choice, FinishReason, Response, Usage
from proxy.registry import load_dialect

TIMEOUT = 15.0
INGRESS = ("openai_chat", "amarsia", "bedrock_sse")
CANARY_KEY = "canary-key-5e1f0c0ffee"


# --- the upstream -----------------------------------------------------------------------------------------------


class Ending(Enum):
    """What the upstream does after its last bytes."""

    KEEP = "keep"
    """The answer is whole; the connection stays open for the next request."""
    HOLD = "hold"
    """Nothing more, ever; waits for the proxy to leave."""
    FIN = "fin"
    """Closes in order, in the middle of whatever was being sent."""
    RST = "rst"
    """Resets the connection."""


@dataclass(frozen=True, slots=True)
class Script:
    """``sends`` go out one write each, with ``pause`` seconds after every one."""

    sends: tuple[bytes, ...] = ()
    ending: Ending = Ending.KEEP
    pause: float = 0.0


@dataclass(slots=True)
class Seen:
    """One request as it came in. ``closed`` is set once the proxy let go of its connection, at ``closed_at``."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    model: str
    sent: Event = field(default_factory=Event)
    """All of the script's bytes have gone out."""
    closed: Event = field(default_factory=Event)
    closed_at: float = 0.0


class ScriptedUpstream:
    """Listens on 127.0.0.1. ``scripts``: model -> what it is answered; others get the status 599."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[Seen] = []
        self.scripts: dict[str, Script] = {}
        self._lock = Lock()
        self._arrived: dict[str, list[Seen]] = {}

    def forget(self) -> None:
        """Forget what came in so far."""
        with self._lock:
            self.requests, self._arrived, self.connections = [], {}, 0

    def wait_for(self, model: str, timeout: float = TIMEOUT) -> Seen:
        """The first request for this model, as soon as it is there."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self._lock:
                if self._arrived.get(model):
                    return self._arrived[model][0]
            time.sleep(0.001)
        raise AssertionError(f"no request for {model} came in")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        self.connections += 1
        try:
            while (seen := await self._read(reader)) is not None:
                with self._lock:
                    self.requests.append(seen)
                    self._arrived.setdefault(seen.model, []).append(seen)
                if not await self._play(seen, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]
        named = dict(headers)
        body = b""
        if "content-length" in named:
            body = await reader.readexactly(int(named["content-length"]))
        elif named.get("transfer-encoding") == "chunked":
            while size := int((await reader.readline()).strip() or b"0", 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        method, path, _ = first.split(" ", 2)
        return Seen(method, path, headers, body, model_in(path, body))

    async def _play(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        missing = Script((answer(599, b"{}"),))
        script = self.scripts.get(seen.model, missing)
        watch = asyncio.ensure_future(self._watch(seen, reader)) if script.ending is Ending.HOLD else None
        for data in script.sends:
            writer.write(data)
            await writer.drain()
            if script.pause:
                await asyncio.sleep(script.pause)
        seen.sent.set()
        if watch is not None:
            await watch
            return False
        if script.ending is Ending.RST:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        if script.ending is Ending.FIN:
            writer.close()
            await writer.wait_closed()
            return False
        return True

    @staticmethod
    async def _watch(seen: Seen, reader: asyncio.StreamReader) -> None:
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        seen.closed_at = time.monotonic()
        seen.closed.set()


def model_in(path: str, body: bytes) -> str:
    """The model a request is for: in the path of an Amarsia run, in the body of the others."""
    _, runner, deployment = path.partition("/runner/")
    if runner:
        return unquote(deployment.removesuffix("/stream"))
    try:
        named = json.loads(body)
    except ValueError:
        return ""
    return str(named.get("model") or named.get("modelId") or "") if isinstance(named, dict) else ""


@contextmanager
def scripted_upstream() -> Iterator[ScriptedUpstream]:
    """A scripted upstream that accepts connections until the block ends."""
    upstream = ScriptedUpstream()
    ready = Event()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=64 * 1024 * 1024)
        upstream.port = server.sockets[0].getsockname()[1]
        stops.append((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(TIMEOUT)
    try:
        yield upstream
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT)


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer with a content length."""
    head = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}
    return _head(status, head) + body


def stream_head(content_type: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a chunked answer."""
    return _head(200, {"content-type": content_type, "transfer-encoding": "chunked", **(headers or {})})


def chunk(body: bytes) -> bytes:
    """One chunk, ``b""`` for no bytes: an empty chunk would be the last one."""
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


LAST_CHUNK = b"0\r\n\r\n"


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


# --- the client -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Heard:
    """What came back. ``body`` is without its chunking; ``ended``: it came to its end in order."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool
    raw: bytes

    def json(self) -> Any:
        """The body as JSON, which its content type must say it is."""
        assert self.headers.get("content-type", "").split(";")[0] == "application/json", self
        return json.loads(self.body)


class Wire:
    """One connection to the proxy."""

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.raw = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send, as far as the peer takes it: it may have answered and closed already."""
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def read_some(self) -> bytes:
        """The next bytes, ``b""`` if the connection is over."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return b""
        self.raw += data
        return data

    def read_until(self, mark: bytes) -> bool:
        """Read until ``mark`` has come; False if the connection ended before."""
        while mark not in self.raw:
            if not self.read_some():
                return False
        return True

    def read_answer(self) -> Heard:
        """The answer to the request just sent, as far as it came."""
        while True:
            heard = parse(self.raw)
            if heard is not None and heard.ended:
                self.raw = b""
                return heard
            if not self.read_some():
                assert heard is not None, f"the connection ended without an answer: {self.raw[:200]!r}"
                return heard

    def leave(self, *, reset: bool) -> float:
        """Close, by FIN or by RST; gives the moment."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        moment = time.monotonic()
        self.socket.close()
        return moment


def parse(raw: bytes) -> Heard | None:
    """The answer in these bytes as far as it goes; ``None`` before its head is complete."""
    head, blank, rest = raw.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ")[1])
    if headers.get("transfer-encoding") == "chunked":
        body, ended = _unchunked(rest)
    else:
        length = int(headers.get("content-length", "0"))
        body, ended = rest[:length], len(rest) >= length
    return Heard(status, headers, body, ended, raw)


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    place = 0
    while (end := rest.find(b"\r\n", place)) >= 0:
        size = int(rest[place:end], 16)
        if size == 0:
            return b"".join(pieces), rest[end : end + 4] == b"\r\n\r\n"
        pieces.append(rest[end + 2 : end + 2 + size])
        place = end + 2 + size + 2
    return b"".join(pieces), False


def ask(port: int, request: bytes) -> Heard:
    """The answer to one request on a connection of its own."""
    with Wire(port) as wire:
        wire.send(request)
        return wire.read_answer()


def http(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A request with a content length."""
    head = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# --- what the three dialects say ----------------------------------------------------------------------------------


def path_of(dialect: str, model: str, *, stream: bool) -> str:
    """Where a client of this dialect asks."""
    if dialect == "amarsia":
        return f"/v1/runner/{quote(model, safe='')}" + ("/stream" if stream else "")
    if dialect == "bedrock_sse":
        return "/api/v3/organizations/acme/ai/chat" + ("/stream" if stream else "")
    return "/v1/chat/completions"


def body_of(dialect: str, model: str, *, stream: bool, text: str = "Hello") -> dict[str, Any]:
    """The smallest valid body."""
    if dialect == "amarsia":
        return {"content": [{"type": "text", "text": text}]}
    if dialect == "bedrock_sse":
        return {"modelId": model, "messages": [{"role": "user", "content": text}]}
    return {"model": model, "messages": [{"role": "user", "content": text}]} | ({"stream": True} if stream else {})


def question(
    dialect: str, model: str, *, stream: bool, text: str = "Hello", headers: Mapping[str, str] | None = None
) -> bytes:
    """A valid request, as bytes."""
    body = json.dumps(body_of(dialect, model, stream=stream, text=text)).encode()
    return http("POST", path_of(dialect, model, stream=stream), body, headers)


def events_in(dialect: str, body: bytes) -> list[tuple[str, Any]]:
    """Event name and data of every complete event of an SSE body; the data parsed, except ``[DONE]``."""
    events = []
    for block in body.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
        if fields:
            data = fields[b"data"].decode()
            events.append((fields.get(b"event", b"").decode(), data if data == "[DONE]" else json.loads(data)))
    return events


def text_in(dialect: str, body: bytes) -> str:
    """The answer's text in a streamed body, as far as it came."""
    if dialect == "amarsia":
        return body.decode("utf-8")  # also demands that no character is cut
    if dialect == "bedrock_sse":
        return "".join(data["delta"] for name, data in events_in(dialect, body) if name == "content")
    chunks = [data for _, data in events_in(dialect, body) if isinstance(data, dict)]
    deltas = [choice["delta"] for data in chunks for choice in data.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


def looks_finished(dialect: str, heard: Heard) -> bool:
    """Whether any client of this dialect takes this streamed answer for complete: lenient readers count too."""
    if dialect == "amarsia":
        return heard.ended
    lines = heard.body.split(b"\n")
    if dialect == "bedrock_sse":
        data = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {") and line.endswith(b"}")]
        return b"event: done" in lines or any(each.get("complete") is True for each in data)
    return b"data: [DONE]" in [line.strip() for line in lines]


def stream_failure(dialect: str, heard: Heard) -> dict[str, Any] | None:
    """The error told in a stream, in OpenAI's words and in the Bedrock-style ones; ``None`` if there is none."""
    for name, data in events_in(dialect, heard.body):
        if isinstance(data, dict) and (name == "error" if dialect == "bedrock_sse" else "error" in data):
            assert not heard.body.split(b"\n\n")[-1], "nothing but whole events"
            return dict(data if dialect == "bedrock_sse" else data["error"])
    return None


def check_error_shape(dialect: str, heard: Heard) -> dict[str, Any]:
    """The error in a JSON body of this dialect's shape, every demanded key there; gives the inner object."""
    assert heard.ended, heard
    assert heard.headers.get("x-request-id"), heard.headers
    body = heard.json()
    assert isinstance(body, dict), body
    if dialect == "bedrock_sse":
        assert body["error"] is True, body
        inner = body
    else:
        assert set(body) == {"error"}, body
        inner = body["error"]
        assert {"message", "type", "param", "code"} <= set(inner), inner
        assert isinstance(inner["type"], str), inner
        assert inner["param"] is None or isinstance(inner["param"], str), inner
    assert isinstance(inner["message"], str), inner
    assert inner["message"], inner
    if dialect == "openai_chat":
        assert set(inner) == {"message", "type", "param", "code"}, inner
        assert inner["code"] is None or isinstance(inner["code"], str), inner
    else:
        assert isinstance(inner["code"], str), inner
        assert inner["code"], inner
    return dict(inner)


# What the scripted upstreams say in their streams: characters of one to four bytes, one that naive readers take for a
# line end, and text that looks like framing.
PIECES = ("Gr\u00fc\u00dfe", " aus\u2028Kigali", " \U0001f418", ' "so"\n\ndata: [DONE]\n\nevent: done', " und Ende.")
TEXT = "".join(PIECES)


def _context(stream: bool) -> Context:
    request = Request("asked", (Message(Role.USER, (Text("Hello"),)),), stream=stream, include_usage=stream)
    return Context(request, "0123456789abcdef01234567", lambda prefix: prefix + "1", 1700000000)


def stream_frames(dialect: str) -> list[bytes]:
    """A whole stream of ``TEXT`` as a provider of this dialect sends it: the first text comes with the start."""
    encoder = load_dialect(dialect).stream_encoder(_context(stream=True))
    events: list[StreamEvent] = [StreamStarted("id", "theirs", 1700000000), PartStarted(0, Text(""))]
    events += [TextDelta(0, piece) for piece in PIECES]
    events += [PartEnded(0), ChoiceFinished(0, FinishReason.STOP), UsageReported(Usage(3, 9)), StreamEnded()]
    encoded = [encoder.encode(event) for event in events]
    return [b"".join(encoded[:3]), *(frame for frame in encoded[3:] if frame)]


def whole_body(dialect: str) -> bytes:
    """The same as a whole answer."""
    response = Response((Choice(0, (Text(TEXT),), FinishReason.STOP),), "id", "theirs", 1700000000, Usage(3, 9))
    return load_dialect(dialect).encode_response(response, _context(stream=False)).wire.body


def stream_type(dialect: str) -> str:
    return load_dialect(dialect).stream_type


def whole_script(dialect: str) -> Script:
    """Answers in order, not streamed."""
    return Script((answer(200, whole_body(dialect)),))


def stream_script(dialect: str) -> Script:
    """Answers in order, streamed."""
    return Script((stream_head(stream_type(dialect)), *map(chunk, stream_frames(dialect)), LAST_CHUNK))


# --- the server's own state ---------------------------------------------------------------------------------------


def troubles(log: Sequence[str]) -> list[str]:
    """The lines of a server's log that a clean run does not have."""
    signs = (
        "Traceback",
        "traceback",
        '"level":"error"',
        "never retrieved",
        "was destroyed",
        "never awaited",
        "Unclosed",
    )
    return [line for line in log if any(sign in line for sign in signs)]


def open_files(pid: int) -> int:
    """How many file descriptors the process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_high_water(pid: int) -> int:
    """The most resident memory the process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.split("\n") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def provider_lines(port: int, timeouts: str = "{connect: 1, between_events: 30, total: 60}") -> str:
    """The ``providers`` section: ``up_<dialect>`` for each dialect, all of them the scripted upstream."""
    lines = ["providers:"]
    lines += [
        f"  up_{name}: {{dialect: {name}, base_url: 'http://127.0.0.1:{port}/{name}', "
        f"credential: 'env:CANARY_KEY', timeouts: {timeouts}}}"
        for name in INGRESS
    ]
    return "\n".join(lines) + "\n"


# --- both do what they say ----------------------------------------------------------------------------------------


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with scripted_upstream() as running:
        yield running


def test_the_upstream_keeps_what_it_is_sent(upstream: ScriptedUpstream) -> None:
    upstream.scripts["m"] = Script((answer(200, b'{"a":1}'),))
    sent = {"model": "m", "x": "\u00e9"}
    with Wire(upstream.port) as wire:
        for _ in range(2):
            wire.send(http("POST", "/v1/x", json.dumps(sent).encode(), {"x-a": "b"}))
            assert wire.read_answer().json() == {"a": 1}
    first, second = upstream.requests
    assert (first.method, first.path, json.loads(first.body), dict(first.headers)["x-a"]) == (
        "POST",
        "/v1/x",
        sent,
        "b",
    )
    assert second.body == first.body
    assert upstream.connections == 1


def test_the_upstream_finds_the_model_in_the_path() -> None:
    assert model_in("/amarsia/runner/a%2Fb/stream", b"{}") == "a/b"
    assert model_in("/amarsia/runner/a", b"{}") == "a"
    assert model_in("/x", b'{"modelId":"m"}') == "m"
    assert model_in("/x", b"[") == ""


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_the_upstream_notices_when_its_client_leaves(upstream: ScriptedUpstream, reset: bool) -> None:
    upstream.scripts["m"] = Script((stream_head("text/plain"), chunk(b"abc")), Ending.HOLD)
    wire = Wire(upstream.port)
    wire.send(http("POST", "/", b'{"model":"m"}'))
    assert wire.read_until(b"abc")
    seen = upstream.wait_for("m")
    assert not seen.closed.wait(0.05)
    left = wire.leave(reset=reset)
    assert seen.closed.wait(1)
    assert 0 <= seen.closed_at - left < 0.5


@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RST], ids=["fin", "rst"])
def test_a_cut_answer_has_not_ended(upstream: ScriptedUpstream, ending: Ending) -> None:
    upstream.scripts["m"] = Script((stream_head("text/plain") + chunk(b"abc"), chunk(b"de")), ending, pause=0.02)
    heard = ask(upstream.port, http("POST", "/", b'{"model":"m"}'))
    assert (heard.status, heard.body, heard.ended) == (200, b"abcde", False)


def test_a_whole_chunked_answer_has_ended(upstream: ScriptedUpstream) -> None:
    upstream.scripts["m"] = Script((stream_head("text/plain") + chunk(b"abc") + LAST_CHUNK,))
    assert ask(upstream.port, http("POST", "/", b'{"model":"m"}')).ended


@pytest.mark.parametrize("at", range(len(b"3\r\nabc\r\n0\r\n\r\n")))
def test_no_part_of_a_chunked_body_counts_as_ended(at: int) -> None:
    heard = parse(stream_head("text/plain") + b"3\r\nabc\r\n0\r\n\r\n"[:at])
    assert heard is not None
    assert not heard.ended


def test_the_readers_read() -> None:
    openai = b'data: {"choices":[{"delta":{"content":"a\\n"}}]}\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n'
    assert text_in("openai_chat", openai) == "a\n"
    assert looks_finished("openai_chat", Heard(200, {}, openai, True, b""))
    failed = b'data: {"error":{"message":"no","code":"c"}}\n\n'
    assert stream_failure("openai_chat", Heard(200, {}, failed, True, b"")) == {"message": "no", "code": "c"}
    bedrock = b'id: 0\nevent: content\ndata: {"delta":"a"}\n\nid: 1\nevent: error\ndata: {"error":"no"}\n\n'
    assert text_in("bedrock_sse", bedrock) == "a"
    assert stream_failure("bedrock_sse", Heard(200, {}, bedrock, True, b"")) == {"error": "no"}
    assert not looks_finished("bedrock_sse", Heard(200, {}, bedrock, True, b""))
    assert looks_finished("bedrock_sse", Heard(200, {}, b'data: {"complete":true}', True, b""))
    with pytest.raises(UnicodeDecodeError):
        text_in("amarsia", "\u00e9".encode()[:1])


def test_troubles_are_found() -> None:
    fine = '{"level":"warning","message":"stream failed"}'
    bad = [
        "Traceback (most recent call last):",
        '{"level":"error","message":"x"}',
        "Task was destroyed but it is pending!",
    ]
    assert troubles([fine, *bad]) == bad
