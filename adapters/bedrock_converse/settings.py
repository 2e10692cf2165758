"""Settings of the answer: ``inferenceConfig``, what families take besides, ``outputConfig`` and metadata."""

import re
from typing import Any

import orjson

from adapters.bedrock_converse.extra import keep, kept_in
from adapters.bedrock_converse.families import TOP_K_PATHS, Family, Path, is_prompt
from adapters.bedrock_converse.fields import (
    HIGHEST_TEMPERATURE,
    HIGHEST_TOP_P,
    MOST_METADATA,
    MOST_STOP_SEQUENCES,
)
from adapters.bedrock_converse.parts import Writing
from adapters.contract import DecodeError
from adapters.model.loss import LossReason
from adapters.model.message import Json
from adapters.model.request import OutputFormat, OutputKind, Request, Sampling
from adapters.wire.body import read_object
from adapters.wire.fields import Fields, wrong_type

_METADATA_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
"""RequestMetadataValueString (botocore 1.44.5); a key is the same and not empty."""
_LEAST_THINKING_TOP_P = 0.95


def decode_sampling(config: Fields | None, fields: Fields) -> Sampling:
    """The settings of ``inferenceConfig``, and top_k as any family spells it."""
    top_k = next((number for path in TOP_K_PATHS if (number := _take_top_k(fields, path)) is not None), None)
    if config is None:
        return Sampling(top_k=top_k)
    stop_sequences = config.strings("stopSequences") or ()
    if len(stop_sequences) > MOST_STOP_SEQUENCES:
        raise config.error("stopSequences", f"must not hold more than {MOST_STOP_SEQUENCES}")
    if "" in stop_sequences:
        raise config.error(f"stopSequences[{stop_sequences.index('')}]", "must not be empty")
    return Sampling(
        max_tokens=config.integer("maxTokens", 1),
        temperature=config.number("temperature", 0, HIGHEST_TEMPERATURE),
        top_p=config.number("topP", 0, HIGHEST_TOP_P),
        top_k=top_k,
        stop_sequences=stop_sequences,
    )


def _take_top_k(fields: Fields, path: Path) -> int | None:
    names = path[1:]
    holder: Any = fields.rest()
    for name in names[:-1]:
        holder = holder.get(name) if isinstance(holder, dict) else None
    value = holder.get(names[-1]) if isinstance(holder, dict) else None
    if type(value) is not int:
        return None
    rest = {name: item for name, item in holder.items() if name != names[-1]}
    if len(names) == 1 or not rest:
        fields.any(names[0])
    else:
        fields.rest()[names[0]] = rest
    return value


def decode_metadata(value: Json | None, path: str) -> dict[str, str] | None:
    """Names and texts."""
    for name, text in (value or {}).items():
        if not isinstance(text, str):
            raise wrong_type(f"{path}.{name}", "a string", text)
    return value or None


def decode_variables(value: Json | None, path: str) -> tuple[dict[str, str] | None, Json]:
    """The texts for the slots of a stored prompt, and the fields beside them."""
    texts: dict[str, str] = {}
    rest: Json = {}
    for name, holder in (value or {}).items():
        fields = Fields(holder, f"{path}.{name}")
        text = fields.string("text")
        if text is None:
            raise fields.error("text", "is required", code="missing_required_field")
        texts[name] = text
        rest |= {name: fields.rest()} if fields.rest() else {}
    return texts or None, rest


def decode_output(config: Fields | None) -> tuple[OutputFormat | None, Json]:
    """The form of the answer, and the fields beside it. A schema is always enforced here, hence ``strict``."""
    wanted = None if config is None else config.fields("textFormat")
    if wanted is None:
        return None, {}
    if wanted.choice("type", ("json_schema",)) is None:
        raise wanted.error("type", "is required", code="missing_required_field")
    structure = wanted.need_fields("structure")
    definition = structure.need_fields("jsonSchema")
    name, description = definition.string("name"), definition.string("description")
    schema = _read_schema(definition.need_string("schema"), definition.path_of("schema"))
    beside = kept_in(keep(structure.rest(), jsonSchema=definition.rest()))
    output = OutputFormat(OutputKind.JSON_SCHEMA, schema, name, description, strict=True)
    return output, kept_in(keep(wanted.rest(), structure=beside))


def _read_schema(text: str, path: str) -> Json:
    try:
        return read_object(text.encode())
    except DecodeError:
        raise DecodeError(f"{path} must be a JSON object, as text", param=path, code="invalid_json") from None


def encode_max_tokens(request: Request, writing: Writing) -> int | None:
    """The cap on the answer. Claude's own default on Bedrock is 4096, whatever the model can (PAR-02)."""
    said, limit = request.sampling.max_tokens, writing.family.output_limit
    if said is None and limit is not None and not is_prompt(request.model):
        writing.lose("sampling.max_tokens", LossReason.APPROXIMATED, f"the model's own limit of {limit} is sent")
        return limit
    if said is not None and said < 1:
        writing.lose("sampling.max_tokens", LossReason.CLAMPED, "must be at least 1")
        return 1
    return said


def encode_sampling(sampling: Sampling, writing: Writing, *, thinks: bool) -> tuple[Json, Json]:
    """``inferenceConfig`` without the cap, and what goes into ``additionalModelRequestFields``."""
    written: Json = {}
    for name, wire_name, highest in (
        ("temperature", "temperature", HIGHEST_TEMPERATURE),
        ("top_p", "topP", HIGHEST_TOP_P),
    ):
        value = getattr(sampling, name)
        if value is None:
            continue
        problem = _sampling_problem(name, sampling, writing.family, thinks=thinks)
        if problem is not None:
            writing.lose(f"sampling.{name}", LossReason.UNSUPPORTED, problem)
            continue
        written[wire_name] = min(max(value, 0), highest)
        if written[wire_name] != value:
            writing.lose(f"sampling.{name}", LossReason.CLAMPED, f"must be between 0 and {highest}")
    stop_sequences = _encode_stop_sequences(sampling.stop_sequences, writing)
    if stop_sequences:
        written["stopSequences"] = stop_sequences
    for name in ("presence_penalty", "frequency_penalty", "seed", "logit_bias", "top_logprobs"):
        if getattr(sampling, name) is not None:
            writing.lose(f"sampling.{name}", LossReason.UNSUPPORTED, "there is no such field")
    if sampling.logprobs:
        writing.lose("sampling.logprobs", LossReason.UNSUPPORTED, "there are no log probabilities")
    return written, _encode_top_k(sampling.top_k, writing, thinks=thinks)


def _sampling_problem(name: str, sampling: Sampling, family: Family, *, thinks: bool) -> str | None:
    """Why the setting cannot be sent to this model (PAR-06, PAR-07; ANT: "Extended thinking", compatibility)."""
    if not family.sampling:
        return "this model takes no sampling settings"
    if thinks and name == "temperature" and sampling.temperature != 1:
        return "it cannot be set while Claude thinks"
    if thinks and name == "top_p" and (sampling.top_p or 0) < _LEAST_THINKING_TOP_P:
        return f"it is at least {_LEAST_THINKING_TOP_P} while Claude thinks"
    if name == "top_p" and not family.both and sampling.temperature is not None:
        return "this model takes temperature or top_p, not both"
    return None


def _encode_stop_sequences(sequences: tuple[str, ...], writing: Writing) -> list[str]:
    if len(sequences) > MOST_STOP_SEQUENCES:
        problem = f"at most {MOST_STOP_SEQUENCES} are taken, so none is sent"
        writing.lose("sampling.stop_sequences", LossReason.UNSUPPORTED, problem)
        return []
    if "" in sequences:
        writing.lose("sampling.stop_sequences", LossReason.INVALID, "an empty one stops nothing")
    return [sequence for sequence in sequences if sequence]


def _encode_top_k(top_k: int | None, writing: Writing, *, thinks: bool) -> Json:
    if top_k is None:
        return {}
    path = writing.family.top_k_path
    if path is None or thinks:
        problem = "this model has no top_k" if path is None else "it cannot be set while Claude thinks"
        writing.lose("sampling.top_k", LossReason.UNSUPPORTED, problem)
        return {}
    written: Any = top_k
    for name in reversed(path[1:]):
        written = {name: written}
    return dict(written)


def encode_output(output: OutputFormat | None, writing: Writing) -> Json:
    """``textFormat``, as far as there is something to say."""
    if output is None or output.kind is OutputKind.TEXT:
        return {}
    if output.kind is OutputKind.JSON_OBJECT or output.schema is None:
        writing.lose("output", LossReason.UNSUPPORTED, "JSON is only given by a schema")
        return {}
    if not output.strict:
        writing.lose("output.strict", LossReason.APPROXIMATED, "a schema is always enforced")
    definition = {
        "schema": orjson.dumps(output.schema).decode(),
        "name": output.name,
        "description": output.description,
    }
    said = {name: value for name, value in definition.items() if value is not None}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": said}}}


def encode_metadata(request: Request, writing: Writing) -> Json:
    """``requestMetadata`` and ``promptVariables``, as far as there is something to say."""
    written: Json = {}
    if request.metadata is not None:
        fitting = {name: text for name, text in request.metadata.items() if name and _fits(name) and _fits(text)}
        sent = dict(list(fitting.items())[:MOST_METADATA])
        if not sent or sent != request.metadata:
            problem = f"only 1 to {MOST_METADATA} entries of plain letters are taken, so {len(sent)} are sent"
            writing.lose("metadata", LossReason.INVALID, problem)
        written["requestMetadata"] = sent
    if request.variables and is_prompt(request.model):
        written["promptVariables"] = {name: {"text": text} for name, text in request.variables.items()}
    elif request.variables is not None:
        writing.lose("variables", LossReason.UNSUPPORTED, "only stored prompts have variables")
    return written


def _fits(text: str) -> bool:
    return _METADATA_TEXT.fullmatch(text) is not None
