"""What a translation could not carry, and the means to check such reports against what really changed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from json import JSONDecodeError, loads
from typing import Any

from adapters.model.message import CacheHint, Extra, Message, Opaque, Part, ToolCall, ToolResult
from adapters.model.request import OutputFormat, OutputKind, Request, Sampling, Tool, ToolChoice, ToolChoiceMode
from adapters.model.response import Response


class LossReason(StrEnum):
    UNSUPPORTED = "unsupported"
    """The target has no such field."""
    APPROXIMATED = "approximated"
    """The nearest value was used, or a missing one was filled in."""
    CLAMPED = "clamped"
    """The number was out of the target's range."""
    MOVED = "moved"
    """Kept, in another place."""
    FOREIGN = "foreign"
    """The field belongs to another dialect."""
    INVALID = "invalid"
    """The value cannot be read the way the target needs it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that did not arrive as sent. ``field`` is a path in the common model: ``messages[2].parts[0]``."""

    field: str
    reason: LossReason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.field}={self.reason}"


def foreign_losses(root: Request | Response, dialect: str) -> list[Loss]:
    """Everything in ``root`` that only another dialect than ``dialect`` understands: extra fields and opaque parts."""
    losses: list[Loss] = []
    if isinstance(root, Request):
        for index, tool in enumerate(root.tools):
            _foreign_in(f"tools[{index}]", tool, dialect, losses)
        for index, message in enumerate(root.messages):
            _foreign_in(f"messages[{index}]", message, dialect, losses)
            _foreign_parts(f"messages[{index}]", message.parts, dialect, losses)
    else:
        for index, choice in enumerate(root.choices):
            _foreign_extra(f"choices[{index}].", choice.extra, dialect, losses)
            _foreign_parts(f"choices[{index}]", choice.parts, dialect, losses)
        if root.usage is not None:
            _foreign_extra("usage.", root.usage.extra, dialect, losses)
    _foreign_extra("", root.extra, dialect, losses)
    return losses


def _foreign_parts(path: str, parts: tuple[Part, ...], dialect: str, losses: list[Loss]) -> None:
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        _foreign_in(part_path, part, dialect, losses)
        if isinstance(part, ToolResult):
            _foreign_parts(part_path, part.parts, dialect, losses)


def _foreign_in(path: str, thing: Part | Tool | Message, dialect: str, losses: list[Loss]) -> None:
    if isinstance(thing, Opaque):
        if thing.dialect != dialect:
            losses.append(Loss(path, LossReason.FOREIGN, f"only {thing.dialect} understands it"))
    elif thing.extra is not None:
        _foreign_extra(path + ".", thing.extra, dialect, losses)


def _foreign_extra(prefix: str, extra: Extra | None, dialect: str, losses: list[Loss]) -> None:
    for owner, kept in (extra or {}).items():
        if owner != dialect:
            said = (name for name, value in kept.items() if not _is_silent(prefix + name, value))
            losses.extend(Loss(f"{prefix}extra.{owner}.{name}", LossReason.FOREIGN) for name in said)


CLIENT_HEADERS = "headers"
"""The key in a request's ``extra`` for headers of the client that only an upstream of the same dialect understands."""


def _is_silent(path: str, value: Any) -> bool:
    """Whether a foreign field says nothing to anybody else.

    null never does (``Fields``). A count of zero does not: OpenAI lists every kind of token it knows, most of them with
    0, in each answer. The client's headers speak of its version of the API.
    """
    if path == CLIENT_HEADERS:
        return True
    if isinstance(value, dict):
        return path.startswith("usage.") and all(_is_silent(path, item) for item in value.values())
    return value is None or (path.startswith("usage.") and value == 0)


# --- checking reports -------------------------------------------------------------------------------------------

ADDED = "+"
"""Ends the path of a list in which the second side has an item that the first has not."""


def differences(before: Request | Response, after: Request | Response) -> list[str]:
    """Paths at which ``after`` does not say what ``before`` said; a path ending in ``+`` is an addition to a list.

    Not compared: fields marked local, ``extra`` that ``after`` has and ``before`` has not, and spellings of the same
    thing (key order and white space of a call's arguments, a tool without parameters as one with an empty schema).
    """
    return list(_differences("", before, after))


def unreported(changes: Iterable[str], losses: Iterable[Loss]) -> list[str]:
    """The changes that no loss speaks of. A loss covers its field and all below; a moved one also what it added."""
    reports = list(losses)
    return [change for change in changes if not any(_covers(loss, change) for loss in reports)]


def overreported(changes: Iterable[str], losses: Iterable[Loss]) -> list[Loss]:
    """The losses that speak of something which did not change."""
    paths = [change.removesuffix(ADDED) for change in changes]
    return [
        loss for loss in losses if not any(_within(path, loss.field) or _within(loss.field, path) for path in paths)
    ]


def _covers(loss: Loss, change: str) -> bool:
    if change.endswith(ADDED) and loss.reason in (LossReason.MOVED, LossReason.APPROXIMATED):
        return _top(loss.field) == _top(change.removesuffix(ADDED))
    return _within(change.removesuffix(ADDED), loss.field)


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((outer + ".", outer + "["))


def _top(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _differences(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, tuple) and isinstance(after, tuple):
        yield from _list_differences(path, before, after)
    elif is_dataclass(before) and type(before) is type(after):
        for field in fields(before):
            if not field.metadata.get("local"):
                yield from _field_differences(path, field.name, before, after)
    elif is_dataclass(before) and after is None and not isinstance(before, Part | CacheHint):
        for field in fields(before):
            if field.name == "extra":
                yield from _extra_differences(f"{path}.extra", getattr(before, field.name), None)
            elif getattr(before, field.name) not in (None, ()):
                yield f"{path}.{field.name}"
    else:
        yield path


def _field_differences(path: str, name: str, before: Any, after: Any) -> Iterator[str]:
    old, new = getattr(before, name), getattr(after, name)
    full = f"{path}.{name}" if path else name
    if name == "extra":
        yield from _extra_differences(full, old, new)
    elif isinstance(before, Request | Sampling | ToolResult) and name in SAYS_NOTHING and _says_nothing(name, old, new):
        return
    elif isinstance(before, ToolCall) and name == "arguments":
        if _json_value(old) != _json_value(new):
            yield full
    elif isinstance(before, Tool) and name == "parameters":
        if (old or EMPTY_SCHEMA) != (new or EMPTY_SCHEMA):
            yield full
    else:
        yield from _differences(full, old, new)


EMPTY_SCHEMA = {"type": "object", "properties": {}}

SAYS_NOTHING: dict[str, Any] = {
    "tool_choice": ToolChoice(ToolChoiceMode.AUTO),
    "output": OutputFormat(OutputKind.TEXT),
    "parallel_tool_calls": True,
    "choice_count": 1,
    "logprobs": False,
    "is_error": False,
}
"""Values that mean the same as leaving the field out, in every dialect that has it: leaving them out is no loss."""


def _says_nothing(name: str, old: Any, new: Any) -> bool:
    return old in (None, SAYS_NOTHING[name]) and new in (None, SAYS_NOTHING[name])


def _json_value(text: str) -> Any:
    try:
        return loads(text or "{}")
    except JSONDecodeError:
        return text


def _extra_differences(path: str, old: Extra | None, new: Extra | None) -> Iterator[str]:
    for owner, kept in (old or {}).items():
        arrived = (new or {}).get(owner, {})
        place = path.removesuffix("extra")
        changed = (key for key, value in kept.items() if value != arrived.get(key))
        yield from (f"{path}.{owner}.{key}" for key in changed if not _is_silent(place + key, kept[key]))


def _list_differences(path: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[str]:
    added = False
    for old, new in _aligned(before, after):
        if old is None:
            added = True
        elif new is None:
            yield f"{path}[{old}]"
        else:
            yield from _differences(f"{path}[{old}]", before[old], after[new])
    if added:
        yield path + ADDED


def _aligned(before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[tuple[int | None, int | None]]:
    """Which item became which, so that as little as possible changed: an edit distance, from the end backwards."""
    rows, columns = len(before), len(after)
    best: dict[tuple[int, int], tuple[int, int, int]] = {(rows, columns): (0, 0, 0)}
    for row in range(rows, -1, -1):
        for column in range(columns, -1, -1):
            ways: list[tuple[int, int, int]] = []
            if row < rows and column < columns and _alike(before[row], after[column]):
                ways.append((best[row + 1, column + 1][0] + _distance(before[row], after[column]), 1, 1))
            if column < columns:
                ways.append((best[row, column + 1][0] + 1, 0, 1))
            if row < rows:
                ways.append((best[row + 1, column][0] + _size(before[row]), 1, 0))
            if ways:
                best[row, column] = min(ways, key=lambda way: way[0])
    row = column = 0
    while (row, column) != (rows, columns):
        _, down, right = best[row, column]
        yield row if down else None, column if right else None
        row, column = row + down, column + right


def _size(item: Any) -> int:
    """What the loss of a whole item counts; one that holds parts is not given up for a likeness elsewhere."""
    return (
        10 if isinstance(item, Part) and not isinstance(item, ToolResult) else 30 + 10 * len(getattr(item, "parts", ()))
    )


def _distance(before: Any, after: Any) -> int:
    return sum(1 if path.endswith(ADDED) else 10 for path in _differences("", before, after) if not _MINOR.search(path))


# Changes that do not make an item another one.
_MINOR = re.compile(r"(^|\.)(extra|cache|citations|detail|name|mime_type|origin|signature|redacted)\b")


def _alike(before: Any, after: Any) -> bool:
    return type(before) is type(after) and all(
        getattr(before, name, None) == getattr(after, name, None) for name in ("role", "index")
    )
