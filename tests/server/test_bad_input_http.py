"""Requests that are wrong before their body is looked at: methods, types, encodings, sizes, paths, headers.

One real server process, spoken to over bare sockets; its upstream must stay untouched.
"""

import gzip
import json
import time
from collections.abc import Iterator

import pytest

from tests.running import Running, running, write_config
from tests.server.test_disconnect_kit import (
    CANARY_KEY,
    INGRESS,
    Heard,
    ScriptedUpstream,
    Wire,
    ask,
    body_of,
    check_error_shape,
    http,
    memory_high_water,
    path_of,
    provider_lines,
    question,
    scripted_upstream,
    troubles,
)

NEVER = "up_openai_chat/never-asked"
LIMIT = 25 * 1024 * 1024
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with scripted_upstream() as running_upstream:
        yield running_upstream


@pytest.fixture(scope="module")
def server(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = write_config(tmp_path_factory.mktemp("bad_http"), provider_lines(upstream.port))
    with running("serve", "--config", config, "--port", "0", environment={"CANARY_KEY": CANARY_KEY}) as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_is_sent(upstream: ScriptedUpstream) -> Iterator[None]:
    upstream.forget()
    yield
    assert (upstream.connections, upstream.requests) == (0, [])


def valid(dialect: str, model: str = NEVER) -> bytes:
    return json.dumps(body_of(dialect, model, stream=False)).encode()


def refused(server: Running, dialect: str, request: bytes, status: int, code: str) -> Heard:
    heard = ask(server.port, request)
    assert heard.status == status, heard
    assert check_error_shape(dialect, heard)["code"] == code
    return heard


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_not_allowed(server: Running, dialect: str, stream: bool, method: str) -> None:
    request = http(method, path_of(dialect, NEVER, stream=stream), valid(dialect))
    heard = refused(server, dialect, request, 405, "method_not_allowed")
    assert heard.headers["allow"] == "POST"


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_head_request_is_answered_without_a_body(server: Running, dialect: str) -> None:
    with Wire(server.port) as wire:
        wire.send(http("HEAD", path_of(dialect, NEVER, stream=False), b"", {"connection": "close"}))
        while wire.read_some():
            pass
    head, _, body = wire.raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: POST" in head
    assert body == b""


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""],
)
def test_another_content_type_is_refused(server: Running, dialect: str, content_type: str) -> None:
    request = http("POST", path_of(dialect, NEVER, stream=False), valid(dialect), {"content-type": content_type})
    refused(server, dialect, request, 415, "unsupported_media_type")


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip", "gzip, identity"])
def test_a_compressed_body_is_refused(server: Running, dialect: str, encoding: str) -> None:
    body = gzip.compress(valid(dialect))
    request = http("POST", path_of(dialect, NEVER, stream=False), body, {"content-encoding": encoding})
    refused(server, dialect, request, 415, "unsupported_content_encoding")


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("mode", ["loose", "", "strict,report", "best_effort", "\xff"])
def test_a_bad_mode_is_refused(server: Running, dialect: str, mode: str) -> None:
    request = http("POST", path_of(dialect, NEVER, stream=False), valid(dialect), {"x-dragoman-mode": mode})
    heard = refused(server, dialect, request, 400, "invalid_value")
    assert check_error_shape(dialect, heard)["param"] == "x-dragoman-mode"


# --- sizes ----------------------------------------------------------------------------------------------------------


def high_water_grown(server: Running, before: int) -> float:
    return (memory_high_water(server.process.pid) - before) / MEBIBYTE


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("declared", [LIMIT + 1, 2**31, 2**40], ids=["one byte more", "2 GiB", "1 TiB"])
def test_a_body_declared_too_large_is_refused_at_once(server: Running, dialect: str, declared: int) -> None:
    before = memory_high_water(server.process.pid)
    started = time.monotonic()
    head = http("POST", path_of(dialect, NEVER, stream=False), b"", {"content-length": str(declared)})
    with Wire(server.port) as wire:
        wire.send(head)  # and not a byte of the body
        heard = wire.read_answer()
        assert heard.status == 413
        assert check_error_shape(dialect, heard)["code"] == "payload_too_large"
        assert not wire.read_some(), "the rest is not waited for"
    assert time.monotonic() - started < 2
    assert high_water_grown(server, before) < 5


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_whole_body_too_large_is_refused(server: Running, dialect: str) -> None:
    """The client sends all of it before it reads, as most do; it must still find the answer."""
    body = valid(dialect)[:-1] + b',"x":"' + b"a" * (LIMIT + MEBIBYTE) + b'"}'
    heard = refused(
        server, dialect, http("POST", path_of(dialect, NEVER, stream=False), body), 413, "payload_too_large"
    )
    assert str(LIMIT) in check_error_shape(dialect, heard)["message"]


@pytest.mark.parametrize("dialect", INGRESS)
def test_an_endless_chunked_body_is_refused_when_it_is_too_large(server: Running, dialect: str) -> None:
    before = memory_high_water(server.process.pid)
    head = {"host": "x", "content-type": "application/json", "transfer-encoding": "chunked"}
    lines = [f"POST {path_of(dialect, NEVER, stream=False)} HTTP/1.1", *(f"{a}: {b}" for a, b in head.items()), "", ""]
    piece = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
    sent = 0
    with Wire(server.port) as wire:
        wire.send("\r\n".join(lines).encode())
        try:
            while sent < 200:
                wire.socket.sendall(piece)
                sent += 1
        except ConnectionError:
            pass
        heard = wire.read_answer()
    assert heard.status == 413
    assert check_error_shape(dialect, heard)["code"] == "payload_too_large"
    assert 24 <= sent < 60, "it is read up to the limit and not much further"
    # The pieces up to the limit are kept until then; nothing of what follows is.
    assert high_water_grown(server, before) < 25 + 25


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_body_of_nearly_the_limit_is_accepted(server: Running, dialect: str) -> None:
    body = valid(dialect, "demo/fail-400")[:-1] + b',"x":"'
    body += b"a" * (LIMIT - len(body) - 2) + b'"}'
    assert len(body) == LIMIT
    heard = ask(server.port, http("POST", path_of(dialect, "demo/fail-400", stream=False), body))
    assert heard.status == 400
    assert check_error_shape(dialect, heard)["code"] == "demo_failure"


# --- paths ----------------------------------------------------------------------------------------------------------

NO_PATHS = [
    "/v1",
    "/v1/",
    "/v1/nothing",
    "/v1/chat",
    "/v1/chat/completions/",
    "/v1/chat/completions/x",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/V1/chat/completions",
    "/v1/./chat/completions",
    "/v1/../v1/chat/completions",
    "/v1/runner",
    "/v1/runner/",
    "/api/v3/organizations/acme/ai",
    "/api/v3/organizations//ai/chat",
    "/api/v3/organizations/acme/ai/chat/",
    "/api/v3/organizations/acme/ai/chat/streams",
    "/api/v3/organizations/a%2Fb/ai/chat",
    "/nothing",
    "/%00",
    "/%ff%fe",
    "/canary-path",
    "/" + "a" * 4000,
    "/v1/chat/completions%00",
]


@pytest.mark.parametrize("path", NO_PATHS, ids=lambda path: path[:40])
def test_an_unknown_path_is_a_clean_404(server: Running, path: str) -> None:
    heard = ask(server.port, http("POST", path, valid("openai_chat")))
    assert heard.status == 404, heard
    dialect = "bedrock_sse" if path.startswith("/api/") else "openai_chat"
    body = heard.json()
    assert body["error"], body
    if path.startswith(("/v1/", "/api/")):
        error = check_error_shape("amarsia" if dialect == "openai_chat" else dialect, heard)
        assert error["message"]
    assert "canary" not in heard.body.decode()


# The same path to a router that decodes it, and another one to a codec that does not.
ODD_PATHS = [
    "/v1%2Fchat/completions",
    "/v1/chat%2Fcompletions",
    "/%761/chat/completions",
    "/v1%2Frunner/up_openai_chat%2Fnever-asked",
    "/v1/runner%2Fx",
    "/v1/runner/x%2Fstream",
    "/v1/runner/%2e%2e/stream",
    "/v1/runner/..%2f..%2fetc%2fpasswd",
    "/v1/runner/%00",
    "/v1/runner/%0d%0aset-cookie:%20a",
    "/v1/runner/%ff",
    "/v1/runner/" + "a" * 8000,
    "/v1/runner//stream",
    "/v1/runner/stream",
    "/v1/runner/stream/stream",
    "/api/v3/organizations/acme/ai%2Fchat",
    "/api/v3/organizations/%00/ai/chat",
    "/api%2Fv3/organizations/acme/ai/chat",
    "/v1/chat/completions?a=%ff&b&=&;",
    "/v1/chat/completions?" + "a=b&" * 3000,
]


@pytest.mark.parametrize("path", ODD_PATHS, ids=lambda path: path[:40])
def test_an_odd_spelling_of_a_path_is_answered_cleanly(server: Running, path: str) -> None:
    heard = ask(server.port, http("POST", path, b"{}"))
    assert heard.status in (400, 404), heard
    assert heard.json()["error"]
    assert "set-cookie" not in heard.headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/",
        "/v1/models/x%2Fy",
        "/v1%2Fmodels/x",
        "/v1/models%2Fx",
        "/v1/models/%00",
        "/v1/models/..",
        "/v1/models//",
    ],
)
def test_an_odd_name_of_a_model_is_answered_cleanly(server: Running, path: str) -> None:
    heard = ask(server.port, http("GET", path))
    assert heard.status == 404, heard
    assert heard.json()["error"]


@pytest.mark.parametrize(
    "target", ["*", "http://elsewhere", "http://elsewhere/v1/nothing", "/", "http://elsewhere/v1/chat/completions"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_an_odd_request_target_is_no_failure(server: Running, method: str, target: str) -> None:
    heard = ask(server.port, http(method, target, b"{}"))
    assert 200 <= heard.status < 500, heard


# --- bytes that are no request --------------------------------------------------------------------------------------

MALFORMED = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "no version": b"POST /v1/chat/completions\r\n\r\n",
    "two lengths": b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "length and chunked": (
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "negative length": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "bad chunk": (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
    "folded header": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "blank in a name": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx a: b\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_harms_nobody(server: Running, name: str) -> None:
    with Wire(server.port, timeout=3) as wire:
        wire.send(MALFORMED[name])
        while wire.read_some():
            if wire.raw.count(b"\r\n\r\n"):
                break
    assert wire.raw == b"" or wire.raw.startswith(b"HTTP/1.1 4"), wire.raw
    assert wire.raw.count(b"HTTP/1.1 ") <= 1, "one request has one answer"
    assert ask(server.port, question("openai_chat", "demo/echo", stream=False)).status == 200


def test_the_log_has_no_traceback(server: Running) -> None:
    """After all of the above."""
    assert troubles(server.log) == []
