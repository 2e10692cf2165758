"""Small readers that follow the rules of the clients which exist for a dialect, and nothing but those rules.

``AmarsiaClient`` reads as the first-party SDK does (``dialects/amarsia.md`` 5, 6, 9); ``read_like_app`` and
``read_like_drupal`` as the two first-party consumers of the Bedrock-style stream (``dialects/quant.md`` 5).
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 20.0

CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    413: "payload_too_large",
    422: "unprocessable_entity",
    429: "rate_limited",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}


class AmarsiaError(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, message: str, code: str | None, param: str | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.message, self.param = status, message, param
        self.code = code or CODES.get(status, "unknown_error")


class AmarsiaNetworkError(Exception):
    """The connection broke, or the body did not come to its end."""


class AmarsiaValidationError(Exception):
    """A successful answer is not a JSON object."""


@dataclass(frozen=True, slots=True)
class Run:
    """A complete answer: ``content`` and whichever of the four known fields had the right type."""

    content: Any
    metadata: dict[str, Any]


class AmarsiaClient:
    """``run`` and ``stream`` for one deployment."""

    def __init__(self, base: str, deployment: str, api_key: str = "any") -> None:
        place = urlsplit(base)
        self._host, self._port = place.hostname or "", place.port
        self._path = f"/v1/runner/{quote(deployment, safe='')}"
        self._headers = {"content-type": "application/json", "x-api-key": api_key}

    def run(self, content: list[dict[str, Any]], **others: Any) -> Run:
        """The whole answer. Raises an error of this module."""
        with self._post(self._path, {"content": content, **others}) as response:
            body = _whole(response)
        try:
            answer = json.loads(body)
        except ValueError:
            raise AmarsiaValidationError("the body is not JSON") from None
        if not isinstance(answer, dict):
            raise AmarsiaValidationError("the body is not a JSON object")
        return Run(answer.get("content"), _metadata(answer))

    def stream(self, content: list[dict[str, Any]], **others: Any) -> Iterator[str]:
        """The answer's text as it comes. Raises an error of this module, also in the middle."""
        with self._post(f"{self._path}/stream", {"content": content, **others}) as response:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            while piece := _read(response):
                yield decoder.decode(piece)  # never flushed: what is incomplete at the very end is lost

    @contextmanager
    def _post(self, path: str, body: dict[str, Any]) -> Iterator[HTTPResponse]:
        """The answer's head; its status is looked at before any of its body, and its content type never."""
        with closing(HTTPConnection(self._host, self._port, timeout=TIMEOUT)) as connection:
            try:
                connection.request("POST", path, json.dumps(body).encode(), self._headers)
                response = connection.getresponse()
            except (HTTPException, OSError) as error:
                raise AmarsiaNetworkError(str(error)) from None
            with response:
                if not 200 <= response.status < 300:
                    raise amarsia_error(response.status, _whole(response).decode("utf-8", "replace"))
                yield response


def _whole(response: HTTPResponse) -> bytes:
    return b"".join(iter(lambda: _read(response), b""))


def _read(response: HTTPResponse) -> bytes:
    try:
        piece = response.read1(65536)
    except (HTTPException, OSError) as error:
        raise AmarsiaNetworkError(str(error)) from None
    if not piece and response.length:
        raise AmarsiaNetworkError("the body is shorter than announced")
    return piece


def _metadata(answer: dict[str, Any]) -> dict[str, Any]:
    kinds = {"model": str, "input_tokens": int, "output_tokens": int, "request_id": str}
    return {name: answer[name] for name, kind in kinds.items() if isinstance(answer.get(name), kind)}


def amarsia_error(status: int, body: str) -> AmarsiaError:
    """What the SDK makes of an error body: ``error``, then ``detail`` as string, array or object, then the raw text."""
    try:
        parsed = json.loads(body)
    except ValueError:
        looks_like_json = body.lstrip()[:1] in ("{", "[")
        return AmarsiaError(status, "the request failed" if looks_like_json else body, None)
    found = parsed if isinstance(parsed, dict) else {}
    error, detail = found.get("error"), found.get("detail")
    if isinstance(error, dict) and error.get("message"):
        return AmarsiaError(status, error["message"], error.get("code"), error.get("param"))
    if isinstance(detail, str):
        return AmarsiaError(status, detail, None)
    if isinstance(detail, list) and detail:
        param = ".".join(step for step in detail[0].get("loc", ()) if isinstance(step, str))
        return AmarsiaError(status, detail[0].get("msg", ""), detail[0].get("type"), param)
    if isinstance(detail, dict):
        return AmarsiaError(status, detail.get("message", ""), detail.get("code"))
    return AmarsiaError(status, "the request failed", None)


@dataclass(slots=True)
class Turn:
    """What a reader of the Bedrock-style stream knows at the end of the body. ``complete``: it saw the end mark."""

    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    wants_results: bool = False
    """The stream stopped so that the client can run the tools."""
    usage: dict[str, Any] | None = None
    error: str | None = None

    @property
    def looks_finished(self) -> bool:
        return (self.complete or self.wants_results) and self.error is None


def _lines(reads: Iterable[bytes]) -> Iterator[str]:
    """Lines as both readers cut them: at LF and nowhere else. What follows the last LF is never looked at."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    buffer = ""
    for read in reads:
        *lines, buffer = (buffer + decoder.decode(read)).split("\n")
        yield from lines


def read_like_app(reads: Iterable[bytes]) -> Turn:
    """The turn as the chat app reads it: by event name, which an exactly empty line resets."""
    turn, event = Turn(), ""
    for line in _lines(reads):
        if line == "":
            event = ""
        elif line.startswith("event: "):
            event = line[len("event: ") :]
        elif line.startswith("data: ") and line != "data: [DONE]":
            _take_named(turn, event, json.loads(line[len("data: ") :]))
            if event == "error":
                return turn
    return turn


def _take_named(turn: Turn, event: str, data: dict[str, Any]) -> None:
    match event:
        case "content":
            turn.text += data["delta"]
        case "tool_request":
            turn.calls.append({"name": data["name"], "input": data["input"]})
        case "done":
            turn.complete = data["complete"] is True
            turn.wants_results = data.get("stopReason") == "tool_request"
            turn.usage = data.get("usage")
        case "error":
            turn.error = data["error"]
        case _:
            pass  # start and everything that only informs


def read_like_drupal(reads: Iterable[bytes]) -> Turn:
    """The turn as the Drupal provider reads it: event names are not looked at, keys alone decide."""
    turn = Turn()
    for line in _lines(reads):
        line = line.removesuffix("\r")
        if not line.startswith("data: "):
            continue
        try:
            data = json.loads(line[len("data: ") :])
        except ValueError:
            continue
        if "delta" in data:
            turn.text += data["delta"]
        calls = data.get("toolUse") or data.get("response", {}).get("toolUse")
        if calls:
            calls = calls if isinstance(calls, list) else [calls]
            turn.calls += [{"name": call["name"], "input": call["input"]} for call in calls]
            turn.wants_results = True
        turn.usage = data.get("usage", turn.usage)
        if data.get("complete") is True:
            turn.complete = True
            return turn
    return turn
