"""The shapes of ``GET /models`` and ``GET /models/{model}``: ``model_info.py``."""

from collections.abc import Sequence

import orjson

from adapters.contract import DecodeError, WireRequest, WireResponse
from adapters.model.catalog import ModelInfo
from adapters.model.message import Json

_DEFAULT_LIMIT = 20
_HIGHEST_LIMIT = 1000


def encode_models(models: Sequence[ModelInfo], wire: WireRequest) -> WireResponse:
    """One page of the listing. Raises ``DecodeError`` for a page that cannot be had."""
    limit = _limit(wire)
    listed = list(models)
    if "after_id" in wire.query:
        listed = listed[_place(listed, wire, "after_id") + 1 :]
    if "before_id" in wire.query:
        listed = listed[: _place(listed, wire, "before_id")]
        page = listed[-limit:]
    else:
        page = listed[:limit]
    body = {
        "data": [_encode_info(info) for info in page],
        "has_more": len(page) < len(listed),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }
    return WireResponse(200, orjson.dumps(body))


def _limit(wire: WireRequest) -> int:
    value = wire.query.get("limit", str(_DEFAULT_LIMIT))
    limit = int(value) if value.isascii() and value.isdecimal() and len(value) <= 4 else 0
    if not 1 <= limit <= _HIGHEST_LIMIT:
        raise DecodeError(f"limit must be between 1 and {_HIGHEST_LIMIT}", param="limit", code="invalid_value")
    return limit


def _place(models: Sequence[ModelInfo], wire: WireRequest, name: str) -> int:
    place = next((index for index, info in enumerate(models) if info.id == wire.query[name]), None)
    if place is None:
        raise DecodeError(f"{name} is not the id of a model here", param=name, code="invalid_value")
    return place


def encode_model(info: ModelInfo) -> WireResponse:
    """One model."""
    return WireResponse(200, orjson.dumps(_encode_info(info)))


def _encode_info(info: ModelInfo) -> Json:
    written: Json = {
        "type": "model",
        "id": info.id,
        "display_name": info.id,
        "created_at": _encode_time(info.created),
        "lifecycle": "active",
    }
    if info.context_window is not None:
        written["max_input_tokens"] = info.context_window
    if info.max_output_tokens is not None:
        written["max_tokens"] = info.max_output_tokens
    return written


def _encode_time(seconds: int) -> str:
    """Unix seconds as RFC 3339, without the clock's module: ``howardhinnant.github.io/date_algorithms.html``."""
    days, rest = divmod(max(seconds, 0), 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153  # counted from March
    day = day_of_year - (153 * month + 2) // 5 + 1
    year = year_of_era + era * 400 + (month >= 10)
    hours, minutes = divmod(rest // 60, 60)
    return f"{year:04}-{month + 3 - 12 * (month >= 10):02}-{day:02}T{hours:02}:{minutes:02}:{rest % 60:02}Z"
