"""What one provider wants otherwise than its dialect says, applied to a request that is ready to be sent. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from operator import attrgetter
from typing import Any

import orjson

from adapters.contract import Encoded, WireRequest
from adapters.model.error import ApiError, ErrorKind
from adapters.model.loss import SAYS_NOTHING, Loss, LossReason
from adapters.model.message import Json, Media, Message, Opaque, Text, ToolResult
from adapters.model.request import Request
from proxy.errors import RequestFailed
from proxy.settings import Quirks

_SPELLS_ASCII = re.compile(rb"\\u00[2-7]")

PLACES = {
    "max_tokens": "sampling.max_tokens",
    "max_completion_tokens": "sampling.max_tokens",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "top_k": "sampling.top_k",
    "stop": "sampling.stop_sequences",
    "stop_sequences": "sampling.stop_sequences",
    "presence_penalty": "sampling.presence_penalty",
    "frequency_penalty": "sampling.frequency_penalty",
    "seed": "sampling.seed",
    "logit_bias": "sampling.logit_bias",
    "logprobs": "sampling.logprobs",
    "top_logprobs": "sampling.top_logprobs",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "output",
    "reasoning_effort": "reasoning.effort",
    "n": "choice_count",
    "user": "user",
    "metadata": "metadata",
    "store": "conversation.store",
}
"""Usual wire field -> the place in the common model whose loss it is when the field is left out."""

_SILENT = {place: SAYS_NOTHING.get(place.rpartition(".")[2]) for place in PLACES.values()}
"""Values that mean the same as leaving the field out."""

_NO_LOSS = frozenset({"stream_options", "stream_options.include_usage"})
"""Put in by encoders for the proxy's own counting: what the client wants of it concerns its own connection only."""

_LEFT_OUT = "this provider does not take it"
_TEXT_ONLY = "this provider takes a message as one text only"


def edits_bodies(quirks: Quirks) -> bool:
    """Whether these quirks can change a request's body at all."""
    return bool(quirks.rename or quirks.drop or quirks.refuse or quirks.tool_id or quirks.plain_content)


def apply_quirks(quirks: Quirks, dialect: str, request: Request, encoded: Encoded[WireRequest]) -> Encoded[WireRequest]:
    """What to send instead, and everything that is lost; the very same object if no quirk applies.

    ``request`` is what ``encoded`` says, in the common model. Raises ``RequestFailed`` for a field that is refused.
    """
    if not _may_apply(quirks, encoded.wire.body):
        return encoded
    body = orjson.loads(encoded.wire.body)
    _refuse(quirks, body)
    losses = list(encoded.losses)
    changed = [_rename(body, old, new) for old, new in quirks.rename.items()]
    for path in quirks.drop:
        dropped = _drop(body, path)
        changed.append(bool(dropped))
        if any(value is not None for value in dropped):
            places = _places(path, dialect, request)
            # What the encoder did to a value no longer matters when the value is gone.
            losses = [loss for loss in losses if loss.field not in places]
            losses += [Loss(place, LossReason.UNSUPPORTED, _LEFT_OUT) for place in places]
    if quirks.plain_content:
        joined, left_out = _join_texts(body)
        changed.append(joined)
        if joined:
            known = {loss.field for loss in losses}
            losses += [loss for loss in _message_losses(request, dialect, left_out) if loss.field not in known]
    if quirks.tool_id is not None:
        changed.append(_map_tool_ids(body))
    if not any(changed):
        return encoded
    return Encoded(replace(encoded.wire, body=orjson.dumps(body)), tuple(losses))


def nine_alphanumeric(identity: str) -> str:
    """``identity`` as nine letters and digits: itself if it is that already, else always the same for the same one."""
    if re.fullmatch("[a-zA-Z0-9]{9}", identity):
        return identity
    rest = int.from_bytes(sha256(identity.encode()).digest())
    letters = []
    for _ in range(9):
        rest, digit = divmod(rest, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _may_apply(quirks: Quirks, body: bytes) -> bool:
    """Whether any of the fields can be in the body; an escape could spell any of them."""
    names = [path.rpartition(".")[2] for path in (*quirks.rename, *quirks.drop, *quirks.refuse)]
    if quirks.tool_id is not None:
        names += ["tool_calls", "tool_call_id"]
    if quirks.plain_content:
        names.append("content")
    return any(b'"%b"' % name.encode() in body for name in names) or _SPELLS_ASCII.search(body) is not None


def _holders(body: Json, path: str) -> list[Json]:
    """The objects that have the field at the end of ``path``: ``a.b`` is b inside a, ``a[].b`` that of each item."""
    *way, name = path.split(".")
    nodes: list[Any] = [body]
    for step in way:
        key = step.removesuffix("[]")
        nodes = [node[key] for node in nodes if isinstance(node, dict) and key in node]
        if key != step:
            nodes = [item for node in nodes if isinstance(node, list) for item in node]
    return [node for node in nodes if isinstance(node, dict) and name in node]


def _refuse(quirks: Quirks, body: Json) -> None:
    for path in quirks.refuse:
        name = path.rpartition(".")[2]
        if any(holder[name] is not None for holder in _holders(body, path)):
            message = f"the provider behind this model does not take {path}"
            raise RequestFailed(ApiError(ErrorKind.UNSUPPORTED, message, code="unsupported_field", param=path))


def _rename(body: Json, path: str, new: str) -> bool:
    """Gives the field its new name where it stood. A field of that name gives way (PAR-03, hard-cases.md)."""
    old = path.rpartition(".")[2]
    holders = _holders(body, path)
    for holder in holders:
        if holder[old] is None:  # null counts as absent, and must not push out a value
            del holder[old]
            continue
        fields = [(new if name == old else name, value) for name, value in holder.items() if name != new]
        holder.clear()
        holder.update(fields)
    return bool(holders)


def _drop(body: Json, path: str) -> list[Any]:
    return [holder.pop(path.rpartition(".")[2]) for holder in _holders(body, path)]


# --- losses -----------------------------------------------------------------------------------------------------


def _places(path: str, dialect: str, request: Request) -> list[str]:
    """Where in the common model the dropped field stood; nowhere if it said nothing, or was not the client's."""
    name = path.partition(".")[0]
    if name == "messages[]":
        # A wire message is not always one message of the model. Where none can be named, it is all of them.
        return list(_message_places(path.removeprefix("messages[]."), dialect, request)) or ["messages"]
    places = [PLACES[path]] if path in PLACES and _is_said(request, PLACES[path]) else []
    if (path not in PLACES and path not in _NO_LOSS) or name in (request.extra or {}).get(dialect, {}):
        places.append(f"extra.{dialect}.{path}")
    return places


def _message_places(name: str, dialect: str, request: Request) -> Iterator[str]:
    for index, message in enumerate(request.messages):
        if name == "name" and message.name is not None:
            yield f"messages[{index}].name"
        elif name in (message.extra or {}).get(dialect, {}):
            yield f"messages[{index}].extra.{dialect}.{name}"


def _is_said(request: Request, place: str) -> bool:
    first, _, _ = place.partition(".")
    if getattr(request, first) is None:
        return False
    value = attrgetter(place)(request)
    return value not in (None, (), _SILENT.get(place))


# --- messages ---------------------------------------------------------------------------------------------------


def _messages(body: Json) -> Iterator[Json]:
    messages = body.get("messages")
    if isinstance(messages, list):
        yield from (message for message in messages if isinstance(message, dict))


def _map_tool_ids(body: Json) -> bool:
    """Both ends of every pair of a call and its result (TOOL-27, hard-cases.md)."""
    changed = False
    for holder, name in _tool_ids(body):
        mapped = nine_alphanumeric(holder[name])
        changed |= mapped != holder[name]
        holder[name] = mapped
    return changed


def _tool_ids(body: Json) -> Iterator[tuple[Json, str]]:
    for message in _messages(body):
        if isinstance(message.get("tool_call_id"), str):
            yield message, "tool_call_id"
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                yield call, "id"


def _join_texts(body: Json) -> tuple[bool, bool]:
    """Every list of parts as one text. Whether there was any list, and whether anything in one was no text."""
    joined = left_out = False
    for message in _messages(body):
        content = message.get("content")
        if isinstance(content, list):
            texts = [_text_of(part) for part in content]
            message["content"] = "\n\n".join(text for text in texts if text is not None)
            joined, left_out = True, left_out or None in texts
    return joined, left_out


def _text_of(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get(kind) if kind in ("text", "refusal") else None
    return text if isinstance(text, str) else None


def _message_losses(request: Request, dialect: str, left_out: bool) -> Iterator[Loss]:
    """What of these messages does not survive as one text each; ``left_out``: not only hints are gone."""
    for index, message in enumerate(request.messages):
        yield from _part_losses(f"messages[{index}]", message, dialect, left_out)


def _part_losses(path: str, whole: Message | ToolResult, dialect: str, left_out: bool) -> Iterator[Loss]:
    if sum(isinstance(part, Text) for part in whole.parts) > 1:
        yield Loss(f"{path}.parts", LossReason.APPROXIMATED, "its texts are joined into one")
    for index, part in enumerate(whole.parts):
        place = f"{path}.parts[{index}]"
        match part:
            case Text():
                if part.cache is not None:
                    yield Loss(f"{place}.cache", LossReason.UNSUPPORTED, _TEXT_ONLY)
                for name in (part.extra or {}).get(dialect, {}):
                    yield Loss(f"{place}.extra.{dialect}.{name}", LossReason.UNSUPPORTED, _TEXT_ONLY)
            case ToolResult():
                yield from _part_losses(place, part, dialect, left_out)
            case Media() | Opaque():
                if left_out:
                    yield Loss(place, LossReason.UNSUPPORTED, _TEXT_ONLY)
