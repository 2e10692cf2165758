"""The tool calls of one choice, put together from the fragments in which they are streamed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from adapters.contract import Context
from adapters.model.error import DecodeError
from adapters.model.event import ArgumentsDelta, Event, ForeignEvent, PartEnded, PartStarted
from adapters.model.message import Json, Opaque, ToolCall
from adapters.openai_chat.calls import positional_id
from adapters.openai_chat.fields import NAME
from adapters.wire.fields import wrong_type

_PATH = "choices[].delta.tool_calls[]"
_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_FUNCTION_FIELDS = frozenset({"name", "arguments"})
_WHOLE_STRINGS = frozenset({"id", "type", "name"})


@dataclass(slots=True)
class _Call:
    """A call being streamed. ``index`` is its part's, -1 as long as its name is not known.

    ``payload`` is set for types other than functions, and ``pieces`` has the strings in it that come in fragments.
    """

    position: int
    id: str
    index: int = -1
    early: list[str] = field(default_factory=list)
    extra: Json = field(default_factory=dict)
    payload: Json | None = None
    pieces: dict[tuple[str, str], list[str]] = field(default_factory=dict)


class ToolDeltas:
    """Turns entries of ``delta.tool_calls`` into events; every call stays open until its choice is finished."""

    __slots__ = ("_before_start", "_by_index", "_calls", "_choice", "_context", "_next_index")

    def __init__(
        self,
        choice: int,
        context: Context,
        next_index: Callable[[], int],
        before_start: Callable[[list[Event]], None],
    ) -> None:
        self._choice = choice
        self._context = context
        self._next_index = next_index
        self._before_start = before_start
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, entry: Any, events: list[Event]) -> None:
        """Take one entry. Raises ``DecodeError`` if it cannot be told which call it belongs to."""
        if type(entry) is not dict:
            raise wrong_type(_PATH, "an object", entry)
        index, function = entry.get("index"), entry.get("function")
        call = self._by_index.get(index) if type(index) is int else None
        if call is not None and call.index >= 0 and len(entry) == 2 and type(function) is dict and len(function) == 1:
            arguments = function.get("arguments")
            if type(arguments) is str:
                if arguments:
                    events.append(ArgumentsDelta(call.index, arguments))
                return
        self._add(entry, events)

    def finish(self, events: list[Event]) -> None:
        """End all calls. Raises ``DecodeError`` for one whose name never came."""
        if any(call.index < 0 and call.payload is None for call in self._calls):
            raise DecodeError("a tool call has no name", f"{_PATH}.function.name", "invalid_tool_call")
        events += [PartEnded(call.index) for call in self._calls if call.payload is None]
        for call in self._calls:
            if call.payload is not None:
                index = self._next_index()
                events += (PartStarted(index, Opaque(NAME, _whole_payload(call)), self._choice), PartEnded(index))

    def _add(self, entry: Json, events: list[Event]) -> None:
        identity, kind = _string(entry, "id"), _string(entry, "type")
        function = entry.get("function") or {}
        if type(function) is not dict:
            raise wrong_type(f"{_PATH}.function", "an object", function)
        name, arguments = _string(function, "name"), _argument_text(function.get("arguments"))
        strange = kind not in ("", "function")
        call = self._find(entry.get("index"), identity, bool(name or strange))
        if call is None:
            if not (identity or name or arguments or strange):
                return
            call = self._begin(entry.get("index"), identity, bool(name or strange))
        call.id = call.id or identity
        if strange and call.payload is None:
            if call.index >= 0 or call.early:
                raise DecodeError("a tool call changes its type", f"{_PATH}.type", "invalid_tool_call")
            call.payload = {}
        if call.payload is not None:
            _add_to_payload(call.payload, call.pieces, entry)
            return
        self._add_extra(call, _unread(entry, function), events)
        if name and call.index < 0:
            self._start(call, name, events)
        if arguments and call.index >= 0:
            events.append(ArgumentsDelta(call.index, arguments))
        elif arguments:
            call.early.append(arguments)

    def _find(self, index: Any, identity: str, named: bool) -> _Call | None:
        """The call this entry continues, if it is one that is known."""
        if type(index) is int:
            call = self._by_index.get(index)
            if call is None and not named:
                return self._with_id(identity)
            # Another id and a name at the same index: a server that gives all calls the index 0 (TOOL-03).
            other = call is not None and named and identity and call.id and identity != call.id
            return None if other else call
        # Without index the id tells, else it is the call being streamed (TOOL-05, hard-cases.md).
        if identity or named:
            return self._with_id(identity)
        return self._calls[-1] if self._calls else None

    def _with_id(self, identity: str) -> _Call | None:
        return next((call for call in self._calls if identity and call.id == identity), None)

    def _begin(self, index: Any, identity: str, named: bool) -> _Call:
        if not identity and not named:
            # A fragment that says nothing of its call goes to the only one there is (TOOL-07, hard-cases.md).
            if len(self._calls) == 1:
                return self._calls[0]
            if self._calls:
                raise DecodeError("it is not clear which tool call goes on", _PATH, "ambiguous_tool_delta")
            raise DecodeError("a tool call goes on that never began", _PATH, "invalid_tool_call")
        call = _Call(len(self._calls), identity)
        self._calls.append(call)
        if type(index) is int:
            self._by_index[index] = call
        return call

    def _start(self, call: _Call, name: str, events: list[Event]) -> None:
        self._before_start(events)
        call.id = call.id or positional_id(self._context, self._choice, call.position)
        call.index = self._next_index()
        extra = {NAME: call.extra} if call.extra else None
        events.append(PartStarted(call.index, ToolCall(call.id, name, "", extra=extra), self._choice))
        events += [ArgumentsDelta(call.index, arguments) for arguments in call.early]
        call.early.clear()

    def _add_extra(self, call: _Call, extra: Json, events: list[Event]) -> None:
        if call.index < 0:
            call.extra |= extra
            return
        news = {name: value for name, value in extra.items() if call.extra.get(name) != value}
        if news:
            entry = {"index": call.position, **news}
            chunk = {"choices": [{"index": self._choice, "delta": {"tool_calls": [entry]}}]}
            events.append(ForeignEvent(NAME, chunk))


def _string(values: Json, name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if type(value) is str:
        return value
    raise wrong_type(f"{_PATH}.{name}", "a string", value)


def _argument_text(arguments: Any) -> str:
    if arguments is None or type(arguments) is str:
        return arguments or ""
    if type(arguments) is dict:
        return orjson.dumps(arguments).decode()
    raise wrong_type(f"{_PATH}.function.arguments", "a string", arguments)


def _unread(entry: Json, function: Json) -> Json:
    extra = {name: value for name, value in entry.items() if name not in _CALL_FIELDS and value is not None}
    inner = {name: value for name, value in function.items() if name not in _FUNCTION_FIELDS and value is not None}
    return extra | ({"function": inner} if inner else {})


def _add_to_payload(payload: Json, pieces: dict[tuple[str, str], list[str]], entry: Json) -> None:
    """A call of another type is kept whole; in the object named after its type, strings come in fragments."""
    for name, value in entry.items():
        if name == "index" or value is None:
            continue
        if type(value) is not dict:
            payload.setdefault(name, value)
            continue
        inner = payload.setdefault(name, {})
        if type(inner) is not dict:
            raise wrong_type(f"{_PATH}.{name}", "an object every time", inner)
        for key, item in value.items():
            if type(item) is str and key not in _WHOLE_STRINGS:
                pieces.setdefault((name, key), []).append(item)
            else:
                inner.setdefault(key, item)


def _whole_payload(call: _Call) -> Json:
    payload = dict(call.payload or {})
    for (name, key), pieces in call.pieces.items():
        payload[name] = {**payload[name], key: "".join(pieces)}
    return payload
