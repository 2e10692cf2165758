"""How a check speaks: what it demands, and what it compares."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adapters.contract import Context
from adapters.model.loss import ADDED, Loss, differences, overreported, unreported
from adapters.model.message import Media, Part, Refusal, Text, ToolCall, ToolResult
from adapters.model.request import Request
from adapters.model.response import Response

REQUEST_ID = "0123456789abcdef01234567"
NOW = 1700000000

MINTED = ("id", "created")
"""Fields of an answer that its encoder makes up anew, so that they are neither kept nor lost."""


def demand(condition: bool, message: str) -> None:
    """Raise ``AssertionError`` unless the condition holds; unlike ``assert`` it also does so under ``python -O``."""
    if not condition:
        raise AssertionError(message)


def context(request: Request) -> Context:
    """A call's context with the same ids and the same time whenever it is asked for."""
    return Context(request, REQUEST_ID, _counting_ids(), NOW)


def _counting_ids() -> Callable[[str], str]:
    made = 0

    def new_id(prefix: str) -> str:
        nonlocal made
        made += 1
        return f"{prefix}{made:024x}"

    return new_id


def demand_reported(before: Request | Response, after: Request | Response, losses: Sequence[Loss], who: str) -> None:
    """Demand that the reports are the truth: no change without a report, no report without a change, none twice."""
    changes = [path for path in differences(before, after) if not (isinstance(before, Response) and path in MINTED)]
    silent = unreported(changes, losses)
    demand(not silent, f"{who} changed without a report: {'; '.join(_show(path, before, after) for path in silent)}")
    false = overreported(changes, losses)
    demand(not false, f"{who} reported what did not change: {'; '.join(_show_loss(loss) for loss in false)}")
    fields = [loss.field for loss in losses]
    twice = sorted({field for field in fields if fields.count(field) > 1})
    demand(not twice, f"{who} reported more than once: {', '.join(twice)}")


def demand_content(before: Request, after: Request, losses: Sequence[Loss], who: str) -> None:
    """Demand that each text, medium, call and result arrives somewhere, or is reported by its own path.

    A history may be told in another form and reported as a whole (``messages``), but that must not hide what vanished.
    """
    arrived = [part for _, part in _parts(after)]
    words = "".join(_letters(part.text) for part in arrived if isinstance(part, Text | Refusal))
    for path, part in _parts(before):
        message = path.split(".")[0]
        own = any(loss.field == message or loss.field.startswith(message + ".") for loss in losses)
        demand(own or _arrives(part, arrived, words), f"{who} {path} vanished without a report of its own: {part!r}")


def _parts(request: Request) -> Iterator[tuple[str, Part]]:
    for number, message in enumerate(request.messages):
        for index, part in enumerate(message.parts):
            path = f"messages[{number}].parts[{index}]"
            yield path, part
            if isinstance(part, ToolResult):
                yield from ((f"{path}.parts[{inner}]", piece) for inner, piece in enumerate(part.parts))


def _letters(text: str) -> str:
    """The text without white space, with which a transcript may indent it."""
    return "".join(text.split())


def _arrives(part: Part, arrived: Sequence[Part], words: str) -> bool:
    match part:
        case Text() | Refusal():
            return _letters(part.text) in words
        case Media():
            return any(isinstance(other, Media) and other.source == part.source for other in arrived)
        case ToolCall():
            return any(isinstance(other, ToolCall) and other.id == part.id for other in arrived)
        case ToolResult():
            return any(isinstance(other, ToolResult) and other.call_id == part.call_id for other in arrived)
        case _:
            return True


def _show(path: str, before: object, after: object) -> str:
    if path.endswith(ADDED):
        return f"{path} (was {_value_at(path[:-1], before)!r:.200}, is {_value_at(path[:-1], after)!r:.300})"
    return f"{path} (was {_value_at(path, before)!r:.300}, is {_value_at(path, after)!r:.300})"


def _show_loss(loss: Loss) -> str:
    return f"{loss.field} ({loss.reason}{': ' if loss.detail else ''}{loss.detail})"


def _value_at(path: str, root: Any) -> Any:
    """The value at a path of the model, or as near as the path leads; for messages only."""
    value = root
    for step in path.replace("[", ".[").split("."):
        if step.startswith("[") and isinstance(value, tuple) and int(step[1:-1]) < len(value):
            value = value[int(step[1:-1])]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            value = getattr(value, step, None)
    return value
