"""ASGI on one side, wire requests and responses on the other. Pure ASGI: no middleware, no per-chunk objects."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from adapters.contract import Dialect, Route, WireRequest, WireResponse
from adapters.model.error import ApiError, ErrorKind, Fault
from proxy.errors import RequestFailed, to_api_error
from proxy.exchange import Call, Services, StreamedAnswer
from proxy.fidelity import Mode

log = logging.getLogger("dragoman")

# Keep intermediaries from holding back or rewriting a stream (dialects/quant.md Q17, dialects/amarsia.md A5).
STREAM_HEADERS = {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}

Respond = Callable[[Call, WireRequest], Awaitable[WireResponse | StreamedAnswer]]


class Endpoint:
    """One path of one dialect: reads the request, has it answered, and turns every failure into the dialect's error.

    ``root`` is the API root that ``route`` stands below; ``respond`` does the work.
    The services are looked up per request, so that a new configuration takes effect with the next one.
    """

    def __init__(
        self, dialect: Dialect, route: Route, root: str, respond: Respond, services: Callable[[], Services]
    ) -> None:
        self.dialect = dialect
        self._route = route
        self._method = route.method
        self._root_depth = root.count("/")
        self._respond = respond
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(self.dialect, self._services())
        try:
            wire = await self._read(call, scope, receive)
            await self._answer(call, wire, receive, send)
        except ClientGoneError:
            return
        except Exception as error:  # the task boundary: whatever it is, the client gets one clean error
            await send_error(call, to_api_error(error, call.request_id), send, allow=self._method)

    async def _read(self, call: Call, scope: Scope, receive: Receive) -> WireRequest:
        if scope["method"] != self._method:
            message = f"this path takes {self._method} only"
            raise RequestFailed(ApiError(ErrorKind.INVALID_REQUEST, message, status=405, code="method_not_allowed"))
        path = _path_below_root(scope, self._root_depth)
        if self._route.match(path) is None:  # an escaped slash where a plain one belongs, or an empty name
            raise RequestFailed(unknown_path())
        headers = headers_of(scope)
        body = b""
        if self._method == "POST":
            _check_content_type(headers)
            body = await _read_body(headers, receive, call.services.settings.server.max_body_bytes)
        call.mode = _mode(headers)
        return WireRequest(self._method, path, body, headers, _query(scope))

    async def _answer(self, call: Call, wire: WireRequest, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # ASGI servers run applications in tasks
        watcher = _DisconnectWatcher(receive, task)
        try:
            answer = await self._respond(call, wire)
            if isinstance(answer, StreamedAnswer):
                await _send_stream(call, answer, send)
            else:
                await _send_whole(answer, call.headers(answered=True), send)
        except asyncio.CancelledError:
            if watcher.client_gone:
                raise ClientGoneError from None
            raise
        finally:
            watcher.stop()


def unknown_path() -> ApiError:
    """The error for a path that no dialect has."""
    message = "there is nothing at this path; GET / lists what there is"
    return ApiError(ErrorKind.NOT_FOUND, message, code="unknown_path")


class ClientGoneError(Exception):
    """The client closed its connection; there is nobody left to answer."""


class _DisconnectWatcher:
    """Cancels the request's task as soon as the client leaves, in whatever phase it is.

    Cancelling is what closes the upstream's connection: every ``await`` on it ends, and closes it on its way out.
    """

    def __init__(self, receive: Receive, task: "asyncio.Task[Any]") -> None:
        self.client_gone = False
        self._receive = receive
        self._task = task
        self._watch = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        self._task.cancel()

    def stop(self) -> None:
        self._watch.cancel()


async def _send_whole(answer: WireResponse, headers: Mapping[str, str], send: Send) -> None:
    head = {**answer.headers, **headers, "content-length": str(len(answer.body))}.items()
    await send({"type": "http.response.start", "status": answer.status, "headers": _raw(head)})
    await send({"type": "http.response.body", "body": answer.body})


async def _send_stream(call: Call, answer: StreamedAnswer, send: Send) -> None:
    """Writes the stream out. A failure that the dialect has no words for breaks the connection."""
    stream, writer = answer.stream, answer.writer
    try:
        head = {"content-type": answer.content_type, **STREAM_HEADERS, **call.headers(answered=True)}
        await send({"type": "http.response.start", "status": 200, "headers": _raw(head.items())})
        chunk = answer.first
        while True:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if writer.over:
                break
            batch = await stream.read()
            if batch is None:
                break
            chunk = writer.write(batch)
    finally:
        await stream.close()
    if writer.failure is not None:
        log.warning("stream failed", extra={"request_id": call.request_id, "code": writer.failure.code})
    if writer.failure is None or not answer.encoder.breaks_off:
        await send({"type": "http.response.body", "body": b""})
    # else: returning without the final chunk makes the server close the connection, which the client sees as an error


async def send_error(call: Call, error: ApiError, send: Send, allow: str = "") -> None:
    """Sends ``error`` as the call's dialect words it. ``allow``: the methods that would have been right, for a 405."""
    log.info("request failed", extra={"request_id": call.request_id, "code": error.code, "status": error.http_status})
    answer = call.dialect.encode_error(error)
    headers = call.headers(answered=False)
    if error.http_status == 405:
        headers["allow"] = allow
    if error.http_status == 413:
        headers["connection"] = "close"  # the rest of the body is not worth reading
    await _send_whole(answer, headers, send)


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers]


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers, names in lower case as ASGI has them; of a name that stands twice the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _query(scope: Scope) -> dict[str, str]:
    raw: bytes = scope["query_string"]
    if not raw:
        return {}
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))


def _path_below_root(scope: Scope, root_depth: int) -> str:
    """The percent-encoded path after the API root, which has ``root_depth`` segments."""
    raw: bytes = scope["raw_path"]
    return "/" + raw.split(b"?", 1)[0].decode("latin-1").split("/", root_depth + 1)[-1]


def _mode(headers: Mapping[str, str]) -> Mode:
    named = headers.get("x-dragoman-mode")
    if named is None:
        return Mode.REPORT
    try:
        return Mode(named.strip().lower())
    except ValueError:
        message = f"the header x-dragoman-mode must be one of {', '.join(Mode)}"
        raise RequestFailed(
            ApiError(ErrorKind.INVALID_REQUEST, message, code="invalid_value", param="x-dragoman-mode")
        ) from None


def _check_content_type(headers: Mapping[str, str]) -> None:
    content_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        message = "the body must be JSON: send the header content-type: application/json"
        raise RequestFailed(ApiError(ErrorKind.INVALID_REQUEST, message, status=415, code="unsupported_media_type"))
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        message = "compressed request bodies are not accepted: send the body without content-encoding"
        raise RequestFailed(
            ApiError(ErrorKind.INVALID_REQUEST, message, status=415, code="unsupported_content_encoding")
        )


async def _read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """The whole body. Refuses a larger one as soon as that is known, without reading on; counts chunked ones."""
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> RequestFailed:
    message = f"the body is larger than {limit} bytes"
    return RequestFailed(ApiError(ErrorKind.TOO_LARGE, message, Fault.CLIENT, code="payload_too_large"))
