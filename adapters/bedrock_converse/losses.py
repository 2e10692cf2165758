"""How losses are told: each field once."""

from collections.abc import Iterable

from adapters.model.loss import Loss


def once_each(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """The losses, of several for one field the first."""
    told: dict[str, Loss] = {}
    for loss in losses:
        told.setdefault(loss.field, loss)
    return tuple(told.values())
