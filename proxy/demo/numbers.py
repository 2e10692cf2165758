"""Numbers that fit the bounds of a JSON Schema."""

from math import ceil, floor, isfinite

from adapters.model.message import Json

_LEAST_STEP = 1e-9
"""Below this a ``multipleOf`` is not heeded: dividing by it overflows."""


def whole_number(schema: Json, word: str) -> int | None:
    """A count or length in the schema, ``None`` if it has none that makes sense."""
    number = _bound(schema, word)
    return ceil(number) if number is not None and number >= 0 else None


def fit_number(schema: Json, *, integer: bool) -> int | float:
    """The least number allowed; without a lower bound 1, or 1.5 where fractions are welcome."""
    least, most = _integer_bounds(schema) if integer else _number_bounds(schema)
    start = 1 if integer else 1.5
    if least is not None:
        start = least
    elif most is not None:
        start = min(start, most)
    number = _step_up(start, _bound(schema, "multipleOf"))
    return int(number) if integer else number


def _integer_bounds(schema: Json) -> tuple[int | None, int | None]:
    low, above, high, below = _bounds(schema)
    least = [*([] if low is None else [ceil(low)]), *([] if above is None else [floor(above) + 1])]
    most = [*([] if high is None else [floor(high)]), *([] if below is None else [ceil(below) - 1])]
    return max(least, default=None), min(most, default=None)


def _number_bounds(schema: Json) -> tuple[float | None, float | None]:
    low, above, high, below = _bounds(schema)
    tops = [top for top in (high, below) if top is not None]
    most = min(tops, default=None)
    if above is not None and (low is None or above >= low):
        # Strictly above: one more, or halfway to the upper bound if that is nearer.
        return (above + 1 if most is None or most > above + 1 else above / 2 + most / 2), most
    if below is not None and most == below:
        return low, below - 1
    return low, most


def _bounds(schema: Json) -> tuple[float | None, float | None, float | None, float | None]:
    """minimum, exclusiveMinimum, maximum, exclusiveMaximum; ``true`` for an exclusive one is its draft 4 form."""
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    if schema.get("exclusiveMinimum") is True:
        low, above = None, low
    if schema.get("exclusiveMaximum") is True:
        high, below = None, high
    return low, above, high, below


def _bound(schema: Json, word: str) -> float | None:
    number = schema.get(word)
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        return None
    return number


def _step_up(number: float, step: float | None) -> float:
    if step is None or step < _LEAST_STEP or not isfinite(number / step):
        return number
    return ceil(number / step) * step
