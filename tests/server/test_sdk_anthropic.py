"""The official ``anthropic`` package against every upstream: it must not notice what is behind."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from adapters.samples import PDF, PNG
from proxy.registry import load_dialect
from tests.server.sdk_cases import (
    ARGUMENTS,
    CITY,
    LONG,
    MOST_TOKENS,
    ODD,
    REFUSED,
    REPLIED,
    REPLY,
    REPORT,
    RESULTS,
    SEEN,
    SILENT_ON_USAGE,
    STATUSES,
    SYSTEM,
    TELL_STOP_SEQUENCE,
    TIMEOUT,
    TOOLS,
    TURNS,
    both_ways,
    cut,
    failing,
    has,
    need,
    said,
    thought,
    tokens,
    with_server,
    with_upstream,
)
from tests.server.stage import DEMO, Stage, breaks_off, target

need("anthropic", "anthropic")

import anthropic  # noqa: E402  it may not be there
from anthropic.types import Message, ToolUseBlock  # noqa: E402


def connect(base: str) -> anthropic.Anthropic:
    """The client, without its retries."""
    return anthropic.Anthropic(base_url=base, api_key="any", max_retries=0, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def claude(base: str) -> Iterator[anthropic.Anthropic]:
    with connect(base) as client:
        yield client


def ask(
    client: anthropic.Anthropic, model: str, text: str | list[Any], *, streamed: bool = False, **more: Any
) -> Message:
    """The answer, whole or put together by the client's own stream helper."""
    messages: Any = [{"role": "user", "content": text}] if isinstance(text, str) else text
    settings: Any = {"model": model, "max_tokens": 1024, "messages": messages, **more}
    if not streamed:
        answer = client.messages.create(**settings)
        assert isinstance(answer, Message)
        return answer
    with client.messages.stream(**settings) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def text_of(answer: Message) -> str:
    """The text of an answer that is nothing but text."""
    assert [block.type for block in answer.content] == ["text"]
    return "".join(block.text for block in answer.content if block.type == "text")


def refuses(upstream: str, feature: str, call: Callable[[], object]) -> bool:
    """Whether this upstream cannot take the feature; if so, asking for it must be refused with the field's name."""
    if has(upstream, feature) or feature not in REFUSED:
        return False
    with pytest.raises(anthropic.BadRequestError) as caught:
        call()
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"
    assert REFUSED[feature] in body["error"]["message"]
    return True


# --- text -----------------------------------------------------------------------------------------------------------


@both_ways
@with_upstream
def test_text(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    model = target(upstream, "echo")
    answer = ask(claude, model, ODD, streamed=streamed)
    assert text_of(answer) == said(ODD)
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", model)
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert answer.id.startswith("msg_")


@both_ways
@with_upstream
def test_usage(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    usage = ask(claude, target(upstream, "echo"), "Hello", streamed=streamed).usage
    if upstream in SILENT_ON_USAGE:
        assert streamed or usage.output_tokens == tokens(said("Hello"))
    else:
        assert (usage.input_tokens, usage.output_tokens) == (tokens("Hello"), tokens(said("Hello")))


@with_upstream
async def test_text_async(base: str, upstream: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=base, api_key="any", max_retries=0, timeout=TIMEOUT) as client:
        manager = client.messages.stream(
            model=target(upstream, "echo"), max_tokens=1024, messages=[{"role": "user", "content": LONG}]
        )
        async with manager as stream:
            text = [piece async for piece in stream.text_stream]
    assert "".join(text) == said(LONG)
    assert upstream == "amarsia" or len(text) > 10


@with_upstream
def test_events_come_in_order(claude: anthropic.Anthropic, upstream: str) -> None:
    stream = claude.messages.create(
        model=target(upstream, "echo"), max_tokens=1024, messages=[{"role": "user", "content": LONG}], stream=True
    )
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    deltas = [
        event.delta.text for event in events if event.type == "content_block_delta" and event.delta.type == "text_delta"
    ]
    assert "".join(deltas) == said(LONG)


@with_upstream
def test_system_and_history_arrive(claude: anthropic.Anthropic, upstream: str) -> None:
    roles = ("user", "assistant", "user")
    messages: list[Any] = [{"role": role, "content": text} for role, text in zip(roles, TURNS, strict=True)]
    text = text_of(ask(claude, target(upstream, "mirror"), messages, system=SYSTEM))
    places = [text.find(part) for part in (SYSTEM, *TURNS)]
    assert -1 not in places
    assert places == sorted(places)


@both_ways
@with_upstream
def test_length(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    answer = ask(claude, target(upstream, "echo"), LONG, streamed=streamed, max_tokens=MOST_TOKENS)
    if has(upstream, "max_tokens"):
        assert (text_of(answer), answer.stop_reason) == (cut(said(LONG), MOST_TOKENS), "max_tokens")
    else:
        assert (text_of(answer), answer.stop_reason) == (said(LONG), "end_turn")


@both_ways
@with_upstream
def test_stop(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    def stopped() -> Message:
        return ask(claude, target(upstream, "echo"), "one two", streamed=streamed, stop_sequences=[" two"])

    if refuses(upstream, "stop", stopped):
        return
    answer = stopped()
    assert text_of(answer) == 'You said: "one'
    met = ("stop_sequence", " two") if upstream in TELL_STOP_SEQUENCE else ("end_turn", None)
    assert (answer.stop_reason, answer.stop_sequence) == met


@both_ways
@with_upstream
def test_thinking(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    answer = ask(claude, target(upstream, "think"), "Hello", streamed=streamed, max_tokens=2048, thinking=thinking)
    found = [
        (block.type, block.thinking if block.type == "thinking" else block.text)
        for block in answer.content
        if block.type in ("thinking", "text")
    ]
    expected = [("thinking", thought("Hello")), ("text", said("Hello"))]
    assert found == (expected if has(upstream, "reasoning") else expected[1:])
    assert answer.stop_reason == "end_turn"


# --- tools ----------------------------------------------------------------------------------------------------------

OFFERED: Any = [{"name": name, "description": f"{name}, please", "input_schema": CITY} for name in TOOLS]


def calls_in(answer: Message) -> list[ToolUseBlock]:
    return [block for block in answer.content if block.type == "tool_use"]


@both_ways
@with_upstream
def test_the_whole_tool_loop(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    model = target(upstream, "tools")
    messages: list[Any] = [{"role": "user", "content": "Use both tools."}]

    def go_on() -> Message:
        return ask(claude, model, messages, streamed=streamed, tools=OFFERED)

    if refuses(upstream, "tools", go_on):
        return
    first = go_on()
    assert first.stop_reason == "tool_use"
    calls = calls_in(first)
    assert len(calls) == len(first.content)
    assert [(call.name, call.input) for call in calls] == [(name, ARGUMENTS) for name in TOOLS]
    assert len({call.id for call in calls}) == 2
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]} for call in reversed(calls)
    ]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = go_on()
    assert second.stop_reason == "end_turn"
    assert text_of(second) == REPORT


@with_upstream
def test_arguments_come_in_pieces(claude: anthropic.Anthropic, upstream: str) -> None:
    if not has(upstream, "tools"):
        return
    stream = claude.messages.create(
        model=target(upstream, "tools"),
        max_tokens=1024,
        messages=[{"role": "user", "content": "Use get_time only."}],
        tools=OFFERED,
        stream=True,
    )
    pieces = [
        event.delta.partial_json
        for event in stream
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta"
    ]
    assert json.loads("".join(pieces)) == ARGUMENTS


@with_upstream
def test_a_forced_tool(claude: anthropic.Anthropic, upstream: str) -> None:
    def forced() -> Message:
        choice = {"type": "tool", "name": "get_time"}
        return ask(claude, target(upstream, "tools"), "Hello", tools=OFFERED, tool_choice=choice)

    if refuses(upstream, "forced tool", forced):
        return
    assert [call.name for call in calls_in(forced())] == ["get_time"]


@with_upstream
def test_a_failed_tool(claude: anthropic.Anthropic, upstream: str) -> None:
    """Where the upstream has no mark for it, the text at least arrives."""
    if not has(upstream, "tools"):
        return
    messages: list[Any] = [
        {"role": "user", "content": "Use get_time only."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "no clock", "is_error": True}],
        },
    ]
    answer = text_of(ask(claude, target(upstream, "tools"), messages, tools=OFFERED))
    assert answer.startswith("get_time ")
    assert answer.endswith("no clock")


# --- structured output and media ------------------------------------------------------------------------------------


class Reply(BaseModel):
    city: Literal["Kigali"]
    degrees: int
    notes: list[str]


@both_ways
@with_upstream
def test_json(claude: anthropic.Anthropic, upstream: str, streamed: bool) -> None:
    def asked() -> Message:
        config = {"format": {"type": "json_schema", "schema": REPLY}}
        return ask(claude, target(upstream, "json"), "Where?", streamed=streamed, output_config=config)

    if refuses(upstream, "json", asked):
        return
    assert json.loads(text_of(asked())) == REPLIED


@with_upstream
def test_parse_gives_the_pydantic_model(claude: anthropic.Anthropic, upstream: str) -> None:
    if not has(upstream, "json"):
        return
    answer = claude.messages.parse(
        model=target(upstream, "json"),
        max_tokens=1024,
        messages=[{"role": "user", "content": "Where?"}],
        output_format=Reply,
    )
    assert answer.parsed_output == Reply(city="Kigali", degrees=1, notes=["example"])


@with_upstream
def test_image_and_document(claude: anthropic.Anthropic, upstream: str) -> None:
    content: list[Any] = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        {"type": "text", "text": "What is this?"},
    ]
    answer = ask(claude, target(upstream, "echo"), [{"role": "user", "content": content}])
    assert text_of(answer).split("\n") == SEEN


# --- counting and models --------------------------------------------------------------------------------------------


@with_upstream
def test_tokens_are_counted(claude: anthropic.Anthropic, upstream: str) -> None:
    """Where the upstream cannot count, the client is told so."""

    def count() -> int:
        messages: Any = [{"role": "user", "content": LONG}]
        return claude.messages.count_tokens(model=target(upstream, "echo"), messages=messages).input_tokens

    if upstream != DEMO and load_dialect(upstream).tokens is None:
        with pytest.raises(anthropic.NotFoundError) as caught:
            count()
        assert "does not count tokens" in str(caught.value)
    else:
        assert count() == tokens(LONG)


def test_models_are_listed_and_each_can_be_retrieved(claude: anthropic.Anthropic) -> None:
    listed = list(claude.models.list())
    assert {f"{DEMO}/{name}" for name in ("echo", "tools", "json", "think", "mirror", "cut")} <= {
        model.id for model in listed
    }
    for model in listed:
        assert model.type == "model"
        assert claude.models.retrieve(model.id) == model


def test_an_unknown_model_is_not_found(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("no-such-model")
    with pytest.raises(anthropic.NotFoundError):
        ask(claude, "no-such-model", "x")


# --- errors ---------------------------------------------------------------------------------------------------------

CLASSES: dict[int, tuple[str, str]] = {
    400: ("BadRequestError", "invalid_request_error"),
    401: ("AuthenticationError", "authentication_error"),
    402: ("PaymentRequiredError", "billing_error"),
    403: ("PermissionDeniedError", "permission_error"),
    404: ("NotFoundError", "not_found_error"),
    408: ("RequestTimeoutError", "timeout_error"),
    413: ("ContentTooLargeError", "request_too_large"),
    429: ("RateLimitError", "rate_limit_error"),
    500: ("InternalServerError", "api_error"),
    502: ("InternalServerError", "api_error"),
    503: ("ServiceUnavailableError", "overloaded_error"),
    504: ("GatewayTimeoutError", "timeout_error"),
    529: ("OverloadedError", "overloaded_error"),
}
"""Status -> the client's own class (hard-cases.md, "What the official clients did here"), and the error's type."""


@both_ways
@pytest.mark.parametrize("status", STATUSES)
@with_server
def test_errors_raise_the_right_exception(stage: Stage, server: str, status: int, streamed: bool) -> None:
    where = failing(stage, server, "anthropic")
    # This API says 529 for what is 503 elsewhere (ERR-07), and only that makes the client raise OverloadedError.
    told = 529 if where.told[status] == 503 else where.told[status]
    name, kind = CLASSES[told]
    with connect(where.base) as client, pytest.raises(anthropic.APIStatusError) as caught:
        ask(client, where.model(status), "x", streamed=streamed)
    error = caught.value
    assert (error.status_code, type(error).__name__) == (told, name)
    body: Any = error.body
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert body["error"]["message"]
    assert error.type == kind
    assert error.request_id == error.response.headers["request-id"]
    assert error.request_id.startswith("req_")
    if status in (429, 503):
        assert error.response.headers["retry-after"] == "1"
    if where.told[status] == 502 and status in (401, 402, 403):  # our key is none of the client's business
        assert str(status) not in body["error"]["message"]


def test_a_bad_request_names_the_field(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(claude, f"{DEMO}/echo", [{"role": "user", "content": [{"type": "text", "text": 1}]}])
    body: Any = caught.value.body
    assert "messages[0].content[0].text" in body["error"]["message"]


@with_upstream
def test_a_failure_in_the_middle_raises(claude: anthropic.Anthropic, upstream: str) -> None:
    pieces: list[str] = []
    seen: list[str] = []

    def read() -> None:
        stream = claude.messages.create(
            model=target(upstream, "cut"), max_tokens=1024, messages=[{"role": "user", "content": LONG}], stream=True
        )
        for event in stream:
            seen.append(event.type)
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                pieces.append(event.delta.text)

    with pytest.raises(anthropic.APIError) as caught:
        read()
    text = "".join(pieces)
    assert said(LONG).startswith(text)
    assert text != said(LONG)
    assert "message_stop" not in seen
    assert "message_delta" not in seen
    assert caught.value.message
    if not breaks_off(upstream):  # a broken connection may overtake the text before it
        assert text
        body: Any = caught.value.body
        assert body["type"] == "error"
        assert body["error"]["type"] == "api_error"


@with_upstream
def test_the_stream_helper_gives_no_half_answer(claude: anthropic.Anthropic, upstream: str) -> None:
    with pytest.raises(anthropic.APIError):
        ask(claude, target(upstream, "cut"), LONG, streamed=True)


@with_upstream
async def test_a_failure_in_the_middle_raises_async(base: str, upstream: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=base, api_key="any", max_retries=0, timeout=TIMEOUT) as client:
        manager = client.messages.stream(
            model=target(upstream, "cut"), max_tokens=1024, messages=[{"role": "user", "content": LONG}]
        )
        with pytest.raises(anthropic.APIError):
            async with manager as stream:
                await stream.get_final_message()
