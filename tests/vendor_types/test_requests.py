"""Every request that we encode fits the vendor's own types, whichever dialect it came in."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given

from adapters.contract import EncodeError
from adapters.model.message import Extra, Message, Opaque, Part, ToolResult
from adapters.model.request import Request, Tool
from adapters.samples import FEATURES
from proxy.registry import dialect_names, load_dialect
from tests.adapters.vectors import REQUESTS, Case, ids, wire_request
from tests.strategies import requests
from tests.vendor_types.judges import PACKAGES, installed, judge, judge_count


def _missing(dialect: str) -> str | None:
    """Why a dialect cannot be judged, ``None`` if it can."""
    if dialect not in dialect_names():
        return f"the dialect {dialect} is not registered"
    return None if installed(PACKAGES[dialect]) else f"the package {PACKAGES[dialect]} is not installed"


def _targets() -> Iterator[object]:
    for dialect in PACKAGES:
        why = _missing(dialect)
        yield pytest.param(dialect, marks=pytest.mark.skipif(why is not None, reason=why or ""))


with_target = pytest.mark.parametrize("target", list(_targets()))

NEWEST = "claude-opus-5"
"""A model whose requests must fit the types without exception."""
MODELS = {
    "anthropic": ("claude-sonnet-4-5", NEWEST, "other-model"),
    "bedrock_converse": ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0", "other-model"),
    "gemini": ("gemini-2.5-flash", "gemini-3-pro-preview"),
}
"""Models that are asked in different ways."""


BEYOND: dict[str, str] = {
    # PAR-07, hard-cases.md: older models take them; anthropic 2.10.0 and 2.11.0 have types for the newest alone.
    "anthropic": r"\.(temperature|top_p|top_k): not one of its keys",
    # What other makers' models behind this API think; it goes back only where it came from this dialect. The types have
    # whole numbers for biases, while their own words speak of values between -1 and 1.
    "openai_chat": (
        r"\.messages\[\d+\]\.reasoning_content: not one of its keys|\.logit_bias\.[^.]+: -?\d+\.\d+ is no int$"
    ),
    # Whoever makes up an id names an item that nobody has; Codex sends its history without ids and status as well.
    "openai_responses": r"\.input\[\d+\]\.(id|status): missing \(Response(OutputMessage|ReasoningItem)Param\)$",
}
"""Faults that are none, by dialect."""


def demand_fit(target: str, request: Request) -> None:
    """Fails with the vendor's words if the request does not fit its types. What cannot be encoded is not asked."""
    dialect = load_dialect(target)
    for model in MODELS.get(target, ("some-model",)):
        try:
            wire = dialect.encode_request(replace(request, model=model)).wire
        except EncodeError:
            continue
        pardoned = None if model == NEWEST else BEYOND.get(target)
        found = [fault for fault in judge(target, wire) if pardoned is None or not re.match(pardoned, fault)]
        assert not found, f"{model}: {found}\n{wire.body.decode()}"


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("feature", FEATURES)
@with_target
def test_every_feature(target: str, feature: str, stream: bool) -> None:
    demand_fit(target, replace(FEATURES[feature].request, stream=stream))


@pytest.mark.parametrize("case", REQUESTS, ids=ids)
@with_target
def test_every_captured_request(target: str, case: Case) -> None:
    """What came in the dialect itself is sent on with fields that these types may not know: those are left out here."""
    request = case.codec.decode_request(wire_request(case))
    demand_fit(target, without_own(request, target) if case.dialect == target else request)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_count_of_tokens(feature: str) -> None:
    """The one other request that has types of its own here."""
    if why := _missing("anthropic"):
        pytest.skip(why)
    counting = load_dialect("anthropic").tokens
    assert counting is not None
    wire = counting.encode_request(replace(FEATURES[feature].request, model=NEWEST)).wire
    assert judge_count(wire) == []


@given(request=requests())
@with_target
def test_any_request(target: str, request: Request) -> None:
    demand_fit(target, without_own(request, target))


Stripped = TypeVar("Stripped", bound=Part | Tool)


def without_own(request: Request, dialect: str) -> Request:
    """The request without the fields and parts that only ``dialect`` understands: nobody vouches for those."""

    def is_foreign(thing: Part | Tool) -> bool:
        return not (isinstance(thing, Opaque) and thing.dialect == dialect)

    def rest(extra: Extra | None) -> Extra | None:
        return {owner: kept for owner, kept in (extra or {}).items() if owner != dialect} or None

    def stripped(thing: Stripped) -> Stripped:
        if isinstance(thing, ToolResult):
            inner = tuple(stripped(part) for part in thing.parts if is_foreign(part))
            return replace(thing, parts=inner, extra=rest(thing.extra))
        return thing if isinstance(thing, Opaque) else replace(thing, extra=rest(thing.extra))

    def plain(message: Message) -> Message:
        parts = tuple(stripped(part) for part in message.parts if is_foreign(part))
        return replace(message, parts=parts, extra=rest(message.extra))

    return replace(
        request,
        messages=tuple(plain(message) for message in request.messages),
        tools=tuple(stripped(tool) for tool in request.tools if is_foreign(tool)),
        extra=rest(request.extra),
    )
