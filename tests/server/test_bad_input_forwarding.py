"""What must not pass through the proxy: addresses a client chooses (T3), and headers of either side (T6).

A real server between a bare socket and an upstream that keeps every request byte for byte.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.running import Running, running, write_config
from tests.server.test_disconnect_kit import (
    CANARY_KEY,
    INGRESS,
    LAST_CHUNK,
    TEXT,
    Heard,
    Script,
    ScriptedUpstream,
    Seen,
    answer,
    ask,
    body_of,
    check_error_shape,
    chunk,
    http,
    path_of,
    provider_lines,
    question,
    scripted_upstream,
    stream_frames,
    stream_head,
    stream_script,
    stream_type,
    text_in,
    troubles,
    whole_body,
    whole_script,
)


@dataclass(frozen=True, slots=True)
class Stage:
    server: Running
    upstream: ScriptedUpstream
    canary: ScriptedUpstream

    def send(self, request: bytes) -> tuple[Heard, Seen]:
        """The answer to this request, and the one request that came out behind the proxy."""
        self.upstream.forget()
        heard = ask(self.server.port, request)
        assert len(self.upstream.requests) == 1, heard
        return heard, self.upstream.requests[0]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream() as upstream, scripted_upstream() as canary:
        config = provider_lines(upstream.port)
        config += "".join(
            f"  keyless_{name}: {{dialect: {name}, base_url: 'http://127.0.0.1:{upstream.port}/{name}'}}\n"
            for name in INGRESS
        )
        models = "models:\n" + "".join(f"  same_{name}: up_{name}/same_{name}\n" for name in INGRESS)
        path = write_config(tmp_path_factory.mktemp("forwarding"), config + models)
        with running("serve", "--config", path, "--port", "0", environment={"CANARY_KEY": CANARY_KEY}) as server:
            for name in INGRESS:
                upstream.scripts[f"whole_{name}"] = whole_script(name)
                upstream.scripts[f"stream_{name}"] = stream_script(name)
            yield Stage(server, upstream, canary)


def model_at(upstream: str, *, stream: bool, provider: str = "up") -> str:
    return f"{provider}_{upstream}/{'stream' if stream else 'whole'}_{upstream}"


# --- the client's headers -------------------------------------------------------------------------------------------

THEIR_HEADERS = {
    "host": "evil.example",
    "authorization": "Bearer canary-of-the-client",
    "x-api-key": "canary-of-the-client",
    "api-key": "canary-of-the-client",
    "cookie": "session=canary-of-the-client",
    "x-forwarded-for": "10.0.0.1, canary-of-the-client",
    "forwarded": "for=canary-of-the-client",
    "x-real-ip": "canary-of-the-client",
    "x-canary": "canary-of-the-client",
    "proxy-authorization": "Basic canary-of-the-client",
    "te": "trailers",
    "connection": "keep-alive, x-canary",
    "accept-encoding": "gzip, br",
    "user-agent": "canary-of-the-client",
    "x-request-id": "canary-of-the-client",
    "x-dragoman-mode": "best-effort",
    "openai-organization": "canary-of-the-client",
}
ALLOWED = {"host", "content-length", "content-type", "accept", "accept-encoding", "user-agent"}
KEY_HEADERS = {
    "openai_chat": ("authorization", f"Bearer {CANARY_KEY}"),
    "amarsia": ("x-api-key", CANARY_KEY),
    "bedrock_sse": ("authorization", f"Bearer {CANARY_KEY}"),
}


def check_headers(seen: Seen, port: int, key: tuple[str, str] | None) -> None:
    names = [name for name, _ in seen.headers]
    assert len(names) == len(set(names)), f"each header once: {names}"
    headers = dict(seen.headers)
    assert headers["host"] == f"127.0.0.1:{port}"
    assert headers["accept-encoding"] == "identity"
    assert headers["content-length"] == str(len(seen.body))
    assert headers["content-type"] == "application/json"
    assert set(headers) == ALLOWED & set(headers) | ({key[0]} if key else set()), headers
    if key is not None:
        assert headers[key[0]] == key[1]
    assert "canary-of-the-client" not in repr(seen.headers)
    assert "?" not in seen.path, "the client's query is not sent on"
    json.loads(seen.body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("upstream", INGRESS)
@pytest.mark.parametrize("ingress", INGRESS)
def test_the_clients_headers_are_not_sent_on(stage: Stage, ingress: str, upstream: str, stream: bool) -> None:
    request = question(ingress, model_at(upstream, stream=stream), stream=stream, headers=THEIR_HEADERS)
    heard, seen = stage.send(request.replace(b" HTTP/1.1", b"?canary-of-the-client=1&key=2 HTTP/1.1", 1))
    assert heard.status == 200, heard
    check_headers(seen, stage.upstream.port, KEY_HEADERS[upstream])


@pytest.mark.parametrize("dialect", INGRESS)
def test_nor_where_the_bytes_are_sent_on_as_they_are(stage: Stage, dialect: str) -> None:
    stage.upstream.scripts[f"same_{dialect}"] = whole_script(dialect)
    heard, seen = stage.send(question(dialect, f"same_{dialect}", stream=False, headers=THEIR_HEADERS))
    assert heard.status == 200
    check_headers(seen, stage.upstream.port, KEY_HEADERS[dialect])


@pytest.mark.parametrize("upstream", INGRESS)
@pytest.mark.parametrize("ingress", INGRESS)
def test_the_clients_key_is_never_sent_where_we_have_none(stage: Stage, ingress: str, upstream: str) -> None:
    model = model_at(upstream, stream=False, provider="keyless")
    heard, seen = stage.send(question(ingress, model, stream=False, headers=THEIR_HEADERS))
    assert heard.status == 200
    check_headers(seen, stage.upstream.port, None)


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_chunked_body_goes_out_with_its_length(stage: Stage, dialect: str) -> None:
    """Whatever the coding on the client's side was; with two of them the upstream could read another request."""
    model = model_at(dialect, stream=False)
    body = json.dumps(body_of(dialect, model, stream=False)).encode()
    head = f"POST {path_of(dialect, model, stream=False)} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    pieces = b"".join(chunk(body[at : at + 9]) for at in range(0, len(body), 9))
    heard, seen = stage.send(f"{head}transfer-encoding: chunked\r\n\r\n".encode() + pieces + LAST_CHUNK)
    assert heard.status == 200, heard
    check_headers(seen, stage.upstream.port, KEY_HEADERS[dialect])


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_longer_name_does_not_upset_the_length(stage: Stage, dialect: str) -> None:
    """The model's name is put in place of the client's, which makes the body shorter or longer."""
    name = "whole_" + "n" * 200
    stage.upstream.scripts[name] = whole_script(dialect)
    heard, seen = stage.send(question(dialect, f"up_{dialect}/{name}", stream=False))
    assert (heard.status, seen.model) == (200, name)
    check_headers(seen, stage.upstream.port, KEY_HEADERS[dialect])


# --- addresses a client chooses -------------------------------------------------------------------------------------

ADDRESS_FIELDS = [
    "api_base",
    "base_url",
    "api_url",
    "custom_host",
    "endpoint_url",
    "endpoint",
    "upstream",
    "target",
    "proxy",
    "webhook",
    "region",
    "extra_headers",
    "extra_body",
    "headers",
    "api_key",
    "timeout",
    "provider",
]
ADDRESS_HEADERS = [
    "x-api-base",
    "x-base-url",
    "x-portkey-custom-host",
    "x-portkey-provider",
    "x-forwarded-host",
    "x-original-url",
    "x-rewrite-url",
    "x-dragoman-target",
    "x-dragoman-upstream",
    "helicone-target-url",
    "location",
    "via",
]


@pytest.mark.parametrize("upstream", INGRESS)
@pytest.mark.parametrize("ingress", INGRESS)
def test_no_field_header_or_query_chooses_the_upstream(stage: Stage, ingress: str, upstream: str) -> None:
    """reliability.md T3."""
    address = f"http://127.0.0.1:{stage.canary.port}/v1"
    model = model_at(upstream, stream=False)
    body = body_of(ingress, model, stream=False)
    body |= {
        name: {"x-canary": address} if name.startswith(("extra", "headers")) else address for name in ADDRESS_FIELDS
    }
    headers = dict.fromkeys(ADDRESS_HEADERS, address) | {"host": f"127.0.0.1:{stage.canary.port}"}
    query = "&".join(f"{name}={address}" for name in ADDRESS_FIELDS)
    path = path_of(ingress, model, stream=False)
    heard, seen = stage.send(http("POST", f"{path}?{query}", json.dumps(body).encode(), headers))
    assert heard.status == 200, heard
    assert (seen.model, dict(seen.headers)["host"]) == (f"whole_{upstream}", f"127.0.0.1:{stage.upstream.port}")
    assert stage.canary.connections == 0
    assert "x-canary" not in dict(seen.headers)


TRAVERSALS = [
    "../../admin",
    "..%2f..%2fadmin",
    "a/../../admin",
    "a?x=1",
    "a#x",
    "a%00",
    "a/b/c",
    "@evil.example/a",
    "//evil.example",
]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_model_name_stays_one_piece_of_the_path(stage: Stage, name: str) -> None:
    """T13: an Amarsia upstream has the name in its path; the name stays a name, whatever is in it."""
    stage.upstream.forget()
    stage.upstream.scripts[name] = whole_script("amarsia")
    heard = ask(stage.server.port, question("openai_chat", f"up_amarsia/{name}", stream=False))
    for seen in stage.upstream.requests:
        start = "/amarsia/runner/"
        assert seen.path.startswith(start)
        assert "/" not in seen.path[len(start) :], seen.path
        assert "?" not in seen.path
        assert seen.model == name
    assert stage.upstream.requests or heard.status in (400, 404), heard


# --- the upstream's headers -------------------------------------------------------------------------------------------

UPSTREAM_HEADERS = {
    "set-cookie": "canary=1",
    "x-accel-redirect": "/canary",
    "x-sendfile": "/canary",
    "server": "canary",
    "x-powered-by": "canary",
    "location": "http://canary",
    "www-authenticate": "Basic realm=canary",
    "refresh": "0; url=http://canary",
    "access-control-allow-origin": "canary",
    "x-request-id": "canary",
    "openai-organization": "canary",
    "content-disposition": "attachment; filename=canary",
    "x-dragoman-target": "canary",
    "link": "<http://canary>; rel=preload",
    "trailer": "x-canary",
}


@pytest.mark.parametrize("kind", ["whole", "stream", "error", "relayed whole", "relayed stream"])
@pytest.mark.parametrize("upstream", INGRESS)
def test_the_upstreams_headers_are_not_sent_on(stage: Stage, upstream: str, kind: str) -> None:
    stream = kind.endswith("stream")
    name = f"same_{upstream}" if kind.startswith("relayed") else f"headers_{upstream}"
    if stream:
        sends = (stream_head(stream_type(upstream), UPSTREAM_HEADERS), *map(chunk, stream_frames(upstream)), LAST_CHUNK)
        stage.upstream.scripts[name] = Script(sends)
    else:
        status, body = (400, b'{"error":{"message":"no"}}') if kind == "error" else (200, whole_body(upstream))
        stage.upstream.scripts[name] = Script((answer(status, body, UPSTREAM_HEADERS),))
    ingresses = [upstream] if kind.startswith("relayed") else INGRESS
    for ingress in ingresses:
        model = name if kind.startswith("relayed") else f"up_{upstream}/{name}"
        heard = ask(stage.server.port, question(ingress, model, stream=stream))
        assert heard.status == (400 if kind == "error" else 200), heard
        assert "canary" not in repr(heard.headers), heard.headers
        if kind == "error":
            check_error_shape(ingress, heard)
        elif stream:
            assert text_in(ingress, heard.body) == TEXT


def test_the_canary_was_never_called(stage: Stage) -> None:
    assert stage.canary.connections == 0


def test_the_log_has_no_trouble(stage: Stage) -> None:
    assert troubles(stage.server.log) == []
    assert CANARY_KEY not in "".join(stage.server.log)
    assert "canary-of-the-client" not in "".join(stage.server.log)
