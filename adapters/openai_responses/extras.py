"""Wire fields the model has no place for: kept on decoding, put back on encoding for the same dialect.

Some of them are *marks*: keys that hold null. They tell only how something stood on the wire (a call of a custom tool,
a system message inside ``input``), so that this dialect writes it the same way; null is no loss for other dialects.
"""

from collections.abc import Collection, Mapping
from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json
from adapters.openai_responses.fields import NAME
from adapters.wire.fields import Fields

CUSTOM = "custom"
"""On tools, calls and results: the tool takes free text (TOOL-29, hard-cases.md). On a tool it holds its further
fields (a grammar that nobody else can enforce is a loss elsewhere), or null if there are none."""
ITEM = "item"
"""On a text or refusal: a message item begins with it. It holds the item's own fields, or null if there are none."""
IN_INPUT = "in_input"
"""On a leading system message: it stood in ``input``, not in ``instructions``."""
SYSTEM_ROLE = "system_role"
"""On a system message: its role was ``system``, not ``developer``."""
REASONING_TEXT = "reasoning_text"
"""On reasoning: its text stood in ``content``, not in ``summary``."""
INPUT_AUDIO = "input_audio"
"""On audio: it came as a part of this dialect, and so may be sent as one."""
STORE = "store"
"""On a request: it did not say whether to store, which here means yes."""
STRICT = "strict"
"""On a tool: it did not say whether to be strict, which here means as far as its schema allows."""


def decode_extra(fields: Fields, *marks: str, **more: Any) -> Extra | None:
    """What nobody asked for in ``fields``, what ``more`` has left, and the marks; null and empty leftovers drop out."""
    kept = unread(fields, **more) | dict.fromkeys(marks)
    return {NAME: kept} if kept else None


def unread(fields: Fields, **more: Any) -> Json:
    """The same as a plain object, for an object inside another."""
    kept = {name: value for name, value in fields.rest().items() if value is not None}
    kept.update({name: rest for name, rest in more.items() if rest})
    return kept


def own_extra(extra: Extra | None) -> Json:
    """The fields kept for this dialect."""
    return {} if extra is None else extra.get(NAME, {})


def marked(thing: Any, mark: str) -> bool:
    """Whether the part, message, tool or request has this mark."""
    return mark in own_extra(thing.extra)


def encode_extra(wire: Json, extra: Extra | None, without: Collection[str] = ()) -> Json:
    """``wire`` with the kept fields behind its own; what ``wire`` says already stands. Marks are not fields."""
    return merged(wire, {name: value for name, value in own_extra(extra).items() if name not in without})


def merged(wire: Json, kept: Mapping[str, Any]) -> Json:
    """``wire`` with what ``kept`` has besides, also in objects that both have."""
    result: Json = dict(wire)
    for name, value in kept.items():
        present: Any = result.get(name)
        if value is None:
            continue
        if name not in result:
            result[name] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            result[name] = merged(present, value)
    return result


def unwritten_extra(path: str, extra: Extra | None, written: Collection[str] = ()) -> list[Loss]:
    """The losses where there is no object on the wire that could carry the fields kept for this dialect."""
    return [
        Loss(f"{path}.extra.{NAME}.{name}", LossReason.UNSUPPORTED, "there is no object to put it in here")
        for name, value in own_extra(extra).items()
        if value is not None and name not in written
    ]
