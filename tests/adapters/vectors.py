"""Reads the vectors folders: raw bytes as captured, and what they mean."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from adapters.conformance import context, decode_stream
from adapters.contract import Dialect, WireRequest, WireResponse
from adapters.model.error import ApiError
from adapters.model.event import Event, StreamStarted
from adapters.model.plain import from_plain
from adapters.model.request import Request
from adapters.model.response import Response
from adapters.samples import FEATURES
from tests.adapters.registered import DIALECTS, VECTORS

ASKED = replace(FEATURES["text"].request, stream=True, include_usage=True)
"""The request that captured answers are taken to answer."""


@dataclass(frozen=True)
class Case:
    """One captured case: the dialect's name, what it is, and its file."""

    dialect: str
    kind: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def codec(self) -> Dialect:
        return DIALECTS[self.dialect]

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes()

    @property
    def plain(self) -> object:
        """What the case means, as its ``.model.json`` has it."""
        return json.loads(self.path.with_suffix(".model.json").read_text())

    @property
    def model(self) -> Request | Response | ApiError:
        plain = self.plain
        return from_plain(plain["error"] if isinstance(plain, dict) and set(plain) == {"error"} else plain)

    def __str__(self) -> str:
        return f"{self.dialect}-{self.name}"


def cases(kind: str, suffix: str) -> list[Case]:
    """All cases of one kind (``requests``) of the dialects that load, in a fixed order."""
    return [Case(name, kind, path) for name in DIALECTS for path in sorted((VECTORS / name / kind).glob("*" + suffix))]


REQUESTS = cases("requests", ".http")
RESPONSES = cases("responses", ".http")
ERRORS = cases("errors", ".http")
REJECTED = cases("rejected", ".http")
STREAMS = cases("streams", ".raw")
FAILED = [case for case in STREAMS if case.name.startswith("failed-")]
FINISHED = [case for case in STREAMS if case not in FAILED]
TWINS = [
    (case, twin) for case in FINISHED for twin in RESPONSES if (case.dialect, case.name) == (twin.dialect, twin.name)
]


def ids(case: object) -> str:
    """The readable id of a case; of a pair, its first."""
    return str(case[0] if isinstance(case, tuple) else case)


def _split(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    return first, headers, body


@cache
def wire_request(case: Case) -> WireRequest:
    """The captured request."""
    first, headers, body = _split(case.raw)
    method, target = first.split(" ", 1)
    path, _, query = target.partition("?")
    return WireRequest(method, path, body, headers, dict(parse_qsl(query, keep_blank_values=True)))


@cache
def wire_response(case: Case) -> WireResponse:
    """The captured answer."""
    first, headers, body = _split(case.raw)
    return WireResponse(int(first.split()[0]), body, headers)


def given():
    """The context in which captured answers are read."""
    return context(ASKED)


def addressed(response: Response) -> Response:
    """The answer with the model that the client asked for, which the proxy fills in where an upstream names none."""
    return response if response.model is not None else replace(response, model=ASKED.model)


def addressed_events(case: Case) -> list[Event]:
    """The events of a captured stream, with the model that the client asked for."""
    events = decode_stream(case.codec, [case.raw], given(), clean=True).events
    return [
        replace(event, model=ASKED.model) if isinstance(event, StreamStarted) and event.model is None else event
        for event in events
    ]
