"""Request fields that steer the answer: sampling, its form, and how much to think."""

from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.request import OutputFormat, OutputKind, ReasoningOptions, Sampling
from adapters.openai_chat.extras import unread
from adapters.openai_chat.fields import EFFORTS, MAX_STOP_SEQUENCES, MAX_TOP_LOGPROBS
from adapters.wire.fields import Fields, wrong_type

_LARGEST = 2**63 - 1

# Model field -> wire field and range, in the order of writing: completion_create_params.py.
_NUMBERS: dict[str, tuple[str, float, float]] = {
    "max_tokens": ("max_completion_tokens", 1, _LARGEST),
    "temperature": ("temperature", 0, 2),
    "top_p": ("top_p", 0, 1),
    "presence_penalty": ("presence_penalty", -2, 2),
    "frequency_penalty": ("frequency_penalty", -2, 2),
    "seed": ("seed", -_LARGEST, _LARGEST),
    "top_logprobs": ("top_logprobs", 0, MAX_TOP_LOGPROBS),
}
_BIAS_RANGE = (-100, 100)
_NEEDS_LOGPROBS = "needs logprobs to be true"


def decode_sampling(fields: Fields) -> Sampling:
    """How tokens are to be picked."""
    logprobs = fields.boolean("logprobs")
    top_logprobs = fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS)
    if top_logprobs and not logprobs:
        raise fields.error("top_logprobs", _NEEDS_LOGPROBS)
    return Sampling(
        max_tokens=_decode_max_tokens(fields),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        stop_sequences=_decode_stop(fields),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        seed=fields.integer("seed"),
        logit_bias=_decode_logit_bias(fields),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
    )


def decode_output(fields: Fields) -> tuple[OutputFormat | None, Json]:
    """The form the answer must have, and the fields of it that the model has no place for."""
    form = fields.fields("response_format")
    if form is None:
        return None, {}
    kind = form.choice("type", tuple(OutputKind))
    if kind is None:
        raise form.error("type", f"is required: one of {', '.join(OutputKind)}", code="missing_required_field")
    if kind != OutputKind.JSON_SCHEMA:
        return OutputFormat(OutputKind(kind)), unread(form)
    inner = form.need_fields("json_schema")
    name = inner.need_string("name")
    schema = inner.need_object("schema")
    output = OutputFormat(OutputKind.JSON_SCHEMA, schema, name, inner.string("description"), inner.boolean("strict"))
    return output, unread(form, json_schema=unread(inner))


def decode_reasoning_options(fields: Fields) -> ReasoningOptions | None:
    """How much to think; a word that is not OpenAI's (Groq's ``default``) stays unread and becomes an extra field."""
    effort = fields.rest().get("reasoning_effort")
    if effort is None or effort in EFFORTS:
        fields.any("reasoning_effort")
        return None if effort is None else ReasoningOptions(effort=effort)
    if not isinstance(effort, str):
        raise wrong_type("reasoning_effort", "a string", effort)
    return None


def encode_sampling(sampling: Sampling, losses: list[Loss]) -> Json:
    """The sampling fields."""
    wire: Json = {}
    for name, (wire_name, low, high) in _NUMBERS.items():
        value = getattr(sampling, name)
        if value is not None:
            wire[wire_name] = _clamped(value, low, high, f"sampling.{name}", losses)
    if sampling.top_logprobs and not sampling.logprobs:
        del wire["top_logprobs"]
        losses.append(Loss("sampling.top_logprobs", LossReason.INVALID, f"top_logprobs {_NEEDS_LOGPROBS}"))
    if sampling.logprobs is not None:
        wire["logprobs"] = sampling.logprobs
    if sampling.logit_bias is not None:
        wire["logit_bias"] = {
            token: _clamped(bias, *_BIAS_RANGE, "sampling.logit_bias", losses)
            for token, bias in sampling.logit_bias.items()
        }
    stop = _encode_stop(sampling.stop_sequences, losses)
    if stop:
        wire["stop"] = stop
    if sampling.top_k is not None:
        losses.append(Loss("sampling.top_k", LossReason.UNSUPPORTED, "there is no top_k"))
    return wire


def encode_output(output: OutputFormat, losses: list[Loss]) -> Json:
    """The value of ``response_format``."""
    if output.kind is not OutputKind.JSON_SCHEMA:
        return {"type": output.kind.value}
    name = output.name
    if not name:
        name = "answer"
        losses.append(Loss("output.name", LossReason.APPROXIMATED, f"a schema needs a name: {name} was put in"))
    inner: Json = {"name": name, "schema": output.schema or {}}
    for field in ("description", "strict"):
        value = getattr(output, field)
        if value is not None:
            inner[field] = value
    return {"type": output.kind.value, "json_schema": inner}


def encode_reasoning_options(options: ReasoningOptions, losses: list[Loss]) -> Json:
    """The field for how much to think, if anything can be said."""
    wire: Json = {}
    if options.effort in EFFORTS:
        wire["reasoning_effort"] = options.effort
    elif options.effort is not None:
        losses.append(Loss("reasoning.effort", LossReason.UNSUPPORTED, f"it must be one of {', '.join(EFFORTS)}"))
    if options.budget_tokens is not None:
        reason = LossReason.APPROXIMATED if wire else LossReason.UNSUPPORTED
        losses.append(Loss("reasoning.budget_tokens", reason, "reasoning is limited by effort only"))
    if options.summary is not None:
        losses.append(Loss("reasoning.summary", LossReason.UNSUPPORTED, "there are no summaries of reasoning"))
    return wire


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_max_tokens(fields: Fields) -> int | None:
    """Two names for one number (PAR-03, hard-cases.md; K14, dialects/arka.md)."""
    old = fields.integer("max_tokens", 1)
    new = fields.integer("max_completion_tokens", 1)
    if old is not None and new is not None and old != new:
        raise fields.error("max_tokens", "and max_completion_tokens mean the same and must not differ")
    return old if new is None else new


def _decode_stop(fields: Fields) -> tuple[str, ...]:
    value = fields.rest().get("stop")
    if isinstance(value, str):
        fields.any("stop")
        if not value:
            raise fields.error("stop", "must not be empty")
        return (value,)
    if value is not None and not isinstance(value, list):
        raise wrong_type("stop", "a string or an array of strings", value)
    sequences = fields.strings("stop") or ()
    if len(sequences) > MAX_STOP_SEQUENCES:
        raise fields.error("stop", f"must have at most {MAX_STOP_SEQUENCES} entries")
    if "" in sequences:
        path = f"stop[{sequences.index('')}]"
        raise DecodeError(f"{path} must not be empty", path, "invalid_value")
    return sequences


def _decode_logit_bias(fields: Fields) -> dict[str, float] | None:
    value = fields.object("logit_bias")
    if value is None:
        return None
    biases = Fields(value, "logit_bias")
    decoded = {token: biases.number(token, *_BIAS_RANGE) for token in value}
    for token, bias in decoded.items():
        if bias is None:
            raise wrong_type(biases.path_of(token), "a number", None)
    return {token: bias for token, bias in decoded.items() if bias is not None}


# --- encoding ---------------------------------------------------------------------------------------------------


def _clamped(value: float, low: float, high: float, path: str, losses: list[Loss]) -> float:
    nearest = min(max(value, low), high)
    if nearest == value:
        return value
    if all(loss.field != path for loss in losses):
        losses.append(Loss(path, LossReason.CLAMPED, f"it must be between {low} and {high}"))
    return nearest


def _encode_stop(sequences: tuple[str, ...], losses: list[Loss]) -> list[str]:
    for index, sequence in enumerate(sequences):
        if not sequence:
            losses.append(Loss(f"sampling.stop_sequences[{index}]", LossReason.INVALID, "it must not be empty"))
    kept = [sequence for sequence in sequences if sequence]
    if len(kept) > MAX_STOP_SEQUENCES:
        detail = f"only {MAX_STOP_SEQUENCES} of {len(kept)} are sent"
        losses.append(Loss("sampling.stop_sequences", LossReason.UNSUPPORTED, detail))
    return kept[:MAX_STOP_SEQUENCES]
