"""Citations: the annotations of a text."""

from collections.abc import Sequence
from typing import Any

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.openai_responses.fields import ANNOTATIONS
from adapters.wire.fields import wrong_type


def decode_annotations(value: Any, path: str) -> tuple[Json, ...]:
    """The annotations as they stand; ``null`` and an empty list are none."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong_type(path, "an array", value)
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise wrong_type(f"{path}[{index}]", "an object", entry)
    return tuple(value)


def encode_citations(citations: Sequence[Json], path: str, losses: list[Loss]) -> list[Json]:
    """The annotations among the citations of the part at ``path``; what is lost joins ``losses``."""
    written = (encode_citation(entry, f"{path}.citations[{index}]", losses) for index, entry in enumerate(citations))
    return [entry for entry in written if entry is not None]


def encode_citation(citation: Json, path: str, losses: list[Loss]) -> Json | None:
    """The citation as an annotation, or ``None`` if it has another form.

    Chat completions keep the fields of an annotation in an object that is named like its type; here they are flat.
    """
    kind = citation.get("type")
    if isinstance(kind, str) and kind in ANNOTATIONS:
        inner = citation.get(kind)
        if not isinstance(inner, dict):
            return citation
        losses.append(Loss(path, LossReason.APPROXIMATED, "its fields are not nested here"))
        return {"type": kind, **inner}
    losses.append(Loss(path, LossReason.UNSUPPORTED, "it has not the form of an annotation"))
    return None
