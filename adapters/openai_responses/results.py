"""Results of tools, as items."""

from collections.abc import Set as AbstractSet

from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Media, Opaque, Part, Text, ToolResult
from adapters.openai_responses.extras import CUSTOM, decode_extra, encode_extra, marked
from adapters.openai_responses.fields import OUTPUT_PARTS
from adapters.openai_responses.names import wire_call_id
from adapters.openai_responses.parts import decode_content, encode_input_part, lose_cache, shortened
from adapters.wire.fields import Fields

RESULTS = {"function_call_output": (), "custom_tool_call_output": (CUSTOM,)}
"""Item types of results, and the marks of each."""

ERROR_MARK = "[tool error] "
"""Stands before the text of a failed tool's result: the format has no field for it (TRES-11, hard-cases.md)."""


def decode_result(fields: Fields, kind: str, known_calls: AbstractSet[str] | None) -> ToolResult:
    """The result; it must answer one of the ``known_calls`` (TRES-15), unless the server keeps a history: ``None``."""
    call_id = fields.need_string("call_id")
    if known_calls is not None and call_id not in known_calls:
        path = fields.path_of("call_id")
        raise DecodeError(f"{path} is not the id of a call in an earlier item", path, "unknown_tool_call_id")
    output = fields.any("output")
    if output is None:
        raise fields.error("output", "is required", code="missing_required_field")
    parts = decode_content(output, fields.path_of("output"), OUTPUT_PARTS)
    if fields.rest().get("status") == "completed":
        fields.any("status")  # it says nothing
    kept = tuple(part for part in parts if isinstance(part, Text | Media | Opaque))
    return ToolResult(call_id, kept, extra=decode_extra(fields, *RESULTS[kind]))


def encode_results(
    parts: tuple[Part, ...], path: str, known_calls: AbstractSet[str] | None, losses: list[Loss]
) -> list[Json]:
    """An item for each result in ``parts``."""
    items: list[Json] = []
    missing: list[Loss] = []
    for index, part in enumerate(parts):
        part_path = f"{path}.parts[{index}]"
        if not isinstance(part, ToolResult):
            missing.append(Loss(part_path, LossReason.UNSUPPORTED, "a tool's message holds results only"))
        elif known_calls is not None and part.call_id not in known_calls:
            missing.append(Loss(part_path, LossReason.UNSUPPORTED, "the call that it answers is not in the messages"))
        else:
            if items:
                losses.append(Loss(part_path, LossReason.MOVED, "each result is an item of its own"))
            items.append(_encode_result(part, part_path, losses))
    if not items:
        detail = missing[0].detail if missing else "a tool's message without a result"
        missing = [Loss(path, LossReason.UNSUPPORTED, detail)]
    losses += missing
    return items


def _encode_result(result: ToolResult, path: str, losses: list[Loss]) -> Json:
    kind = "custom_tool_call_output" if marked(result, CUSTOM) else "function_call_output"
    wire: Json = {"type": kind, "call_id": wire_call_id(result.call_id)}
    wire["output"] = _encode_output(result, path, losses)
    return encode_extra(wire, result.extra, (CUSTOM,))


def _encode_output(result: ToolResult, path: str, losses: list[Loss]) -> str | list[Json]:
    lose_cache(result, path, losses)
    content: list[Json] = []
    told = False
    for index, part in enumerate(result.parts):
        part_path = f"{path}.parts[{index}]"
        wire = encode_input_part(part, part_path, losses)
        if wire is None:
            continue
        if result.is_error and not told and isinstance(part, Text):
            told = True
            wire["text"] = ERROR_MARK + part.text
            losses.append(Loss(f"{part_path}.text", LossReason.APPROXIMATED, f'it begins with "{ERROR_MARK.strip()}"'))
        content.append(wire)
    if result.is_error:
        losses.append(Loss(f"{path}.is_error", LossReason.APPROXIMATED, "there is no field for it: the text says it"))
        if not told:
            content.insert(0, {"type": "input_text", "text": ERROR_MARK.strip()})
            losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, "a text in front says that it is an error"))
    elif not content:
        losses.append(Loss(f"{path}.parts", LossReason.APPROXIMATED, "an empty text stands in for nothing"))
        return ""
    return shortened(content)
