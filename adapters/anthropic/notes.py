"""What the writing of a request has to remember on its way."""

from collections.abc import Iterable

from adapters.anthropic.extras import own, with_kept
from adapters.anthropic.fields import MODELS, MOST_CACHE_MARKS, NAME, OTHER_MODEL, ModelFacts
from adapters.model.loss import Loss, LossReason
from adapters.model.message import CacheHint, Extra, Json

_TTLS = ("5m", "1h")


def model_facts(model: str) -> ModelFacts:
    """What this model takes, also under the longer names that it has on other platforms.

    ``us.anthropic.claude-opus-4-5-v1:0``, ``claude-opus-4-5@20251101`` and ``anthropic/claude-opus-4.5`` are one.
    """
    _, claude, rest = model.lower().partition("claude-")
    name = (claude + rest).replace(".", "-").replace("@", "-")
    found = max((beginning for beginning in MODELS if name.startswith(beginning)), key=len, default=None)
    return OTHER_MODEL if found is None else MODELS[found]


class Notes:
    """The losses so far, and the blocks that hold a cache mark, in the order in which the prompt is read."""

    def __init__(self, facts: ModelFacts, losses: list[Loss]) -> None:
        self.facts = facts
        self._losses = {loss.field: loss for loss in losses}
        self._marks: list[tuple[str, Json]] = []

    @property
    def losses(self) -> tuple[Loss, ...]:
        return tuple(self._losses.values())

    def lose(self, path: str, reason: LossReason, detail: str) -> None:
        """Report a loss; of two at the same path the first one says enough."""
        self._losses.setdefault(path, Loss(path, reason, detail))

    def lose_kept(self, path: str, extra: Extra | None) -> None:
        """Report the fields kept for this dialect, where no object is written that could carry them."""
        for name in own(extra):
            self.lose(f"{path}extra.{NAME}.{name}", LossReason.UNSUPPORTED, "there is no object to put it in here")

    def mark(self, block: Json, cache: CacheHint | None, extra: Extra | None, path: str) -> Json:
        """``block`` with its cache mark and the fields kept for it."""
        if cache is not None:
            control: Json = {"type": "ephemeral"}
            if cache.ttl in _TTLS:
                control["ttl"] = cache.ttl
            elif cache.ttl is not None:
                self.lose(f"{path}.cache.ttl", LossReason.APPROXIMATED, "a mark lives 5m or 1h")
            block["cache_control"] = control
        block = with_kept(block, own(extra))
        if cache is not None:
            self._marks.append((path, block))
        return block

    def unmark(self, blocks: Iterable[Json], reserved: int) -> None:
        """Takes marks off until no more are left than allowed (CAC-05), not counting ``reserved`` ones.

        ``blocks`` are all that were written, some with marks that are not ours to take off. The earliest go: a later
        mark covers all that stands before it.
        """
        ours = {id(block) for _, block in self._marks}
        others = sum("cache_control" in block and id(block) not in ours for block in blocks)
        free = max(MOST_CACHE_MARKS - reserved - others, 0)
        for path, block in self._marks[: max(len(self._marks) - free, 0)]:
            del block["cache_control"]
            self._losses.pop(f"{path}.cache.ttl", None)
            self.lose(f"{path}.cache", LossReason.UNSUPPORTED, f"at most {MOST_CACHE_MARKS} cache marks are taken")
