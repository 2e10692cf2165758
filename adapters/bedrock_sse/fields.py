"""Names and numbers of the wire. S003, SPEC, APP, DRU and Q1 to Q35: the sources and choices in dialects/quant.md."""

from typing import NamedTuple

from adapters.model.error import ErrorKind
from adapters.model.message import MediaKind, Role
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "bedrock_sse"
REQUEST_ID_PREFIX = "req-"  # Q18
CALL_ID_PREFIX = "tooluse_"


class TokenLimits(NamedTuple):
    """``default`` is what the service takes when ``maxTokens`` is left out, ``highest`` what it allows."""

    default: int
    highest: int


# By profile. Q1, ruling 12: the seed's numbers are what the dialect is shipped with, the newer API document's are one
# setting away.
LIMITS = {"seed": TokenLimits(1024, 8192), "current": TokenLimits(4096, 65536)}
HIGHEST_TEMPERATURE = 2
HIGHEST_TOP_P = 1
MOST_STOP_SEQUENCES = 4

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
# Tool results are blocks of a user message here (section 7).
WIRE_ROLES = {**reverse(ROLES), Role.TOOL: "user"}

# Closed lists (SPEC, Q30).
FORMATS: dict[MediaKind, dict[str, str]] = {
    MediaKind.IMAGE: {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    MediaKind.VIDEO: {"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm"},
    MediaKind.DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    },
}
MIME_ALIASES = {"image/jpg": "image/jpeg"}
MIME_FORMATS = {kind: reverse(formats) for kind, formats in FORMATS.items()}

# The first word of a reason is the one written; the others are what the first-party consumers' `stopReason` may hold:
# theirs (APP) and Bedrock Converse's own.
FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_use": FinishReason.TOOL_CALL,
    "tool_request": FinishReason.TOOL_CALL,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
}
WIRE_REASONS = reverse(FINISH_REASONS)

# Only `MODEL_NOT_FOUND` is documented; `invalid_request`, `unsupported_feature`, `upstream_error` and
# `invalid_tool_arguments` are Q2, Q22, Q6 and Q9, the other words are ours. A kind's first code is the one written.
MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
UNKNOWN_MODEL = "model_not_found"  # the same in every other dialect, and inside the proxy
ERROR_CODES = {
    "invalid_request": ErrorKind.INVALID_REQUEST,
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "unsupported_feature": ErrorKind.UNSUPPORTED,
    "unauthorized": ErrorKind.AUTHENTICATION,
    "quota_exceeded": ErrorKind.QUOTA,
    "forbidden": ErrorKind.PERMISSION,
    "not_found": ErrorKind.NOT_FOUND,
    MODEL_NOT_FOUND: ErrorKind.NOT_FOUND,
    "payload_too_large": ErrorKind.TOO_LARGE,
    "cancelled": ErrorKind.CANCELLED,
    "internal_error": ErrorKind.INTERNAL,
    "rate_limited": ErrorKind.RATE_LIMIT,
    "upstream_rate_limited": ErrorKind.RATE_LIMIT,
    "upstream_error": ErrorKind.BAD_UPSTREAM,
    "upstream_unavailable": ErrorKind.BAD_UPSTREAM,
    "upstream_invalid_response": ErrorKind.BAD_UPSTREAM,
    "upstream_auth": ErrorKind.BAD_UPSTREAM,
    "invalid_tool_arguments": ErrorKind.BAD_UPSTREAM,
    "stream_interrupted": ErrorKind.BAD_UPSTREAM,
    "upstream_overloaded": ErrorKind.OVERLOADED,
    "upstream_timeout": ErrorKind.TIMEOUT,
}
WIRE_CODES = reverse(ERROR_CODES)

# Fields of a `toolUse` entry that only a tool run by the service itself has (SPEC).
SERVER_RUN = frozenset({"executionId", "status", "result"})

# DRU reads these keys whatever the event's name is, so no other event may carry them (section 5).
READ_ANYWHERE = frozenset({"delta", "toolUse", "response", "complete"})

# Events that tell of the service's own doings (APP, APP0); nobody but this dialect has a word for them.
INFORMATION_EVENTS = frozenset(
    {
        b"session",
        b"orchestration_status",
        b"tool_start",
        b"tool_input_progress",
        b"tool_complete",
        b"turn_start",
        b"tool_round",
    }
)

MODEL_FEATURES = {"chat": "text", "embeddings": "embeddings", "vision": "vision", "streaming": "streaming"}
"""Word of the listing's ``feature`` filter -> word of ``ModelInfo.features``; ``all`` is no filter."""
LISTED_CAPABILITIES = {
    "text": "text",
    "multimodal": "multimodal",
    "embeddings": "embeddings",
    "streaming": "streaming",
    "toolUse": "tools",
}
DETAILED_CAPABILITIES = {
    "supportsTools": "tools",
    "supportsStructuredOutput": "structured_output",
    "supportsMultimodal": "multimodal",
    "supportsVision": "vision",
    "supportsStreaming": "streaming",
}
