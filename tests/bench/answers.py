"""The fixed answers of the mock upstream, and what a load generator must find in them after any translation."""

from typing import Any

import orjson

# Each text chunk holds this word once, and no field name or id of any dialect contains it: counting it in a body
# counts the chunks that arrived, whatever dialect the proxy wrote them in.
MARK = b"lorem"
STREAM_CHUNKS = 100
# Makes the OpenAI answer 0.9 KB, the size performance.md's baseline was measured with.
UNARY_WORDS = 104

UNARY_TEXT = " ".join([MARK.decode()] * UNARY_WORDS)
CHUNK_TEXTS = tuple(f"{MARK.decode()} " for _ in range(STREAM_CHUNKS))
PROMPT_TOKENS = 12
OPENAI_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": STREAM_CHUNKS,
    "total_tokens": PROMPT_TOKENS + STREAM_CHUNKS,
}
QUANT_USAGE = {
    "inputTokens": PROMPT_TOKENS,
    "outputTokens": STREAM_CHUNKS,
    "totalTokens": PROMPT_TOKENS + STREAM_CHUNKS,
}


def openai_unary() -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": UNARY_TEXT},
        "finish_reason": "stop",
        "logprobs": None,
    }
    return orjson.dumps(
        {
            "id": "chatcmpl-bench0123456789",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "gpt",
            "choices": [choice],
            "usage": OPENAI_USAGE,
        }
    )


def openai_stream() -> list[bytes]:
    """The events of one stream: a text chunk each, then finish reason, usage and the end mark."""
    texts = [{"content": text} for text in CHUNK_TEXTS]
    deltas = [{"role": "assistant", **texts[0]}, *texts[1:]]
    events = [_openai_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    events.append(_openai_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    events.append(_openai_chunk([], usage=OPENAI_USAGE))
    return [*events, b"data: [DONE]\n\n"]


def _openai_chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-bench0123456789",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt",
        "choices": choices,
        **more,
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def bedrock_sse_unary() -> bytes:
    return orjson.dumps(
        {
            "response": {"role": "assistant", "content": UNARY_TEXT},
            "model": "nova",
            "requestId": "req-bench0123456789",
            "finishReason": "stop",
            "usage": QUANT_USAGE,
        }
    )


def bedrock_sse_stream() -> list[bytes]:
    """The events of quant.md section 5: start, one content event a text chunk, done."""
    named: list[tuple[bytes, dict[str, Any]]] = [
        (b"start", {"requestId": "req-bench0123456789", "model": "nova", "streaming": True}),
        *((b"content", {"delta": text, "complete": False}) for text in CHUNK_TEXTS),
        (b"done", {"complete": True, "usage": QUANT_USAGE}),
    ]
    return [
        b"id: chunk-%d\nevent: %s\ndata: %s\n\n" % (number, name, orjson.dumps(data))
        for number, (name, data) in enumerate(named)
    ]


def amarsia_unary() -> bytes:
    return orjson.dumps(
        {
            "content": UNARY_TEXT,
            "model": "run",
            "input_tokens": PROMPT_TOKENS,
            "output_tokens": STREAM_CHUNKS,
            "request_id": "req_bench0123456789",
        }
    )


def amarsia_stream() -> list[bytes]:
    """Plain text: amarsia.md section 6 has neither framing nor an end mark."""
    return [text.encode() for text in CHUNK_TEXTS]
