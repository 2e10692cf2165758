"""Where client and upstream speak the same dialect, bytes go through as they are."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import pytest

from adapters.contract import Dialect, WireRequest, WireResponse
from adapters.model.request import Request
from adapters.samples import FEATURES
from proxy.registry import dialect_names, load_dialect
from tests.running import running, write_config
from tests.server.calls import Answer, address, send_wire
from tests.server.recording import Recorder
from tests.server.stage import Stage, any_request, as_config, canned, provider_settings, watched

SECRET = "secret-of-the-upstream"

# Unknown fields, odd white space and key order, numbers in several spellings: nothing that a re-encoding would keep.
REQUESTS = {
    "openai_chat": b"""{ "temperature":1.0e0, "x_new" : {"b":[1, 2.50,null],"a":"\\u4e16\\/"},\t"model":"plain-name",
 "messages" :[{"role":"user","content":"Hi","x_hint":true}] ,"seed": 0, "top_p":0.10 }""",
    "amarsia": b"""{ "x_new" : {"b":[1, 2.50,null],"a":"\\u4e16\\/"},\t"content" :[{"type":"text","x_hint":true,
 "text":"Hi"}] , "variables":{"TONE" :"a"} }""",
    "bedrock_sse": b"""{ "temperature":1.0e0, "x_new" : {"b":[1, 2.50,null],"a":"\\u4e16\\/"},\t"modelId":"plain-name",
 "messages" :[{"role":"user","content":"Hi","x_hint":true}] ,"topP":0.10 }""",
}
ANSWERS = {
    "openai_chat": b"""{ "x_new":[1.50], "id":"chatcmpl-upstream", "object":"chat.completion","created": 1,
 "model":"plain-name","choices":[{"index":0,"x_hint":1.0,"message":{"role":"assistant",
 "content":"Hello \\u00e9"},"finish_reason":"stop"}] }""",
    "amarsia": b"""{ "x_new":[1.50], "model":"plain-name",  "content":"Hello \\u00e9","input_tokens": 1 }""",
    "bedrock_sse": b"""{ "x_new":[1.50], "model":"plain-name","response":{"content":"Hello \\u00e9","role":"assistant"},
 "requestId":"req-upstream","finishReason":"stop" }""",
}
CHUNK = (
    b'{"id":"chatcmpl-upstream","object":"chat.completion.chunk", "created":1,"model":"plain-name",'
    b'"choices":[{"index":0,'
)
STREAMS = {
    "openai_chat": b""": a comment

data: %b"delta":{"role":"assistant","content":"Hel\\u006co"},"finish_reason":null}],"x_new":[1.50]}

data: %b"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"""
    % (CHUNK, CHUNK),
    "amarsia": "Hello \u2028 😀, and nothing\n\nelse.".encode(),
    "bedrock_sse": b"""id: chunk-0
event: start
data: {"requestId":"req-upstream","model":"plain-name", "streaming":true,"x_new":[1.50]}

: a comment

id: chunk-1
event: content
data: {"delta":"Hel\\u006co","complete":false,"x_hint":1.0}

id: chunk-2
event: done
data: {"complete":true,"finishReason":"stop"}

""",
}

with_dialect = pytest.mark.parametrize("name", dialect_names())
with_stream = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@pytest.fixture(scope="module")
def base(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy where ``plain-<dialect>`` leads to the recorder under the same name, with a key."""
    providers = provider_settings(stage.providers, stage.recorder)
    for name in dialect_names():
        providers[f"watched_{name}"]["credential"] = "env:DRAGOMAN_TEST_KEY"
    models = {plain(name): watched(name, plain(name)) for name in dialect_names()}
    path = write_config(tmp_path_factory.mktemp("pass"), as_config({"providers": providers, "models": models}))
    with running("serve", "--config", path, "--port", "0", environment={"DRAGOMAN_TEST_KEY": SECRET}) as proxy:
        yield proxy.base
    assert SECRET not in "".join(proxy.log)


def plain(name: str) -> str:
    """A model name that client and upstream share, so that not even that has to change."""
    return f"plain-{name}"


def request_wire(dialect: Dialect, model: str, *, stream: bool) -> WireRequest:
    """A request with everything in it that a re-encoding would change."""
    wire = dialect.encode_request(Request(model, FEATURES["text"].request.messages, stream=stream)).wire
    body = REQUESTS.get(dialect.name, wire.body).replace(b"plain-name", model.encode())
    if stream and b'"stream"' in wire.body and b'"stream"' not in body:
        body = body.replace(b"{", b'{ "stream" :true,', 1)
    return replace(wire, body=body)


def answer_wire(dialect: Dialect, model: str, *, stream: bool) -> WireResponse:
    """An answer with everything in it that a re-encoding would change."""
    wire = canned(dialect, FEATURES["text"].response, any_request(stream=stream))
    body = (STREAMS if stream else ANSWERS).get(dialect.name, wire.body)
    return replace(wire, body=body.replace(b"plain-name", model.encode()))


def exchange(base: str, recorder: Recorder, sent: WireRequest, answer: WireResponse, dialect: Dialect) -> Answer:
    """What the client gets for ``sent`` while the upstream answers ``answer``."""
    recorder.will_answer(answer, chunked="application/json" not in answer.headers["content-type"])
    keys = {"authorization": "Bearer client-key", "x-api-key": "client-key"}
    received = send_wire(base, dialect, sent, keys)
    assert received.status == 200, received
    assert received.complete
    return received


@with_dialect
@with_stream
def test_a_request_goes_through_byte_for_byte(base: str, name: str, stream: bool, recorder: Recorder) -> None:
    dialect = load_dialect(name)
    sent = request_wire(dialect, plain(name), stream=stream)
    exchange(base, recorder, sent, answer_wire(dialect, plain(name), stream=stream), dialect)
    (arrived,) = recorder.received
    assert arrived.body == sent.body
    assert arrived.path == f"/{name}{address(sent)}"


@with_dialect
@with_stream
def test_only_the_models_name_is_changed(base: str, name: str, stream: bool, recorder: Recorder) -> None:
    dialect, asked = load_dialect(name), watched(name, "up.stream-1:0")
    sent = request_wire(dialect, asked, stream=stream)
    answer = answer_wire(dialect, "up.stream-1:0", stream=stream)
    received = exchange(base, recorder, sent, answer, dialect)
    (arrived,) = recorder.received
    assert arrived.body == sent.body.replace(asked.encode(), b"up.stream-1:0")
    there = unquote(arrived.path)
    assert there == f"/{name}{unquote(address(sent))}".replace(asked, "up.stream-1:0")
    assert b"up.stream-1:0" not in received.body.replace(asked.encode(), b"")
    assert received.headers["x-dragoman-target"] == asked


@pytest.mark.parametrize("name", ["bedrock_sse", "openai_chat"])
def test_latin_letters_in_escapes_do_not_stop_it(base: str, name: str, recorder: Recorder) -> None:
    """Python's own json module writes them so; only escapes of ASCII could spell a key."""
    dialect, asked = load_dialect(name), watched(name, "up")
    sent = request_wire(dialect, asked, stream=False)
    sent = replace(sent, body=sent.body.replace(b"\\u4e16", b"\\u00e9"))
    exchange(base, recorder, sent, answer_wire(dialect, "up", stream=False), dialect)
    (arrived,) = recorder.received
    assert arrived.body == sent.body.replace(asked.encode(), b"up")


@with_dialect
def test_what_needs_no_edit_is_sent_on_even_with_escapes_in_it(base: str, name: str, recorder: Recorder) -> None:
    """``shared`` ruling 10: same-dialect traffic that needs no edit is forwarded as it came."""
    dialect = load_dialect(name)
    sent = request_wire(dialect, plain(name), stream=False)
    sent = replace(sent, body=sent.body.replace(b"\\u4e16", b"\\u00e9\\u0041"))
    exchange(base, recorder, sent, answer_wire(dialect, plain(name), stream=False), dialect)
    (arrived,) = recorder.received
    assert arrived.body == sent.body


@with_dialect
@with_stream
def test_an_answer_comes_back_byte_for_byte(base: str, name: str, stream: bool, recorder: Recorder) -> None:
    dialect = load_dialect(name)
    answer = answer_wire(dialect, plain(name), stream=stream)
    received = exchange(base, recorder, request_wire(dialect, plain(name), stream=stream), answer, dialect)
    assert received.body == answer.body
    assert received.headers["content-type"] == (dialect.stream_type if stream else "application/json")
    assert received.headers["x-dragoman-fidelity"] == "exact"


@with_dialect
@with_stream
def test_the_upstream_gets_our_key_and_never_the_clients(
    base: str, name: str, stream: bool, recorder: Recorder
) -> None:
    dialect = load_dialect(name)
    sent = request_wire(dialect, plain(name), stream=stream)
    received = exchange(base, recorder, sent, answer_wire(dialect, plain(name), stream=stream), dialect)
    (arrived,) = recorder.received
    place = dialect.credential
    assert arrived.headers[place.header] == place.prefix + SECRET
    assert "client-key" not in str(arrived.headers)
    assert SECRET not in str(received.headers)
    assert SECRET.encode() not in received.body


@with_dialect
def test_headers_of_the_upstream_stay_there(base: str, name: str, recorder: Recorder) -> None:
    dialect = load_dialect(name)
    answer = answer_wire(dialect, plain(name), stream=False)
    answer = replace(answer, headers={**answer.headers, "set-cookie": "a=b", "x-upstream": "1", "server": "secret/1"})
    received = exchange(base, recorder, request_wire(dialect, plain(name), stream=False), answer, dialect)
    assert not {"set-cookie", "x-upstream", "server"} & set(received.headers)


@with_dialect
def test_headers_of_the_client_are_not_sent_on(base: str, name: str, recorder: Recorder) -> None:
    dialect = load_dialect(name)
    recorder.will_answer(answer_wire(dialect, plain(name), stream=False))
    headers = {"cookie": "a=b", "x-forwarded-for": "192.0.2.1", "x-client": "1", "user-agent": "client/1"}
    assert send_wire(base, dialect, request_wire(dialect, plain(name), stream=False), headers).status == 200
    (arrived,) = recorder.received
    assert not {"cookie", "x-forwarded-for", "x-client"} & set(arrived.headers)
    assert arrived.headers["user-agent"] == "dragoman"
    assert arrived.headers["accept-encoding"] == "identity"
