"""What each vendor's own types say of a request body: dialect -> a function that lists the faults."""

import importlib.util
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import unquote
from warnings import catch_warnings

import orjson
from pydantic import ValidationError

from adapters.contract import WireRequest
from adapters.model.message import Json
from tests.vendor_types.typed import faults

PACKAGES = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "google.genai",
    "bedrock_converse": "botocore",
}
"""Dialect -> the package that has its types."""


def installed(package: str) -> bool:
    """Whether the package is there."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # nor is what it is part of
        return False


def judge(dialect: str, wire: WireRequest) -> list[str]:
    """The faults that the types of the vendor of this dialect find in a request."""
    return _JUDGES[dialect](wire)


def judge_count(wire: WireRequest) -> list[str]:
    """The same for a request to Anthropic to count tokens."""
    from anthropic.types import MessageCountTokensParams

    return faults(orjson.loads(wire.body), MessageCountTokensParams)


# --- OpenAI and Anthropic: TypedDicts -------------------------------------------------------------------------------


def _chat(wire: WireRequest) -> list[str]:
    from openai.types.chat import completion_create_params as params

    return _streamed_or_not(wire, params.CompletionCreateParamsStreaming, params.CompletionCreateParamsNonStreaming)


def _responses(wire: WireRequest) -> list[str]:
    from openai.types.responses import response_create_params as params

    return _streamed_or_not(wire, params.ResponseCreateParamsStreaming, params.ResponseCreateParamsNonStreaming)


def _anthropic(wire: WireRequest) -> list[str]:
    from anthropic.types import message_create_params as params

    return _streamed_or_not(wire, params.MessageCreateParamsStreaming, params.MessageCreateParamsNonStreaming)


def _streamed_or_not(wire: WireRequest, streaming: Any, whole: Any) -> list[str]:
    body = orjson.loads(wire.body)
    return faults(body, streaming if body.get("stream") else whole)


# --- Google: pydantic models ----------------------------------------------------------------------------------------


@cache
def _gemini_body() -> Any:
    """The body of generateContent: the client builds it from these parts (``_GenerateContentParameters_to_mldev``)."""
    from google.genai import types
    from pydantic import BaseModel, ConfigDict, Field

    class Body(BaseModel):
        model_config = ConfigDict(extra="forbid", val_json_bytes="base64", arbitrary_types_allowed=True)
        contents: list[types.Content] = Field(min_length=1)
        system_instruction: types.Content | None = Field(None, alias="systemInstruction")
        tools: list[types.Tool] | None = None
        tool_config: types.ToolConfig | None = Field(None, alias="toolConfig")
        safety_settings: list[types.SafetySetting] | None = Field(None, alias="safetySettings")
        generation_config: types.GenerationConfig | None = Field(None, alias="generationConfig")
        cached_content: str | None = Field(None, alias="cachedContent")

    return Body


def _gemini(wire: WireRequest) -> list[str]:
    try:
        with catch_warnings(action="error"):  # that is all that happens to words outside an enumeration
            _gemini_body().model_validate_json(wire.body)
    except UserWarning as warning:
        return [str(warning)]
    except ValidationError as error:
        return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
    return []


# --- AWS: the service model, and botocore's validator of parameters --------------------------------------------------


@cache
def _service_model() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def _converse(wire: WireRequest) -> list[str]:
    from botocore.validate import ParamValidator

    streamed = wire.path.endswith("/converse-stream")
    shape = _service_model().operation_model("ConverseStream" if streamed else "Converse").input_shape
    parameters: Json = {"modelId": unquote(wire.path.split("/")[2]), **orjson.loads(wire.body)}
    report = ParamValidator().validate(parameters, shape)
    found = report.generate_report().splitlines() if report.has_errors() else []
    return found + list(_strays(parameters, shape, ""))


def _strays(value: Any, shape: Any, path: str) -> list[str]:
    """What the validator passes over: words outside an enumeration, text where bytes belong, two of a union."""
    if shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        found = (
            [f"{path}: {sorted(value)} are {len(value)} of a union"]
            if shape.is_tagged_union and len(value) != 1
            else []
        )
        members = [(name, item) for name, item in value.items() if name in shape.members]
        return found + [
            stray for name, item in members for stray in _strays(item, shape.members[name], f"{path}.{name}")
        ]
    if shape.type_name == "list" and isinstance(value, list):
        return [stray for index, item in enumerate(value) for stray in _strays(item, shape.member, f"{path}[{index}]")]
    if shape.type_name == "map" and isinstance(value, dict):
        return [stray for name, item in value.items() for stray in _strays(item, shape.value, f"{path}.{name}")]
    if shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{path}: {value!r} is none of {shape.enum}"]
    if shape.type_name == "blob" and not _is_base64(value):
        return [f"{path}: no base64"]
    return []


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and b64encode(b64decode(value, validate=True)).decode() == value
    except ValueError:
        return False


_JUDGES: dict[str, Callable[[WireRequest], list[str]]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock_converse": _converse,
}
