"""Name tables of the Chat Completions format; the authority on names is ``openai/types/chat`` of ``openai`` 3.51.0."""

from adapters.model.error import ErrorKind
from adapters.model.message import Role
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "openai_chat"

DECISIVE = ("model", "messages", "tools", "stream", "n", "max_tokens", "max_completion_tokens")
"""Request keys that routing, limits or the price hang on: a second one of these is refused."""

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}
WIRE_ROLES = reverse(ROLES)

# The content parts a role may hold: chat_completion_*_message_param.py.
USER_PARTS = ("text", "image_url", "input_audio", "file")
ASSISTANT_PARTS = ("text", "refusal")
TEXT_PARTS = ("text",)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

MAX_CHOICES = 128
MAX_STOP_SEQUENCES = 4
MAX_TOP_LOGPROBS = 20

# What ``input_audio`` takes; the first spelling of a format is the one that decoding gives.
AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp3": "mp3",
}
AUDIO_TYPES = reverse(AUDIO_FORMATS)

# What ``audio.format`` of a request may ask the answer to be: chat_completion_audio_param.py.
ANSWER_AUDIO_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "pcm16": "audio/pcm",
}

FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALL,
    "function_call": FinishReason.TOOL_CALL,
    "content_filter": FinishReason.CONTENT_FILTER,
    # OpenRouter and Mistral: generation broke. There is no such word in OpenAI's own list, so none is written.
    "error": FinishReason.ERROR,
}
WIRE_REASONS = {
    reason: word for reason, word in reverse(FINISH_REASONS).items() if reason is not FinishReason.ERROR
} | {FinishReason.REFUSAL: "content_filter"}

# Machine-readable words in ``error.code``, then in ``error.type``: platform.openai.com/docs/guides/error-codes, and
# the types of K7 (shared dialects/arka.md). A code says more than the status, a type counts only without a status.
ERROR_CODES = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "insufficient_quota": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "model_not_found": ErrorKind.NOT_FOUND,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "content_policy_violation": ErrorKind.CONTENT_FILTER,
    "invalid_api_key": ErrorKind.AUTHENTICATION,
    "unsupported": ErrorKind.UNSUPPORTED,
}
ERROR_TYPES = {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.AUTHENTICATION,
    "permission_error": ErrorKind.PERMISSION,
    "not_found_error": ErrorKind.NOT_FOUND,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "requests": ErrorKind.RATE_LIMIT,
    "tokens": ErrorKind.RATE_LIMIT,
    "insufficient_quota": ErrorKind.QUOTA,
    "overloaded_error": ErrorKind.OVERLOADED,
    "timeout_error": ErrorKind.TIMEOUT,
}

# K7 and K8 (shared dialects/arka.md): ``type`` and the ``code`` used when the error has none of its own.
WIRE_ERRORS: dict[ErrorKind, tuple[str, str | None]] = {
    ErrorKind.INVALID_REQUEST: ("invalid_request_error", None),
    ErrorKind.CONTEXT_LENGTH: ("invalid_request_error", "context_length_exceeded"),
    ErrorKind.CONTENT_FILTER: ("invalid_request_error", "content_filter"),
    ErrorKind.UNSUPPORTED: ("invalid_request_error", "unsupported"),
    ErrorKind.AUTHENTICATION: ("authentication_error", "invalid_api_key"),
    ErrorKind.QUOTA: ("insufficient_quota", "insufficient_quota"),
    ErrorKind.PERMISSION: ("permission_error", None),
    ErrorKind.NOT_FOUND: ("invalid_request_error", None),
    ErrorKind.TOO_LARGE: ("invalid_request_error", "payload_too_large"),
    ErrorKind.CANCELLED: ("api_error", "cancelled"),
    ErrorKind.INTERNAL: ("api_error", None),
    ErrorKind.RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded"),
    ErrorKind.BAD_UPSTREAM: ("api_error", "upstream_error"),
    ErrorKind.OVERLOADED: ("api_error", "upstream_overloaded"),
    ErrorKind.TIMEOUT: ("api_error", "upstream_timeout"),
}

CHUNK_FIELDS = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation"})
"""Top-level fields of a chunk that are read by name; ``obfuscation`` is padding by design and is dropped."""

EVERY_CHUNK_FIELDS = ("service_tier", "system_fingerprint")
"""Fields of the answer as a whole that OpenAI repeats in every chunk."""

CHOICE_FIELDS = frozenset({"index", "delta", "message", "logprobs", "finish_reason"})

DELTA_FIELDS = frozenset(
    {
        "role",
        "content",
        "reasoning_content",
        "reasoning",
        "refusal",
        "annotations",
        "audio",
        "tool_calls",
        "function_call",
    }
)
