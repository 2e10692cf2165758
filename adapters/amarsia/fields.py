"""Names and fixed words of the Amarsia dialect. ``A1`` and the like are choices in ``dialects/amarsia.md``."""

from adapters.contract import Route
from adapters.model.error import ErrorKind
from adapters.model.message import MediaKind, Opaque, Reasoning, Role, ToolCall, ToolResult
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "amarsia"
STREAM_TYPE = "text/plain; charset=utf-8"

# The stream's path comes first: a deployment id may hold slashes, so the other route matches it too.
STREAM_ROUTE = Route("POST", "/runner/{deployment_id:path}/stream")
RUN_ROUTE = Route("POST", "/runner/{deployment_id:path}")

# --- content parts (section 4) ---

MEDIA_KINDS: dict[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "url": MediaKind.DOCUMENT,
}
MEDIA_TYPES = reverse(MEDIA_KINDS)
PART_TYPES = ("text", *MEDIA_KINDS)

URL_SCHEMES = ("https:", "http:")
"""What a ``file_uri`` may start with, besides ``data:`` (A18)."""

MIME_TYPES: dict[MediaKind, dict[str, str]] = {
    MediaKind.IMAGE: {
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "png": "image/png",
        "gif": "image/gif",
        "webp": "image/webp",
        "avif": "image/avif",
        "heic": "image/heic",
        "bmp": "image/bmp",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "svg": "image/svg+xml",
    },
    MediaKind.AUDIO: {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "flac": "audio/flac",
        "m4a": "audio/mp4",
        "aac": "audio/aac",
        "weba": "audio/webm",
    },
    MediaKind.VIDEO: {
        "mp4": "video/mp4",
        "webm": "video/webm",
        "mov": "video/quicktime",
        "mkv": "video/x-matroska",
        "avi": "video/x-msvideo",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "3gp": "video/3gpp",
    },
    MediaKind.DOCUMENT: {
        "pdf": "application/pdf",
        "txt": "text/plain",
        "md": "text/markdown",
        "html": "text/html",
        "htm": "text/html",
        "csv": "text/csv",
        "json": "application/json",
        "xml": "application/xml",
        "rtf": "application/rtf",
        "epub": "application/epub+zip",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "ppt": "application/vnd.ms-powerpoint",
        "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    },
}
"""Suffix of a name or address -> media type. A kind's first entry stands in where nothing tells the type."""

# --- the transcript of earlier turns (A31) ---
#
#   [image of an earlier turn]         media parts first, numbered by kind in this order
#   System: Be brief.                  one text part: a label starts a turn, an empty line ends it,
#                                      further lines of a turn are indented, so that no text can fake a label
#   User: What is this?
#     [image 1]
#
#   Assistant: A cat.
#
#   The user's latest message follows.
#   [the parts of the latest user turn]
#
# Without a user turn at the end there is no closing line, and nothing after it.

LABELS: dict[Role, str] = {
    Role.SYSTEM: "System: ",
    Role.USER: "User: ",
    Role.ASSISTANT: "Assistant: ",
    Role.TOOL: "Tool: ",
}
TURN_SEPARATOR = "\n\n"
LINE_IN_TURN = "\n  "
LATEST_TURN_FOLLOWS = "The user's latest message follows."

# --- what there is no field for ---

UNSAID_PARTS: dict[type[Reasoning | ToolCall | ToolResult | Opaque], str] = {
    Reasoning: "reasoning has no place in this API",
    ToolCall: "tool calls have no place in this API",
    ToolResult: "tool results have no place in this API",
    Opaque: "this part has no place in this API",
}
UNSAID_SETTINGS: dict[str, str] = {
    "tool_choice": "the deployment decides about tools",
    "parallel_tool_calls": "the deployment decides about tools",
    "output": "the deployment decides about the form of the answer",
    "choice_count": "there is one answer to a request",
    "user": "there is no such field",
    "metadata": "there is no such field",
}
UNSAID_GROUPS: dict[str, str] = {
    "sampling": "the deployment decides about sampling",
    "reasoning": "the deployment decides about reasoning",
    "conversation": "the runner keeps no history",
}
HINTS: dict[str, str] = {
    "citations": "citations have no place in this API",
    "cache": "there are no cache marks",
    "name": "there are no file names",
    "detail": "there is no resolution hint",
}
"""Fields of a text or media part that are left out, the rest of the part being sent."""

UNCOUNTED = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")

STRUCTURED = "structured"
"""In a choice's extra: ``content`` was an object. Other dialects say the same thing with JSON text."""

# --- answers that this API cannot give (A9, AMA-10) ---

UNSAYABLE: dict[FinishReason, tuple[str, str]] = {
    FinishReason.TOOL_CALL: ("unsupported_tool_call", "the model calls a tool, which this API cannot pass on"),
    FinishReason.PAUSED: ("unsupported_pause", "the model paused its turn, which this API cannot pass on"),
    FinishReason.ERROR: ("upstream_error", "the model broke off its answer with an error"),
}
UNSAYABLE_WITHOUT_TEXT: dict[FinishReason, tuple[str, str]] = {
    FinishReason.REFUSAL: ("refused", "the model declined to answer"),
    FinishReason.CONTENT_FILTER: ("content_filter", "the answer was withheld by a content filter"),
}

# --- errors (section 9) ---

ERROR_TYPES: dict[ErrorKind, str] = {
    ErrorKind.INVALID_REQUEST: "invalid_request_error",
    ErrorKind.CONTEXT_LENGTH: "invalid_request_error",
    ErrorKind.CONTENT_FILTER: "invalid_request_error",
    ErrorKind.UNSUPPORTED: "invalid_request_error",
    ErrorKind.AUTHENTICATION: "auth_error",
    ErrorKind.QUOTA: "invalid_request_error",
    ErrorKind.PERMISSION: "auth_error",
    ErrorKind.NOT_FOUND: "invalid_request_error",
    ErrorKind.TOO_LARGE: "invalid_request_error",
    ErrorKind.CANCELLED: "invalid_request_error",
    ErrorKind.INTERNAL: "api_error",
    ErrorKind.RATE_LIMIT: "rate_limit_error",
    ErrorKind.BAD_UPSTREAM: "api_error",
    ErrorKind.OVERLOADED: "api_error",
    ErrorKind.TIMEOUT: "api_error",
}
KINDS_OF_CODES: dict[str, ErrorKind] = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "unsupported": ErrorKind.UNSUPPORTED,
}
"""Kinds that share their status with plain bad requests; their code tells them apart."""

CODES_OF_KINDS = reverse(KINDS_OF_CODES)

CODES: dict[str, str] = {"deployment_not_found": "model_not_found"}
"""Wire word -> the word that the other dialects know (A3)."""

WIRE_CODES = reverse(CODES)

CODES_OF_STATUSES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    413: "payload_too_large",
    422: "unprocessable_entity",
    429: "rate_limited",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
