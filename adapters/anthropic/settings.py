"""How tokens are picked, what form the answer has, and what there is no field for."""

from collections.abc import Iterator
from dataclasses import fields as fields_of
from typing import Any

from adapters.anthropic.extras import unread
from adapters.anthropic.fields import LEAST_TOP_P_THINKING, Randomness
from adapters.anthropic.notes import Notes
from adapters.model.loss import LossReason
from adapters.model.message import Json
from adapters.model.request import Conversation, OutputFormat, OutputKind, Request, Sampling
from adapters.wire.fields import Fields


def decode_sampling(body: Fields) -> Sampling:
    """The settings. ``max_tokens`` must be said; 0 only fills the prompt cache (``message_create_params.py``)."""
    max_tokens = body.integer("max_tokens", 0)
    if max_tokens is None:
        raise body.error("max_tokens", "is required", code="missing_required_field")
    stop_sequences = body.strings("stop_sequences") or ()
    for index, sequence in enumerate(stop_sequences):
        if not sequence.strip():
            raise body.error(f"stop_sequences[{index}]", "must hold something else than white space")
    return Sampling(
        max_tokens=max_tokens,
        temperature=body.number("temperature", 0, 1),
        top_p=body.number("top_p", 0, 1),
        top_k=body.integer("top_k", 0),
        stop_sequences=stop_sequences,
    )


def decode_output(config: Fields | None) -> tuple[OutputFormat | None, Json]:
    """The form of the answer, and the fields beside its schema."""
    wanted = None if config is None else config.fields("format")
    if wanted is None:
        return None, {}
    if wanted.choice("type", ("json_schema",)) is None:
        raise wanted.error("type", "is required", code="missing_required_field")
    return OutputFormat(OutputKind.JSON_SCHEMA, wanted.need_object("schema")), unread(wanted)


def decode_user(body: Fields) -> tuple[str | None, Json]:
    """The user's id, and the other fields of ``metadata``."""
    metadata = body.fields("metadata")
    return (None, {}) if metadata is None else (metadata.string("user_id"), unread(metadata))


def encode_max_tokens(request: Request, notes: Notes) -> int:
    """The number asked for, or the most that the model can give (ruling 6)."""
    wanted = request.sampling.max_tokens
    if wanted is not None:
        return wanted
    limit = notes.facts.max_tokens
    if not request.stream and notes.facts.unstreamed is not None:
        limit = notes.facts.unstreamed
    notes.lose("sampling.max_tokens", LossReason.APPROXIMATED, f"it must be said: {limit} were put in")
    return limit


def encode_sampling(sampling: Sampling, thinks: bool, notes: Notes) -> Json:
    """The settings besides ``max_tokens``. ``thinks``: thinking is asked for."""
    written: Json = {}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(sampling, name)
        if value is None:
            continue
        why = _refused(name, value, thinks, notes.facts.randomness, written)
        if why:
            notes.lose(f"sampling.{name}", LossReason.UNSUPPORTED, why)
            continue
        written[name] = max(value, 0) if name == "top_k" else min(max(value, 0), 1)
        if written[name] != value:
            notes.lose(
                f"sampling.{name}", LossReason.CLAMPED, "the range is 0 to 1" if name != "top_k" else "it is at least 0"
            )
    stops = [sequence for sequence in sampling.stop_sequences if sequence.strip()]
    if len(stops) < len(sampling.stop_sequences):
        detail = "a stop sequence of white space alone is refused"
        notes.lose("sampling.stop_sequences", LossReason.UNSUPPORTED, detail)
    if stops:
        written["stop_sequences"] = stops
    return written


def _refused(name: str, value: float, thinks: bool, randomness: Randomness, written: Json) -> str:
    """Why the model does not take this value, empty if it does (PAR-06, PAR-07)."""
    if randomness is Randomness.NONE:
        return "this model takes no sampling parameters"
    if name == "top_p" and randomness is Randomness.ONE and "temperature" in written:
        return "this model takes temperature or top_p, not both"
    if not thinks:
        return ""
    # docs /build-with-claude/thinking: temperature must be 1, top_p at least 0.95, and there is no top_k.
    fits = {"temperature": value >= 1, "top_p": value >= LEAST_TOP_P_THINKING, "top_k": False}[name]
    return "" if fits else "it cannot be set while reasoning is asked for"


def encode_output(output: OutputFormat | None, notes: Notes) -> Json | None:
    """The value of ``output_config.format``, ``None`` if there is none."""
    if output is None or output.kind is OutputKind.TEXT:
        return None
    if output.kind is OutputKind.JSON_OBJECT or output.schema is None:
        # PAR-14: a wish in the prompt would not be the guarantee that was asked for.
        notes.lose("output", LossReason.UNSUPPORTED, "JSON is only given by a schema")
        return None
    for name in ("name", "description"):
        if getattr(output, name) is not None:
            notes.lose(f"output.{name}", LossReason.UNSUPPORTED, "only the schema itself is sent")
    if output.strict is not None:
        notes.lose("output.strict", LossReason.APPROXIMATED, "a schema is always kept to here")
    return {"type": "json_schema", "schema": output.schema}


def lose_unsupported(request: Request, notes: Notes) -> None:
    """Reports each thing said in fields that have no counterpart here."""
    for path, value in _without_field(request):
        if value is not None:
            notes.lose(path, LossReason.UNSUPPORTED, "there is no such field")


def _without_field(request: Request) -> Iterator[tuple[str, Any]]:
    sampling = request.sampling
    for name in ("presence_penalty", "frequency_penalty", "seed", "logit_bias", "top_logprobs"):
        yield f"sampling.{name}", getattr(sampling, name)
    yield "sampling.logprobs", sampling.logprobs or None
    yield "choice_count", None if request.choice_count == 1 else request.choice_count
    yield "metadata", request.metadata
    yield "variables", request.variables
    for field in fields_of(Conversation):
        yield f"conversation.{field.name}", getattr(request.conversation, field.name, None)
