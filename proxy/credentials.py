"""Upstream credentials: references in the configuration, secrets in memory, never the other way round."""

import os
from pathlib import Path


class Secret:
    """A value that does not show itself: not in a log, a traceback, a repr or JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


class MissingReferenceError(LookupError):
    """What a reference points to is not there; the message says what to set."""


def resolve_reference(reference: str) -> str:
    """The value behind ``env:NAME`` or ``file:PATH``; anything else is a value already.

    Line breaks around the value are cut off: they come with files, and would break a header.
    Raises ``MissingReferenceError``.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = os.environ.get(place, "").strip()
        if not value:
            raise MissingReferenceError(f"the environment variable {place} is not set")
        return value
    if kind == "file":
        try:
            value = Path(place).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise MissingReferenceError(f"the file {place} cannot be read ({error.strerror})") from None
        if not value:
            raise MissingReferenceError(f"the file {place} is empty")
        return value
    return reference
