"""Wire fields the model has no place for: kept on decoding, put back on encoding for the same dialect."""

from typing import Any

from adapters.gemini.fields import NAME
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json
from adapters.wire.fields import Fields


def decode_extra(fields: Fields, **more: Any) -> Extra | None:
    """What nobody asked for in ``fields``, and what ``more`` has left; null and empty arrays count as absent."""
    return kept(unread(fields, **more))


def unread(fields: Fields, **more: Any) -> Json:
    """The same as a plain object, for an object inside another."""
    left = {name: value for name, value in fields.rest().items() if value is not None and value != []}
    left.update({name: rest for name, rest in more.items() if rest})
    return left


def kept(left: Json) -> Extra | None:
    """These fields as the model keeps them; ``None`` if there are none."""
    return {NAME: left} if left else None


def own_extra(extra: Extra | None) -> Json:
    """The fields kept for this dialect."""
    return {} if extra is None else extra.get(NAME, {})


def encode_extra(wire: Json, extra: Extra | None) -> Json:
    """``wire`` with the kept fields behind its own; what ``wire`` says already stands."""
    own = own_extra(extra)
    return _merged(wire, own) if own else wire


def foreign_extra(prefix: str, extra: Extra | None) -> list[Loss]:
    """The losses of fields that other dialects kept, for what is written before the whole is known."""
    return [
        Loss(f"{prefix}extra.{owner}.{name}", LossReason.FOREIGN)
        for owner, left in (extra or {}).items()
        if owner != NAME
        for name, value in left.items()
        if value is not None
    ]


def _merged(wire: Json, left: Json) -> Json:
    merged: Json = dict(wire)
    for name, value in left.items():
        present: Any = merged.get(name)
        if name not in merged:
            merged[name] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            merged[name] = _merged(present, value)
    return merged
