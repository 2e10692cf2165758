"""Whatever a client sends, it gets a clean answer in its own dialect that names the field, and no upstream hears of it.

One real server process; the models asked for are those of an upstream that must stay untouched.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import Running, running, write_config
from tests.server.test_disconnect_kit import (
    CANARY_KEY,
    INGRESS,
    Heard,
    ScriptedUpstream,
    ask,
    check_error_shape,
    http,
    path_of,
    provider_lines,
    scripted_upstream,
    troubles,
)

NEVER = "up_openai_chat/never-asked"
DEMO = "demo/echo"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    server: Running
    upstream: ScriptedUpstream

    def post(self, dialect: str, body: bytes, model: str = NEVER) -> Heard:
        """The answer to these bytes where the dialect's whole answers are asked for."""
        return ask(self.server.port, http("POST", path_of(dialect, model, stream=False), body))

    def refused(self, dialect: str, body: bytes, status: int, param: str | None, model: str = NEVER) -> Json:
        """Demands that these bytes are refused so, and that nothing is sent upstream."""
        self.upstream.forget()
        heard = self.post(dialect, body, model)
        assert heard.status == status, heard
        error = check_error_shape(dialect, heard)
        assert error.get("param") == param, error
        self.check_untouched()
        return error

    def check_untouched(self) -> None:
        """Demands that the upstream heard nothing since it last forgot."""
        assert (self.upstream.connections, self.upstream.requests) == (0, [])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream() as upstream:
        config = write_config(tmp_path_factory.mktemp("bad_input"), provider_lines(upstream.port))
        with running("serve", "--config", config, "--port", "0", environment={"CANARY_KEY": CANARY_KEY}) as server:
            yield Stage(server, upstream)


# --- valid bodies with everything in them --------------------------------------------------------------------------

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

WHOLE: dict[str, Json] = {
    "openai_chat": {
        "model": NEVER,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a pixel"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Looks", "parameters": SCHEMA, "strict": False},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": True,
        "max_tokens": 50,
        "temperature": 1,
        "top_p": 0.5,
        "stop": ["END"],
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "seed": 7,
        "logit_bias": {"17": 3},
        "logprobs": True,
        "top_logprobs": 2,
        "n": 1,
        "stream": False,
        "user": "u",
        "metadata": {"k": "v"},
        "store": False,
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "city", "description": "A city", "schema": SCHEMA, "strict": True},
        },
    },
    "amarsia": {
        "content": [
            {"type": "text", "text": "Look:"},
            {"type": "image", "mime_type": "image/png", "file_uri": "https://example.com/a.png"},
            {"type": "url", "mime_type": "application/pdf", "file_uri": "https://example.com/a.pdf"},
        ],
        "variables": {"TONE": "calm", "AGE": 7, "SURE": True},
    },
    "bedrock_sse": {
        "modelId": NEVER,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
                    {"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": "AAAA"}}},
                    {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}},
                    {"text": "Look:"},
                ],
            },
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]},
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "a pixel"}], "status": "success"}}],
            },
            {"role": "user", "content": "And now?"},
        ],
        "systemPrompt": "Be brief.",
        "maxTokens": 50,
        "temperature": 1,
        "topP": 0.5,
        "stopSequences": ["END"],
        "responseFormat": {"type": "json", "jsonSchema": SCHEMA},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "look", "description": "Looks", "inputSchema": {"json": SCHEMA}}}],
            "autoExecute": False,
        },
        "async": False,
    },
}

MODEL_KEY = {"openai_chat": "model", "bedrock_sse": "modelId"}
STEP = re.compile(r"\.?(\w+)|\[(\d+)\]")
GONE: Any = object()
"""Stands for a field that is taken away."""


def steps_of(path: str) -> list[str | int]:
    return [int(number) if number else name for name, number in STEP.findall(path)]


def changed(dialect: str, changes: dict[str, Any]) -> Json:
    """The whole body with these fields set, or taken away; paths are spelled as ``param`` spells them."""
    body = copy.deepcopy(WHOLE[dialect])
    for path, value in changes.items():
        *way, last = steps_of(path)
        place: Any = body
        for step in way:
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return body


def as_bytes(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("dialect", INGRESS)
def test_the_whole_body_is_accepted(stage: Stage, dialect: str) -> None:
    """Otherwise the tables below would prove nothing."""
    body = changed(dialect, {MODEL_KEY[dialect]: DEMO} if dialect in MODEL_KEY else {})
    heard = stage.post(dialect, as_bytes(body), DEMO)
    assert heard.status == 200, heard
    assert heard.headers["x-dragoman-target"] == DEMO


# --- wrong types ---------------------------------------------------------------------------------------------------

A_VALUE: dict[str, Any] = {"string": "x", "number": 1.5, "boolean": True, "array": [], "object": {}}

# Every documented field that the body above has -> the types it may have. "number" also stands for integers.
TYPES: dict[str, dict[str, str]] = {
    "openai_chat": {
        "model": "string",
        "messages": "array",
        "messages[0]": "object",
        "messages[0].role": "string",
        "messages[0].content": "string array",
        "messages[1].name": "string",
        "messages[1].content[0]": "object",
        "messages[1].content[0].type": "string",
        "messages[1].content[0].text": "string",
        "messages[1].content[1].image_url": "object",
        "messages[1].content[1].image_url.url": "string",
        "messages[1].content[1].image_url.detail": "string",
        "messages[1].content[2].input_audio": "object",
        "messages[1].content[2].input_audio.data": "string",
        "messages[1].content[2].input_audio.format": "string",
        "messages[1].content[3].file": "object",
        "messages[1].content[3].file.file_data": "string",
        "messages[1].content[3].file.filename": "string",
        "messages[2].tool_calls": "array",
        "messages[2].tool_calls[0]": "object",
        "messages[2].tool_calls[0].id": "string",
        "messages[2].tool_calls[0].type": "string",
        "messages[2].tool_calls[0].function": "object",
        "messages[2].tool_calls[0].function.name": "string",
        "messages[2].tool_calls[0].function.arguments": "string",
        "messages[3].tool_call_id": "string",
        "messages[3].content": "string array",
        "tools": "array",
        "tools[0]": "object",
        "tools[0].type": "string",
        "tools[0].function": "object",
        "tools[0].function.name": "string",
        "tools[0].function.description": "string",
        "tools[0].function.parameters": "object",
        "tools[0].function.strict": "boolean",
        "tool_choice": "string object",
        "tool_choice.type": "string",
        "tool_choice.function": "object",
        "tool_choice.function.name": "string",
        "parallel_tool_calls": "boolean",
        "max_tokens": "number",
        "temperature": "number",
        "top_p": "number",
        "stop": "string array",
        "stop[0]": "string",
        "presence_penalty": "number",
        "frequency_penalty": "number",
        "seed": "number",
        "logit_bias": "object",
        "logit_bias.17": "number",
        "logprobs": "boolean",
        "top_logprobs": "number",
        "n": "number",
        "stream": "boolean",
        "user": "string",
        "metadata": "object",
        "metadata.k": "string",
        "store": "boolean",
        "reasoning_effort": "string",
        "response_format": "object",
        "response_format.type": "string",
        "response_format.json_schema": "object",
        "response_format.json_schema.name": "string",
        "response_format.json_schema.description": "string",
        "response_format.json_schema.schema": "object",
        "response_format.json_schema.strict": "boolean",
    },
    "amarsia": {
        "content": "array",
        "content[0]": "object",
        "content[0].type": "string",
        "content[0].text": "string",
        "content[1].mime_type": "string",
        "content[1].file_uri": "string",
        "variables": "object",
        # A17: non-string values as JSON text.
        "variables.TONE": "string number boolean array object",
    },
    "bedrock_sse": {
        "modelId": "string",
        "messages": "array",
        "messages[0]": "object",
        "messages[0].role": "string",
        "messages[0].content": "string array",
        "messages[0].content[0]": "object",
        "messages[0].content[0].image": "object",
        "messages[0].content[0].image.format": "string",
        "messages[0].content[0].image.source": "object",
        "messages[0].content[0].image.source.bytes": "string",
        "messages[0].content[1].document.name": "string",
        "messages[0].content[2].video.source.s3Location": "object",
        "messages[0].content[2].video.source.s3Location.uri": "string",
        "messages[0].content[3].text": "string",
        "messages[1].content[0].toolUse": "object",
        "messages[1].content[0].toolUse.toolUseId": "string",
        "messages[1].content[0].toolUse.name": "string",
        "messages[1].content[0].toolUse.input": "object",
        "messages[2].content[0].toolResult": "object",
        "messages[2].content[0].toolResult.toolUseId": "string",
        "messages[2].content[0].toolResult.content": "array",
        "messages[2].content[0].toolResult.content[0]": "object",
        "messages[2].content[0].toolResult.content[0].text": "string",
        "messages[2].content[0].toolResult.status": "string",
        "systemPrompt": "string",
        "maxTokens": "number",
        "temperature": "number",
        "topP": "number",
        "stopSequences": "array",
        "stopSequences[0]": "string",
        "responseFormat": "object",
        "responseFormat.type": "string",
        "responseFormat.jsonSchema": "object",
        "toolConfig": "object",
        "toolConfig.tools": "array",
        "toolConfig.tools[0]": "object",
        "toolConfig.tools[0].toolSpec": "object",
        "toolConfig.tools[0].toolSpec.name": "string",
        "toolConfig.tools[0].toolSpec.description": "string",
        "toolConfig.tools[0].toolSpec.inputSchema": "object",
        "toolConfig.tools[0].toolSpec.inputSchema.json": "object",
        # One sentence of the API document writes it as an array (dialects/quant.md, section 3).
        "toolConfig.autoExecute": "boolean array",
        "async": "boolean",
    },
}

WRONG_TYPES = [
    pytest.param(dialect, path, found, id=f"{dialect}-{path}={found}")
    for dialect, fields in TYPES.items()
    for path, allowed in fields.items()
    for found in A_VALUE
    if found not in allowed.split()
]


@pytest.mark.parametrize(("dialect", "path", "found"), WRONG_TYPES)
def test_a_wrong_type_is_named(stage: Stage, dialect: str, path: str, found: str) -> None:
    error = stage.refused(dialect, as_bytes(changed(dialect, {path: A_VALUE[found]})), 400, path)
    assert path in error["message"], error


def test_every_field_of_the_whole_bodies_is_in_the_table() -> None:
    """Except fields that stand for others of the same kind, and what is free: schemas, names of variables."""
    for dialect, fields in TYPES.items():
        known = {re.sub(r"\[\d+\]", "[]", path) for path in fields}
        tops = {steps_of(path)[0] for path in known}
        assert tops == set(WHOLE[dialect]), dialect


# --- wrong values --------------------------------------------------------------------------------------------------

EVIL_TEXT = "canary-text-of-the-client"

# id -> (changes, param). Every one is refused with 400.
WRONG_VALUES: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "openai_chat": {
        "model missing": ({"model": GONE}, "model"),
        "model null": ({"model": None}, "model"),
        "model empty": ({"model": ""}, "model"),
        "messages missing": ({"messages": GONE}, "messages"),
        "messages empty": ({"messages": []}, "messages"),
        "role missing": ({"messages[0].role": GONE}, "messages[0].role"),
        "role unknown": ({"messages[0].role": EVIL_TEXT}, "messages[0].role"),
        "content missing": ({"messages[0].content": GONE}, "messages[0].content"),
        "content null": ({"messages[1].content": None}, "messages[1].content"),
        "content empty": ({"messages[1].content": []}, "messages[1].content"),
        "part type missing": ({"messages[1].content[0].type": GONE}, "messages[1].content[0].type"),
        "part type unknown": ({"messages[1].content[2].type": EVIL_TEXT}, "messages[1].content[2].type"),
        "part type of another role": (
            {"messages[0].content": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
            "messages[0].content[0].type",
        ),
        "text missing": ({"messages[1].content[0].text": GONE}, "messages[1].content[0].text"),
        "image missing": ({"messages[1].content[1].image_url": GONE}, "messages[1].content[1].image_url"),
        "image address missing": (
            {"messages[1].content[1].image_url.url": GONE},
            "messages[1].content[1].image_url.url",
        ),
        "image data no base64": (
            {"messages[1].content[1].image_url.url": f"data:image/png;base64,{EVIL_TEXT}!"},
            "messages[1].content[1].image_url.url",
        ),
        "image data without a comma": (
            {"messages[1].content[1].image_url.url": "data:image/png;base64"},
            "messages[1].content[1].image_url.url",
        ),
        "audio format unknown": (
            {"messages[1].content[2].input_audio.format": "midi"},
            "messages[1].content[2].input_audio.format",
        ),
        "audio no base64": (
            {"messages[1].content[2].input_audio.data": "AAAAA"},
            "messages[1].content[2].input_audio.data",
        ),
        "file with nothing": ({"messages[1].content[3].file": {}}, "messages[1].content[3].file"),
        "file with data and id": (
            {"messages[1].content[3].file.file_id": "file-1"},
            "messages[1].content[3].file",
        ),
        "call without id": ({"messages[2].tool_calls[0].id": GONE}, "messages[2].tool_calls[0].id"),
        "call without function": (
            {"messages[2].tool_calls[0].function": GONE},
            "messages[2].tool_calls[0].function",
        ),
        "call without arguments": (
            {"messages[2].tool_calls[0].function.arguments": GONE},
            "messages[2].tool_calls[0].function.arguments",
        ),
        "assistant with nothing": ({"messages[2].tool_calls": GONE}, "messages[2].content"),
        "result for nothing": ({"messages[3].tool_call_id": "c9"}, "messages[3].tool_call_id"),
        "result without id": ({"messages[3].tool_call_id": GONE}, "messages[3].tool_call_id"),
        "tool without name": ({"tools[0].function.name": GONE}, "tools[0].function.name"),
        "tool with empty name": ({"tools[0].function.name": ""}, "tools[0].function.name"),
        "tool_choice unknown": ({"tool_choice": EVIL_TEXT}, "tool_choice"),
        "tool_choice without name": ({"tool_choice.function.name": GONE}, "tool_choice.function.name"),
        "temperature low": ({"temperature": -0.1}, "temperature"),
        "temperature high": ({"temperature": 2.1}, "temperature"),
        "top_p high": ({"top_p": 1.01}, "top_p"),
        "presence_penalty high": ({"presence_penalty": 2.5}, "presence_penalty"),
        "frequency_penalty low": ({"frequency_penalty": -2.5}, "frequency_penalty"),
        "max_tokens zero": ({"max_tokens": 0}, "max_tokens"),
        "max_tokens a fraction": ({"max_tokens": 1.5}, "max_tokens"),
        "max_tokens beyond integers": ({"max_tokens": 10**30}, "max_tokens"),
        "max_completion_tokens zero": (
            {"max_tokens": GONE, "max_completion_tokens": 0},
            "max_completion_tokens",
        ),
        "aliases that differ": ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        "n zero": ({"n": 0}, "n"),
        "n too many": ({"n": 129}, "n"),
        "top_logprobs high": ({"top_logprobs": 21}, "top_logprobs"),
        "top_logprobs without logprobs": ({"logprobs": False}, "top_logprobs"),
        "logit_bias high": ({"logit_bias": {"17": 101}}, "logit_bias.17"),
        "stop too many": ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        "stop empty": ({"stop": ""}, "stop"),
        "stop entry empty": ({"stop": ["a", ""]}, "stop[1]"),
        "stop entry null": ({"stop": ["a", None]}, "stop[1]"),
        "response_format unknown": ({"response_format": {"type": EVIL_TEXT}}, "response_format.type"),
        "response_format without type": ({"response_format": {}}, "response_format.type"),
        "schema missing": (
            {"response_format.json_schema": GONE},
            "response_format.json_schema",
        ),
        "schema without name": (
            {"response_format.json_schema.name": GONE},
            "response_format.json_schema.name",
        ),
        "stream_options without stream": ({"stream_options": {"include_usage": True}}, "stream_options"),
    },
    "amarsia": {
        "content missing": ({"content": GONE}, "content"),
        "content null": ({"content": None}, "content"),
        "content empty": ({"content": []}, "content"),
        "part null": ({"content[0]": None}, "content[0]"),
        "part type missing": ({"content[0].type": GONE}, "content[0].type"),
        "part type unknown": ({"content[0].type": EVIL_TEXT}, "content[0].type"),
        "text missing": ({"content[0].text": GONE}, "content[0].text"),
        "text empty": ({"content[0].text": ""}, "content[0].text"),
        "text blank": ({"content[0].text": " \n"}, "content[0].text"),
        "mime_type missing": ({"content[1].mime_type": GONE}, "content[1].mime_type"),
        "mime_type empty": ({"content[1].mime_type": ""}, "content[1].mime_type"),
        "file_uri missing": ({"content[1].file_uri": GONE}, "content[1].file_uri"),
        "file_uri empty": ({"content[1].file_uri": ""}, "content[1].file_uri"),
        "file_uri a path": ({"content[1].file_uri": f"/etc/{EVIL_TEXT}"}, "content[1].file_uri"),
        "file_uri file:": ({"content[1].file_uri": f"file:///{EVIL_TEXT}"}, "content[1].file_uri"),
        "file_uri gopher:": ({"content[1].file_uri": f"gopher://{EVIL_TEXT}"}, "content[1].file_uri"),
        "file_uri no base64": (
            {"content[1].file_uri": f"data:image/png;base64,{EVIL_TEXT}!"},
            "content[1].file_uri",
        ),
    },
    "bedrock_sse": {
        "modelId missing": ({"modelId": GONE}, "modelId"),
        "modelId null": ({"modelId": None}, "modelId"),
        "modelId empty": ({"modelId": ""}, "modelId"),
        "messages missing": ({"messages": GONE}, "messages"),
        "messages empty": ({"messages": []}, "messages"),
        "role missing": ({"messages[0].role": GONE}, "messages[0].role"),
        "role unknown": ({"messages[0].role": EVIL_TEXT}, "messages[0].role"),
        "role of another dialect": ({"messages[0].role": "tool"}, "messages[0].role"),
        "content missing": ({"messages[0].content": GONE}, "messages[0].content"),
        "content empty": ({"messages[0].content": []}, "messages[0].content"),
        "block empty": ({"messages[0].content[0]": {}}, "messages[0].content[0]"),
        "block unknown": ({"messages[0].content[0]": {EVIL_TEXT: {}}}, "messages[0].content[0]"),
        "block of two": ({"messages[0].content[3].image": {}}, "messages[0].content[3]"),
        "block of another role": (
            {"messages[1].content[0]": {"toolResult": {"toolUseId": "t1", "content": []}}},
            "messages[1].content[0]",
        ),
        "format missing": (
            {"messages[0].content[0].image.format": GONE},
            "messages[0].content[0].image.format",
        ),
        "format unknown": (
            {"messages[0].content[0].image.format": "bmp"},
            "messages[0].content[0].image.format",
        ),
        "source missing": (
            {"messages[0].content[0].image.source": GONE},
            "messages[0].content[0].image.source",
        ),
        "source empty": ({"messages[0].content[0].image.source": {}}, "messages[0].content[0].image.source"),
        "bytes no base64": (
            {"messages[0].content[0].image.source.bytes": f"{EVIL_TEXT}!"},
            "messages[0].content[0].image.source.bytes",
        ),
        "bytes empty": (
            {"messages[0].content[0].image.source.bytes": ""},
            "messages[0].content[0].image.source.bytes",
        ),
        "location elsewhere": (
            {"messages[0].content[2].video.source.s3Location.uri": "https://x"},
            "messages[0].content[2].video.source.s3Location.uri",
        ),
        "call without id": (
            {"messages[1].content[0].toolUse.toolUseId": GONE},
            "messages[1].content[0].toolUse.toolUseId",
        ),
        "call without name": (
            {"messages[1].content[0].toolUse.name": GONE},
            "messages[1].content[0].toolUse.name",
        ),
        "result for nothing": (
            {"messages[2].content[0].toolResult.toolUseId": "t9"},
            "messages[2].content[0].toolResult.toolUseId",
        ),
        "result without content": (
            {"messages[2].content[0].toolResult.content": GONE},
            "messages[2].content[0].toolResult.content",
        ),
        "result status unknown": (
            {"messages[2].content[0].toolResult.status": EVIL_TEXT},
            "messages[2].content[0].toolResult.status",
        ),
        "maxTokens zero": ({"maxTokens": 0}, "maxTokens"),
        "maxTokens above the cap": ({"maxTokens": 8193}, "maxTokens"),
        "maxTokens a fraction": ({"maxTokens": 1.5}, "maxTokens"),
        "temperature low": ({"temperature": -0.1}, "temperature"),
        "temperature high": ({"temperature": 2.1}, "temperature"),
        "topP high": ({"topP": 1.1}, "topP"),
        "stopSequences too many": ({"stopSequences": ["a", "b", "c", "d", "e"]}, "stopSequences"),
        "stopSequences entry empty": ({"stopSequences": [""]}, "stopSequences[0]"),
        "stopSequences entry null": ({"stopSequences": ["a", None]}, "stopSequences[1]"),
        "responseFormat unknown": ({"responseFormat.type": "xml"}, "responseFormat.type"),
        "responseFormat without type": ({"responseFormat.type": GONE}, "responseFormat.type"),
        "tool without name": (
            {"toolConfig.tools[0].toolSpec.name": GONE},
            "toolConfig.tools[0].toolSpec.name",
        ),
        "tool of no kind": ({"toolConfig.tools[0]": {}}, "toolConfig.tools[0].toolSpec"),
        "async": ({"async": True}, "async"),
    },
}


@pytest.mark.parametrize(
    ("dialect", "name"),
    [pytest.param(dialect, name, id=f"{dialect}-{name}") for dialect, rows in WRONG_VALUES.items() for name in rows],
)
def test_a_wrong_value_is_named(stage: Stage, dialect: str, name: str) -> None:
    changes, param = WRONG_VALUES[dialect][name]
    error = stage.refused(dialect, as_bytes(changed(dialect, changes)), 400, param)
    assert param in error["message"], error
    assert "canary" not in json.dumps(error), "the client's own values are never repeated"


IN_RANGE: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [
        {"temperature": 0},
        {"temperature": 2},
        {"max_tokens": 1},
        {"max_completion_tokens": 50},
        {"top_p": 1},
    ],
    "amarsia": [{"variables": {}}, {"variables.N": None}, {"unknown": {"a": 1}}],
    "bedrock_sse": [{"maxTokens": 8192}, {"maxTokens": 1}, {"temperature": 2}, {"topP": 0}, {"unknown": {"a": 1}}],
}


@pytest.mark.parametrize(
    ("dialect", "changes"),
    [
        pytest.param(dialect, changes, id=f"{dialect}-{changes}")
        for dialect, all_ in IN_RANGE.items()
        for changes in all_
    ],
)
def test_a_value_at_the_edge_is_accepted(stage: Stage, dialect: str, changes: dict[str, Any]) -> None:
    body = changed(dialect, changes | ({MODEL_KEY[dialect]: DEMO} if dialect in MODEL_KEY else {}))
    heard = stage.post(dialect, as_bytes(body), DEMO)
    assert heard.status == 200, heard


# --- bodies that are no JSON object ----------------------------------------------------------------------------------


def valid(dialect: str, model: str = NEVER) -> bytes:
    """The smallest valid body."""
    if dialect == "amarsia":
        return b'{"content":[{"type":"text","text":"Hello"}]}'
    key = MODEL_KEY[dialect]
    return as_bytes({key: model, "messages": [{"role": "user", "content": "Hello"}]})


def with_field(dialect: str, field: bytes) -> bytes:
    """The smallest valid body and one more field, as raw bytes."""
    return valid(dialect)[:-1] + b"," + field + b"}"


def nested(depth: int) -> bytes:
    """A field that makes the body this deep; the body itself is the first level."""
    return b'"x":' + b"[" * (depth - 1) + b"]" * (depth - 1)


# Every one is refused with 400 and no ``param``.
NO_JSON: dict[str, Callable[[str], bytes]] = {
    "empty": lambda _: b"",
    "blank": lambda _: b" \n",
    "words": lambda _: b"canary",
    "form": lambda _: b"model=canary&messages=x",
    "html": lambda _: b"<html>canary</html>",
    "cut": lambda dialect: valid(dialect)[:-1],
    "two objects": lambda dialect: valid(dialect) * 2,
    "comma too many": lambda dialect: valid(dialect)[:-1] + b",}",
    "single quotes": lambda dialect: valid(dialect).replace(b'"', b"'"),
    "comment": lambda dialect: valid(dialect) + b"// canary",
    "byte order mark": lambda dialect: b"\xef\xbb\xbf" + valid(dialect),
    "utf-16": lambda dialect: valid(dialect).decode().encode("utf-16"),
    "latin-1": lambda dialect: valid(dialect).replace(b"Hello", b"caf\xe9"),
    "raw surrogate": lambda dialect: valid(dialect).replace(b"Hello", b"\xed\xa0\x80"),
    "overlong": lambda dialect: valid(dialect).replace(b"Hello", b"\xc0\xaf"),
    "control character": lambda dialect: valid(dialect).replace(b"Hello", b"a\nb"),
    "nul": lambda dialect: valid(dialect).replace(b"Hello", b"a\x00b"),
    "lone surrogate": lambda dialect: valid(dialect).replace(b"Hello", b"\\ud800"),
    "surrogates swapped": lambda dialect: valid(dialect).replace(b"Hello", b"\\udc00\\ud800"),
    "lone surrogate in a key": lambda dialect: with_field(dialect, b'"\\ud800":1'),
    "NaN": lambda dialect: with_field(dialect, b'"temperature":NaN'),
    "Infinity": lambda dialect: with_field(dialect, b'"temperature":Infinity'),
    "-Infinity": lambda dialect: with_field(dialect, b'"x":[-Infinity]'),
    "1e999": lambda dialect: with_field(dialect, b'"x":1e999'),
    "leading zero": lambda dialect: with_field(dialect, b'"x":01'),
    "null": lambda _: b"null",
    "array": lambda dialect: b"[" + valid(dialect) + b"]",
    "string": lambda _: b'"canary"',
    "number": lambda _: b"1",
    "true": lambda _: b"true",
    "65 levels": lambda dialect: with_field(dialect, nested(65)),
    "1000 levels": lambda dialect: with_field(dialect, nested(1000)),
    "5000 levels": lambda dialect: with_field(dialect, nested(5000)),
    "a megabyte of brackets": lambda _: b"[" * 1_000_000,
    "a megabyte of braces": lambda _: b'{"a":' * 200_000,
    "500001 values": lambda dialect: with_field(dialect, b'"x":[' + b"1," * 500_001 + b"1]"),
    "24 MB of objects": lambda dialect: with_field(dialect, b'"x":[' + b"{}," * 8_000_000 + b"{}]"),
}


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_object_is_refused(stage: Stage, dialect: str, name: str) -> None:
    error = stage.refused(dialect, NO_JSON[name](dialect), 400, None)
    assert error["code"], error
    assert "canary" not in json.dumps(error)


@pytest.mark.parametrize("dialect", INGRESS)
def test_64_levels_are_accepted(stage: Stage, dialect: str) -> None:
    body = with_field(dialect, nested(64)).replace(NEVER.encode(), DEMO.encode())
    assert stage.post(dialect, body, DEMO).status == 200


DECISIVE = {"openai_chat": ["model", "messages"], "amarsia": ["content"], "bedrock_sse": ["modelId", "messages"]}


def spellings(key: str) -> dict[str, str]:
    """The key as JSON may write it."""
    return {
        "plain": key,
        "first letter escaped": f"\\u{ord(key[0]):04x}{key[1:]}",
        "all escaped": "".join(f"\\u{ord(letter):04X}" for letter in key),
    }


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("dialect", "key", "spelling"),
    [
        pytest.param(dialect, key, spelled, id=f"{dialect}-{key}-{name}")
        for dialect, keys in DECISIVE.items()
        for key in keys
        for name, spelled in spellings(key).items()
    ],
)
def test_a_key_that_decides_something_stands_once(
    stage: Stage, dialect: str, key: str, spelling: str, first: bool
) -> None:
    value = json.loads(valid(dialect))[key]
    other = f'"{spelling}":{json.dumps(DEMO if isinstance(value, str) else value)}'.encode()
    body = with_field(dialect, other) if not first else b"{" + other + b"," + valid(dialect)[1:]
    stage.refused(dialect, body, 400, key)


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_key_given_twice_inside_is_not_mistaken_for_one(stage: Stage, dialect: str) -> None:
    """Words in a text, and keys of inner objects, are not the body's keys."""
    key = DECISIVE[dialect][0]
    body = with_field(dialect, f'"x":{{"{key}":1,"y":"\\"{key}\\":1 \\u0041"}}'.encode())
    heard = stage.post(dialect, body.replace(NEVER.encode(), DEMO.encode()), DEMO)
    assert heard.status == 200, heard


# --- names that lead nowhere -----------------------------------------------------------------------------------------

NOT_FOUND = {"openai_chat": "model_not_found", "amarsia": "deployment_not_found", "bedrock_sse": "MODEL_NOT_FOUND"}


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("model", ["canary", "nowhere/canary", "up_openai_chat", "demo"])
def test_an_unknown_model_is_not_found(stage: Stage, dialect: str, model: str) -> None:
    heard = stage.post(dialect, valid(dialect, model), model)
    assert heard.status == 404
    error = check_error_shape(dialect, heard)
    assert error["code"] == NOT_FOUND[dialect]
    assert "canary" not in json.dumps(error)


ODD_NAMES = {
    "header break": "demo/echo\r\nset-cookie: canary=1",
    "line feed": "demo/a\nb",
    "nul": "demo/\x00",
    "delete": "demo/\x7f",
    "not latin": "demo/\u6a21\u578b",
    "long": "demo/" + "m" * 8_000,
}


@pytest.mark.parametrize("dialect", INGRESS)
@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_model_name_is_not_found(stage: Stage, dialect: str, name: str) -> None:
    """The name goes into the header ``x-dragoman-target`` (reliability.md, T6)."""
    heard = stage.post(dialect, valid(dialect, ODD_NAMES[name]), ODD_NAMES[name])
    assert heard.status in (400, 404), heard.raw[:300]
    check_error_shape(dialect, heard)
    assert "set-cookie" not in heard.headers


@pytest.mark.parametrize("dialect", ["openai_chat", "bedrock_sse"])
def test_a_megabyte_of_model_name_is_not_found(stage: Stage, dialect: str) -> None:
    for name in ("m" * 1_000_000, "demo/" + "m" * 1_000_000):
        heard = stage.post(dialect, valid(dialect, name), name)
        assert heard.status in (400, 404)
        check_error_shape(dialect, heard)
        assert len(heard.raw) < 10_000


@pytest.mark.parametrize("name", ["..", "."])
def test_a_model_that_would_leave_the_upstreams_path_is_refused(stage: Stage, name: str) -> None:
    """The request cannot be written for this upstream: that is not the upstream's fault, so no 502."""
    stage.upstream.forget()
    heard = stage.post("openai_chat", valid("openai_chat", f"up_amarsia/{name}"))
    stage.check_untouched()
    assert heard.status in (400, 404), heard
    check_error_shape("openai_chat", heard)


# --- no 500 for any body ----------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(
        ["", "text", "user", "tool", "function", "data:,", "data:;base64,", "https://x", "json", "c1", "t1"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "role", "content", "name", "image_url", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in inner:
        yield (*way, step)
        yield from places(child, (*way, step))


PLACES = {dialect: sorted(places(body), key=repr) for dialect, body in WHOLE.items()}


@st.composite
def mutated(draw: st.DrawFn, dialect: str) -> bytes:
    """A valid body for the demo with a few values changed, taken away, doubled or moved."""
    body = copy.deepcopy(WHOLE[dialect])
    if dialect in MODEL_KEY:
        body[MODEL_KEY[dialect]] = draw(
            st.sampled_from(["demo/echo", "demo/mirror", "demo/tools", "demo/json", "demo/think"])
        )
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES[dialect]))
        try:
            place: Any = body
            for step in way:
                place = place[step]
            match draw(st.sampled_from(["change", "change", "remove", "double", "rename"])):
                case "change":
                    place[last] = draw(VALUES)
                case "remove":
                    del place[last]
                case "double" if isinstance(place, list):
                    place.append(place[last])
                case _ if isinstance(place, dict):
                    place[draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))] = place.pop(last)
        except (KeyError, IndexError, TypeError):
            pass  # an earlier change took the place away
    raw = bytearray(as_bytes(body))
    if draw(st.integers(0, 4)) == 0:
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


@pytest.mark.parametrize("dialect", INGRESS)
def test_no_change_of_a_valid_body_breaks_the_server(stage: Stage, dialect: str) -> None:
    model = {"amarsia": "demo/mirror"}.get(dialect, DEMO)
    statuses: set[int] = set()

    @settings(max_examples=150)
    @given(mutated(dialect))
    def attempt(body: bytes) -> None:
        heard = stage.post(dialect, body, model)
        statuses.add(heard.status)
        assert heard.status in (200, 400, 404, 502), heard
        if heard.status != 200:
            check_error_shape(dialect, heard)
        elif heard.headers["content-type"] == "application/json":
            heard.json()
        else:
            assert heard.headers["content-type"].startswith("text/event-stream")
            assert b'"stream":' in body or b'"stream": ' in body
        assert heard.ended

    attempt()
    assert {200, 400} <= statuses, "the changes must reach both sides"


@pytest.mark.parametrize("dialect", INGRESS)
def test_no_bytes_at_all_break_the_server(stage: Stage, dialect: str) -> None:
    @settings(max_examples=60)
    @given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps({"content": text}).encode()))
    def attempt(body: bytes) -> None:
        assert stage.post(dialect, body).status == 400

    stage.upstream.forget()
    attempt()
    stage.check_untouched()


def test_the_log_has_no_traceback(stage: Stage) -> None:
    """After all of the above. A bad request is no reason for an error in the log."""
    assert troubles(stage.server.log) == []
