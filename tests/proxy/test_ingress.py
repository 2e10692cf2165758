"""ASGI in, ASGI out: which requests are read, how every failure is answered, and how a stream ends at the client."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from adapters.contract import Dialect, Route, WireRequest, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from adapters.model.event import ChoiceFinished, Event, PartEnded, PartStarted, StreamEnded, StreamFailed, StreamStarted
from adapters.model.event import TextDelta as Says
from adapters.model.message import Text
from adapters.model.response import FinishReason
from proxy.errors import RequestFailed
from proxy.exchange import Call, Services, StreamedAnswer
from proxy.ingress import Endpoint
from proxy.pump import TranslatingWriter
from proxy.settings import Server, Settings
from proxy.upstream import Batch
from tests.adapters.toy import TOY, ToyStreamEncoder

Message = MutableMapping[str, Any]
Respond = Callable[[Call, WireRequest], Awaitable[WireResponse | StreamedAnswer]]

LIMIT = 2048
SERVICES = Services(Settings(server=Server(max_body_bytes=LIMIT)), {})
JSON = [(b"content-type", b"application/json")]


class Browser:
    """The server's side of one ASGI call: hands in what the client sends, keeps what it is sent."""

    def __init__(self, *pieces: bytes | None, leaves: bool = False) -> None:
        """``None`` among the pieces: the client leaves there. ``leaves``: it leaves after the last one."""
        self._pieces = [*pieces, None] if leaves else list(pieces)
        self._more = len(pieces)
        self.taken = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._pieces:
            await asyncio.Event().wait()  # the client waits for the answer
        piece = self._pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        self.taken += 1
        return {"type": "http.request", "body": piece, "more_body": self.taken < self._more}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        return not self.sent[-1].get("more_body", False)

    def error(self) -> dict[str, Any]:
        assert self.complete
        assert len(self.body) == int(self.headers["content-length"])
        found = orjson.loads(self.body)["error"]
        assert isinstance(found, dict)
        return found


async def call(
    browser: Browser,
    respond: Respond,
    *,
    method: str = "POST",
    headers: list[tuple[bytes, bytes]] = JSON,
    target: bytes = b"/toy/say",
    dialect: Dialect = TOY,
    root: str = "/toy",
) -> Browser:
    path, _, query = target.partition(b"?")
    scope = {"type": "http", "method": method, "headers": headers, "raw_path": path, "query_string": query}
    endpoint = Endpoint(dialect, Route("POST", "/{rest:path}"), root, respond, lambda: SERVICES)
    await asyncio.wait_for(endpoint(scope, browser.receive, browser.send), 5)
    return browser


async def never(call: Call, wire: WireRequest) -> WireResponse:
    raise AssertionError("a refused request must not be answered")


async def echo(call: Call, wire: WireRequest) -> WireResponse:
    told = {"path": wire.path, "query": wire.query, "body": wire.body.decode(), "mode": call.mode}
    return WireResponse(200, orjson.dumps(told))


# --- reading --------------------------------------------------------------------------------------------------------


async def test_a_body_in_pieces_is_read_whole() -> None:
    browser = await call(Browser(b"ab", b"", b"cd"), echo)
    assert orjson.loads(browser.body)["body"] == "abcd"


@pytest.mark.parametrize(
    ("root", "target", "path", "query"),
    [
        ("/toy", b"/toy/say", "/say", {}),
        ("/toy", b"/toy/run/a%2Fb/stream", "/run/a%2Fb/stream", {}),
        ("/a/{organisation}/ai", b"/a/acme/ai/chat", "/chat", {}),
        ("/toy", b"/toy/say?a=1&b=&c=%C3%A9&a=2", "/say", {"a": "2", "b": "", "c": "\u00e9"}),
        ("/toy", b"/toy/say?%ff=%ff&=&&a=%00", "/say", {"\ufffd": "\ufffd", "": "", "a": "\x00"}),
    ],
)
async def test_the_path_is_below_the_root_and_as_it_came(
    root: str, target: bytes, path: str, query: dict[str, str]
) -> None:
    told = orjson.loads((await call(Browser(b"{}"), echo, target=target, root=root)).body)
    assert (told["path"], told["query"]) == (path, query)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "post", "BREW"])
async def test_another_method_is_refused_with_the_right_one(method: str) -> None:
    browser = await call(Browser(b""), never, method=method)
    assert (browser.status, browser.headers["allow"]) == (405, "POST")
    assert browser.error()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "content_type",
    [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"", b"json"],
)
async def test_another_content_type_is_refused(content_type: bytes) -> None:
    browser = await call(Browser(b"{}"), never, headers=[(b"content-type", content_type)])
    assert (browser.status, browser.error()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"APPLICATION/JSON ; charset=utf-8")],
        [(b"content-type", b"application/vnd.api+json")],
        [*JSON, (b"content-encoding", b"Identity")],
    ],
    ids=["none", "charset", "suffix", "identity"],
)
async def test_json_by_any_of_its_names_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    assert (await call(Browser(b"{}"), echo, headers=headers)).status == 200


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, identity", b"\xff"])
async def test_a_compressed_body_is_refused(encoding: bytes) -> None:
    browser = await call(Browser(b"{}"), never, headers=[*JSON, (b"content-encoding", encoding)])
    assert (browser.status, browser.error()["code"]) == (415, "unsupported_content_encoding")


async def test_a_body_declared_too_large_is_refused_unread() -> None:
    browser = Browser(b"x" * 100, b"x")
    await call(browser, never, headers=[*JSON, (b"content-length", str(LIMIT + 1).encode())])
    assert (browser.status, browser.error()["code"], browser.taken) == (413, "payload_too_large", 0)
    assert browser.headers["connection"] == "close"


async def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    browser = await call(Browser(b"x" * LIMIT, b"x", b"never read"), never)
    assert (browser.status, browser.taken) == (413, 2)
    assert browser.headers["connection"] == "close"


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    headers = [*JSON, (b"content-length", str(LIMIT).encode())]
    assert (await call(Browser(b"x" * (LIMIT - 1), b"x"), echo, headers=headers)).status == 200


@pytest.mark.parametrize("length", [b"-1", b"abc", b"", b"\xb2", b"1e9", b" 5"])
async def test_a_length_that_is_none_is_not_believed(length: bytes) -> None:
    """The server's own parser refuses these; should one come through, the bytes are counted."""
    assert (await call(Browser(b"{}"), echo, headers=[*JSON, (b"content-length", length)])).status == 200


@pytest.mark.parametrize(
    ("value", "mode"),
    [(None, "report"), (b"strict", "strict"), (b" Best-Effort ", "best-effort"), (b"REPORT", "report")],
)
async def test_the_mode_is_taken_from_its_header(value: bytes | None, mode: str) -> None:
    headers = JSON if value is None else [*JSON, (b"x-dragoman-mode", value)]
    assert orjson.loads((await call(Browser(b"{}"), echo, headers=headers)).body)["mode"] == mode


@pytest.mark.parametrize("value", [b"", b"loose", b"strict,report", b"\xff", b"best_effort"])
async def test_a_mode_that_is_none_is_refused(value: bytes) -> None:
    browser = await call(Browser(b"{}"), never, headers=[*JSON, (b"x-dragoman-mode", value)])
    error = browser.error()
    assert (browser.status, error["code"], error["param"]) == (400, "invalid_value", "x-dragoman-mode")
    assert error["message"] == "the header x-dragoman-mode must be one of strict, report, best-effort"


# --- answering ------------------------------------------------------------------------------------------------------


async def test_an_answer_has_its_length_and_the_request_id() -> None:
    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        call.target = "up/m"
        return WireResponse(201, b"[1]", {"content-type": "application/json", "x-finish-reason": "length"})

    browser = await call(Browser(b"{}"), respond, dialect=replace(TOY, request_id_prefix="toy-"))
    headers = browser.headers
    identity = headers.pop("x-request-id")
    assert identity.startswith("toy-")
    assert len(identity) == len("toy-") + 24
    assert headers == {
        "content-type": "application/json",
        "x-finish-reason": "length",
        "x-dragoman-target": "up/m",
        "x-dragoman-fidelity": "exact",
        "content-length": "3",
    }
    assert (browser.status, browser.body, browser.complete) == (201, b"[1]", True)


async def test_a_failure_is_told_in_the_dialects_words() -> None:
    told = ApiError(ErrorKind.RATE_LIMIT, "slow down", Fault.PROXY, code="c", param="p")

    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        call.target = "up/m"
        raise RequestFailed(told)

    browser = await call(Browser(b"{}"), respond)
    assert browser.status == 429
    assert browser.error()["code"] == "c"
    assert browser.headers["x-dragoman-target"] == "up/m"


@pytest.mark.parametrize("bug", [KeyError("canary"), RecursionError(), MemoryError(), StopIteration(), TimeoutError()])
async def test_a_bug_is_a_clean_500(bug: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        raise bug

    browser = await call(Browser(b"{}"), respond)
    assert browser.status == 500
    assert b"canary" not in browser.body
    [logged] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert browser.headers["x-request-id"].endswith(vars(logged)["request_id"])


ODD_TARGETS = ["up/a\r\nb: x", "up/a\nb", "up/\x00", "up/\x7f", "up/" + "m" * 100_000, "up/\u20ac", "up/\ud800"]


@pytest.mark.parametrize("name", ODD_TARGETS, ids=lambda name: ascii(name)[:30])
async def test_a_models_name_cannot_break_the_headers(name: str) -> None:
    """A client names the model, and ``provider/<anything>`` is a target: T6 allows no CR, LF or NUL in a value."""

    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        call.target = name
        return WireResponse(200, b"{}")

    value = (await call(Browser(b"{}"), respond)).headers["x-dragoman-target"]
    assert all(" " <= character <= "~" for character in value)
    assert len(value) <= 4096


# --- clients that leave ---------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_amid_its_body_is_not_answered() -> None:
    browser = await call(Browser(b"{", None), never)
    assert browser.sent == []


async def test_a_client_that_leaves_cancels_the_work() -> None:
    cancelled: list[bool] = []

    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError

    browser = await call(Browser(b"{}", leaves=True), respond)
    assert cancelled == [True]
    assert browser.sent == []


async def test_a_shutdown_is_not_taken_for_a_client_that_left() -> None:
    async def respond(call: Call, wire: WireRequest) -> WireResponse:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.ensure_future(call(Browser(b"{}"), respond))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_no_watcher_is_left_behind() -> None:
    before = asyncio.all_tasks()
    await call(Browser(b"{}"), echo)
    await call(Browser(b"{}", leaves=True), echo)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert asyncio.all_tasks() == before


# --- streams --------------------------------------------------------------------------------------------------------


class Stream:
    """An upstream stream of these batches; after them it ends, or waits for ever."""

    def __init__(self, *batches: list[Event], stalls: bool = False) -> None:
        self._batches = list(batches)
        self._stalls = stalls
        self.closed = 0

    async def read(self) -> Batch | None:
        if self._batches:
            return Batch(b"", self._batches.pop(0))
        if self._stalls:
            await asyncio.Event().wait()
        return None

    def pending(self) -> int:
        return 0

    async def close(self) -> None:
        self.closed += 1


class Silent(ToyStreamEncoder):
    """A dialect without words for a failure."""

    breaks_off = True

    def encode(self, event: Event) -> bytes:
        return b"" if isinstance(event, StreamFailed) else super().encode(event)


BEGIN: list[Event] = [StreamStarted("i", "m", 1), PartStarted(0, Text("")), Says(0, "Hello")]
END: list[Event] = [PartEnded(0), ChoiceFinished(0, FinishReason.STOP), StreamEnded()]
CUT = StreamFailed(ApiError(ErrorKind.BAD_UPSTREAM, "cut", Fault.UPSTREAM, code="stream_interrupted"))


def streaming(stream: Stream, encoder: type[ToyStreamEncoder] = ToyStreamEncoder) -> Respond:
    async def respond(call: Call, wire: WireRequest) -> StreamedAnswer:
        made = encoder(None)  # type: ignore[arg-type]  # it looks at the context only to fill in ids
        made.context = call.context(None)  # type: ignore[arg-type]
        return StreamedAnswer(stream, TranslatingWriter(made, "m"), made, b"first", "text/event-stream")

    return respond


async def test_a_stream_goes_out_as_it_comes_and_ends_in_order() -> None:
    stream = Stream(BEGIN, [], END)
    browser = await call(Browser(b"{}"), streaming(stream))
    assert browser.headers["content-type"] == "text/event-stream"
    assert browser.headers["x-accel-buffering"] == "no"
    assert "content-length" not in browser.headers
    bodies = [message["body"] for message in browser.sent[1:]]
    assert bodies[0] == b"first"
    assert b"Hello" in bodies[1]
    assert b"StreamEnded" in bodies[2]
    assert bodies[3:] == [b""]
    assert [message.get("more_body", False) for message in browser.sent[1:]] == [True, True, True, False]
    assert stream.closed >= 1


async def test_a_failure_with_words_ends_in_order() -> None:
    browser = await call(Browser(b"{}"), streaming(Stream(BEGIN, [CUT])))
    assert b"StreamFailed" in browser.body
    assert browser.complete


async def test_a_failure_without_words_never_ends_in_order() -> None:
    stream = Stream(BEGIN, [CUT])
    browser = await call(Browser(b"{}"), streaming(stream, Silent))
    assert b"Hello" in browser.body
    assert not browser.complete
    assert stream.closed >= 1


async def test_an_upstream_is_closed_when_the_client_leaves_amid_a_stream() -> None:
    stream = Stream(BEGIN, stalls=True)
    browser = await call(Browser(b"{}", leaves=True), streaming(stream))
    assert stream.closed >= 1
    assert not browser.sent or not browser.complete


async def test_an_upstream_is_closed_when_sending_fails() -> None:
    stream = Stream(BEGIN, END)

    class Broken(Browser):
        async def send(self, message: Message) -> None:
            if len(self.sent) > 1:
                raise OSError("gone")
            await super().send(message)

    browser = Broken(b"{}")
    with pytest.raises(OSError, match="gone"):
        await call(browser, streaming(stream))
    assert stream.closed >= 1
