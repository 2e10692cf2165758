"""Names of the wire. T: botocore 1.44.5, service model of bedrock-runtime; ids like ERR-17: hard-cases.md."""

from adapters.model.error import ErrorKind
from adapters.model.message import MediaKind, Role
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "bedrock_converse"
STREAM_TYPE = "application/vnd.amazon.eventstream"
CALL_ID_PREFIX = "tooluse_"

# Fields of a request that other fields depend on, so that they must stand once.
DECISIVE = (
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "promptVariables",
    "outputConfig",
)

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
# Tool results are blocks of a user message here.
WIRE_ROLES = {**reverse(ROLES), Role.TOOL: "user"}

HIGHEST_TEMPERATURE = 1
HIGHEST_TOP_P = 1
MOST_STOP_SEQUENCES = 2500
MOST_METADATA = 16
MOST_CACHE_POINTS = 4  # CAC-05
CACHE_TTLS = frozenset({"5m", "1h"})
RESULT_STATUSES = {"success": False, "error": True}
EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})

# Formats by kind. Where several name one MIME type, the first is the one written.
FORMATS: dict[MediaKind, dict[str, str]] = {
    MediaKind.IMAGE: {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    MediaKind.AUDIO: {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mka": "audio/x-matroska",
        "x-aac": "audio/x-aac",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
        "mkv": "audio/x-matroska",
        "m4a": "audio/mp4",
        "mpeg": "audio/mpeg",
        "mpga": "audio/mpeg",
    },
    MediaKind.VIDEO: {
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "mkv": "video/x-matroska",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
        "mpg": "video/mpeg",
    },
    MediaKind.DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
}
MIME_FORMATS = {kind: reverse(formats) for kind, formats in FORMATS.items()}
MIME_ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "application/csv": "text/csv",
    "text/x-markdown": "text/markdown",
}
# How images begin, in base64: what they say they are is often wrong (MED-06).
IMAGE_BEGINNINGS = (
    ("iVBORw0KGg", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)

# The first word of a reason is the one written.
FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALL,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
}
WIRE_REASONS = {**reverse(FINISH_REASONS), FinishReason.REFUSAL: "content_filtered"}
# The model broke its own format: an error, and worth another try (FIN-11).
BROKEN_REASONS = frozenset({"malformed_model_output", "malformed_tool_use"})

# `x-amzn-errortype` or `__type` -> kind (ERR-17); T lists the first of each kind, the others come from the gateway
# in front of the service. Where one type stands for several kinds, the first is what it means by itself.
ERROR_TYPES = {
    "ValidationException": ErrorKind.INVALID_REQUEST,
    "AccessDeniedException": ErrorKind.PERMISSION,
    "UnrecognizedClientException": ErrorKind.AUTHENTICATION,
    "ResourceNotFoundException": ErrorKind.NOT_FOUND,
    "ThrottlingException": ErrorKind.RATE_LIMIT,
    "ServiceQuotaExceededException": ErrorKind.RATE_LIMIT,
    "TooManyRequestsException": ErrorKind.RATE_LIMIT,
    "ModelTimeoutException": ErrorKind.TIMEOUT,
    "InternalServerException": ErrorKind.INTERNAL,
    "ModelErrorException": ErrorKind.BAD_UPSTREAM,
    "ModelStreamErrorException": ErrorKind.BAD_UPSTREAM,
    "ServiceUnavailableException": ErrorKind.OVERLOADED,
    "ModelNotReadyException": ErrorKind.OVERLOADED,
    "RequestEntityTooLargeException": ErrorKind.TOO_LARGE,
    "ExpiredTokenException": ErrorKind.AUTHENTICATION,
    "IncompleteSignatureException": ErrorKind.AUTHENTICATION,
    "IncompleteSignature": ErrorKind.AUTHENTICATION,
    "InvalidClientTokenId": ErrorKind.AUTHENTICATION,
    "InvalidSignatureException": ErrorKind.AUTHENTICATION,
    "MissingAuthenticationToken": ErrorKind.AUTHENTICATION,
    "MissingAuthenticationTokenException": ErrorKind.AUTHENTICATION,
    "UnknownOperationException": ErrorKind.NOT_FOUND,
    "SerializationException": ErrorKind.INVALID_REQUEST,
}
WIRE_ERROR_TYPES = {
    **reverse(ERROR_TYPES),
    ErrorKind.CONTEXT_LENGTH: "ValidationException",
    ErrorKind.CONTENT_FILTER: "ValidationException",
    ErrorKind.UNSUPPORTED: "ValidationException",
    ErrorKind.TOO_LARGE: "ValidationException",
    ErrorKind.QUOTA: "ServiceQuotaExceededException",
    ErrorKind.CANCELLED: "ModelErrorException",
}
# T: where the status of a type is not the one that we have for its kind.
ERROR_STATUSES = {
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ModelNotReadyException": 429,
    "ServiceQuotaExceededException": 400,
    "UnrecognizedClientException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidClientTokenId": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationToken": 403,
    "MissingAuthenticationTokenException": 403,
}
# T: the exceptions that a stream can hold. Readers take any other for an error without a name.
STREAM_ERROR_TYPES = {
    "ValidationException": "validationException",
    "ThrottlingException": "throttlingException",
    "ServiceQuotaExceededException": "throttlingException",
    "InternalServerException": "internalServerException",
    "ServiceUnavailableException": "serviceUnavailableException",
}
DEFAULT_STREAM_ERROR_TYPE = "modelStreamErrorException"
