"""The content of an answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.anthropic.calls import decode_answer_call, encode_answer_call, encode_arguments
from adapters.anthropic.extras import keep, own, unread, with_kept
from adapters.anthropic.fields import NAME
from adapters.anthropic.parts import is_citation
from adapters.anthropic.thinking import decode_redacted, decode_thinking, encode_answer_thinking
from adapters.contract import Context
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.wire.fields import Fields

INVALID_JSON = "INVALID_JSON"
"""The key under which arguments that are no JSON object are handed on, as the vendor proposes for the way back:
docs /agents-and-tools/tool-use/fine-grained-tool-streaming."""


def decode_answer(blocks: list[Any], path: str, names: Mapping[str, str], context: Context) -> list[Part]:
    """The parts; an empty text is none. ``names`` are the client's own for its tools."""
    parts = [_decode_block(block, f"{path}[{index}]", names, context) for index, block in enumerate(blocks)]
    return [part for part in parts if not is_nothing(part)]


def is_nothing(part: Part) -> bool:
    """Whether nothing is said by it: "empty" means neither text nor signature (THK-02)."""
    match part:
        case Text(text="", citations=()):
            return True
        case Reasoning(text="", signature=None, redacted=None, id=None):
            return part.origin == NAME
        case _:
            return False


def _decode_block(value: Any, path: str, names: Mapping[str, str], context: Context) -> Part:
    block = Fields(value, path)
    whole = dict(block.rest())
    kind = block.need_string("type")
    if kind == "text":
        return decode_text(block)
    if kind == "tool_use":
        return decode_answer_call(block, names, context)
    if kind == "thinking":
        return decode_thinking(block)
    if kind == "redacted_thinking":
        return decode_redacted(block)
    return Opaque(NAME, whole)


def decode_text(block: Fields) -> Text:
    """The text in a block of an answer."""
    text = block.string("text") or ""
    path = block.path_of("citations")
    citations = block.array("citations") or []
    for index, citation in enumerate(citations):
        Fields(citation, f"{path}[{index}]")
    return Text(text, tuple(citations), extra=keep(unread(block)))


def encode_answer(parts: tuple[Part, ...], losses: list[Loss]) -> tuple[list[Json], Refusal | None, bool]:
    """The blocks, what was said for declining, and whether there are calls for the client to run."""
    blocks: list[Json] = []
    refusals: list[int] = []
    last = 0
    for index, part in enumerate(parts):
        path = f"choices[0].parts[{index}]"
        if isinstance(part, Refusal) and part.text:
            refusals.append(index)
            continue
        losses += part_losses(part, path)
        block = _encode_part(part, path, losses)
        if block is not None:
            blocks.append(block)
            last = index
    losses += refusal_losses(refusals, last)
    said = "".join(part.text for part in parts if isinstance(part, Refusal))
    return blocks, Refusal(said) if said else None, any(isinstance(part, ToolCall) for part in parts)


def part_losses(part: Part, path: str) -> list[Loss]:
    """What cannot be said of a part, or the part itself."""
    match part:
        case Opaque():
            return []  # others' are among the foreign losses
        case Media() | ToolResult():
            return [Loss(path, LossReason.UNSUPPORTED, "an answer cannot hold it")]
        case Text(text="", citations=()) | Refusal(text=""):
            return [Loss(path, LossReason.APPROXIMATED, "an empty text is no part of an answer")]
        case Text() | ToolCall() if part.cache is not None:
            return [Loss(f"{path}.cache", LossReason.UNSUPPORTED, "an answer has no cache marks")]
        case Reasoning() if is_nothing(part):
            return [Loss(path, LossReason.APPROXIMATED, "nothing was thought")]
        case _:
            return []


def refusal_losses(places: list[int], last: int) -> list[Loss]:
    """What becomes of refusals at these places, where the last block stands at ``last``: they are told at the end."""
    if len(places) > 1:
        return [Loss("choices[0].parts", LossReason.APPROXIMATED, "refusals are joined into one explanation")]
    if places and places[0] < last:
        return [Loss("choices[0].parts", LossReason.MOVED, "a refusal is told at the end of an answer")]
    return []


def citation_losses(part: Text, path: str) -> list[Loss]:
    """The losses of citations that this API has no form for."""
    if all(map(is_citation, part.citations)):
        return []
    return [Loss(f"{path}.citations", LossReason.UNSUPPORTED, "there is no such form of citation")]


def _encode_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    match part:
        case Text():
            losses += citation_losses(part, path)
            said = replace(part, citations=tuple(filter(is_citation, part.citations)))
            if is_nothing(said) and not is_nothing(part):
                losses += part_losses(said, path)
            return None if is_nothing(said) else encode_text(said)
        case Reasoning():
            return None if is_nothing(part) else encode_answer_thinking(part)
        case ToolCall():
            return _encode_call(part, path, losses)
        case Opaque():
            return part.payload if part.dialect == NAME else None
        case _:
            return None


def encode_text(part: Text) -> Json:
    """The block for a text in an answer."""
    block: Json = {"type": "text", "text": part.text}
    if part.citations:
        block["citations"] = part.citations
    return with_kept(block, own(part.extra))


def _encode_call(call: ToolCall, path: str, losses: list[Loss]) -> Json:
    arguments = encode_arguments(call.arguments)
    if arguments is None:
        detail = f"they are not a JSON object, and so are handed on as text in one, under {INVALID_JSON}"
        losses.append(Loss(f"{path}.arguments", LossReason.INVALID, detail))
        return encode_answer_call(call, {INVALID_JSON: call.arguments})
    return encode_answer_call(call, arguments)
