"""Readers that follow the documented client rules get right answers, and see every failure, whatever is upstream."""

import pytest

from adapters.contract import EncodeError, WireResponse
from adapters.model.response import Choice, FinishReason, Response
from adapters.samples import FEATURES
from proxy.registry import dialect_names, load_dialect
from tests.server.calls import Answer, post
from tests.server.readers import (
    AmarsiaClient,
    AmarsiaError,
    AmarsiaNetworkError,
    AmarsiaValidationError,
    Turn,
    amarsia_error,
    read_like_app,
    read_like_drupal,
)
from tests.server.recording import Recorder
from tests.server.stage import DEMO, UPSTREAMS, any_request, breaks_off, canned, reports_usage, takes, target, watched

TEXTS = {
    "plain": "Hello there, how are you?",
    "emoji": "👩‍👩‍👧 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿 and 😀",
    "line separators": "one\u2028two\u2029three\u0085four",
    "chinese": "北京的天气怎么样？東京は？",
    "awkward": 'a "quoted" \\ back\\slash\ttab\nline\n\ndata: [DONE]\n\nevent: error',
}
EMPTY = Response((Choice(0, (), FinishReason.STOP),), model="sample-model")

# What clients see of an upstream's status: our own key and quota there are not theirs (proxy/errors.py).
SEEN = {400: 400, 401: 502, 402: 502, 403: 502, 404: 404, 413: 413, 429: 429, 500: 502, 502: 502, 503: 503, 504: 504}

READERS = {"app": read_like_app, "drupal": read_like_drupal}

with_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)
with_dialect = pytest.mark.parametrize("upstream", dialect_names())
with_reader = pytest.mark.parametrize("reader", READERS)
with_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def text_part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def said(text: str) -> str:
    """The echo of ``text``."""
    return f'You said: "{text}"'


def ask_bedrock(base: str, model: str, text: str, **others: object) -> Answer:
    body = {"modelId": model, "messages": [{"role": "user", "content": text}], **others}
    headers = {"content-type": "application/json", "accept": "text/event-stream", "authorization": "Bearer qc_any"}
    return post(f"{base}/api/v3/organisations/acme/ai/chat/stream", body, headers)


def read(reader: str, answer: Answer) -> Turn:
    """The turn, which must not depend on how the bytes are cut into reads."""
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/event-stream")
    turn = READERS[reader]([answer.body])
    assert turn == READERS[reader](answer.body[at : at + 1] for at in range(len(answer.body)))
    return turn


# --- the readers themselves -----------------------------------------------------------------------------------------

DOCUMENTED = b"""id: chunk-0
event: start
data: {"requestId":"abc123","model":"amazon.nova-lite-v1:0","streaming":true}

id: chunk-1
event: content
data: {"delta":"Hello","complete":false}

id: chunk-2
event: content
data: {"delta":" there!","complete":false}

id: chunk-3
event: done
data: {"complete":true,"usage":{"inputTokens":8,"outputTokens":15,"totalTokens":23}}

"""


@with_reader
def test_the_documented_stream_is_read(reader: str) -> None:
    usage = {"inputTokens": 8, "outputTokens": 15, "totalTokens": 23}
    assert READERS[reader]([DOCUMENTED]) == Turn("Hello there!", [], True, False, usage)


@with_reader
def test_a_cut_documented_stream_does_not_look_finished(reader: str) -> None:
    last_line = DOCUMENTED.index(b"event: done")
    assert not READERS[reader]([DOCUMENTED[:last_line]]).looks_finished


def test_the_app_reader_needs_bare_line_feeds() -> None:
    assert read_like_app([DOCUMENTED.replace(b"\n", b"\r\n")]).text == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"error":{"message":"m","code":"c","param":"p"},"detail":"d"}', ("m", "c", "p")),
        ('{"error":{"message":"m","code":null}}', ("m", "bad_request", None)),
        ('{"error":{"code":"c"},"detail":"d"}', ("d", "bad_request", None)),
        ('{"detail":[{"loc":["body",0,"content"],"msg":"m","type":"t"}]}', ("m", "t", "body.content")),
        ('{"detail":{"message":"m","code":"c"}}', ("m", "c", None)),
        ("plain words", ("plain words", "bad_request", None)),
    ],
)
def test_amarsia_errors_are_read_in_the_documented_order(body: str, expected: tuple[str, str, str | None]) -> None:
    error = amarsia_error(400, body)
    assert (error.message, error.code, error.param) == expected


def test_the_amarsia_reader_wants_a_json_object(base: str, recorder: Recorder) -> None:
    """Through the recorder alone: it answers a JSON string where an object belongs."""
    recorder.will_answer(WireResponse(200, b'"text"'))
    with pytest.raises(AmarsiaValidationError):
        AmarsiaClient(f"http://127.0.0.1:{recorder.port}", "any").run(text_part("x"))


# --- Amarsia clients ------------------------------------------------------------------------------------------------


@with_upstream
@with_text
def test_amarsia_run_gets_the_text(base: str, upstream: str, text: str) -> None:
    model = target(upstream, "echo")
    run = AmarsiaClient(base, model).run(text_part(text))
    assert run.content == said(text)
    assert run.metadata["model"] == model
    assert run.metadata["input_tokens"] > 0
    assert run.metadata["output_tokens"] > 0
    assert run.metadata["request_id"].startswith("req_")


@with_upstream
@with_text
def test_amarsia_stream_gets_the_text(base: str, upstream: str, text: str) -> None:
    assert "".join(AmarsiaClient(base, target(upstream, "echo")).stream(text_part(text))) == said(text)


@with_dialect
def test_amarsia_gets_an_empty_answer(base: str, upstream: str, recorder: Recorder) -> None:
    dialect = load_dialect(upstream)
    client = AmarsiaClient(base, watched(upstream, "any"))
    recorder.will_answer(canned(dialect, EMPTY, any_request(stream=False)))
    assert client.run(text_part("x")).content == ""
    recorder.will_answer(canned(dialect, EMPTY, any_request(stream=True)), chunked=True)
    assert list(client.stream(text_part("x"))) == []


@pytest.mark.parametrize("stream", [False, True])
@with_dialect
def test_tool_calls_are_an_error_to_amarsia_and_never_half_an_answer(
    base: str, upstream: str, stream: bool, recorder: Recorder
) -> None:
    """``dialects/amarsia.md`` A9: 502 while nothing is written, else the connection breaks."""
    dialect = load_dialect(upstream)
    try:
        answer = canned(dialect, FEATURES["tools"].response, any_request(stream=stream))
    except EncodeError:
        return  # this upstream has no tool calls to answer with
    recorder.will_answer(answer, chunked=stream)
    client = AmarsiaClient(base, watched(upstream, "any"))
    if stream:
        with pytest.raises((AmarsiaError, AmarsiaNetworkError)) as caught:
            list(client.stream(text_part("x")))
    else:
        with pytest.raises(AmarsiaError) as caught:
            client.run(text_part("x"))
    if isinstance(caught.value, AmarsiaError):
        assert (caught.value.status, caught.value.code) == (502, "unsupported_tool_call")


@pytest.mark.parametrize("status", SEEN)
@with_upstream
def test_amarsia_sees_errors(base: str, upstream: str, status: int) -> None:
    client = AmarsiaClient(base, target(upstream, f"fail-{status}"))
    for ask in (lambda: client.run(text_part("x")), lambda: list(client.stream(text_part("x")))):
        with pytest.raises(AmarsiaError) as caught:
            ask()
        assert caught.value.status == SEEN[status]
        assert caught.value.message
        assert caught.value.code not in CODES_MADE_UP


CODES_MADE_UP = ("unknown_error", "bad_request", "bad_gateway")
"""What the reader itself puts in where the server names no code; ours always does (A1)."""


@with_upstream
def test_amarsia_sees_a_cut(base: str, upstream: str) -> None:
    pieces: list[str] = []
    with pytest.raises((AmarsiaNetworkError, AmarsiaError)) as caught:
        pieces.extend(AmarsiaClient(base, target(upstream, "cut")).stream(text_part(TEXTS["plain"] * 5)))
    text = "".join(pieces)
    whole = said(TEXTS["plain"] * 5)
    assert whole.startswith(text)
    assert text != whole
    if not breaks_off(upstream):
        assert text
        assert isinstance(caught.value, AmarsiaNetworkError)


# --- clients of the Bedrock-style stream ----------------------------------------------------------------------------


@with_reader
@with_upstream
@with_text
def test_bedrock_readers_get_the_text(base: str, reader: str, upstream: str, text: str) -> None:
    turn = read(reader, ask_bedrock(base, target(upstream, "echo"), text))
    assert turn.text == said(text)
    assert turn.complete
    assert turn.error is None
    assert turn.calls == []
    if reports_usage(upstream):
        assert turn.usage is not None
        assert turn.usage["totalTokens"] == turn.usage["inputTokens"] + turn.usage["outputTokens"] > 0
    else:
        assert turn.usage is None  # Q11: zeros would be wrong


@with_reader
def test_bedrock_readers_get_an_empty_answer_from_the_demo(base: str, reader: str) -> None:
    turn = read(reader, ask_bedrock(base, f"{DEMO}/echo", "x", stopSequences=["You said"]))
    assert (turn.text, turn.complete, turn.error) == ("", True, None)


@with_reader
@with_dialect
def test_bedrock_readers_get_an_empty_answer(base: str, reader: str, upstream: str, recorder: Recorder) -> None:
    recorder.will_answer(canned(load_dialect(upstream), EMPTY, any_request(stream=True)), chunked=True)
    turn = read(reader, ask_bedrock(base, watched(upstream, "any"), "x"))
    assert (turn.text, turn.complete, turn.error) == ("", True, None)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Kigali"]}}, "required": ["city"]}
TOOLS = {
    "tools": [
        {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": SCHEMA}}}
        for name in ("get_weather", "get_time")
    ]
}


@pytest.mark.parametrize("names", [["get_weather"], ["get_weather", "get_time"]], ids=["one", "two"])
@with_reader
@with_upstream
def test_bedrock_readers_get_tool_calls_once(base: str, reader: str, upstream: str, names: list[str]) -> None:
    question = f"Please use {' and '.join(names)}."
    answer = ask_bedrock(base, target(upstream, "tools"), question, toolConfig=TOOLS)
    if not takes(upstream, FEATURES["tools"].request):
        assert answer.status == 400, answer
        return
    turn = read(reader, answer)
    assert turn.calls == [{"name": name, "input": {"city": "Kigali"}} for name in names]
    assert turn.wants_results
    assert not turn.complete
    assert turn.error is None


@with_reader
@with_dialect
def test_bedrock_readers_get_text_before_tool_calls(base: str, reader: str, upstream: str, recorder: Recorder) -> None:
    try:
        recorder.will_answer(
            canned(load_dialect(upstream), FEATURES["tools"].response, any_request(stream=True)), chunked=True
        )
    except EncodeError:
        return  # this upstream has no tool calls to answer with
    turn = read(reader, ask_bedrock(base, watched(upstream, "any"), "x"))
    assert turn.text == "I will look."
    assert turn.calls == [{"name": name, "input": {"city": "Kigali"}} for name in ("get_weather", "get_time")]
    assert turn.wants_results


@pytest.mark.parametrize("status", SEEN)
@with_upstream
def test_bedrock_clients_see_errors_before_the_stream(base: str, upstream: str, status: int) -> None:
    answer = ask_bedrock(base, target(upstream, f"fail-{status}"), "x")
    assert answer.status == SEEN[status]
    body = answer.json()
    assert body["error"] is True
    assert body["message"]
    assert body["code"]


@with_reader
@with_upstream
def test_bedrock_readers_see_a_cut(base: str, reader: str, upstream: str) -> None:
    """Q6: ``event: error``, no ``done``, no ``complete:true``, and the body ends in order."""
    answer = ask_bedrock(base, target(upstream, "cut"), TEXTS["plain"] * 5)
    if answer.status != 200:
        assert breaks_off(upstream), answer  # the break may overtake the text before it
        assert answer.status == 502
        return
    assert answer.complete
    turn = read(reader, answer)
    assert not turn.looks_finished
    assert said(TEXTS["plain"] * 5).startswith(turn.text)
    assert turn.text != said(TEXTS["plain"] * 5)
    assert turn.text
    if reader == "app":
        assert turn.error
