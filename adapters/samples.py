"""One small request and answer for every feature of the product's matrix, in the common model: data only."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.model.message import (
    Inline,
    Json,
    Media,
    MediaKind,
    Message,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
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


@dataclass(frozen=True, slots=True)
class Sample:
    """One feature in use: a request that needs it, and an answer that such a request may get."""

    name: str
    request: Request
    response: Response


MODEL = "sample-model"

# A transparent image of one pixel, and the smallest document that viewers open.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PDF = (
    "JVBERi0xLjEKMSAwIG9iajw8L1BhZ2VzIDIgMCBSPj5lbmRvYmoKMiAwIG9iajw8L0tpZHNbMyAwIFJdL0NvdW50IDE+PmVuZG9iagozIDAg"
    "b2JqPDwvUGFyZW50IDIgMCBSPj5lbmRvYmoKdHJhaWxlcjw8L1Jvb3QgMSAwIFI+Pg=="
)

CITY_SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "The weather of a city", CITY_SCHEMA)
TIME = Tool("get_time", "The local time of a city", CITY_SCHEMA)
CALLS = (
    ToolCall("call_0000000000000001", "get_weather", '{"city":"Kigali"}'),
    ToolCall("call_0000000000000002", "get_time", '{"city":"Kigali"}'),
)


def _user(text: str) -> Message:
    return Message(Role.USER, (Text(text),))


def _assistant(text: str) -> Message:
    return Message(Role.ASSISTANT, (Text(text),))


def _answer(*choices: Choice, usage: Usage | None = None) -> Response:
    return Response(choices, id="sample-0123456789abcdef", model=MODEL, created=1700000000, usage=usage)


def _says(text: str) -> Response:
    return _answer(Choice(0, (Text(text),), FinishReason.STOP))


_QUESTION = _user("What is the capital of Australia?")

_TEXT = Sample("text", Request(MODEL, (_QUESTION,)), _says("Canberra."))

_SYSTEM = Sample(
    "system",
    Request(MODEL, (Message(Role.SYSTEM, (Text("Answer in French."),)), _QUESTION)),
    _says("C'est Canberra."),
)

_MULTI_TURN = Sample(
    "multi_turn",
    Request(MODEL, (_QUESTION, _assistant("Canberra."), _user("And of New Zealand?"))),
    _says("Wellington."),
)

_IMAGE = Sample(
    "image",
    Request(
        MODEL,
        (Message(Role.USER, (Media(MediaKind.IMAGE, Inline(PNG), "image/png"), Text("What do you see?"))),),
    ),
    _says("A single pixel."),
)

_IMAGE_URL = Sample(
    "image_url",
    Request(
        MODEL,
        (
            Message(
                Role.USER,
                (Media(MediaKind.IMAGE, Url("https://example.com/cat.png"), "image/png"), Text("What do you see?")),
            ),
        ),
    ),
    _says("A cat."),
)

_DOCUMENT = Sample(
    "document",
    Request(
        MODEL,
        (
            Message(
                Role.USER,
                (
                    Media(MediaKind.DOCUMENT, Inline(PDF), "application/pdf", name="report.pdf"),
                    Text("Sum this up."),
                ),
            ),
        ),
    ),
    _says("The report is empty."),
)

_TOOLS = Sample(
    "tools",
    Request(
        MODEL,
        (_user("How is Kigali now?"),),
        tools=(WEATHER, TIME),
        tool_choice=ToolChoice(ToolChoiceMode.AUTO),
        parallel_tool_calls=True,
    ),
    _answer(Choice(0, (Text("I will look."), *CALLS), FinishReason.TOOL_CALL)),
)

_TOOL_RESULTS = Sample(
    "tool_results",
    Request(
        MODEL,
        (
            _user("How is Kigali now?"),
            Message(Role.ASSISTANT, CALLS),
            Message(Role.TOOL, (ToolResult(CALLS[0].id, (Text("24 degrees, rain"),)),)),
            Message(Role.TOOL, (ToolResult(CALLS[1].id, (Text("14:05"),)),)),
            _user("Answer in one sentence."),
        ),
        tools=(WEATHER, TIME),
    ),
    _says("It is 14:05 in Kigali, with rain at 24 degrees."),
)

_JSON_SCHEMA = Sample(
    "json_schema",
    Request(
        MODEL,
        (_QUESTION,),
        output=OutputFormat(OutputKind.JSON_SCHEMA, CITY_SCHEMA, name="city", strict=True),
    ),
    _says('{"city":"Canberra"}'),
)

_STOP = Sample(
    "stop",
    Request(MODEL, (_user("Count from one to ten."),), sampling=Sampling(stop_sequences=("four", "\n\n"))),
    _answer(Choice(0, (Text("one two three "),), FinishReason.STOP, stop_sequence="four")),
)

_LENGTH = Sample(
    "length",
    Request(MODEL, (_user("Tell me a story."),), sampling=Sampling(max_tokens=4)),
    _answer(Choice(0, (Text("Once upon a time"),), FinishReason.LENGTH)),
)

_SAMPLING = Sample(
    "sampling",
    Request(
        MODEL,
        (_QUESTION,),
        sampling=Sampling(
            max_tokens=256,
            temperature=0.0,
            top_p=0.5,
            top_k=40,
            stop_sequences=("END",),
            presence_penalty=0.25,
            frequency_penalty=-0.25,
            seed=0,
            logit_bias={"1734": -100},
            logprobs=True,
            top_logprobs=2,
        ),
    ),
    _answer(
        Choice(
            0,
            (Text("Canberra."),),
            FinishReason.STOP,
            logprobs={
                "content": [
                    {"token": "Canberra", "logprob": -0.1, "bytes": None, "top_logprobs": []},
                    {"token": ".", "logprob": -0.2, "bytes": [46], "top_logprobs": []},
                ]
            },
        )
    ),
)

_REASONING = Sample(
    "reasoning",
    Request(MODEL, (_QUESTION,), reasoning=ReasoningOptions(effort="low")),
    _answer(
        Choice(0, (Reasoning("Not Sydney: the capital was built for it."), Text("Canberra.")), FinishReason.STOP),
        usage=Usage(input_tokens=14, output_tokens=20, reasoning_tokens=17),
    ),
)

_USAGE = Sample(
    "usage",
    Request(MODEL, (_QUESTION,)),
    _answer(
        Choice(0, (Text("Canberra."),), FinishReason.STOP),
        usage=Usage(input_tokens=1214, output_tokens=3, cache_read_tokens=1024, cache_write_tokens=0),
    ),
)

_REFUSAL = Sample(
    "refusal",
    Request(MODEL, (_user("Do something forbidden."),)),
    _answer(Choice(0, (Refusal("I cannot help with that."),), FinishReason.REFUSAL)),
)

FEATURES: Mapping[str, Sample] = {
    sample.name: sample
    for sample in (
        _TEXT,
        _SYSTEM,
        _MULTI_TURN,
        _IMAGE,
        _IMAGE_URL,
        _DOCUMENT,
        _TOOLS,
        _TOOL_RESULTS,
        _JSON_SCHEMA,
        _STOP,
        _LENGTH,
        _SAMPLING,
        _REASONING,
        _USAGE,
        _REFUSAL,
    )
}
"""Every feature by name; the order is the one in which tables show them."""
