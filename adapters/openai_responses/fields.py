"""Name tables of the Responses format; the authority on names is ``openai/types/responses`` of ``openai`` 3.51.0."""

from adapters.model.error import ErrorKind
from adapters.model.message import Role
from adapters.model.tables import reverse

NAME = "openai_responses"

DECISIVE = ("model", "input", "instructions", "tools", "stream", "max_output_tokens", "background", "store")
"""Request keys that routing, limits, privacy or the price hang on: a second one of these is refused."""

ROLES = {
    "developer": Role.SYSTEM,  # the first spelling is the one that is written: ROLE-01, hard-cases.md
    "system": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}
WIRE_ROLES = reverse(ROLES)

# The content parts that a role may hold, and a tool's output.
KEPT_PARTS = ("computer_screenshot", "summary_text", "reasoning_text")
"""Part types that only this dialect understands: they are kept whole."""
INPUT_PARTS = ("input_text", "input_image", "input_file", "input_audio", *KEPT_PARTS)
ASSISTANT_PARTS = ("output_text", "refusal", "input_text")
OUTPUT_PARTS = ("input_text", "input_image", "input_file")

# Items that only this dialect understands belong to the model's turn, except these and what ends in ``_output``.
ITEM_ROLES = {
    "mcp_approval_response": Role.TOOL,
    "additional_tools": Role.SYSTEM,
    "configuration_update": Role.SYSTEM,
    "compaction_trigger": Role.USER,
}

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SUMMARIES = ("auto", "concise", "detailed")
DETAILS = ("low", "high", "auto", "original")

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
"""Values of ``include``."""

MIN_OUTPUT_TOKENS = 16
"""The API refuses less: "integer below minimum value. Expected a value >= 16" (seen with OpenAI; not in the types)."""
MAX_TOP_LOGPROBS = 20
MAX_CALL_ID = 64
MAX_TOOL_NAME = 128

ANNOTATIONS = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})

# ``input_audio`` is in the types, but not among the parts of a message: it is only written where it was read.
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
AUDIO_FORMATS = reverse(AUDIO_TYPES)

ECHOES = frozenset(
    {
        "object",
        "access_programs",
        "background",
        "billing",
        "completed_at",
        "conversation",
        "frequency_penalty",
        "image",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "output_text",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Fields of an answer that repeat the request: they are no news, and are written anew from the client's request."""

USUAL_TIERS = ("auto", "default")
"""Service tiers that say nothing: OpenAI sends one with every answer, another at the start than at the end."""

ANSWER_FIELDS = frozenset(
    {"id", "created_at", "error", "incomplete_details", "model", "output", "service_tier", "status", "usage"}
)
"""Fields of an answer that are read by name."""

STARTING = frozenset({"response.created", "response.in_progress", "response.queued"})
FINISHING = frozenset({"response.completed", "response.incomplete"})

# Machine-readable words in ``error.code``: platform.openai.com/docs/guides/error-codes, response_error.py, and the
# codes that Codex looks for in ``response.failed``. A code says more than the status.
ERROR_CODES = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "insufficient_quota": ErrorKind.QUOTA,
    "usage_not_included": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "model_not_found": ErrorKind.NOT_FOUND,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "content_policy_violation": ErrorKind.CONTENT_FILTER,
    "image_content_policy_violation": ErrorKind.CONTENT_FILTER,
    "bio_policy": ErrorKind.CONTENT_FILTER,
    "misalignment_policy_violation": ErrorKind.CONTENT_FILTER,
    "invalid_api_key": ErrorKind.AUTHENTICATION,
    "unsupported": ErrorKind.UNSUPPORTED,
    "server_is_overloaded": ErrorKind.OVERLOADED,
    "slow_down": ErrorKind.OVERLOADED,
}

# Codes that count only where there is no status, as in ``response.failed``.
STREAM_ERROR_CODES = {
    "server_error": ErrorKind.BAD_UPSTREAM,
    "upstream_error": ErrorKind.BAD_UPSTREAM,
    "upstream_overloaded": ErrorKind.OVERLOADED,
    "upstream_timeout": ErrorKind.TIMEOUT,
    "vector_store_timeout": ErrorKind.TIMEOUT,
    "cancelled": ErrorKind.CANCELLED,
    "payload_too_large": ErrorKind.TOO_LARGE,
    "invalid_prompt": ErrorKind.INVALID_REQUEST,
    "invalid_image": ErrorKind.INVALID_REQUEST,
    "invalid_image_format": ErrorKind.INVALID_REQUEST,
    "invalid_base64_image": ErrorKind.INVALID_REQUEST,
    "invalid_image_url": ErrorKind.INVALID_REQUEST,
    "invalid_image_mode": ErrorKind.INVALID_REQUEST,
    "image_too_large": ErrorKind.INVALID_REQUEST,
    "image_too_small": ErrorKind.INVALID_REQUEST,
    "image_parse_error": ErrorKind.INVALID_REQUEST,
    "image_file_too_large": ErrorKind.INVALID_REQUEST,
    "unsupported_image_media_type": ErrorKind.INVALID_REQUEST,
    "empty_image_file": ErrorKind.INVALID_REQUEST,
    "failed_to_download_image": ErrorKind.INVALID_REQUEST,
    "image_file_not_found": ErrorKind.INVALID_REQUEST,
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
