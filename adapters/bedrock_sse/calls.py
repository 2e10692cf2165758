"""Tool calls: ``toolUse`` in a request's blocks, in a buffered answer and in a stream's last event."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import CALL_ID_PREFIX, NAME, SERVER_RUN
from adapters.contract import Context
from adapters.model.message import Json, Opaque, ToolCall
from adapters.wire.fields import Fields, wrong_type


@dataclass(slots=True)
class WireCall:
    """One entry of ``toolUse``. ``id`` may be missing: APP's ``tool_request`` has only a name and an input."""

    id: str | None
    name: str
    arguments: str
    rest: Json
    entry: Json

    @property
    def likeness(self) -> tuple[str, str]:
        """What two entries for one call have in common even if only one of them has an id."""
        return self.name, self.arguments

    @property
    def run_by_service(self) -> bool:
        """The service runs or ran this tool itself: the client must not be asked to."""
        return any(self.entry.get(name) is not None for name in SERVER_RUN)

    def part(self, context: Context) -> ToolCall | Opaque:
        if self.run_by_service:
            return Opaque(NAME, {"toolUse": {**self.entry, "input": orjson.loads(self.arguments)}})
        return ToolCall(self.id or context.new_id(CALL_ID_PREFIX), self.name, self.arguments, extra=keep(self.rest))


def with_exact_inputs(body: Json, raw: bytes) -> Json:
    """``body``, read from ``raw``, with every digit of its calls' inputs: orjson reads longer integers as floats."""
    if b'"input"' in raw and _has_huge_number(body):
        _restore_inputs(body, json.loads(raw, parse_int=_exact_integer))
    return body


def _has_huge_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_huge_number(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and abs(value) >= _HUGE


_HUGE = 2.0**63


def _exact_integer(digits: str) -> int | orjson.Fragment:
    return int(digits) if len(digits) < len(str(2**63)) else orjson.Fragment(digits)


def _restore_inputs(value: Any, exact: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "input" and "name" in value and isinstance(inner, dict):
                value[name] = exact[name]
            else:
                _restore_inputs(inner, exact[name])
    elif isinstance(value, list):
        for inner, exact_inner in zip(value, exact, strict=True):
            _restore_inputs(inner, exact_inner)


def decode_call(value: object, path: str) -> WireCall:
    """The entry at ``path``; no input counts as an empty one. Raises ``DecodeError``."""
    fields = Fields(value, path)
    entry = dict(fields.rest())
    identity, name = fields.string("toolUseId"), fields.need_string("name")
    arguments = orjson.dumps(fields.object("input") or {}).decode()
    return WireCall(identity or None, name, arguments, fields.rest(), entry)


def decode_calls(value: object, path: str) -> list[WireCall]:
    """All calls of a ``toolUse`` field, which holds one object for one call and an array for several (SPEC)."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [decode_call(value, path)]
    if not isinstance(value, list):
        raise wrong_type(path, "an object or an array", value)
    return [decode_call(entry, f"{path}[{index}]") for index, entry in enumerate(value)]


class CallsTold:
    """The calls of a stream, each once: APP's ``tool_request`` events and DRU's ``toolUse`` tell of the same ones.

    A ``tool_request`` may lack the id that its twin has (APP reads none); then name and input tell that they are one.
    """

    __slots__ = ("_carried", "_requested")

    def __init__(self) -> None:
        self._requested: dict[object, WireCall] = {}
        self._carried: dict[object, WireCall] = {}

    def add_requested(self, call: WireCall) -> None:
        """The call of a ``tool_request`` event."""
        self._requested[call.id or len(self._requested)] = call

    def add_carried(self, calls: list[WireCall]) -> None:
        """The calls in a ``toolUse`` field; the same field may stand in several events."""
        nameless: Counter[tuple[str, str]] = Counter()
        for call in calls:
            nameless[call.likeness] += call.id is None
            self._carried[call.id or (*call.likeness, nameless[call.likeness])] = call

    def all(self) -> list[WireCall]:
        """Those that were only requested, then those that were carried."""
        likenesses = Counter(call.likeness for call in self._carried.values())
        only_requested: list[WireCall] = []
        used: Counter[tuple[str, str]] = Counter()
        for call in self._requested.values():
            if call.id in self._carried:
                continue
            used[call.likeness] += 1
            twin = self._carried.get((*call.likeness, used[call.likeness]))
            if twin is not None:
                twin.id = call.id
            elif call.id is not None or used[call.likeness] > likenesses[call.likeness]:
                only_requested.append(call)
        return [*only_requested, *self._carried.values()]


def encode_call(call: ToolCall, arguments: orjson.Fragment) -> Json:
    """The entry for a call. ``arguments`` are its own, as ``encode_arguments`` gives them."""
    return with_kept({"toolUseId": call.id, "name": call.name, "input": arguments}, kept_in(call.extra))


def encode_arguments(text: str) -> orjson.Fragment | None:
    """The arguments as they stand, digit for digit, on one line; ``None`` if they are not a JSON object."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    # A raw line end can only stand between tokens: inside a JSON string it must be escaped.
    return orjson.Fragment((text or "{}").replace("\n", " ").replace("\r", " "))
