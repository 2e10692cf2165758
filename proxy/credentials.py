"""Upstream credentials: references in the configuration, secrets in memory, never the other way round."""

import asyncio
import base64
import os
import re
import shlex
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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


class CommandSecret:
    """What a program prints, run without a shell when its output is first needed.

    After ``FRESH_FOR`` seconds it is run again while the old output still serves; after a refusal the next one waits.
    """

    FRESH_FOR = 300.0
    LONGEST_RUN = 20.0
    MOST_BYTES = 16 * 1024

    def __init__(self, command: str, learn: Callable[[Secret], None]) -> None:
        """``learn`` gets every output before it is used. Raises ``MissingReferenceError``."""
        try:
            self._arguments = shlex.split(command)
        except ValueError:
            raise MissingReferenceError("the command of the credential has an open quote") from None
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            raise MissingReferenceError(f"the program {command.split(' ')[0]} of the credential is not found")
        self._learn = learn
        self._secret: Secret | None = None
        self._fresh_until = 0.0
        self._run: asyncio.Task[Secret] | None = None

    async def current(self) -> Secret:
        """The output, waited for only if there is none. Raises ``MissingReferenceError``."""
        if self._secret is not None and time.monotonic() < self._fresh_until:
            return self._secret
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._renew())
            self._run.add_done_callback(_seen)
        if self._secret is not None:
            return self._secret
        # One request that goes away must not take the program from the others that wait for it.
        return await asyncio.shield(self._run)

    def refused(self, secret: Secret) -> None:
        """The upstream did not take ``secret``: do not use it again."""
        if self._secret is secret:
            self._secret = None

    async def _renew(self) -> Secret:
        secret = Secret(await self._output())
        self._learn(secret)
        self._secret, self._fresh_until = secret, time.monotonic() + self.FRESH_FOR
        return secret

    async def _output(self) -> str:
        program = self._arguments[0]
        devnull = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=devnull,
                stdout=asyncio.subprocess.PIPE,
                stderr=devnull,
                start_new_session=True,  # so that what the program itself has started can be ended with it
            )
        except OSError as error:
            raise MissingReferenceError(f"the program {program} cannot be run ({error.strerror})") from None
        try:
            output, _ = await asyncio.wait_for(process.communicate(), self.LONGEST_RUN)
        except TimeoutError:
            raise MissingReferenceError(f"the program {program} did not end in time") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise MissingReferenceError(f"the program {program} failed (status {process.returncode})")
        value = output[: self.MOST_BYTES].decode("utf-8", "replace").strip()
        if not value:
            raise MissingReferenceError(f"the program {program} printed nothing")
        return _usable(value, f"the output of {program}")


def _seen(run: "asyncio.Task[Secret]") -> None:
    """Takes note of a failure in the background; the next request that needs the output runs into it itself."""
    if not run.cancelled():
        run.exception()


class Scrubber:
    """Takes secrets and internal addresses out of what an upstream says (``reliability.md`` T4).

    Secrets are looked for as they are, percent-encoded and in base64; what is shorter than four characters is too
    common to be looked for.
    """

    SHORTEST = 4
    LONGEST_MESSAGE = 2048
    MOST_LEARNED = 8

    def __init__(self, secrets: Iterable[Secret], hosts: Iterable[str]) -> None:
        self._fixed = {form for secret in secrets for form in _forms(secret.reveal())} | set(hosts)
        self._learned: deque[Secret] = deque(maxlen=self.MOST_LEARNED)
        self._compile()

    def learn(self, secret: Secret) -> None:
        """Look for this secret too, which was not there in the beginning; the last few that were learnt count."""
        self._learned.append(secret)
        self._compile()

    def _compile(self) -> None:
        words = self._fixed | {form for secret in self._learned for form in _forms(secret.reveal())}
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
