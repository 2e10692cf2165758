"""Request fields that steer the answer: sampling, its form, how much to think, and what is kept."""

from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json
from adapters.model.request import Conversation, OutputFormat, OutputKind, ReasoningOptions, Request, Sampling
from adapters.openai_responses.extras import STORE, marked, unread
from adapters.openai_responses.fields import EFFORTS, LOGPROBS, MAX_TOP_LOGPROBS, MIN_OUTPUT_TOKENS, SUMMARIES
from adapters.wire.fields import Fields, wrong_type

_LARGEST = 2**63 - 1

# Model field -> wire field and range, in the order of writing: response_create_params.py.
_NUMBERS: dict[str, tuple[str, float, float]] = {
    "max_tokens": ("max_output_tokens", MIN_OUTPUT_TOKENS, _LARGEST),
    "temperature": ("temperature", 0, 2),
    "top_p": ("top_p", 0, 1),
    "top_logprobs": ("top_logprobs", 0, MAX_TOP_LOGPROBS),
}
_ABSENT = ("top_k", "stop_sequences", "presence_penalty", "frequency_penalty", "seed", "logit_bias")


def decode_sampling(fields: Fields) -> tuple[Sampling, list[str]]:
    """How tokens are to be picked, and what else the answer is to include."""
    include = list(fields.strings("include") or ())
    sampling = Sampling(
        max_tokens=fields.integer("max_output_tokens", 1),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        logprobs=True if LOGPROBS in include else None,
        top_logprobs=fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS),
    )
    return sampling, [entry for entry in include if entry != LOGPROBS]


def decode_output(fields: Fields) -> tuple[OutputFormat | None, Json]:
    """The form the answer must have, and the fields of ``text`` that the model has no place for."""
    text = fields.fields("text")
    form = None if text is None else text.fields("format")
    if text is None or form is None:
        return None, {} if text is None else unread(text)
    kind = form.choice("type", tuple(OutputKind))
    if kind is None:
        raise form.error("type", f"is required: one of {', '.join(OutputKind)}", code="missing_required_field")
    output = OutputFormat(OutputKind(kind))
    if kind == OutputKind.JSON_SCHEMA:
        name, schema = form.need_string("name"), form.need_object("schema")
        description, strict = form.string("description"), form.boolean("strict")
        output = OutputFormat(OutputKind.JSON_SCHEMA, schema, name, description, strict)
    return output, unread(text, format=unread(form))


def decode_reasoning_options(fields: Fields) -> tuple[ReasoningOptions | None, Json]:
    """How much to think, and the fields of ``reasoning`` that the model has no place for."""
    reasoning = fields.fields("reasoning")
    if reasoning is None:
        return None, {}
    options = ReasoningOptions(reasoning.choice("effort", EFFORTS), summary=reasoning.choice("summary", SUMMARIES))
    return None if options == ReasoningOptions() else options, unread(reasoning)


def decode_conversation(fields: Fields) -> tuple[Conversation | None, tuple[str, ...], Json]:
    """The history that the server keeps, marks, and the fields of ``conversation`` that the model has no place for.

    Not to store is what leaving it out means in other dialects, and here it is the other way round.
    """
    store = fields.boolean("store")
    previous = fields.string("previous_response_id") or None
    rest: Json = {}
    identity = fields.rest().get("conversation")
    if isinstance(identity, dict):
        inner = fields.need_fields("conversation")
        identity, rest = inner.need_string("id"), unread(inner)
    else:
        identity = fields.string("conversation") or None
    if identity and previous:
        raise fields.error("previous_response_id", "cannot be used together with conversation")
    conversation = Conversation(identity, previous, store or None)
    marks = (STORE,) if store is None else ()
    return None if conversation == Conversation() else conversation, marks, rest


def encode_sampling(sampling: Sampling, losses: list[Loss]) -> Json:
    """The sampling fields; what is to be included is written by ``encode_include``."""
    wire: Json = {}
    for name, (wire_name, low, high) in _NUMBERS.items():
        value = getattr(sampling, name)
        if value is not None:
            nearest = min(max(value, low), high)
            wire[wire_name] = nearest
            if nearest != value:
                detail = f"it must be at least {low}" if value < low else f"it must be at most {high}"
                losses.append(Loss(f"sampling.{name}", LossReason.CLAMPED, detail))
    losses += [
        Loss(f"sampling.{name}", LossReason.UNSUPPORTED, f"there is no {name} here")
        for name in _ABSENT
        if getattr(sampling, name) not in (None, ())
    ]
    return wire


def encode_include(sampling: Sampling, include: object) -> list[str]:
    """What the answer is to include besides."""
    kept = [entry for entry in include if isinstance(entry, str)] if isinstance(include, list) else []
    return [*kept, LOGPROBS] if sampling.logprobs else kept


def encode_output(output: OutputFormat, losses: list[Loss]) -> Json:
    """The value of ``text.format``."""
    if output.kind is not OutputKind.JSON_SCHEMA:
        return {"type": output.kind.value}
    name = output.name
    if not name:
        name = "answer"
        losses.append(Loss("output.name", LossReason.APPROXIMATED, f"a schema needs a name: {name} was put in"))
    wire: Json = {"type": output.kind.value, "name": name, "schema": output.schema or {}}
    for field in ("description", "strict"):
        value = getattr(output, field)
        if value is not None:
            wire[field] = value
    return wire


def encode_reasoning_options(options: ReasoningOptions, losses: list[Loss]) -> Json:
    """The fields of ``reasoning``."""
    wire: Json = {}
    for name, allowed in (("effort", EFFORTS), ("summary", SUMMARIES)):
        value = getattr(options, name)
        if value in allowed:
            wire[name] = value
        elif value is not None:
            losses.append(Loss(f"reasoning.{name}", LossReason.UNSUPPORTED, f"it must be one of {', '.join(allowed)}"))
    if options.budget_tokens is not None:
        reason = LossReason.APPROXIMATED if "effort" in wire else LossReason.UNSUPPORTED
        losses.append(Loss("reasoning.budget_tokens", reason, "reasoning is limited by effort only"))
    return wire


def encode_conversation(request: Request, losses: list[Loss]) -> Json:
    """The history to go on from, and whether to store: never what the client did not ask for.

    The API stores answers for 30 days unless told otherwise (response_create_params.py, ``store``). A client of another
    dialect that says nothing has not agreed to that; a client of this one has.
    """
    conversation = request.conversation or Conversation()
    wire: Json = {}
    if conversation.id is not None:
        wire["conversation"] = {"id": conversation.id}
    if conversation.previous_response_id is not None:
        if conversation.id is None:
            wire["previous_response_id"] = conversation.previous_response_id
        else:
            detail = "it cannot be used together with a conversation"
            losses.append(Loss("conversation.previous_response_id", LossReason.UNSUPPORTED, detail))
    if conversation.store is False:
        losses.append(Loss("conversation.store", LossReason.APPROXIMATED, "it is the same as not said"))
    if conversation.store or not marked(request, STORE):
        wire["store"] = bool(conversation.store)
    return wire


def decode_metadata(fields: Fields) -> dict[str, str] | None:
    """The client's own labels."""
    metadata = fields.object("metadata")
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{name}", "a string", value)
    return metadata
