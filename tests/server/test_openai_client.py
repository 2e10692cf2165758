"""The official ``openai`` package, sync and async, against every upstream: it must not notice what is behind."""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel

from adapters.model.request import Request, Sampling, ToolChoice, ToolChoiceMode
from adapters.samples import FEATURES, PDF, PNG
from proxy.demo.words import words
from tests.server.stage import UPSTREAMS, reports_usage, takes, target

TEXT, TOOLING = FEATURES["text"].request, FEATURES["tools"].request

# Feature -> the field that a refusal names, and a request that needs the feature.
NEEDS: dict[str, tuple[str, Request]] = {
    "tools": ("tools[0]", TOOLING),
    "forced tool": ("tool", replace(TOOLING, tool_choice=ToolChoice(ToolChoiceMode.TOOL, "get_time"))),
    "json": ("output", FEATURES["json_schema"].request),
    "choices": ("choice_count", replace(TEXT, choice_count=2)),
    "logprobs": ("sampling.logprobs", replace(TEXT, sampling=Sampling(logprobs=True, top_logprobs=2))),
    "stop": ("sampling.stop_sequences", replace(TEXT, sampling=Sampling(stop_sequences=(" two",)))),
}
# What the documents of these upstreams have no words for.
WITHOUT: dict[str, set[str]] = {
    "demo": set(),
    "openai_chat": set(),
    "bedrock_sse": {"forced tool", "choices", "logprobs"},
    "amarsia": set(NEEDS),
}

LONG = " ".join(f"word{number}" for number in range(60))

with_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def said(text: str) -> str:
    return f'You said: "{text}"'


def refuses(upstream: str, feature: str, ask: Callable[[], object]) -> bool:
    """Whether this upstream cannot take the feature; if so, asking for it must be refused with the field's name."""
    field, request = NEEDS[feature]
    if takes(upstream, request):
        return False
    with pytest.raises(openai.BadRequestError) as caught:
        ask()
    assert caught.value.code == "unsupported_field"
    assert caught.value.param is not None
    assert caught.value.param.startswith(field)
    assert caught.value.param in caught.value.message
    return True


@pytest.mark.parametrize("upstream", WITHOUT)
def test_only_what_has_no_words_is_refused(upstream: str) -> None:
    """The codecs' own word is taken for it below, so it is held against the documents here."""
    assert {feature for feature, (_, request) in NEEDS.items() if not takes(upstream, request)} == WITHOUT[upstream]


# --- text -----------------------------------------------------------------------------------------------------------


@with_upstream
def test_chat(client: openai.OpenAI, upstream: str) -> None:
    model = target(upstream, "echo")
    answer = client.chat.completions.create(model=model, messages=user("Hello, 世界 😀\u2028!"))
    assert answer.choices[0].message.content == said("Hello, 世界 😀\u2028!")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@with_upstream
async def test_chat_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    answer = await async_client.chat.completions.create(model=target(upstream, "echo"), messages=user("Hello!"))
    assert answer.choices[0].message.content == said("Hello!")


@pytest.mark.parametrize("usage", [False, True])
@with_upstream
def test_stream(client: openai.OpenAI, upstream: str, usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if usage else {}
    model = target(upstream, "echo")
    chunks = list(client.chat.completions.create(model=model, messages=user(LONG), stream=True, **options))
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in deltas) == said(LONG)
    assert [choice.finish_reason for choice in deltas if choice.finish_reason] == ["stop"]
    assert {chunk.model for chunk in chunks} == {model}
    counts = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert len(counts) == (1 if usage and reports_usage(upstream) else 0)
    assert [chunk for chunk in chunks if not chunk.choices] == [chunk for chunk in chunks if chunk.usage is not None]
    for count in counts:
        assert count.total_tokens == count.prompt_tokens + count.completion_tokens > 60


@with_upstream
async def test_stream_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    stream = await async_client.chat.completions.create(
        model=target(upstream, "echo"), messages=user(LONG), stream=True
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text == said(LONG)


@with_upstream
def test_system_message_and_history_arrive(client: openai.OpenAI, upstream: str) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Speak French."},
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "first answer"},
        {"role": "user", "content": "second question"},
    ]
    answer = client.chat.completions.create(model=target(upstream, "mirror"), messages=messages)
    content = answer.choices[0].message.content or ""
    assert all(text in content for text in ("Speak French.", "first question", "first answer", "second question"))


@with_upstream
def test_length(client: openai.OpenAI, upstream: str) -> None:
    # Not fewer: some providers refuse that.
    answer = client.chat.completions.create(model=target(upstream, "echo"), messages=user(LONG), max_tokens=16)
    if upstream == "amarsia":  # the request has no place for it: reported in the headers, not refused
        assert answer.choices[0].finish_reason == "stop"
        return
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "".join([token for word in words(said(LONG)) for token in word][:16])


@with_upstream
def test_stop(client: openai.OpenAI, upstream: str) -> None:
    def ask() -> ChatCompletion:
        return client.chat.completions.create(model=target(upstream, "echo"), messages=user("one two"), stop=[" two"])

    if refuses(upstream, "stop", ask):
        return
    answer = ask()
    assert answer.choices[0].message.content == 'You said: "one'
    assert answer.choices[0].finish_reason == "stop"


# --- tools ----------------------------------------------------------------------------------------------------------

CITY = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Kigali"]}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": f"{name}, please", "parameters": CITY}}
    for name in ("get_weather", "get_time")
]
RESULTS = {"get_weather": "24 degrees, rain", "get_time": "14:05"}
REPORT = "get_weather said: 24 degrees, rain\nget_time said: 14:05"


def complete(client: openai.OpenAI, model: str, messages: list[Any], *, streamed: bool) -> ChatCompletion:
    """The answer, whole or put together by the client's own stream helper."""
    if not streamed:
        return client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    with client.chat.completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@with_upstream
def test_the_whole_tool_loop(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    model = target(upstream, "tools")
    messages: list[Any] = user("Use both tools.")
    if refuses(upstream, "tools", lambda: complete(client, model, messages, streamed=streamed)):
        return
    first = complete(client, model, messages, streamed=streamed)
    assert first.choices[0].finish_reason == "tool_calls"
    calls = [call for call in first.choices[0].message.tool_calls or [] if call.type == "function"]
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Kigali"}] * 2
    assert len({call.id for call in calls}) == 2
    assert not first.choices[0].message.content
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]} for call in reversed(calls)
    ]
    second = complete(client, model, messages, streamed=streamed)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content == "\n".join(reversed(REPORT.split("\n")))
    assert not second.choices[0].message.tool_calls


@with_upstream
async def test_the_stream_helper_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    if not takes(upstream, TOOLING):
        return
    manager = async_client.chat.completions.stream(
        model=target(upstream, "tools"), messages=user("Use get_time only."), tools=TOOLS
    )
    async with manager as stream:
        names = [event.name async for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = await stream.get_final_completion()
    assert names == ["get_time"]
    assert final.choices[0].finish_reason == "tool_calls"


@with_upstream
def test_a_forced_tool(client: openai.OpenAI, upstream: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_time"}}

    def ask() -> ChatCompletion:
        model = target(upstream, "tools")
        return client.chat.completions.create(model=model, messages=user("Hello"), tools=TOOLS, tool_choice=choice)

    if refuses(upstream, "forced tool", ask):
        return
    calls = ask().choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls if call.type == "function"] == ["get_time"]


# --- structured output, choices, logprobs, media --------------------------------------------------------------------


class Reply(BaseModel):
    city: Literal["Kigali"]
    degrees: int
    notes: list[str]


@with_upstream
def test_parse_gives_the_pydantic_model(client: openai.OpenAI, upstream: str) -> None:
    def ask() -> Any:
        model = target(upstream, "json")
        return client.chat.completions.parse(model=model, messages=user("Where?"), response_format=Reply)

    if refuses(upstream, "json", ask):
        return
    assert ask().choices[0].message.parsed == Reply(city="Kigali", degrees=1, notes=["example"])


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@with_upstream
def test_several_choices(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    def ask() -> dict[int, str]:
        model = target(upstream, "echo")
        if not streamed:
            answer = client.chat.completions.create(model=model, messages=user("Hello"), n=2)
            return {choice.index: choice.message.content or "" for choice in answer.choices}
        texts = {0: "", 1: ""}
        for chunk in client.chat.completions.create(model=model, messages=user("Hello"), n=2, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        return texts

    if refuses(upstream, "choices", ask):
        return
    assert ask() == {0: 'Answer 1 of 2: You said: "Hello"', 1: 'Answer 2 of 2: You said: "Hello"'}


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@with_upstream
def test_logprobs(client: openai.OpenAI, upstream: str, streamed: bool) -> None:
    options: Any = {"messages": user("Hello"), "logprobs": True, "top_logprobs": 2}

    def ask() -> list[Any]:
        model = target(upstream, "echo")
        if not streamed:
            found = client.chat.completions.create(model=model, **options).choices[0].logprobs
            return list(found.content or []) if found is not None else []
        entries: list[Any] = []
        for chunk in client.chat.completions.create(model=model, stream=True, **options):
            if chunk.choices and chunk.choices[0].logprobs is not None:
                entries += chunk.choices[0].logprobs.content or []
        return entries

    if refuses(upstream, "logprobs", ask):
        return
    entries = ask()
    assert "".join(entry.token for entry in entries) == said("Hello")
    assert all(entry.logprob <= 0 and len(entry.top_logprobs) == 2 for entry in entries)


@with_upstream
def test_image_and_file_parts(client: openai.OpenAI, upstream: str) -> None:
    content: Any = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "file", "file": {"filename": "r.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "text", "text": "What is this?"},
    ]
    model = target(upstream, "echo")
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert (answer.choices[0].message.content or "").split("\n") == [
        said("What is this?"),
        f"I received an image (image/png, {len(b64decode(PNG))} bytes).",
        f"I received a document (application/pdf, {len(b64decode(PDF))} bytes).",
    ]
