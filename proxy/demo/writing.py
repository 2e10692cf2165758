"""From texts to a complete answer, within what the request allows."""

from collections.abc import Iterable
from zlib import crc32

from adapters.model.message import Json, Part, Reasoning, Text
from adapters.model.request import Request, Sampling
from adapters.model.response import Choice, FinishReason, Response
from proxy.demo.call import DemoCall, invalid
from proxy.demo.words import pieces, usage

MAX_CHOICES = 128
"""OpenAI's limit for ``n``; without one, a single request could ask for all our memory."""

MAX_TOP_LOGPROBS = 20
"""OpenAI's limit for ``top_logprobs``."""


def text_answer(request: Request, call: DemoCall, text: str, thought: str = "") -> Response:
    """An answer that says ``text``, in as many choices as were asked for; several of them say which they are."""
    count = choice_count(request)
    texts = [text] if count == 1 else [f"Answer {number} of {count}: {text}" for number in range(1, count + 1)]
    return respond(request, call, (write_choice(request, index, text, thought) for index, text in enumerate(texts)))


def respond(request: Request, call: DemoCall, choices: Iterable[Choice]) -> Response:
    """The response made of these choices, with usage."""
    made = tuple(choices)
    return Response(made, call.new_id("demo_"), request.model, call.now, usage(request, made))


def choice_count(request: Request) -> int:
    """How many choices to make. Raises ``DemoFailure`` for a number that no provider accepts."""
    count = 1 if request.choice_count is None else request.choice_count
    if not 1 <= count <= MAX_CHOICES:
        raise invalid(f"the demo models make 1 to {MAX_CHOICES} choices", "invalid_choice_count")
    return count


def write_choice(request: Request, index: int, text: str, thought: str = "") -> Choice:
    """One choice that says as much of ``text`` as the sampling settings allow.

    The text is cut before the first stop sequence, then to ``max_tokens`` pieces; a thought is paid from them first.
    """
    sampling = request.sampling
    limit = None if sampling.max_tokens is None else max(sampling.max_tokens, 0)
    thought_pieces = pieces(thought)[:limit]
    text, stop_sequence = _cut_at_stop(text, sampling.stop_sequences)
    text_pieces = pieces(text)
    reason = FinishReason.STOP
    if limit is not None and len(text_pieces) > limit - len(thought_pieces):
        text_pieces = text_pieces[: limit - len(thought_pieces)]
        reason, stop_sequence = FinishReason.LENGTH, None
    parts: list[Part] = []
    if thought_pieces:
        parts.append(Reasoning("".join(thought_pieces)))
    if text_pieces:
        parts.append(Text("".join(text_pieces)))
    return Choice(index, tuple(parts), reason, stop_sequence, _logprobs(text_pieces, sampling))


def _cut_at_stop(text: str, stop_sequences: tuple[str, ...]) -> tuple[str, str | None]:
    found = [(text.find(stop), stop) for stop in stop_sequences if stop and stop in text]
    if not found:
        return text, None
    position, stop = min(found, key=lambda place: place[0])
    return text[:position], stop


def _logprobs(tokens: list[str], sampling: Sampling) -> Json | None:
    if not sampling.logprobs or not tokens:
        return None
    top = min(max(sampling.top_logprobs or 0, 0), MAX_TOP_LOGPROBS)
    return {"content": [_token_logprobs(token, top) for token in tokens]}


def _token_logprobs(token: str, top: int) -> Json:
    # A checksum instead of hash(), which differs from one process to the next.
    logprob = -(crc32(token.encode("utf-8", "replace")) % 1000) / 1000
    rivals = [(token if rank == 0 else f"{token}~{rank}", round(logprob - rank, 3)) for rank in range(top)]
    return {**_entry(token, logprob), "top_logprobs": [_entry(rival, value) for rival, value in rivals]}


def _entry(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "replace"))}
