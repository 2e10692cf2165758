"""Log probabilities: two lists here, one of entries with alternatives in the model (PAR-21, hard-cases.md)."""

from typing import Any

from adapters.gemini.spelling import WireFields
from adapters.model.message import Json

_CHOSEN = "chosenCandidates"
_TOP = "topCandidates"


def decode_logprobs(value: Any, path: str) -> tuple[Json | None, Json]:
    """The entries in OpenAI's shape, ``None`` if there are none, and what is left of the field."""
    if value is None:
        return None, {}
    fields = WireFields(value, path)
    chosen = fields.array(_CHOSEN) or []
    top = fields.array(_TOP) or []
    content = []
    for index, item in enumerate(chosen):
        entry = _decode_entry(item, f"{path}.{_CHOSEN}[{index}]")
        others = top[index] if index < len(top) else {}
        other_path = f"{path}.{_TOP}[{index}]"
        alternatives = WireFields(others, other_path).array("candidates") or []
        entry["top_logprobs"] = [
            _decode_entry(other, f"{other_path}.candidates[{place}]") for place, other in enumerate(alternatives)
        ]
        content.append(entry)
    left = {name: item for name, item in fields.rest().items() if item is not None}
    return ({"content": content} if content else None), left


def encode_logprobs(logprobs: Json) -> tuple[Json, bool]:
    """The value of ``logprobsResult``, and whether it says all that ``logprobs`` does."""
    chosen: list[Json] = []
    top: list[Json] = []
    entries = logprobs.get("content")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            chosen.append(_encode_entry(entry))
            others = entry.get("top_logprobs")
            kept = [other for other in others if isinstance(other, dict)] if isinstance(others, list) else []
            top.append({"candidates": [_encode_entry(other) for other in kept]})
    wire = {_CHOSEN: chosen, _TOP: top}
    return wire, decode_logprobs(wire, "")[0] == logprobs


def _decode_entry(value: Any, path: str) -> Json:
    fields = WireFields(value, path)
    entry: Json = {"token": fields.string("token") or "", "logprob": fields.number("logProbability"), "bytes": None}
    token_id = fields.integer("tokenId")
    return entry if token_id is None else entry | {"token_id": token_id}


def _encode_entry(entry: Json) -> Json:
    token, probability, token_id = entry.get("token"), entry.get("logprob"), entry.get("token_id")
    wire: Json = {"token": token if isinstance(token, str) else ""}
    if isinstance(token_id, int):
        wire["tokenId"] = token_id
    if isinstance(probability, int | float):
        wire["logProbability"] = probability
    return wire
