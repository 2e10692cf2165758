"""Requests that really go out, to an upstream that plays scripts: what is sent, and what each fault amounts to."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from adapters.contract import Context, WireRequest
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import ChoiceFinished, Event, PartEnded, PartStarted, StreamEnded, StreamFailed, StreamStarted
from adapters.model.event import TextDelta as Says
from adapters.model.message import Message, Role, Text
from adapters.model.plain import to_plain
from adapters.model.request import Request, Sampling
from adapters.model.response import Choice, FinishReason, Response
from proxy.credentials import Scrubber, Secret
from proxy.errors import RequestFailed
from proxy.settings import Timeouts
from proxy.upstream import Connection, HttpUpstream, Prepared
from tests.adapters.toy import TOY, ToyStreamDecoder
from tests.server.test_disconnect_kit import (
    LAST_CHUNK,
    Ending,
    Script,
    ScriptedUpstream,
    answer,
    chunk,
    scripted_upstream,
    stream_head,
)

CANARY = "sk-canary"
FAST = Timeouts(connect=0.5, between_events=0.3, total=1.0)
REQUEST = Request("m", (Message(Role.USER, (Text("Hello"),)),))
CONTEXT = Context(REQUEST, "0" * 24, lambda prefix: prefix + "1", 1700000000)
ANSWER = Response((Choice(0, (Text("Hi"),), FinishReason.STOP),), "id", "m", 1)
WHOLE = orjson.dumps(to_plain(ANSWER))
EVENTS: list[Event] = [
    StreamStarted("id", "m", 1),
    PartStarted(0, Text("")),
    Says(0, "Hi"),
    PartEnded(0),
    ChoiceFinished(0, FinishReason.STOP),
    StreamEnded(),
]


class Decoder(ToyStreamDecoder):
    @property
    def pending(self) -> int:
        return self.sse.pending


DIALECT = replace(TOY, stream_decoder=Decoder)


def frames(events: list[Event]) -> bytes:
    encoder = TOY.stream_encoder(CONTEXT)
    return b"".join(encoder.encode(event) for event in events)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with scripted_upstream() as running:
        yield running


@asynccontextmanager
async def upstream_at(port: int, timeouts: Timeouts = FAST, secret: str | None = CANARY) -> AsyncIterator[HttpUpstream]:
    credential = Secret(secret) if secret is not None else None
    upstream = HttpUpstream(
        DIALECT, Connection(f"http://127.0.0.1:{port}/root/", credential, None, timeouts), Scrubber([], [])
    )
    try:
        yield upstream
    finally:
        await upstream.close()
        await asyncio.sleep(0)


async def sent(server: ScriptedUpstream, script: Script, timeouts: Timeouts = FAST) -> Any:
    """What ``send`` makes of this script: the reply or the error."""
    server.forget()
    server.scripts["m"] = script
    async with upstream_at(server.port, timeouts) as upstream:
        try:
            return await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
        except RequestFailed as failed:
            return failed.error


async def streamed(server: ScriptedUpstream, script: Script, timeouts: Timeouts = FAST) -> list[Event] | ApiError:
    """The events of the stream in this script, or the error before it."""
    server.forget()
    server.scripts["m"] = script
    async with upstream_at(server.port, timeouts) as upstream:
        try:
            stream = await upstream.open_stream(upstream.prepare(REQUEST, None), CONTEXT)
        except RequestFailed as failed:
            return failed.error
        events: list[Event] = []
        try:
            while (batch := await stream.read()) is not None:
                events += batch.events
        finally:
            await stream.close()
        assert await stream.read() is None or events == []
        return events


# --- what is sent ---------------------------------------------------------------------------------------------------


async def test_a_request_goes_out_with_our_headers_only(server: ScriptedUpstream) -> None:
    reply = await sent(server, Script((answer(200, WHOLE),)))
    assert reply.response == ANSWER
    assert reply.wire.body == WHOLE
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/root/say")
    headers = dict(request.headers)
    assert headers.pop("host") == f"127.0.0.1:{server.port}"
    assert headers.pop("content-length") == str(len(request.body))
    assert headers == {"accept-encoding": "identity", "user-agent": "dragoman", "x-toy-key": CANARY}


async def test_without_a_credential_no_key_is_sent(server: ScriptedUpstream) -> None:
    server.forget()
    server.scripts["m"] = Script((answer(200, WHOLE),))
    async with upstream_at(server.port, secret=None) as upstream:
        await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    assert "x-toy-key" not in dict(server.requests[0].headers)


async def test_a_clients_bytes_are_sent_on_as_they_are_and_our_headers_win(server: ScriptedUpstream) -> None:
    """Which of the client's headers get this far is decided by the exchange; tests/server has that."""
    server.forget()
    server.scripts["m"] = Script((answer(200, WHOLE),))
    theirs = {
        "content-type": "application/json",
        "accept-encoding": "gzip",
        "x-toy-key": "canary",
        "user-agent": "canary",
    }
    original = WireRequest("POST", "/say", b'{"model":"m" , "messages":[]}', theirs)
    async with upstream_at(server.port) as upstream:
        prepared = upstream.prepare(REQUEST, original)
        assert prepared.losses == ()
        await upstream.send(prepared, CONTEXT)
    [request] = server.requests
    assert request.body == original.body
    headers = dict(request.headers)
    assert (headers["accept-encoding"], headers["x-toy-key"]) == ("identity", CANARY)
    assert "canary" not in repr([value for name, value in request.headers if name != "x-toy-key"])


async def test_what_the_dialect_cannot_say_is_reported() -> None:
    async with upstream_at(1) as upstream:
        prepared = upstream.prepare(replace(REQUEST, sampling=Sampling(top_k=3)), None)
    assert [loss.field for loss in prepared.losses] == ["sampling.top_k"]


async def test_a_connection_serves_again_after_a_whole_answer(server: ScriptedUpstream) -> None:
    server.forget()
    server.scripts["m"] = Script((answer(200, WHOLE),))
    async with upstream_at(server.port) as upstream:
        for _ in range(3):
            await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    assert (len(server.requests), server.connections) == (3, 1)


async def test_cookies_are_not_kept(server: ScriptedUpstream) -> None:
    server.forget()
    server.scripts["m"] = Script((answer(200, WHOLE, {"set-cookie": "canary=1; path=/"}),))
    async with upstream_at(server.port) as upstream:
        for _ in range(2):
            await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
    assert all("cookie" not in dict(request.headers) for request in server.requests)


async def test_a_proxy_from_the_environment_is_not_used(
    server: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await sent(server, Script((answer(200, WHOLE),)))).response == ANSWER


# --- whole answers that are none ------------------------------------------------------------------------------------

BAD_ANSWERS: dict[str, tuple[Script, int, str]] = {
    "no json": (Script((answer(200, b"{"),)), 502, "invalid_json"),
    "nothing": (Script((answer(200, b""),)), 502, "invalid_json"),
    "html": (Script((answer(200, b"<html>hi</html>", {"content-type": "text/html"}),)), 502, "invalid_json"),
    "another thing": (Script((answer(200, b'{"a":1}'),)), 502, "invalid_type"),
    "no content": (Script((b"HTTP/1.1 204 No Content\r\n\r\n",)), 502, "upstream_invalid_response"),
    "redirect": (Script((answer(302, b"", {"location": "http://127.0.0.1:1/"}),)), 502, "upstream_redirect"),
    "not modified": (Script((b"HTTP/1.1 304 Not Modified\r\n\r\n",)), 502, "upstream_redirect"),
    "cut by fin": (Script((answer(200, WHOLE)[:-3],), Ending.FIN), 502, "upstream_reset"),
    "cut by rst": (Script((answer(200, WHOLE)[:-3],), Ending.RST, 0.05), 502, "upstream_reset"),
    "cut chunked": (Script((stream_head("application/json") + chunk(WHOLE),), Ending.FIN), 502, "upstream_reset"),
    "closed at once": (Script((), Ending.FIN), 502, "upstream_reset"),
    "reset at once": (Script((), Ending.RST), 502, "upstream_reset"),
    "no http": (Script((b"SSH-2.0-x\r\n\r\n",), Ending.FIN), 502, "upstream_reset"),
    "headers never": (Script((), Ending.HOLD), 504, "upstream_timeout"),
    "body never": (Script((answer(200, WHOLE)[:-3],), Ending.HOLD), 504, "upstream_timeout"),
    "trickle": (Script(tuple(bytes([byte]) for byte in answer(200, WHOLE)), Ending.HOLD, 0.1), 504, "upstream_timeout"),
}


@pytest.mark.parametrize(("script", "status", "code"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_bad_whole_answer_is_the_upstreams_failure(
    server: ScriptedUpstream, script: Script, status: int, code: str
) -> None:
    started = time.monotonic()
    error = await sent(server, script)
    assert isinstance(error, ApiError), error
    assert (error.fault, error.http_status, error.code) == (Fault.UPSTREAM, status, code)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 422, 429, 500, 502, 503, 504, 529, 599])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_error_status_is_read_in_the_dialects_words(
    server: ScriptedUpstream, status: int, stream: bool
) -> None:
    told = ApiError(ErrorKind.RATE_LIMIT, "slow down", Fault.UPSTREAM, code="c")
    script = Script((answer(status, orjson.dumps({"error": to_plain(told)})),))
    error = await (streamed if stream else sent)(server, script)
    assert isinstance(error, ApiError)
    assert (error.http_status, error.code, error.message) == (status, "c", "slow down")


async def test_an_error_under_status_200_is_an_error(server: ScriptedUpstream) -> None:
    told = ApiError(ErrorKind.OVERLOADED, "busy", Fault.UPSTREAM, code="c")
    error = await sent(server, Script((answer(200, orjson.dumps({"error": to_plain(told)})),)))
    assert isinstance(error, ApiError)
    assert (error.kind, error.message) == (ErrorKind.OVERLOADED, "busy")


async def test_an_endless_error_body_is_cut_short(server: ScriptedUpstream) -> None:
    script = Script((answer(500, b"x" * 1_000_000),))
    error = await sent(server, script, replace_total(5))
    assert isinstance(error, ApiError)
    assert (error.fault, error.http_status) == (Fault.UPSTREAM, 500)


async def test_a_long_error_page_keeps_its_status(server: ScriptedUpstream) -> None:
    """A 429 with a long page behind it is still a 429."""
    error = await sent(server, Script((answer(429, b"x" * 200_000, {"retry-after": "7"}),)), replace_total(5))
    assert isinstance(error, ApiError)
    assert error.http_status == 429


async def test_a_compressed_answer_is_bounded(server: ScriptedUpstream) -> None:
    """T10: 100 MB of zeros in 100 KB."""
    bomb = gzip.compress(b"\0" * 100_000_000)
    error = await sent(server, Script((answer(200, bomb, {"content-encoding": "gzip"}),)), replace_total(20))
    assert isinstance(error, ApiError)
    assert error.http_status == 502


def replace_total(seconds: float) -> Timeouts:
    return Timeouts(connect=1, between_events=seconds, total=seconds)


# --- connections that never stand -----------------------------------------------------------------------------------


async def failure_at(base_url: str) -> ApiError:
    upstream = HttpUpstream(DIALECT, Connection(base_url, Secret(CANARY), None, FAST), Scrubber([], []))
    try:
        with pytest.raises(RequestFailed) as caught:
            await upstream.send(upstream.prepare(REQUEST, None), CONTEXT)
        return caught.value.error
    finally:
        await upstream.close()


async def test_a_refused_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure_at(f"http://127.0.0.1:{port}/canary")
    assert (error.http_status, error.code) == (502, "upstream_unavailable")
    assert str(port) not in error.message


async def test_a_name_that_does_not_resolve() -> None:
    error = await failure_at("http://canary.invalid/")
    assert (error.http_status, error.code) == (502, "upstream_dns")
    assert "canary" not in error.message


async def test_no_tls_where_tls_is_demanded() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        error = await failure_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (error.http_status, error.code) == (502, "upstream_tls")
    assert "127.0.0.1" not in error.message


async def test_a_connection_that_is_never_accepted() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            error = await failure_at(f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        finally:
            for filler in fillers:
                filler.close()
    assert (error.http_status, error.code) == (504, "upstream_timeout")


@pytest.mark.parametrize("base_url", ["http://", "http://[::1", "http://a b/", "ftp://x/", "nonsense"])
async def test_an_address_that_is_none_is_a_bad_gateway(base_url: str) -> None:
    """``env:NAME`` addresses are not seen by the check of the configuration."""
    assert (await failure_at(base_url)).http_status == 502


# --- streams --------------------------------------------------------------------------------------------------------


async def test_a_whole_stream_arrives(server: ScriptedUpstream) -> None:
    sends = (stream_head("text/event-stream"), *(chunk(frames([event])) for event in EVENTS), LAST_CHUNK)
    assert await streamed(server, Script(sends)) == [
        replace(EVENTS[0], id="toy-" + "0" * 24, created=1700000000),
        *EVENTS[1:],
    ]


BROKEN_STREAMS: dict[str, tuple[tuple[bytes, ...], Ending, str]] = {
    "nothing": ((LAST_CHUNK,), Ending.KEEP, "stream_interrupted"),
    "no end mark": ((chunk(frames(EVENTS[:3])), LAST_CHUNK), Ending.KEEP, "stream_interrupted"),
    "cut by fin": ((chunk(frames(EVENTS[:3])),), Ending.FIN, "stream_interrupted"),
    "cut by rst": ((chunk(frames(EVENTS[:3])),), Ending.RST, "stream_interrupted"),
    "cut within a chunk": ((chunk(frames(EVENTS[:3]))[:-9],), Ending.FIN, "stream_interrupted"),
    "silence": ((chunk(frames(EVENTS[:3])),), Ending.HOLD, "upstream_timeout"),
    "silence at once": ((), Ending.HOLD, "upstream_timeout"),
    "garbage": ((chunk(b"data: {\n\n"), LAST_CHUNK), Ending.KEEP, "invalid_json"),
    "html": ((chunk(b"<html>"), LAST_CHUNK), Ending.KEEP, "stream_interrupted"),
}


@pytest.mark.parametrize(("sends", "ending", "code"), BROKEN_STREAMS.values(), ids=BROKEN_STREAMS.keys())
async def test_a_broken_stream_ends_with_a_failure(
    server: ScriptedUpstream, sends: tuple[bytes, ...], ending: Ending, code: str
) -> None:
    events = await streamed(server, Script((stream_head("text/event-stream"), *sends), ending, 0.02))
    assert isinstance(events, list)
    assert isinstance(events[-1], StreamFailed)
    assert events[-1].error.code == code
    assert events[-1].error.http_status == (504 if code == "upstream_timeout" else 502)
    assert not any(isinstance(event, StreamFailed | StreamEnded) for event in events[:-1])


@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RST], ids=["fin", "rst"])
async def test_what_came_before_a_cut_is_kept(server: ScriptedUpstream, ending: Ending) -> None:
    script = Script((stream_head("text/event-stream"), chunk(frames(EVENTS[:3]))), ending, 0.05)
    events = await streamed(server, script)
    assert isinstance(events, list)
    assert Says(0, "Hi") in events


async def test_a_stream_that_is_closed_early_frees_the_connection(server: ScriptedUpstream) -> None:
    server.forget()
    server.scripts["m"] = Script((stream_head("text/event-stream"), chunk(frames(EVENTS[:3]))), Ending.HOLD)
    async with upstream_at(server.port) as upstream:
        stream = await upstream.open_stream(upstream.prepare(REQUEST, None), CONTEXT)
        await stream.read()
        seen = await asyncio.to_thread(server.wait_for, "m")
        await stream.close()
        assert await asyncio.to_thread(seen.closed.wait, 1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_cancelled_request_frees_the_connection(server: ScriptedUpstream, stream: bool) -> None:
    server.forget()
    server.scripts["m"] = Script((), Ending.HOLD)
    async with upstream_at(server.port, Timeouts()) as upstream:
        prepared: Prepared = upstream.prepare(REQUEST, None)
        ask = upstream.open_stream if stream else upstream.send
        task = asyncio.ensure_future(ask(prepared, CONTEXT))
        seen = await asyncio.to_thread(server.wait_for, "m")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(seen.closed.wait, 1)


async def test_many_cancels_do_not_use_up_the_connections(server: ScriptedUpstream) -> None:
    """R2 in small: after a hundred cancels at random moments, every request is served."""
    server.forget()
    server.scripts["m"] = Script((answer(200, WHOLE),), pause=0.005)
    async with upstream_at(server.port, Timeouts()) as upstream:
        prepared = upstream.prepare(REQUEST, None)
        tasks = [asyncio.ensure_future(upstream.send(prepared, CONTEXT)) for _ in range(100)]
        for number, task in enumerate(tasks):
            await asyncio.sleep((number * 7 % 5) / 2000)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        replies = await asyncio.gather(*(upstream.send(prepared, CONTEXT) for _ in range(20)))
    assert all(reply.response == ANSWER for reply in replies)
