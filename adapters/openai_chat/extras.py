"""Wire fields the model has no place for: kept on decoding, put back on encoding for the same dialect."""

from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Extra, Json
from adapters.openai_chat.fields import NAME
from adapters.wire.fields import Fields


def decode_extra(fields: Fields, **more: Any) -> Extra | None:
    """What nobody asked for in ``fields``, and what ``more`` has left; null and empty leftovers count as absent."""
    kept = unread(fields, **more)
    return {NAME: kept} if kept else None


def unread(fields: Fields, **more: Any) -> Json:
    """The same as a plain object, for an object inside another."""
    kept = {name: value for name, value in fields.rest().items() if value is not None}
    kept.update({name: rest for name, rest in more.items() if rest})
    return kept


def own_extra(extra: Extra | None) -> Json:
    """The fields kept for this dialect."""
    return {} if extra is None else extra.get(NAME, {})


def encode_extra(wire: Json, extra: Extra | None) -> Json:
    """``wire`` with the kept fields behind its own; what ``wire`` says already stands."""
    return _merged(wire, own_extra(extra))


def _merged(wire: Json, kept: Json) -> Json:
    merged: Json = dict(wire)
    for name, value in kept.items():
        present: Any = merged.get(name)
        if name not in merged:
            merged[name] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            merged[name] = _merged(present, value)
    return merged


def unwritten_extra(path: str, extra: Extra | None) -> list[Loss]:
    """The losses where a part has no object on the wire that could carry the fields kept for this dialect."""
    detail = "there is no object to put it in here"
    return [Loss(f"{path}.extra.{NAME}.{name}", LossReason.UNSUPPORTED, detail) for name in own_extra(extra)]
