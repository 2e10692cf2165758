"""Upstream credentials: references in the configuration, secrets in memory, never the other way round."""

import base64
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from adapters.model.error import ApiError


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
        return _usable(value, f"the environment variable {place}")
    if kind == "file":
        try:
            value = Path(place).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise MissingReferenceError(f"the file {place} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise MissingReferenceError(f"the file {place} is not text") from None
        if not value:
            raise MissingReferenceError(f"the file {place} is empty")
        return _usable(value, f"the file {place}")
    return reference


def _usable(value: str, place: str) -> str:
    """The value, if it can stand in a header. Otherwise every request would fail with the key in a library's error."""
    if not value.isprintable():
        raise MissingReferenceError(f"{place} holds a line break or another control character inside its value")
    return value


class Scrubber:
    """Takes secrets and internal addresses out of what an upstream says (``reliability.md`` T4).

    Secrets are looked for as they are, percent-encoded and in base64; what is shorter than four characters is too
    common to be looked for.
    """

    SHORTEST = 4
    LONGEST_MESSAGE = 2048

    def __init__(self, secrets: Iterable[Secret], hosts: Iterable[str]) -> None:
        words = {form for secret in secrets for form in _forms(secret.reveal())} | set(hosts)
        longest_first = sorted((word for word in words if len(word) >= self.SHORTEST), key=len, reverse=True)
        self._words = re.compile("|".join(map(_pattern, longest_first)), re.IGNORECASE) if longest_first else None

    def text(self, text: str) -> str:
        """``text`` without any of them, at most 2 KB long."""
        text = text if self._words is None else self._words.sub("***", text)
        return text if len(text) <= self.LONGEST_MESSAGE else text[: self.LONGEST_MESSAGE] + "..."

    def error(self, error: ApiError) -> ApiError:
        """The error with a clean message and param; a code that is no short word is dropped."""
        code = error.code if error.code is not None and re.fullmatch(r"[\w.:-]{1,64}", error.code) else None
        if code is not None and self.text(code) != code:
            code = None
        param = self.text(error.param) if error.param is not None else None
        return replace(error, message=self.text(error.message), code=code, param=param, extra=None)


def _pattern(word: str) -> str:
    """Finds ``word`` with any of its characters percent-encoded."""
    spelled = ("".join(f"%{byte:02x}" for byte in character.encode()) for character in word)
    return "".join(f"(?:{re.escape(plain)}|{encoded})" for plain, encoded in zip(word, spelled, strict=True))


def _forms(secret: str) -> Iterator[str]:
    """The spellings in which a secret may come back."""
    yield secret
    # Inside a longer base64 text the secret begins at one of three places of a group, hence the three cuts.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        core = encoded[4 if shift else 0 : -1 if len(encoded) > 1 else None]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))
