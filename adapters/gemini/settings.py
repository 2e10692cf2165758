"""Fields of ``generationConfig``: sampling, the form of the answer, and how much to think."""

from adapters.gemini.extras import unread
from adapters.gemini.fields import (
    EFFORT_BUDGETS,
    MAX_CANDIDATES,
    MAX_INT32,
    MAX_LOGPROBS,
    MAX_STOP_SEQUENCES,
    THINKING_LEVELS,
    WIRE_LEVELS,
)
from adapters.gemini.names import generation
from adapters.gemini.schemas import decode_schema, encode_schema
from adapters.gemini.spelling import WireFields
from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.request import OutputFormat, OutputKind, ReasoningOptions, Sampling

# Model field -> wire field and range, in the order of writing: ai.google.dev/api/generate-content#generationconfig.
_NUMBERS: dict[str, tuple[str, float, float]] = {
    "temperature": ("temperature", 0, 2),
    "top_p": ("topP", 0, 1),
    "top_k": ("topK", 1, MAX_INT32),
    "max_tokens": ("maxOutputTokens", 1, MAX_INT32),
    "presence_penalty": ("presencePenalty", -2, 2),
    "frequency_penalty": ("frequencyPenalty", -2, 2),
}
_JSON = "application/json"
_PLAIN = "text/plain"
_NEEDS_LOGPROBS = "needs responseLogprobs to be true"
_LEVELS_SINCE = 3


def decode_sampling(config: WireFields) -> Sampling:
    """How tokens are to be picked."""
    logprobs = config.boolean("responseLogprobs")
    top_logprobs = config.integer("logprobs", 0, MAX_LOGPROBS)
    if top_logprobs and not logprobs:
        raise config.error("logprobs", _NEEDS_LOGPROBS)
    return Sampling(
        max_tokens=config.integer("maxOutputTokens", 1, MAX_INT32),
        temperature=config.number("temperature", 0, 2),
        top_p=config.number("topP", 0, 1),
        top_k=_decode_top_k(config),
        stop_sequences=_decode_stop_sequences(config),
        presence_penalty=config.number("presencePenalty", -2, 2),
        frequency_penalty=config.number("frequencyPenalty", -2, 2),
        seed=config.integer("seed", -MAX_INT32 - 1, MAX_INT32),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
    )


def decode_choice_count(config: WireFields) -> int | None:
    """How many answers are wanted."""
    return config.integer("candidateCount", 1, MAX_CANDIDATES)


def decode_output(config: WireFields) -> OutputFormat | None:
    """The form the answer must have; one that only this API knows stays unread and becomes an extra field."""
    mime_type = config.rest().get("responseMimeType")
    if mime_type not in (_JSON, _PLAIN):
        if not isinstance(mime_type, str):
            config.string("responseMimeType")  # null says nothing, and anything else is refused
            _refuse_schema(config)
        return None
    config.any("responseMimeType")
    if mime_type == _PLAIN:
        _refuse_schema(config)
        return OutputFormat(OutputKind.TEXT)
    plain, schema = config.object("responseSchema"), config.object("responseJsonSchema")
    if plain is not None and schema is not None:
        raise config.error("responseJsonSchema", "and responseSchema must not be given together")
    if plain is not None:
        schema = decode_schema(plain, config.path_of("responseSchema"))
    return OutputFormat(OutputKind.JSON_OBJECT if schema is None else OutputKind.JSON_SCHEMA, schema)


def decode_reasoning(config: WireFields) -> tuple[ReasoningOptions | None, Json]:
    """How much to think, and what of ``thinkingConfig`` the model has no place for."""
    thinking = config.wire_fields("thinkingConfig")
    if thinking is None:
        return None, {}
    level = thinking.rest().get("thinkingLevel")
    effort = THINKING_LEVELS.get(level.upper()) if isinstance(level, str) else None
    if effort is not None or level == "THINKING_LEVEL_UNSPECIFIED":
        thinking.any("thinkingLevel")
    budget = thinking.integer("thinkingBudget", -1)
    summary = "auto" if thinking.boolean("includeThoughts") else None
    rest = unread(thinking)
    if budget == -1:  # as much as the model finds right
        budget, rest["thinkingBudget"] = None, -1
    if budget is not None and effort is not None:
        raise thinking.error("thinkingBudget", "and thinkingLevel must not be given together")
    if budget == 0:
        budget, effort = None, "none"
    options = ReasoningOptions(effort, budget, summary)
    return (None if options == ReasoningOptions() else options), rest


def encode_sampling(sampling: Sampling, losses: list[Loss]) -> Json:
    """The sampling fields."""
    wire: Json = {}
    for name, (wire_name, low, high) in _NUMBERS.items():
        value = getattr(sampling, name)
        if value is not None:
            wire[wire_name] = _clamped(value, low, high, f"sampling.{name}", losses)
    stop = _encode_stop_sequences(sampling.stop_sequences, losses)
    if stop:
        wire["stopSequences"] = stop
    if sampling.seed is not None:
        wire["seed"] = _encode_seed(sampling.seed, losses)
    if sampling.logprobs is not None:
        wire["responseLogprobs"] = sampling.logprobs
    if sampling.top_logprobs is not None:
        if sampling.logprobs or not sampling.top_logprobs:
            wire["logprobs"] = _clamped(sampling.top_logprobs, 0, MAX_LOGPROBS, "sampling.top_logprobs", losses)
        else:
            losses.append(Loss("sampling.top_logprobs", LossReason.INVALID, "it needs logprobs to be true"))
    if sampling.logit_bias is not None:
        losses.append(Loss("sampling.logit_bias", LossReason.UNSUPPORTED, "there is no logit_bias"))
    return wire


def encode_choice_count(count: int | None, losses: list[Loss]) -> Json:
    """The field for how many answers are wanted."""
    return {} if count is None else {"candidateCount": _clamped(count, 1, MAX_CANDIDATES, "choice_count", losses)}


def encode_output(output: OutputFormat, losses: list[Loss]) -> Json:
    """The fields for the form of the answer."""
    losses += [
        Loss(f"output.{name}", LossReason.UNSUPPORTED, "the schema alone is sent, and is always followed")
        for name in ("name", "description", "strict")
        if getattr(output, name) is not None
    ]
    if output.kind is OutputKind.TEXT:
        return {"responseMimeType": _PLAIN}
    wire: Json = {"responseMimeType": _JSON}
    if output.kind is OutputKind.JSON_SCHEMA:
        wire |= encode_schema(output.schema or {}, "responseSchema", "responseJsonSchema")
    return wire


def encode_reasoning(options: ReasoningOptions, model: str, losses: list[Loss]) -> Json:
    """The value of ``thinkingConfig``, if anything can be said."""
    wire: Json = {}
    if options.budget_tokens is not None:
        wire["thinkingBudget"] = max(options.budget_tokens, 0)
        if options.budget_tokens <= 0:
            losses.append(Loss("reasoning", LossReason.APPROXIMATED, "no budget is no thinking"))
        elif options.effort is not None:
            losses.append(Loss("reasoning.effort", LossReason.UNSUPPORTED, "either a level or a budget can be given"))
    elif options.effort is not None:
        wire = _encode_effort(options.effort, model, losses)
    if options.summary is not None:
        wire["includeThoughts"] = True
        if options.summary != "auto":
            losses.append(Loss("reasoning.summary", LossReason.APPROXIMATED, "thoughts are shown in one length only"))
    return wire


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_top_k(config: WireFields) -> int | None:
    """A whole number, which the SDK writes as ``40.0``."""
    value = config.number("topK", 1, MAX_INT32)
    if value is not None and value != int(value):
        raise config.error("topK", "must be a whole number")
    return None if value is None else int(value)


def _refuse_schema(config: WireFields) -> None:
    for name in ("responseSchema", "responseJsonSchema"):
        if config.has(name):
            raise config.error(name, f"needs responseMimeType to be {_JSON}")


def _decode_stop_sequences(config: WireFields) -> tuple[str, ...]:
    sequences = config.strings("stopSequences") or ()
    path = config.path_of("stopSequences")
    if len(sequences) > MAX_STOP_SEQUENCES:
        raise config.error("stopSequences", f"must have at most {MAX_STOP_SEQUENCES} entries")
    if "" in sequences:
        path = f"{path}[{sequences.index('')}]"
        raise DecodeError(f"{path} must not be empty", path, "invalid_value")
    return sequences


# --- encoding ---------------------------------------------------------------------------------------------------


def _clamped(value: float, low: float, high: float, path: str, losses: list[Loss]) -> float:
    nearest = min(max(value, low), high)
    if nearest == value:
        return value
    losses.append(Loss(path, LossReason.CLAMPED, f"it must be between {low} and {high}"))
    return nearest


def _encode_seed(seed: int, losses: list[Loss]) -> int:
    if -MAX_INT32 - 1 <= seed <= MAX_INT32:
        return seed
    losses.append(Loss("sampling.seed", LossReason.APPROXIMATED, "a seed has 32 bits, so it is folded"))
    return seed % (MAX_INT32 + 1)


def _encode_stop_sequences(sequences: tuple[str, ...], losses: list[Loss]) -> list[str]:
    for index, sequence in enumerate(sequences):
        if not sequence:
            losses.append(Loss(f"sampling.stop_sequences[{index}]", LossReason.INVALID, "it must not be empty"))
    said = [sequence for sequence in sequences if sequence]
    if len(said) > MAX_STOP_SEQUENCES:
        detail = f"only {MAX_STOP_SEQUENCES} of {len(said)} are sent"
        losses.append(Loss("sampling.stop_sequences", LossReason.UNSUPPORTED, detail))
    return said[:MAX_STOP_SEQUENCES]


def _encode_effort(effort: str, model: str, losses: list[Loss]) -> Json:
    """A level; for models before Gemini 3, which know none, the budget that Google's own translation gives it."""
    if effort == "none":
        return {"thinkingBudget": 0}
    if (generation(model) or _LEVELS_SINCE) < _LEVELS_SINCE and effort in EFFORT_BUDGETS:
        budget = EFFORT_BUDGETS[effort]
        losses.append(Loss("reasoning", LossReason.APPROXIMATED, f"it is sent as a budget of {budget} tokens"))
        return {"thinkingBudget": budget}
    if effort in WIRE_LEVELS:
        return {"thinkingLevel": WIRE_LEVELS[effort]}
    if effort == "max":
        losses.append(Loss("reasoning.effort", LossReason.CLAMPED, "the highest level is xhigh"))
        return {"thinkingLevel": WIRE_LEVELS["xhigh"]}
    known = ", ".join(["none", *WIRE_LEVELS, "max"])
    losses.append(Loss("reasoning.effort", LossReason.UNSUPPORTED, f"it must be one of {known}"))
    return {}
