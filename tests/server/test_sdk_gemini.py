"""The official ``google-genai`` package against every upstream: it must not notice what is behind."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from proxy.registry import load_dialect
from tests.server.sdk_cases import (
    ARGUMENTS,
    CITY,
    LONG,
    MOST_TOKENS,
    ODD,
    PDF_BYTES,
    PNG_BYTES,
    REFUSED,
    REPLIED,
    REPLY,
    REPORT,
    RESULTS,
    SEEN,
    SERVERS,
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

need("gemini", "google.genai")

# The client's own class for sessions, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

from google import genai  # noqa: E402  it may not be there
from google.genai import errors, types  # noqa: E402
from google.genai.client import AsyncClient  # noqa: E402


@cache
def connect(base: str, version: str = "v1beta") -> genai.Client:
    """The client, without its retries."""
    options = types.HttpOptions(
        base_url=base,
        api_version=version,
        timeout=int(TIMEOUT * 1000),
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return genai.Client(api_key="any", vertexai=False, http_options=options)


def connect_async(base: str) -> AsyncClient:
    """The same for asyncio: to be used in one event loop only, and closed there."""
    return connect.__wrapped__(base).aio


@pytest.fixture(scope="module", autouse=True)
def gemini(base: str, stage: Stage) -> Iterator[genai.Client]:
    """The client of the proxy; it and the one of the demo provider are closed at the end."""
    yield connect(base)
    for server in SERVERS:
        connect(failing(stage, server, "gemini").base).close()


def ask(
    client: genai.Client, model: str, contents: Any, *, streamed: bool = False, **more: Any
) -> types.GenerateContentResponse:
    """The answer, whole or put together from the chunks as any reader of them does."""
    config = types.GenerateContentConfig(**more) if more else None
    if not streamed:
        return client.models.generate_content(model=model, contents=contents, config=config)
    return joined(list(client.models.generate_content_stream(model=model, contents=contents, config=config)))


def joined(chunks: list[types.GenerateContentResponse]) -> types.GenerateContentResponse:
    """One answer from a stream's chunks: texts of the same kind glued together, the last of everything else."""
    parts: list[types.Part] = []
    whole = chunks[-1].model_copy(deep=True)
    for chunk in chunks:
        for part in parts_of(chunk):
            last = parts[-1] if parts else None
            if part.text is not None and last is not None and last.text is not None and last.thought == part.thought:
                parts[-1] = last.model_copy(update={"text": last.text + part.text})
            elif part.text != "":
                parts.append(part)
    whole.candidates = [types.Candidate(content=types.Content(role="model", parts=parts), finish_reason=reason(chunks))]
    whole.usage_metadata = next((chunk.usage_metadata for chunk in reversed(chunks) if chunk.usage_metadata), None)
    return whole


def reason(chunks: list[types.GenerateContentResponse]) -> types.FinishReason:
    """The one reason why the answer ended."""
    reasons = [entry.finish_reason for chunk in chunks for entry in chunk.candidates or () if entry.finish_reason]
    assert len(reasons) == 1
    return reasons[0]


def parts_of(answer: types.GenerateContentResponse) -> list[types.Part]:
    content = answer.candidates[0].content if answer.candidates else None
    return (content.parts or []) if content is not None else []


def text_of(answer: types.GenerateContentResponse) -> str:
    """The text of an answer that is nothing but text."""
    assert all(set(part.model_dump(exclude_none=True)) == {"text"} for part in parts_of(answer))
    return answer.text or ""


def ended(answer: types.GenerateContentResponse) -> str:
    return reason([answer]).value


def refuses(upstream: str, feature: str, call: Callable[[], object]) -> bool:
    """Whether this upstream cannot take the feature; if so, asking for it must be refused with the field's name."""
    if has(upstream, feature) or feature not in REFUSED:
        return False
    with pytest.raises(errors.ClientError) as caught:
        call()
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert REFUSED[feature] in (caught.value.message or "")
    return True


# --- text -----------------------------------------------------------------------------------------------------------


@both_ways
@with_upstream
def test_text(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    model = target(upstream, "echo")
    answer = ask(gemini, model, ODD, streamed=streamed)
    assert text_of(answer) == said(ODD)
    assert ended(answer) == "STOP"
    assert answer.model_version == model
    assert answer.response_id


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_both_versions_of_the_path(base: str, version: str) -> None:
    client = connect(base, version)
    assert text_of(ask(client, f"{DEMO}/echo", "Hello")) == said("Hello")
    assert text_of(ask(client, f"models/{DEMO}/echo", "Hello", streamed=True)) == said("Hello")


@both_ways
@with_upstream
def test_usage(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    usage = ask(gemini, target(upstream, "echo"), "Hello", streamed=streamed).usage_metadata
    if upstream in SILENT_ON_USAGE:
        assert streamed or (usage is not None and usage.candidates_token_count == tokens(said("Hello")))
        return
    assert usage is not None
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count)
    assert counts == (tokens("Hello"), tokens(said("Hello")), tokens("Hello") + tokens(said("Hello")))


@with_upstream
async def test_text_async(base: str, upstream: str) -> None:
    async with connect_async(base) as client:
        stream = await client.models.generate_content_stream(model=target(upstream, "echo"), contents=LONG)
        text = [chunk.text or "" async for chunk in stream]
    assert "".join(text) == said(LONG)
    assert upstream == "amarsia" or len(text) > 10


@with_upstream
def test_system_and_history_arrive(gemini: genai.Client, upstream: str) -> None:
    roles = ("user", "model", "user")
    contents = [
        types.Content(role=role, parts=[types.Part(text=text)]) for role, text in zip(roles, TURNS, strict=True)
    ]
    text = text_of(ask(gemini, target(upstream, "mirror"), contents, system_instruction=SYSTEM))
    places = [text.find(part) for part in (SYSTEM, *TURNS)]
    assert -1 not in places
    assert places == sorted(places)


@with_upstream
def test_a_chat_keeps_its_history(gemini: genai.Client, upstream: str) -> None:
    chat = gemini.chats.create(model=target(upstream, "mirror"))
    chat.send_message("first question")
    answer = chat.send_message("second question").text or ""
    assert answer.find("first question") < answer.rfind("second question")
    assert "first question" in answer


@both_ways
@with_upstream
def test_length(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    answer = ask(gemini, target(upstream, "echo"), LONG, streamed=streamed, max_output_tokens=MOST_TOKENS)
    if has(upstream, "max_tokens"):
        assert (text_of(answer), ended(answer)) == (cut(said(LONG), MOST_TOKENS), "MAX_TOKENS")
    else:
        assert (text_of(answer), ended(answer)) == (said(LONG), "STOP")


@both_ways
@with_upstream
def test_stop(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    def stopped() -> types.GenerateContentResponse:
        return ask(gemini, target(upstream, "echo"), "one two", streamed=streamed, stop_sequences=[" two"])

    if refuses(upstream, "stop", stopped):
        return
    answer = stopped()
    assert (text_of(answer), ended(answer)) == ('You said: "one', "STOP")


@both_ways
@with_upstream
def test_thinking(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    answer = ask(gemini, target(upstream, "think"), "Hello", streamed=streamed, thinking_config=thinking)
    found = [(bool(part.thought), part.text) for part in parts_of(answer)]
    expected = [(True, thought("Hello")), (False, said("Hello"))]
    assert found == (expected if has(upstream, "reasoning") else expected[1:])
    assert answer.text == said("Hello")


# --- tools ----------------------------------------------------------------------------------------------------------

OFFERED = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name=name, description=f"{name}, please", parameters_json_schema=CITY)
        for name in TOOLS
    ]
)


@both_ways
@with_upstream
def test_the_whole_tool_loop(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    model = target(upstream, "tools")
    contents = [types.Content(role="user", parts=[types.Part(text="Use both tools.")])]

    def go_on() -> types.GenerateContentResponse:
        return ask(gemini, model, contents, streamed=streamed, tools=[OFFERED])

    if refuses(upstream, "tools", go_on):
        return
    first = go_on()
    assert ended(first) == "STOP"
    calls = [part.function_call for part in parts_of(first) if part.function_call is not None]
    assert len(calls) == len(parts_of(first))
    assert [(call.name, call.args) for call in calls] == [(name, ARGUMENTS) for name in TOOLS]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": RESULTS[call.name or ""]}
            )
        )
        for call in reversed(calls)
    ]
    contents += [types.Content(role="model", parts=parts_of(first)), types.Content(role="user", parts=results)]
    second = go_on()
    assert ended(second) == "STOP"
    assert text_of(second) == REPORT


@with_upstream
def test_results_find_their_calls_by_name(gemini: genai.Client, upstream: str) -> None:
    """Ids are optional in this API; many clients send none."""
    if not has(upstream, "tools"):
        return
    parts = [types.Part.from_function_call(name=name, args=ARGUMENTS) for name in TOOLS]
    results = [
        types.Part.from_function_response(name=name, response={"result": RESULTS[name]}) for name in reversed(TOOLS)
    ]
    contents = [
        types.Content(role="user", parts=[types.Part(text="Use both tools.")]),
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=results),
    ]
    assert text_of(ask(gemini, target(upstream, "tools"), contents, tools=[OFFERED])) == REPORT


@with_upstream
def test_the_client_calls_the_functions_itself(gemini: genai.Client, upstream: str) -> None:
    called: list[str] = []

    def get_time(city: str) -> str:
        """The local time of a city."""
        called.append(city)
        return "14:05"

    if not has(upstream, "tools"):
        return
    answer = ask(gemini, target(upstream, "tools"), "Use get_time only.", tools=[get_time])
    assert len(called) == 1
    assert "14:05" in text_of(answer)


@with_upstream
def test_a_forced_tool(gemini: genai.Client, upstream: str) -> None:
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["get_time"])

    def forced() -> types.GenerateContentResponse:
        config = types.ToolConfig(function_calling_config=calling)
        return ask(gemini, target(upstream, "tools"), "Hello", tools=[OFFERED], tool_config=config)

    if refuses(upstream, "forced tool", forced):
        return
    assert [call.name for call in forced().function_calls or ()] == ["get_time"]


# --- structured output and media ------------------------------------------------------------------------------------


class Reply(BaseModel):
    city: Literal["Kigali"]
    degrees: int
    notes: list[str]


@both_ways
@with_upstream
def test_json(gemini: genai.Client, upstream: str, streamed: bool) -> None:
    def asked() -> types.GenerateContentResponse:
        wanted = {"response_mime_type": "application/json", "response_json_schema": REPLY}
        return ask(gemini, target(upstream, "json"), "Where?", streamed=streamed, **wanted)

    if refuses(upstream, "json", asked):
        return
    assert json.loads(text_of(asked())) == REPLIED


@with_upstream
def test_the_pydantic_model_is_parsed(gemini: genai.Client, upstream: str) -> None:
    """``response_schema`` goes out in this API's own spelling of a schema."""
    if not has(upstream, "json"):
        return
    wanted = {"response_mime_type": "application/json", "response_schema": Reply}
    parsed = ask(gemini, target(upstream, "json"), "Where?", **wanted).parsed
    assert isinstance(parsed, Reply)
    assert (parsed.city, parsed.degrees) == ("Kigali", 1)


@with_upstream
def test_image_and_document(gemini: genai.Client, upstream: str) -> None:
    contents = [
        types.Part.from_bytes(data=PNG_BYTES, mime_type="image/png"),
        types.Part.from_bytes(data=PDF_BYTES, mime_type="application/pdf"),
        types.Part.from_text(text="What is this?"),
    ]
    assert text_of(ask(gemini, target(upstream, "echo"), contents)).split("\n") == SEEN


# --- counting and models --------------------------------------------------------------------------------------------


@with_upstream
def test_tokens_are_counted(gemini: genai.Client, upstream: str) -> None:
    """Where the upstream cannot count, the client is told so."""

    def count() -> int | None:
        return gemini.models.count_tokens(model=target(upstream, "echo"), contents=LONG).total_tokens

    if upstream != DEMO and load_dialect(upstream).tokens is None:
        with pytest.raises(errors.ClientError) as caught:
            count()
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
        assert "does not count tokens" in str(caught.value)
    else:
        assert count() == tokens(LONG)


def test_models_are_listed_and_each_can_be_retrieved(gemini: genai.Client) -> None:
    listed = list(gemini.models.list())
    names = {(model.name or "").removeprefix("models/") for model in listed}
    assert {f"{DEMO}/{name}" for name in ("echo", "tools", "json", "think", "mirror", "cut")} <= names
    for model in listed:
        assert gemini.models.get(model=model.name or "").name == model.name


def test_an_unknown_model_is_not_found(gemini: genai.Client) -> None:
    for call in (lambda: gemini.models.get(model="no-such-model"), lambda: ask(gemini, "no-such-model", "x")):
        with pytest.raises(errors.ClientError) as caught:
            call()
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


# --- errors ---------------------------------------------------------------------------------------------------------

STATUS_WORDS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""Status -> ``error.status``, by google.rpc.Code (cloud.google.com/apis/design/errors#handling_errors)."""


@both_ways
@pytest.mark.parametrize("status", STATUSES)
@with_server
def test_errors_raise_the_right_exception(stage: Stage, server: str, status: int, streamed: bool) -> None:
    where = failing(stage, server, "gemini")
    told = where.told[status]
    with pytest.raises(errors.APIError) as caught:
        ask(connect(where.base), where.model(status), "x", streamed=streamed)
    error = caught.value
    assert type(error) is (errors.ClientError if told < 500 else errors.ServerError)
    assert (error.code, error.status) == (told, STATUS_WORDS[told])
    assert error.details["error"]["code"] == told
    assert error.message
    if status in (429, 503):
        delays = [detail.get("retryDelay") for detail in error.details["error"]["details"]]
        assert "1s" in delays
    if told == 502 and status in (401, 402, 403):  # our key is none of the client's business
        assert str(status) not in error.message


def test_a_bad_request_names_the_field(gemini: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as caught:
        ask(gemini, f"{DEMO}/echo", [types.Content(role="wizard", parts=[types.Part(text="x")])])
    assert caught.value.code == 400
    assert "contents[0].role" in (caught.value.message or "")


@with_upstream
def test_a_failure_in_the_middle_raises(gemini: genai.Client, upstream: str) -> None:
    pieces: list[str] = []
    reasons: list[object] = []

    def read() -> None:
        for chunk in gemini.models.generate_content_stream(model=target(upstream, "cut"), contents=LONG):
            pieces.append(chunk.text or "")
            reasons.extend(entry.finish_reason for entry in chunk.candidates or () if entry.finish_reason)

    with pytest.raises(errors.ServerError) as caught:
        read()
    text = "".join(pieces)
    assert said(LONG).startswith(text)
    assert text != said(LONG)
    assert reasons == []
    assert (caught.value.code, caught.value.status) == (502, "UNAVAILABLE")
    if not breaks_off(upstream):  # a broken connection may overtake the text before it
        assert text


@with_upstream
async def test_a_failure_in_the_middle_raises_async(base: str, upstream: str) -> None:
    async with connect_async(base) as client:
        stream = await client.models.generate_content_stream(model=target(upstream, "cut"), contents=LONG)

        async def read() -> None:
            async for chunk in stream:
                assert not [entry for entry in chunk.candidates or () if entry.finish_reason]

        with pytest.raises(errors.ServerError):
            await read()
