"""The embedded upstream: what each model answers, and that its two ways of answering agree."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.model.error import ApiError, ErrorKind, Fault, kind_of_status
from adapters.model.event import (
    ArgumentsDelta,
    Event,
    EventOrder,
    LogprobsReported,
    StreamEnded,
    StreamFailed,
    StreamStarted,
    TextDelta,
)
from adapters.model.fold import Collector, collect
from adapters.model.message import (
    FileId,
    Inline,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Url,
    plain_text,
)
from adapters.model.plain import from_plain, to_plain
from adapters.model.request import (
    OutputFormat,
    OutputKind,
    ReasoningOptions,
    Request,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from adapters.model.response import Choice, FinishReason, Response, Usage
from proxy.demo import MODELS, DemoCall, DemoFailure, answer, stream
from proxy.demo.schema import fill
from proxy.demo.words import pieces

NOW = 1700000000
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = Media(MediaKind.IMAGE, Inline(PNG), "image/png")
WEATHER = Tool(
    "get_weather",
    "Weather somewhere",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
    },
)
CLOCK = Tool("get_time", "The time", {"type": "object", "properties": {"hours": {"type": "integer", "minimum": 12}}})
BARE = Tool("ping")


def call() -> DemoCall:
    numbers = itertools.count(1)
    return DemoCall(lambda prefix: f"{prefix}{next(numbers):024x}", NOW)


def ask(model: str, *parts: Part | str, **fields: Any) -> Request:
    said = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Request(model, (Message(Role.USER, said),), **fields)


async def stream_batches(request: Request) -> list[list[Event]]:
    return [batch async for batch in stream(request, call())]


def streamed(request: Request) -> list[Event]:
    """All events of the stream, in order, without the waiting."""

    async def no_wait(_: float) -> None:
        return

    with patch("asyncio.sleep", no_wait):
        return list(itertools.chain.from_iterable(asyncio.run(stream_batches(request))))


def text_of(request: Request) -> str:
    return plain_text(answer(request, call()).choices[0].parts)


def failure(request: Request) -> ApiError:
    with pytest.raises(DemoFailure) as caught:
        answer(request, call())
    return caught.value.error


# --- echo -------------------------------------------------------------------------------------------------------


def test_echo_answers_with_what_was_said() -> None:
    assert answer(ask("echo", "Hello, world!"), call()) == Response(
        choices=(Choice(0, (Text('You said: "Hello, world!"'),), FinishReason.STOP),),
        id="demo_000000000000000000000001",
        model="echo",
        created=NOW,
        usage=Usage(input_tokens=4, output_tokens=9),
    )


def test_echo_names_each_medium_by_kind_type_and_size() -> None:
    parts = (
        IMAGE,
        Media(MediaKind.AUDIO, Inline("AA=="), "audio/wav"),
        Media(MediaKind.VIDEO, Url("https://example.com/a.mp4")),
        Media(MediaKind.DOCUMENT, FileId("file-7"), "application/pdf"),
        Opaque("some_dialect", {"type": "odd"}),
    )
    assert text_of(ask("echo", "Look", *parts)) == (
        'You said: "Look"\n'
        "I received an image (image/png, 70 bytes).\n"
        "I received an audio clip (audio/wav, 1 byte).\n"
        "I received a video (https://example.com/a.mp4).\n"
        "I received a document (application/pdf, file file-7).\n"
        "I received a part that only some_dialect understands."
    )


def test_echo_mentions_nothing_that_was_not_there() -> None:
    assert text_of(ask("echo", IMAGE)) == "I received an image (image/png, 70 bytes)."
    assert text_of(ask("echo", "")) == "You said nothing."
    assert text_of(Request("echo", ())) == "You said nothing."


def test_echo_is_about_the_last_user_turn() -> None:
    turns = (
        Message(Role.SYSTEM, (Text("Be brief"),)),
        Message(Role.USER, (Text("one"),)),
        Message(Role.ASSISTANT, (Text("two"),)),
        Message(Role.USER, (Text("three"), Text("four"))),
        Message(Role.ASSISTANT, (Text("five"),)),
    )
    assert text_of(Request("echo", turns)) == 'You said: "three\nfour"'


def test_max_tokens_cuts_after_that_many_pieces() -> None:
    response = answer(ask("echo", "Hello", sampling=Sampling(max_tokens=3)), call())
    assert response.choices == (Choice(0, (Text("You said:"),), FinishReason.LENGTH),)
    assert response.usage == Usage(input_tokens=1, output_tokens=3)


def test_max_tokens_that_suffice_cut_nothing() -> None:
    assert answer(ask("echo", "Hi", sampling=Sampling(max_tokens=6)), call()).choices == (
        Choice(0, (Text('You said: "Hi"'),), FinishReason.STOP),
    )


def test_no_tokens_at_all_give_no_part() -> None:
    response = answer(ask("echo", "Hi", sampling=Sampling(max_tokens=0, logprobs=True)), call())
    assert response.choices == (Choice(0, (), FinishReason.LENGTH),)


def test_the_first_stop_sequence_in_the_text_ends_it() -> None:
    response = answer(ask("echo", "one two three", sampling=Sampling(stop_sequences=("three", "", " two"))), call())
    assert response.choices == (Choice(0, (Text('You said: "one'),), FinishReason.STOP, " two"),)


def test_a_stop_sequence_beyond_max_tokens_is_not_reached() -> None:
    sampling = Sampling(max_tokens=2, stop_sequences=("three",))
    response = answer(ask("echo", "one two three", sampling=sampling), call())
    assert response.choices == (Choice(0, (Text("You said"),), FinishReason.LENGTH),)


def test_several_choices_say_which_they_are() -> None:
    response = answer(ask("echo", "Hi", choice_count=2), call())
    assert response.choices == (
        Choice(0, (Text('Answer 1 of 2: You said: "Hi"'),), FinishReason.STOP),
        Choice(1, (Text('Answer 2 of 2: You said: "Hi"'),), FinishReason.STOP),
    )
    assert response.usage == Usage(input_tokens=1, output_tokens=22)


@pytest.mark.parametrize("count", [0, -1, 129])
def test_a_count_of_choices_that_no_provider_makes_is_refused(count: int) -> None:
    error = failure(ask("echo", "Hi", choice_count=count))
    assert (error.kind, error.http_status, error.code) == (ErrorKind.INVALID_REQUEST, 400, "invalid_choice_count")


def test_logprobs_cover_the_text_token_by_token() -> None:
    request = ask("echo", "Hi", sampling=Sampling(logprobs=True, top_logprobs=2))
    choice = answer(request, call()).choices[0]
    assert choice.logprobs is not None
    content = choice.logprobs["content"]
    assert "".join(entry["token"] for entry in content) == plain_text(choice.parts)
    assert content[1] == {
        "token": " said",
        "logprob": -0.011,
        "bytes": [32, 115, 97, 105, 100],
        "top_logprobs": [
            {"token": " said", "logprob": -0.011, "bytes": [32, 115, 97, 105, 100]},
            {"token": " said~1", "logprob": -1.011, "bytes": [32, 115, 97, 105, 100, 126, 49]},
        ],
    }


def test_no_logprobs_unless_asked() -> None:
    assert answer(ask("echo", "Hi", sampling=Sampling(top_logprobs=2)), call()).choices[0].logprobs is None


async def test_echo_streams_word_by_word() -> None:
    batches = await stream_batches(ask("echo", "Hi there", sampling=Sampling(logprobs=True)))
    assert isinstance(batches[0][0], StreamStarted)
    deltas = [[event.text for event in batch if isinstance(event, TextDelta)] for batch in batches]
    assert deltas == [[], ["You"], [" said:"], [' "Hi'], [' there"'], [], []]
    reported = [event for batch in batches for event in batch if isinstance(event, LogprobsReported)]
    assert [len(event.logprobs["content"]) for event in reported] == [1, 2, 2, 2]


async def test_choices_stream_side_by_side() -> None:
    batches = await stream_batches(ask("echo", "Hi", choice_count=2))
    assert [event.index for event in batches[3] if isinstance(event, TextDelta)] == [0, 1]


# --- tools ------------------------------------------------------------------------------------------------------


def calls_of(request: Request) -> list[tuple[str, str]]:
    parts = answer(request, call()).choices[0].parts
    return [(part.name, part.arguments) for part in parts if isinstance(part, ToolCall)]


def test_tools_calls_the_first_tool_it_is_offered() -> None:
    response = answer(ask("tools", "Paris?", tools=(WEATHER, CLOCK)), call())
    assert response == Response(
        choices=(
            Choice(
                0,
                (ToolCall("call_000000000000000000000001", "get_weather", '{"city":"example","unit":"celsius"}'),),
                FinishReason.TOOL_CALL,
            ),
        ),
        id="demo_000000000000000000000002",
        model="tools",
        created=NOW,
        usage=Usage(input_tokens=2 + 3 + 3, output_tokens=1 + 17),
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Use get_time and get_weather", ["get_weather", "get_time"]),
        ("GET_TIME please", ["get_time"]),
        ("Call all of them", ["get_weather", "get_time", "ping"]),
        ("Both!", ["get_weather", "get_time", "ping"]),
        ("in parallel", ["get_weather", "get_time", "ping"]),
        ("We shall go shopping", ["get_weather"]),
        ("ping-pong", ["get_weather"]),
    ],
)
def test_the_text_says_which_tools_are_called(text: str, names: list[str]) -> None:
    tools = (Opaque("some_dialect", {"type": "web_search"}), WEATHER, CLOCK, BARE)
    assert [name for name, _ in calls_of(ask("tools", text, tools=tools))] == names


def test_without_parallel_calls_one_tool_is_called() -> None:
    request = ask("tools", "all", tools=(WEATHER, CLOCK), parallel_tool_calls=False)
    assert [name for name, _ in calls_of(request)] == ["get_weather"]


def test_a_tool_without_parameters_gets_an_empty_object() -> None:
    for parameters in (None, {}, {"type": "object", "properties": {}}, {"type": "string"}):
        assert calls_of(ask("tools", "go", tools=(Tool("ping", None, parameters),))) == [("ping", "{}")]


def test_tool_choice_is_honoured() -> None:
    request = ask("tools", "all", tools=(WEATHER, CLOCK))
    named = replace(request, tool_choice=ToolChoice(ToolChoiceMode.TOOL, "get_time"))
    assert calls_of(named) == [("get_time", '{"hours":12}')]
    required = replace(request, tool_choice=ToolChoice(ToolChoiceMode.REQUIRED))
    assert [name for name, _ in calls_of(required)] == ["get_weather", "get_time"]
    allowed = replace(request, tool_choice=ToolChoice(ToolChoiceMode.AUTO, allowed=("get_time",)))
    assert [name for name, _ in calls_of(allowed)] == ["get_time"]
    none = replace(request, tool_choice=ToolChoice(ToolChoiceMode.NONE))
    assert answer(none, call()).choices == (
        Choice(
            0,
            (Text("I was told to call no tool, so I leave these alone: get_weather, get_time"),),
            FinishReason.STOP,
        ),
    )


def test_a_forced_tool_that_is_not_offered_is_refused() -> None:
    error = failure(ask("tools", "go", tools=(WEATHER,), tool_choice=ToolChoice(ToolChoiceMode.TOOL, "other")))
    assert (error.kind, error.http_status, error.code) == (ErrorKind.INVALID_REQUEST, 400, "tool_not_found")


def test_without_tools_it_explains_itself() -> None:
    assert text_of(ask("tools", "go")) == (
        "Offer me tools and I call one; name several of them, or say all, and I call them in one turn. "
        "Send me their results and I tell you what they said."
    )


def test_tool_results_are_reported_in_text() -> None:
    messages = (
        Message(Role.USER, (Text("all"),)),
        Message(Role.ASSISTANT, (ToolCall("a", "get_weather", "{}"), ToolCall("b", "get_time", "{}"))),
        Message(Role.TOOL, (ToolResult("a", (Text("18 degrees"), IMAGE)),)),
        Message(Role.TOOL, (ToolResult("b", (Text("no clock"),), is_error=True), ToolResult("c", ()))),
    )
    request = Request("tools", messages, (WEATHER, CLOCK), ToolChoice(ToolChoiceMode.REQUIRED))
    assert text_of(request) == (
        "get_weather said: 18 degrees, an image (image/png, 70 bytes)\n"
        "get_time reported an error: no clock\n"
        "c said: nothing"
    )
    again = replace(request, messages=(*messages, Message(Role.USER, (Text("again"),))), tool_choice=None)
    assert [name for name, _ in calls_of(again)] == ["get_weather"]


def test_arguments_stream_in_fragments() -> None:
    events = streamed(ask("tools", "go", tools=(WEATHER,)))
    fragments = [event.arguments for event in events if isinstance(event, ArgumentsDelta)]
    assert fragments == ['{"city":', '"example', '","unit"', ':"celsiu', 's"}']


def test_each_choice_has_calls_of_its_own() -> None:
    response = answer(ask("tools", "go", tools=(BARE,), choice_count=2), call())
    ids = [part.id for choice in response.choices for part in choice.parts if isinstance(part, ToolCall)]
    assert ids == ["call_000000000000000000000001", "call_000000000000000000000002"]


# --- json -------------------------------------------------------------------------------------------------------


def test_json_fills_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}},
        "required": ["name"],
    }
    output = OutputFormat(OutputKind.JSON_SCHEMA, schema, "person")
    assert text_of(ask("json", "Who?", output=output)) == '{"name":"example","age":18}'


def test_json_without_a_schema_is_an_object_with_the_answer() -> None:
    for kind in (OutputKind.JSON_OBJECT, OutputKind.JSON_SCHEMA):
        assert text_of(ask("json", "Hi", output=OutputFormat(kind))) == '{"answer":"You said: \\"Hi\\""}'


def test_json_that_nobody_asked_for_is_plain_text() -> None:
    for output in (None, OutputFormat(OutputKind.TEXT)):
        assert text_of(ask("json", "Hi", output=output)) == "You asked for no JSON, so this is plain text."


def test_every_choice_of_json_is_json() -> None:
    response = answer(ask("json", "Hi", output=OutputFormat(OutputKind.JSON_OBJECT), choice_count=3), call())
    assert [json.loads(plain_text(choice.parts)) for choice in response.choices] == [{"answer": 'You said: "Hi"'}] * 3


# --- slow, think, mirror, cut, fail -----------------------------------------------------------------------------


async def test_slow_waits_before_each_word_of_its_stream() -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    with patch("asyncio.sleep", note):
        batches = await stream_batches(ask("slow", "Hi there"))
    assert waits == [0.05] * (len(batches) - 1)
    assert len(batches) == 7


async def test_slow_really_lets_time_pass() -> None:
    clock = asyncio.get_running_loop()
    before = clock.time()
    batches = stream(ask("slow", "Hi"), call())
    await anext(batches)
    await anext(batches)
    assert clock.time() - before >= 0.04


def test_slow_answers_at_once_when_not_streamed() -> None:
    request = ask("slow", "Hi")
    assert answer(request, call()) == replace(answer(replace(request, model="echo"), call()), model="slow")


async def test_only_slow_waits() -> None:
    async def fail(_: float) -> None:
        raise AssertionError("it waits")

    with patch("asyncio.sleep", fail):
        for model in ("echo", "tools", "json", "think", "mirror", "cut"):
            assert await stream_batches(ask(model, "Hi"))


def test_think_thinks_before_it_answers() -> None:
    response = answer(ask("think", "Why?"), call())
    assert response.choices == (
        Choice(
            0,
            (
                Reasoning("The question is: Why?\nI can only repeat what I receive, so I do that."),
                Text('You said: "Why?"'),
            ),
            FinishReason.STOP,
        ),
    )
    assert response.usage == Usage(input_tokens=2, output_tokens=26, reasoning_tokens=19)


def test_the_thinking_budget_is_kept() -> None:
    request = ask("think", "Why?", reasoning=ReasoningOptions(budget_tokens=3))
    assert answer(request, call()).choices[0].parts == (Reasoning("The question is"), Text('You said: "Why?"'))
    request = ask("think", "Why?", reasoning=ReasoningOptions(effort="none"))
    assert answer(request, call()).choices[0].parts == (Text('You said: "Why?"'),)


def test_thoughts_are_paid_from_max_tokens() -> None:
    sampling = Sampling(max_tokens=21)
    choice = answer(ask("think", "Why?", sampling=sampling), call()).choices[0]
    assert (choice.parts[1:], choice.finish_reason) == ((Text("You said"),), FinishReason.LENGTH)
    choice = answer(ask("think", "Why?", sampling=replace(sampling, max_tokens=2)), call()).choices[0]
    assert (choice.parts, choice.finish_reason) == ((Reasoning("The question"),), FinishReason.LENGTH)


def test_mirror_shows_the_request_as_it_arrived() -> None:
    sampling = Sampling(max_tokens=1, temperature=0, stop_sequences=("is",))
    request = ask("mirror", "Hi", IMAGE, tools=(WEATHER,), sampling=sampling, choice_count=2, user="u", stream=True)
    response = answer(request, call())
    assert [choice.finish_reason for choice in response.choices] == [FinishReason.STOP]
    text = plain_text(response.choices[0].parts)
    assert text.startswith('{"is":"Request","model":"mirror","messages":[{"is":"Message","role":"user","parts":[')
    assert json.loads(text) == to_plain(request)
    assert from_plain(json.loads(text)) == request


def test_mirror_refuses_what_it_cannot_show() -> None:
    nested: Any = {}
    for _ in range(1000):
        nested = {"type": "array", "items": nested}
    error = failure(ask("mirror", "Hi", tools=(Tool("deep", None, nested),)))
    assert (error.kind, error.http_status) == (ErrorKind.INVALID_REQUEST, 400)


def test_cut_breaks_off_halfway() -> None:
    request = ask("cut", "one two three four five six")
    *before, last = streamed(request)
    assert isinstance(last, StreamFailed)
    error = last.error
    assert (error.kind, error.code, error.fault) == (ErrorKind.BAD_UPSTREAM, "stream_interrupted", Fault.UPSTREAM)
    collector = Collector()
    for event in before:
        collector.add(event)
    said = plain_text(collector.response().choices[0].parts)
    assert said == 'You said: "one two'
    assert failure(request) == error
    assert error.http_status == 502


@pytest.mark.parametrize("status", range(400, 600))
def test_fail_fails_before_anything(status: int) -> None:
    request = ask(f"fail-{status}", "Hi")
    error = failure(request)
    assert error == ApiError(
        kind_of_status(status),
        f"the demo model fail-{status} fails with status {status}, always",
        Fault.UPSTREAM,
        status=status,
        code="demo_failure",
        retry_after=1 if status in (429, 503) else None,
    )
    with pytest.raises(DemoFailure) as caught:
        streamed(request)
    assert caught.value.error == error


@pytest.mark.parametrize("name", ["", "Echo", "fail", "fail-399", "fail-600", "fail-50", "fail-5030", "fail-٤٠٤"])
def test_an_unknown_model_is_not_found(name: str) -> None:
    error = failure(ask(name, "Hi"))
    assert (error.kind, error.http_status, error.code) == (ErrorKind.NOT_FOUND, 404, "model_not_found")
    assert error.message == (
        "the demo upstream has no such model; it has echo, tools, json, slow, think, mirror, cut, fail-<status>"
    )


def test_the_listing_has_every_model() -> None:
    assert [model.id for model in MODELS] == ["echo", "tools", "json", "slow", "think", "mirror", "cut", "fail-503"]
    closed_set = {"text", "multimodal", "vision", "embeddings", "streaming", "tools", "structured_output"}
    assert all(model.features and model.features <= closed_set for model in MODELS)


# --- the schema filler ------------------------------------------------------------------------------------------

NODE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
}
TERM = {
    "$defs": {
        "Term": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"left": {"$ref": "#/$defs/Term"}, "right": {"$ref": "#/$defs/Term"}},
                    "required": ["left", "right"],
                },
                {"type": "number"},
            ]
        }
    },
    "$ref": "#/$defs/Term",
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "example"),
        ({"type": "string", "minLength": 9}, "examplexx"),
        ({"type": "string", "maxLength": 2}, "ex"),
        ({"type": "string", "format": "date"}, "2024-01-02"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "minimum": 7, "multipleOf": 5.0}, 10),
        ({"type": "number"}, 1.5),
        ({"type": "number", "minimum": 0}, 0),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
        ({"type": "number", "exclusiveMaximum": 0}, -1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "string"]}, "example"),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False}, [1, None]),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": {"x": 1}}, {"x": 1}),
        ({"type": "integer", "default": 5}, 5),
        ({"type": "integer", "default": "five"}, 1),
        ({"type": "string", "default": None}, "example"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, "a"),
        (
            {"allOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": None, "b": 2},
        ),
        ({"properties": {"a": {"properties": {"b": {"type": "boolean"}}}}}, {"a": {"b": True}}),
        ({"type": "object", "required": ["a"]}, {"a": "example"}),
        ({"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}}, {"a": 1}),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": [3]}}}, {"a": 3}),
        ({"properties": {"a": {"$ref": "#/definitions/x~1y"}}, "definitions": {"x/y": {"type": "null"}}}, {"a": None}),
        ({"$ref": "https://example.com/schema"}, "example"),
        ({}, "example"),
        (NODE, {"value": 1, "next": None}),
        (TERM, {"left": 1.5, "right": 1.5}),
        (
            {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
            {"children": [{"children": [{}]}]},
        ),
    ],
)
def test_the_filler_gives_the_simplest_value_that_fits(schema: dict[str, Any], value: Any) -> None:
    assert fill(schema) == value
    assert check(fill(schema), schema, schema)


BOMB: dict[str, Any] = {
    "$ref": "#/$defs/0",
    "$defs": {
        str(level): {"type": "array", "minItems": 10, "items": {"$ref": f"#/$defs/{level + 1}"}} for level in range(20)
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        BOMB,
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": 10**12},
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"type": "integer", "minimum": 1e300},
    ],
)
def test_a_schema_that_asks_for_too_much_is_refused(schema: dict[str, Any]) -> None:
    error = failure(ask("json", "Hi", output=OutputFormat(OutputKind.JSON_SCHEMA, schema)))
    assert (error.kind, error.http_status) == (ErrorKind.INVALID_REQUEST, 400)


# A small validator of our own: what the filler promises, read the other way round.
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def check(value: Any, schema: Any, root: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    reference = schema.get("$ref", "https:")
    if reference.startswith("#"):
        target = root
        for step in reference.split("/")[1:]:
            target = target[step.replace("~1", "/").replace("~0", "~")]
        if not check(value, target, root):
            return False
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return all(
        (
            not kinds or any(has_type(value, kind) for kind in kinds),
            "enum" not in schema or value in schema["enum"],
            "const" not in schema or value == schema["const"],
            all(check(value, option, root) for option in schema.get("allOf", [])),
            all(
                any(check(value, option, root) for option in schema[word])
                for word in ("anyOf", "oneOf")
                if word in schema
            ),
            check_bounds(value, schema),
            check_inside(value, schema, root),
        )
    )


def check_bounds(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, str):
        return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return all(
        (
            schema.get("minimum", value) <= value <= schema.get("maximum", value),
            above is None or above is True or value > above,
            below is None or below is True or value < below,
        )
    )


def check_inside(value: Any, schema: dict[str, Any], root: Any) -> bool:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        inside = all(check(item, known.get(name, others), root) for name, item in value.items())
        return inside and all(name in value for name in schema.get("required", []))
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        inside = all(check(item, option, root) for item, option in zip(value, first, strict=False))
        rest = all(check(item, schema.get("items", True), root) for item in value[len(first) :])
        return inside and rest and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    return True


def attempt(action: Callable[[], Response]) -> Response | ApiError:
    try:
        return action()
    except DemoFailure as refused:
        return refused.error


def collected(request: Request) -> Response:
    events = streamed(request)
    if isinstance(events[-1], StreamFailed):
        raise DemoFailure(events[-1].error)
    return collect(events)


# --- properties -------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.sampled_from(["a", "b", "c", "d"])
bounds = st.integers(-50, 50)


def objects(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, schemas, max_size=3).flatmap(
        lambda properties: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.just(properties)},
            optional={"required": st.just(sorted(properties)), "additionalProperties": st.just(False)},
        )
    )


def nested(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(schemas, min_size=1, max_size=3)
    return (
        objects(schemas)
        | st.fixed_dictionaries({"type": st.just("array"), "items": schemas}, optional={"minItems": st.integers(0, 3)})
        | st.fixed_dictionaries({"anyOf": some})
        | st.fixed_dictionaries({"oneOf": some, "description": words})
    )


leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({}),
    st.just({"$ref": "#/$defs/shared"}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": bounds.map(abs)}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"maxLength": bounds.map(abs), "default": st.just("")}),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"minimum": bounds}),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"exclusiveMaximum": bounds}),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"exclusiveMinimum": bounds}),
    st.fixed_dictionaries({"enum": st.lists(words | bounds, min_size=1, max_size=3)}),
)
schemas = objects(st.recursive(leaves, nested, max_leaves=6)).map(
    lambda schema: {**schema, "$defs": {"shared": {"type": "object", "properties": {"x": {"type": "integer"}}}}}
)
SCHEMA_WORDS = re.findall(
    r"\S+",
    """type properties required items enum const default anyOf allOf oneOf $ref $defs minimum maximum format
    exclusiveMinimum multipleOf minItems maxItems minLength maxLength prefixItems""",
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            words | st.sampled_from(SCHEMA_WORDS),
            inner | st.sampled_from(["object", "array", "string", "integer", "number", "#", "#/$defs/0/a"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)

sources = words.map(lambda text: Inline(PNG)) | words.map(Url) | words.map(FileId)
media = st.builds(Media, st.sampled_from(MediaKind), sources, st.none() | words)
opaque = st.builds(Opaque, st.just("some_dialect"), st.just({"type": "odd"}))
user_parts = st.builds(Text, words | st.sampled_from(["use a and b", "all", "only c"])) | media | opaque
tool_results = st.builds(
    ToolResult,
    names,
    st.lists(user_parts, max_size=3).map(tuple),
    st.none() | st.booleans(),
)
assistant_parts = (
    st.builds(Text, words) | st.builds(ToolCall, names, names, words) | st.builds(Reasoning, words, st.none() | words)
)
PARTS_OF = {
    Role.SYSTEM: st.builds(Text, words),
    Role.USER: user_parts,
    Role.ASSISTANT: assistant_parts,
    Role.TOOL: tool_results,
}
messages = st.sampled_from(Role).flatmap(
    lambda role: st.builds(Message, st.just(role), st.lists(PARTS_OF[role], min_size=1, max_size=3).map(tuple))
)
samplings = st.builds(
    Sampling,
    max_tokens=st.none() | st.integers(0, 30),
    stop_sequences=st.lists(st.sampled_from(["", "said", " ", "\n", "e", ":"]), max_size=2).map(tuple),
    logprobs=st.none() | st.booleans(),
    top_logprobs=st.none() | st.integers(0, 25),
)
requests = st.builds(
    Request,
    st.sampled_from([model.id for model in MODELS] + ["fail-429", "nothing"]),
    st.lists(messages, min_size=1, max_size=4).map(tuple),
    st.lists(st.builds(Tool, names, st.none() | words, st.none() | schemas) | opaque, max_size=3).map(tuple),
    st.none() | st.builds(ToolChoice, st.sampled_from(ToolChoiceMode), names, st.lists(names, max_size=2).map(tuple)),
    st.none() | st.booleans(),
    samplings,
    st.none() | st.builds(OutputFormat, st.sampled_from(OutputKind), st.none() | schemas),
    st.none()
    | st.builds(ReasoningOptions, st.none() | st.sampled_from(["none", "low"]), st.none() | st.integers(0, 30)),
    st.none() | st.integers(0, 4),
)


@settings(max_examples=300, deadline=None)
@given(requests)
def test_stream_and_answer_agree(request: Request) -> None:
    whole = attempt(lambda: answer(request, call()))
    assert attempt(lambda: answer(request, call())) == whole
    assert attempt(lambda: collected(request)) == whole


@settings(max_examples=300, deadline=None)
@given(requests)
def test_streams_keep_the_order_of_events(request: Request) -> None:
    try:
        events = streamed(request)
    except DemoFailure:
        return
    order = EventOrder()
    for event in events:
        order.check(event)
    assert isinstance(events[-1], StreamFailed if request.model == "cut" else StreamEnded)
    assert not any(isinstance(event, TextDelta) and not event.text for event in events)


@settings(max_examples=200, deadline=None)
@given(requests)
def test_the_mirror_shows_every_request_whole(request: Request) -> None:
    request = replace(request, model="mirror")
    assert json.loads(text_of(request)) == to_plain(request)


@settings(max_examples=300, deadline=None)
@given(schemas)
def test_filled_values_fit_their_schema(schema: dict[str, Any]) -> None:
    [(_, arguments)] = calls_of(ask("tools", "go", tools=(Tool("a", None, schema),)))
    assert check(json.loads(arguments), schema, schema), arguments


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(words, junk) | junk)
def test_no_schema_breaks_the_filler(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    request = ask("json", "Hi", output=OutputFormat(OutputKind.JSON_SCHEMA, schema))
    result = attempt(lambda: answer(request, call()))
    if isinstance(result, Response):
        json.loads(plain_text(result.choices[0].parts))
    else:
        assert result.kind is ErrorKind.INVALID_REQUEST


@given(words)
def test_pieces_glued_together_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
