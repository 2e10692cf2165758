"""Calls and their results: every call is answered in the turn after it, and every result answers such a call.

The API refuses anything else, and so does every other that knows tools (TRES-15).
"""

from adapters.contract import CodecError


class Pairs:
    """Checks a history, step by step. ``error`` is what it raises, with the path of the id at fault."""

    def __init__(self, error: type[CodecError]) -> None:
        self._error = error
        self._unanswered: dict[str, str] = {}
        self._known: set[str] = set()
        self._calling = False

    def call(self, identity: str, path: str) -> None:
        """An assistant message holds this call."""
        if not self._calling:
            self.end()
            self._known.clear()
            self._calling = True
        self._known.add(identity)
        self._unanswered[identity] = path

    def result(self, identity: str, path: str) -> None:
        """A message holds the result of this call."""
        self._calling = False
        if identity not in self._known:
            raise self._error(f"{path} is not the id of a call in the turn before", path, "unknown_tool_use_id")
        self._unanswered.pop(identity, None)

    def other_assistant_turn(self) -> None:
        """An assistant message without calls. It goes on with the turn of an assistant message just before it."""
        if not self._calling:
            self.end()
            self._known.clear()

    def user_turn(self) -> None:
        """Some other message."""
        self._calling = False

    def end(self) -> None:
        """The turn of the results is over."""
        for path in self._unanswered.values():
            raise self._error(f"{path} has no result in the turn after it", path, "missing_tool_result")
