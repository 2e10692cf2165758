"""A model as listings show it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One name a client can ask for. ``created`` is in Unix seconds; what is not known is ``None`` and is left out.

    ``features`` are words of a closed set: text, multimodal, vision, embeddings, streaming, tools, structured_output.
    """

    id: str
    owner: str
    created: int = 0
    description: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[str] | None = None
