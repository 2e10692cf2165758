"""The judges are as good as what they find: each is shown requests that are wrong in one place."""

from dataclasses import replace
from typing import Any

import orjson

from adapters.contract import WireRequest
from adapters.model.message import Inline, Media, MediaKind, Message, Role, Text
from adapters.model.request import Request, ToolChoice, ToolChoiceMode
from adapters.samples import FEATURES, PNG
from proxy.registry import load_dialect
from tests.vendor_types.judges import judge
from tests.vendor_types.test_requests import with_target

PICTURE = Message(Role.USER, (Text("What is this?"), Media(MediaKind.IMAGE, Inline(PNG), "image/png")))
WHOLE = replace(
    FEATURES["tool_results"].request,
    messages=(*FEATURES["tool_results"].request.messages[:-1], PICTURE),
    tool_choice=ToolChoice(ToolChoiceMode.TOOL, "get_time"),
    output=FEATURES["json_schema"].request.output,
    sampling=FEATURES["length"].request.sampling,
)
"""A request that uses much of what there is."""

Steps = tuple[str | int, ...]

# Dialect -> the places of objects that must not take another key, and of values that must not become another.
OBJECTS: dict[str, tuple[Steps, ...]] = {
    "openai_chat": (
        (),
        ("messages", 0),
        ("messages", 1, "tool_calls", 0, "function"),
        ("messages", -1, "content", 1, "image_url"),
        ("tools", 0, "function"),
        ("response_format", "json_schema"),
    ),
    "openai_responses": ((), ("input", 1), ("input", -1, "content", 1), ("tools", 0), ("text", "format")),
    "anthropic": (
        (),
        ("messages", 0),
        ("messages", 1, "content", 0),
        ("messages", 2, "content", 0),
        ("messages", -1, "content", -1, "source"),
        ("tools", 0),
        ("tool_choice",),
        ("output_config", "format"),
    ),
    "gemini": (
        (),
        ("contents", 0, "parts", 0),
        ("contents", 1, "parts", 0, "functionCall"),
        ("contents", -1, "parts", -1, "inlineData"),
        ("tools", 0, "functionDeclarations", 0),
        ("toolConfig", "functionCallingConfig"),
        ("generationConfig",),
    ),
    "bedrock_converse": (
        (),
        ("messages", 0, "content", 0),
        ("messages", 1, "content", 0, "toolUse"),
        ("messages", -1, "content", -1, "image"),
        ("toolConfig", "tools", 0, "toolSpec"),
        ("inferenceConfig",),
        ("outputConfig", "textFormat"),
    ),
}
VALUES: dict[str, tuple[tuple[Steps, Any], ...]] = {
    "openai_chat": (
        (("messages", 0, "role"), "wizard"),
        (("messages", 0, "content"), 5),
        (("messages", 1, "tool_calls", 0, "function", "arguments"), {}),
        (("messages", -1, "content", 1, "type"), "picture"),
        (("tool_choice",), "often"),
        (("model",), None),
    ),
    "openai_responses": (
        (("input", 1, "type"), "call"),
        (("input", 1, "arguments"), {}),
        (("input", -1, "content", 1, "type"), "picture"),
        (("text", "format", "schema"), "{}"),
        (("max_output_tokens",), "many"),
    ),
    "anthropic": (
        (("messages", 0, "role"), "wizard"),
        (("messages", 1, "content", 0, "type"), "call"),
        (("messages", -1, "content", -1, "source", "media_type"), "image/bmp"),
        (("tool_choice", "type"), "often"),
        (("max_tokens",), "many"),
    ),
    "gemini": (
        (("contents", 0, "parts", 0, "text"), 5),
        (("contents", 1, "parts", 0, "functionCall", "args"), "{}"),
        (("contents", -1, "parts", -1, "inlineData", "data"), "?"),
        (("toolConfig", "functionCallingConfig", "mode"), "OFTEN"),
        (("generationConfig", "maxOutputTokens"), "many"),
    ),
    "bedrock_converse": (
        (("messages", 0, "role"), "wizard"),
        (("messages", 0, "content", 0, "text"), 5),
        (("messages", -1, "content", -1, "image", "format"), "bmp"),
        (("messages", -1, "content", -1, "image", "source", "bytes"), "?"),
        (("inferenceConfig", "maxTokens"), "many"),
        (("inferenceConfig", "maxTokens"), 0),
    ),
}
REQUIRED: dict[str, tuple[Steps, ...]] = {
    "openai_chat": (
        ("messages",),
        ("model",),
        ("messages", 1, "tool_calls", 0, "id"),
        ("tools", 0, "function", "name"),
    ),
    "openai_responses": (("input", 1, "call_id"), ("input", 1, "name"), ("text", "format", "schema")),
    "anthropic": (
        ("messages",),
        ("max_tokens",),
        ("messages", 1, "content", 0, "id"),
        ("messages", 2, "content", 0, "tool_use_id"),
        ("tools", 0, "input_schema"),
    ),
    # The other objects of this API leave everything open.
    "gemini": (("contents",),),
    # Nor must Converse have messages: a stored prompt may have them.
    "bedrock_converse": (
        ("messages", 0, "role"),
        ("messages", 1, "content", 0, "toolUse", "toolUseId"),
        ("messages", -1, "content", -1, "image", "format"),
        ("toolConfig", "tools", 0, "toolSpec", "name"),
    ),
}


def written(target: str, request: Request) -> tuple[WireRequest, Any]:
    """The request on the wire, and its body to be spoiled."""
    wire = load_dialect(target).encode_request(replace(request, model="some-model")).wire
    return wire, orjson.loads(wire.body)


def at(body: Any, steps: Steps) -> Any:
    for step in steps:
        body = body[step]
    return body


def found_in(target: str, wire: WireRequest, body: Any) -> list[str]:
    return judge(target, replace(wire, body=orjson.dumps(body)))


@with_target
def test_the_whole_is_right(target: str) -> None:
    wire, body = written(target, WHOLE)
    assert found_in(target, wire, body) == []


@with_target
def test_a_key_too_many_is_found(target: str) -> None:
    for steps in OBJECTS[target]:
        wire, body = written(target, WHOLE)
        at(body, steps)["surprise"] = 1
        assert found_in(target, wire, body), f"nothing found at {steps}"


@with_target
def test_a_wrong_value_is_found(target: str) -> None:
    for (*steps, last), value in VALUES[target]:
        wire, body = written(target, WHOLE)
        assert at(body, tuple(steps))[last] != value
        at(body, tuple(steps))[last] = value
        assert found_in(target, wire, body), f"nothing found at {(*steps, last)}"


@with_target
def test_a_missing_key_is_found(target: str) -> None:
    for *steps, last in REQUIRED[target]:
        wire, body = written(target, WHOLE)
        del at(body, tuple(steps))[last]
        assert found_in(target, wire, body), f"nothing found without {(*steps, last)}"
