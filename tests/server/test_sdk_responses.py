"""The official ``openai`` package asking for Responses, against every upstream: it must not notice what is behind."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel

from adapters.samples import PDF, PNG
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

need("openai_responses", "openai")


@cache
def connect(base: str) -> openai.OpenAI:
    """The client, without its retries."""
    return openai.OpenAI(base_url=f"{base}/v1", api_key="any", max_retries=0, timeout=TIMEOUT)


def ask(client: openai.OpenAI, model: str, asked: str | list[Any], *, streamed: bool = False, **more: Any) -> Response:
    """The answer, whole or put together by the client's own stream helper."""
    if not streamed:
        answer = client.responses.create(model=model, input=asked, **more)
        assert isinstance(answer, Response)
        return answer
    with client.responses.stream(model=model, input=asked, **more) as stream:
        for event in stream:
            if event.type == "response.incomplete":  # the helper waits for response.completed alone
                return event.response
        return stream.get_final_response()


def text_of(answer: Response) -> str:
    """The text of an answer that is nothing but text."""
    [item] = answer.output
    assert item.type == "message"
    assert item.role == "assistant"
    assert [part.type for part in item.content] == ["output_text"]
    return answer.output_text


def refuses(upstream: str, feature: str, call: Callable[[], object]) -> bool:
    """Whether this upstream cannot take the feature; if so, asking for it must be refused with the field's name."""
    if has(upstream, feature) or feature not in REFUSED:
        return False
    with pytest.raises(openai.BadRequestError) as caught:
        call()
    assert caught.value.code == "unsupported_field"
    assert (caught.value.param or "").startswith(REFUSED[feature])
    return True


# --- text -----------------------------------------------------------------------------------------------------------


@both_ways
@with_upstream
def test_text(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    model = target(upstream, "echo")
    answer = ask(client, model, ODD, streamed=streamed)
    assert text_of(answer) == said(ODD)
    assert (answer.object, answer.model, answer.status) == ("response", model, "completed")
    assert (answer.error, answer.incomplete_details) == (None, None)
    assert answer.id.startswith("resp_")
    assert answer.output[0].id
    assert answer.created_at > 1_700_000_000


@both_ways
@with_upstream
def test_usage(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    usage = ask(client, target(upstream, "echo"), "Hello", streamed=streamed).usage
    if upstream in SILENT_ON_USAGE:
        assert streamed or (usage is not None and usage.output_tokens == tokens(said("Hello")))
        return
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (tokens("Hello"), tokens(said("Hello")))
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


@with_upstream
async def test_text_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    async with async_client.responses.stream(model=target(upstream, "echo"), input=LONG) as stream:
        text = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(text) == final.output_text == said(LONG)
    assert upstream == "amarsia" or len(text) > 10


@with_upstream
def test_events_come_in_order(client: openai.OpenAI, upstream: str) -> None:
    events = list(client.responses.create(model=target(upstream, "echo"), input=LONG, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    places = {
        (event.item_id, event.output_index, event.content_index)
        for event in events
        if event.type in ("response.output_text.delta", "response.output_text.done")
    }
    assert len(places) == 1


@with_upstream
def test_instructions_and_history_arrive(client: openai.OpenAI, upstream: str) -> None:
    roles = ("user", "assistant", "user")
    turns: list[Any] = [{"role": role, "content": text} for role, text in zip(roles, TURNS, strict=True)]
    text = text_of(ask(client, target(upstream, "mirror"), turns, instructions=SYSTEM))
    places = [text.find(part) for part in (SYSTEM, *TURNS)]
    assert -1 not in places
    assert places == sorted(places)


@with_upstream
def test_an_answer_can_be_sent_back(client: openai.OpenAI, upstream: str) -> None:
    """Items of an answer are items of the next question: the usual way to go on without a stored history."""
    turns: list[Any] = [{"role": "user", "content": "first question"}]
    turns += ask(client, target(upstream, "echo"), turns).output
    turns.append({"role": "user", "content": "second question"})
    text = text_of(ask(client, target(upstream, "mirror"), turns))
    assert "first question" in text
    assert json.dumps(said("first question"))[1:-1].replace('\\"', '"') in text.replace('\\"', '"')
    assert "second question" in text


@both_ways
@with_upstream
def test_length(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    answer = ask(client, target(upstream, "echo"), LONG, streamed=streamed, max_output_tokens=MOST_TOKENS)
    if has(upstream, "max_tokens"):
        assert (text_of(answer), answer.status) == (cut(said(LONG), MOST_TOKENS), "incomplete")
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == "max_output_tokens"
    else:
        assert (text_of(answer), answer.status) == (said(LONG), "completed")


@both_ways
@with_upstream
def test_reasoning(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    reasoning = {"effort": "low", "summary": "auto"}
    answer = ask(client, target(upstream, "think"), "Hello", streamed=streamed, reasoning=reasoning)
    *thoughts, message = answer.output
    assert message.type == "message"
    assert answer.output_text == said("Hello")
    told = [
        "".join(part.text for part in item.summary) or "".join(part.text for part in item.content or ())
        for item in thoughts
        if item.type == "reasoning"
    ]
    assert len(told) == len(thoughts)
    assert told == ([thought("Hello")] if has(upstream, "reasoning") else [])


# --- tools ----------------------------------------------------------------------------------------------------------

OFFERED: Any = [
    {"type": "function", "name": name, "description": f"{name}, please", "parameters": CITY, "strict": False}
    for name in TOOLS
]


def calls_in(answer: Response) -> list[ResponseFunctionToolCall]:
    return [item for item in answer.output if item.type == "function_call"]


@both_ways
@with_upstream
def test_the_whole_tool_loop(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    turns: list[Any] = [{"role": "user", "content": "Use both tools."}]

    def go_on() -> Response:
        return ask(client, target(upstream, "tools"), turns, streamed=streamed, tools=OFFERED)

    if refuses(upstream, "tools", go_on):
        return
    first = go_on()
    assert first.status == "completed"
    calls = calls_in(first)
    assert len(calls) == len(first.output)
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [(name, ARGUMENTS) for name in TOOLS]
    assert len({call.call_id for call in calls}) == 2
    # A parsed call of the helper has a field of its own, which is none of the API's.
    turns += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    turns += [
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
        for call in reversed(calls)
    ]
    second = go_on()
    assert second.status == "completed"
    assert text_of(second) == REPORT


@with_upstream
def test_arguments_come_in_pieces(client: openai.OpenAI, upstream: str) -> None:
    if not has(upstream, "tools"):
        return
    events = list(
        client.responses.create(model=target(upstream, "tools"), input="Use get_time only.", tools=OFFERED, stream=True)
    )
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert done.arguments == "".join(pieces)
    assert json.loads(done.arguments) == ARGUMENTS


@with_upstream
def test_a_forced_tool(client: openai.OpenAI, upstream: str) -> None:
    def forced() -> Response:
        choice = {"type": "function", "name": "get_time"}
        return ask(client, target(upstream, "tools"), "Hello", tools=OFFERED, tool_choice=choice)

    if refuses(upstream, "forced tool", forced):
        return
    assert [call.name for call in calls_in(forced())] == ["get_time"]


# --- structured output and media ------------------------------------------------------------------------------------


class Reply(BaseModel):
    city: Literal["Kigali"]
    degrees: int
    notes: list[str]


@both_ways
@with_upstream
def test_json(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    def asked() -> Response:
        form = {"format": {"type": "json_schema", "name": "reply", "schema": REPLY, "strict": True}}
        return ask(client, target(upstream, "json"), "Where?", streamed=streamed, text=form)

    if refuses(upstream, "json", asked):
        return
    assert json.loads(text_of(asked())) == REPLIED


@with_upstream
def test_parse_gives_the_pydantic_model(client: openai.OpenAI, upstream: str) -> None:
    if not has(upstream, "json"):
        return
    answer = client.responses.parse(model=target(upstream, "json"), input="Where?", text_format=Reply)
    assert answer.output_parsed == Reply(city="Kigali", degrees=1, notes=["example"])


@with_upstream
def test_image_and_file(client: openai.OpenAI, upstream: str) -> None:
    content = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
        {"type": "input_file", "filename": "r.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
        {"type": "input_text", "text": "What is this?"},
    ]
    answer = ask(client, target(upstream, "echo"), [{"role": "user", "content": content}])
    assert text_of(answer).split("\n") == SEEN


# --- errors ---------------------------------------------------------------------------------------------------------

CLASSES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    402: openai.APIStatusError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    408: openai.APIStatusError,
    413: openai.APIStatusError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
    529: openai.InternalServerError,
}


@both_ways
@pytest.mark.parametrize("status", STATUSES)
@with_server
def test_errors_raise_the_right_exception(stage: Stage, server: str, status: int, streamed: bool) -> None:
    where = failing(stage, server, "openai_responses")
    told = where.told[status]
    with pytest.raises(openai.APIStatusError) as caught:
        ask(connect(where.base), where.model(status), "x", streamed=streamed)
    error = caught.value
    assert (error.status_code, type(error)) == (told, CLASSES[told])
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.body["message"]
    assert error.body["type"]
    assert error.request_id == error.response.headers["x-request-id"]
    if status in (429, 503):
        assert error.response.headers["retry-after"] == "1"
    if told == 502 and status in (401, 402, 403):  # our key is none of the client's business
        assert str(status) not in error.body["message"]


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, "no-such-model", "x")
    assert caught.value.code == "model_not_found"


def test_a_bad_request_names_the_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, f"{DEMO}/echo", [{"role": "wizard", "content": "x"}])
    assert caught.value.param == "input[0].role"


@with_upstream
def test_a_failure_in_the_middle_raises(client: openai.OpenAI, upstream: str) -> None:
    pieces: list[str] = []
    kinds: list[str] = []

    def read() -> None:
        for event in client.responses.create(model=target(upstream, "cut"), input=LONG, stream=True):
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            elif event.type == "response.failed":
                assert event.response.status == "failed"
                assert event.response.error is not None
                assert event.response.error.message

    with pytest.raises(openai.APIError) as caught:
        read()
    text = "".join(pieces)
    assert said(LONG).startswith(text)
    assert text != said(LONG)
    assert kinds[-1] == "response.failed"
    assert "response.completed" not in kinds
    assert caught.value.message
    if not breaks_off(upstream):  # a broken connection may overtake the text before it
        assert text
        assert not isinstance(caught.value, openai.APIStatusError)


@with_upstream
def test_the_stream_helper_gives_no_half_answer(client: openai.OpenAI, upstream: str) -> None:
    with pytest.raises(openai.APIError):
        ask(client, target(upstream, "cut"), LONG, streamed=True)


@with_upstream
async def test_a_failure_in_the_middle_raises_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    async def read() -> None:
        stream = await async_client.responses.create(model=target(upstream, "cut"), input=LONG, stream=True)
        async for event in stream:
            assert event.type != "response.completed"

    with pytest.raises(openai.APIError):
        await read()
