"""The buffered answer of ``POST /chat``, and what it shares with the last event of a stream."""

from dataclasses import dataclass
from typing import assert_never

import orjson

from adapters.bedrock_sse.calls import WireCall, decode_calls, encode_arguments, encode_call, with_exact_inputs
from adapters.bedrock_sse.errors import decode_error
from adapters.bedrock_sse.extra import keep, kept_in, with_kept
from adapters.bedrock_sse.fields import FINISH_REASONS, NAME, REQUEST_ID_PREFIX, WIRE_REASONS
from adapters.bedrock_sse.losses import once_each
from adapters.contract import Context, DecodeError, Encoded, EncodeError, WireResponse
from adapters.model.error import ErrorKind
from adapters.model.loss import Loss, LossReason, foreign_losses
from adapters.model.message import Json, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.model.response import Choice, FinishReason, Response, Usage
from adapters.wire.body import read_object
from adapters.wire.fields import Fields


def decode_response(wire: WireResponse, context: Context) -> Response:
    """The answer in a 200 body. Raises ``DecodeError`` for a 202, an error in the body and anything else."""
    body = Fields(with_exact_inputs(read_object(wire.body), wire.body))
    if wire.status == 202 or body.has("pollUrl"):
        raise DecodeError(
            "the upstream answered with a place to poll, which is not supported",
            code="unsupported_feature",
            kind=ErrorKind.BAD_UPSTREAM,
        )
    if body.rest().get("error"):
        # Its words stay out: they may quote anything.
        kind = decode_error(wire).kind
        raise DecodeError("the upstream reported an error in an answer of status 200", code="error_in_200", kind=kind)
    # DRU also reads a flat body, an older form of the same.
    answer = body.fields("response") if body.has("response") else body
    assert answer is not None
    if not any(answer.has(name) for name in ("content", "text", "toolUse")):
        raise answer.error("content", "is required", code="missing_required_field")
    text = answer.string("content") or answer.string("text")
    calls = decode_calls(answer.any("toolUse"), answer.path_of("toolUse"))
    answer.any("role")
    reason, words = decode_reason(body)
    parts: list[Part] = [Text(text)] if text else []
    parts += [call.part(context) for call in calls]
    identity, model, usage = body.string("requestId"), body.string("model"), decode_usage(body)
    beside = {} if answer is body else answer.rest()
    choice = Choice(0, tuple(parts), settle_reason(reason, calls), extra=keep(words, response=beside))
    return Response((choice,), identity, model, usage=usage, extra=keep(body.rest()))


def decode_reason(body: Fields) -> tuple[FinishReason | None, Json]:
    """Why the answer ended, ``None`` if that is not said, and the words for it that have no place in the model."""
    words = {name: word for name in ("finishReason", "stopReason") if (word := body.string(name)) is not None}
    known = [FINISH_REASONS[word] for word in words.values() if word in FINISH_REASONS]
    unknown = {name: word for name, word in words.items() if word not in FINISH_REASONS}
    return (known[0] if known else FinishReason.OTHER if unknown else None), unknown


def settle_reason(reason: FinishReason | None, calls: list[WireCall]) -> FinishReason:
    """The reason with what the calls tell: SPEC's own example of a call says ``stop`` (compare FIN-19)."""
    if reason in (None, FinishReason.STOP):
        return FinishReason.STOP if all(call.run_by_service for call in calls) else FinishReason.TOOL_CALL
    return reason


def decode_usage(body: Fields) -> Usage | None:
    """The token counts; a total that is just their sum is not kept."""
    usage = body.fields("usage")
    if usage is None:
        return None
    spent, made = usage.integer("inputTokens", 0), usage.integer("outputTokens", 0)
    total = usage.integer("totalTokens", 0)
    kept = usage.rest()
    if total is not None and (spent is None or made is None or total != spent + made):
        kept = {"totalTokens": total, **kept}
    return None if spent is None and made is None and not kept else Usage(spent, made, extra=keep(kept))


def encode_response(response: Response, context: Context) -> Encoded[WireResponse]:
    """The buffered answer. Raises ``EncodeError`` for what cannot pass as one: paused, failed, cut inside a call."""
    answer, losses = encode_answer(response)
    written: Json = {"response": answer.message()}
    if response.model is not None:
        written["model"] = response.model
    written |= {"requestId": REQUEST_ID_PREFIX + context.request_id, "finishReason": answer.reason}
    if answer.usage:
        written["usage"] = answer.usage
    body = with_kept(with_kept(written, answer.kept), kept_in(response.extra))
    return Encoded(WireResponse(200, orjson.dumps(body)), once_each(losses))


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What both modes have to say. ``calls`` are the ``toolUse`` entries, ``requested`` those that the client runs."""

    content: str
    calls: list[Json]
    requested: list[Json]
    reason: str
    usage: Json
    kept: Json

    def message(self) -> Json:
        """The ``response`` object; one call is an object, several are an array (SPEC)."""
        written: Json = {"role": "assistant", "content": self.content}
        if self.calls:
            written["toolUse"] = self.calls[0] if len(self.calls) == 1 else self.calls
        return written


def encode_answer(response: Response) -> tuple[WireAnswer, list[Loss]]:
    """The first choice and the usage in the wire's terms, with all losses."""
    if not response.choices:
        raise EncodeError("the answer holds no choice", "choices", "no_choice")
    choice, *others = response.choices
    losses = foreign_losses(response, NAME)
    losses += [
        Loss(f"choices[{index}]", LossReason.UNSUPPORTED, "an answer holds one choice")
        for index in range(1, 1 + len(others))
    ]
    if choice.index != 0:
        losses.append(Loss("choices[0].index", LossReason.APPROXIMATED, "an answer holds one choice"))
    losses += [
        Loss(f"choices[0].{name}", LossReason.UNSUPPORTED, "there is no such field")
        for name in ("stop_sequence", "logprobs")
        if getattr(choice, name) is not None
    ]
    content = _encode_texts(choice.parts, losses)
    calls, requested = _encode_calls(choice.parts, losses)
    reason = _encode_reason(choice, bool(requested), losses)
    usage = encode_usage(response.usage, losses)
    return WireAnswer(content, calls, requested, reason, usage, kept_in(choice.extra)), losses


def _encode_texts(parts: tuple[Part, ...], losses: list[Loss]) -> str:
    """All text as one string, which stands before the calls."""
    texts: list[str] = []
    joined = False
    for index, part in enumerate(parts):
        path = f"choices[0].parts[{index}]"
        if not isinstance(part, Text | Refusal):
            continue
        if isinstance(part, Refusal):
            losses.append(Loss(path, LossReason.APPROXIMATED, "a refusal is written as text"))
        elif part.citations:
            losses.append(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "there is no field for citations"))
        if not part.text:
            losses.append(Loss(path, LossReason.APPROXIMATED, "an empty text is not written"))
            continue
        joined |= bool(texts) or any(_is_call(earlier) for earlier in parts[:index])
        texts.append(part.text)
    if joined:
        losses.append(Loss("choices[0].parts", LossReason.MOVED, "all text is one string before the tool calls"))
    return "".join(texts)


def _is_call(part: Part) -> bool:
    return isinstance(part, ToolCall) or (isinstance(part, Opaque) and part.dialect == NAME)


def _encode_calls(parts: tuple[Part, ...], losses: list[Loss]) -> tuple[list[Json], list[Json]]:
    """The ``toolUse`` entries, and those among them that the client is to run."""
    calls: list[Json] = []
    requested: list[Json] = []
    for index, part in enumerate(parts):
        path = f"choices[0].parts[{index}]"
        match part:
            case ToolCall():
                requested.append(_encode_call(part, path))
                calls.append(requested[-1])
            case Opaque():
                if part.dialect == NAME and isinstance(part.payload.get("toolUse"), dict):
                    calls.append(part.payload["toolUse"])
            case Media() | ToolResult():
                losses.append(Loss(path, LossReason.UNSUPPORTED, "an answer holds text and tool calls only"))
            case Reasoning():
                losses.append(Loss(path, LossReason.UNSUPPORTED, "there is no field for reasoning"))
            case Text() | Refusal():
                pass
            case _:
                assert_never(part)
        if not isinstance(part, Reasoning | Refusal | Opaque) and part.cache is not None:
            losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "there are no cache marks"))
    return calls, requested


def _encode_call(call: ToolCall, path: str) -> Json:
    arguments = encode_arguments(call.arguments)
    if arguments is None:
        # Q9: an object is required. That holds for a call that the output cap has cut, too (TOOL-34).
        raise EncodeError(
            "a tool call's arguments are not a JSON object", f"{path}.arguments", "invalid_tool_arguments"
        )
    return encode_call(call, arguments)


def _encode_reason(choice: Choice, calls: bool, losses: list[Loss]) -> str:
    reason = choice.finish_reason
    if reason in (FinishReason.PAUSED, FinishReason.ERROR):
        raise EncodeError(
            f"an answer that ended as {reason} cannot be given", "choices[0].finish_reason", "upstream_error"
        )
    kept = kept_in(choice.extra)
    own_word = kept.get("finishReason") or kept.get("stopReason")
    if reason is FinishReason.OTHER and isinstance(own_word, str):
        return own_word
    word = WIRE_REASONS.get(reason, "stop")
    if reason is FinishReason.REFUSAL:
        word = "content_filter"
    if calls and word == "stop":
        word = "tool_use"  # a client that reads `stop` would not look for calls
    if FINISH_REASONS[word] is not reason:
        losses.append(Loss("choices[0].finish_reason", LossReason.APPROXIMATED, f"written as {word}"))
    return word


def encode_usage(usage: Usage | None, losses: list[Loss]) -> Json:
    """The counts that are known (Q11, Q12); empty if none is."""
    if usage is None:
        return {}
    losses += [
        Loss(f"usage.{name}", LossReason.UNSUPPORTED, "there is no such count")
        for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
        if getattr(usage, name) is not None
    ]
    kept, spent, made = kept_in(usage.extra), usage.input_tokens, usage.output_tokens
    total = spent + made if spent is not None and made is not None else None
    counts = {"inputTokens": spent, "outputTokens": made, "totalTokens": kept.get("totalTokens", total)}
    written = with_kept({name: count for name, count in counts.items() if count is not None}, kept)
    if usage.extra and not written:
        losses.append(Loss("usage.extra", LossReason.FOREIGN, "there are no counts to put it beside"))
    return written
