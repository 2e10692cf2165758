"""Which result answers which call: by id where there are ids, else by name and order (TRES-02, hard-cases.md)."""

from dataclasses import dataclass

from adapters.gemini.names import request_call_id
from adapters.gemini.parts import decode_call
from adapters.gemini.results import decode_response_extra, decode_response_parts
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError
from adapters.model.message import ToolCall, ToolResult


@dataclass(slots=True)
class _Waiting:
    """A call that waits for its result. ``given``: its id came with it, and is not one of ours."""

    id: str
    name: str
    given: bool


class OpenCalls:
    """The calls of a history that wait for their results, while its contents are read one after the other."""

    __slots__ = ("_answered", "_count", "_turn", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._answered = False  # some of those that waited together
        self._turn = -1  # number of the turn being read, of those with calls
        self._count = 0  # of calls in it

    def begin_turn(self, path: str) -> None:
        """A turn of the model begins. Raises ``DecodeError`` if only some of the calls before it have results."""
        if self._answered:
            self.demand_results(path)
        self._count = 0

    def demand_results(self, path: str) -> None:
        """Raise ``DecodeError`` if a call still has no result where the content at ``path`` stands (TRES-15)."""
        if self._waiting:
            problem = f"must come after a functionResponse for each of the {len(self._waiting)} calls left"
            raise DecodeError(f"{path} {problem}", path, "tool_result_missing")

    def end(self) -> None:
        """The history is over: calls may wait, but not after some that were made with them were answered."""
        if self._answered:
            self.demand_results("contents")

    def decode_call(self, part: WireFields) -> ToolCall:
        """The call in the part's ``functionCall``, under its own id or one that its place gives it."""
        if self._count == 0:
            self._turn += 1
        call, given = decode_call(part, request_call_id(self._turn, self._count))
        self._count += 1
        self._waiting.append(_Waiting(call.id, call.name, given))
        return call

    def decode_result(self, part: WireFields) -> ToolResult:
        """The result in the part's ``functionResponse``, tied to the call it answers."""
        response = part.wire_fields("functionResponse") or WireFields({}, part.path_of("functionResponse"))
        name = response.need_string("name")
        sent = response.string("id") or None
        call = self._answered_by(sent, name)
        if call is None:
            problem = "answers no functionCall of the turn before it"
            raise DecodeError(f"{response.path} {problem}", response.path, "unknown_tool_call_id")
        self._waiting.remove(call)
        self._answered = bool(self._waiting)
        parts, is_error = decode_response_parts(response)
        return ToolResult(call.id, parts, is_error, extra=decode_response_extra(response, part))

    def _answered_by(self, sent: str | None, name: str) -> _Waiting | None:
        """By id, else by name: clients such as Gemini CLI make up ids for calls that came without one.

        Such an id stands nowhere else, so it says nothing and is not kept.
        """
        by_id = (call for call in self._waiting if call.id == sent)
        by_name = (call for call in self._waiting if call.name == name and (sent is None or not call.given))
        return next(by_id, None) or next(by_name, None)
