"""Name tables of generateContent; the authority on names is ``types.py`` of ``google-genai`` 3.3.0."""

from adapters.model.error import ErrorKind
from adapters.model.message import Role
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "gemini"

DECISIVE = (
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "generationConfig",
    "generation_config",
    "model",
)
"""Request keys that routing, limits or the price hang on: a second one of these is refused."""

NAMES = (
    "systemInstruction", "generationConfig", "safetySettings", "toolConfig", "cachedContent", "serviceTier",
    "continuationToken",
    "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema",
    "responseJsonSchema", "presencePenalty", "frequencyPenalty", "responseLogprobs", "thinkingConfig",
    "responseModalities", "speechConfig", "mediaResolution", "imageConfig", "audioTimestamp", "responseFormat",
    "enableEnhancedCivicAnswers", "audioTranscriptionConfig",
    "includeThoughts", "thinkingBudget", "thinkingLevel",
    "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
    "toolCall", "toolResponse", "thoughtSignature", "videoMetadata", "partMetadata", "mediaProcessing",
    "speechMetadata", "audioTranscription", "mimeType", "displayName", "fileUri", "partialArgs", "willContinue",
    "functionDeclarations", "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "googleMaps",
    "computerUse", "fileSearch", "mcpServers", "parametersJsonSchema",
    "functionCallingConfig", "allowedFunctionNames", "retrievalConfig", "includeServerSideToolInvocations",
    "generateContentRequest", "taskType", "outputDimensionality",
)  # fmt: skip
"""Names of two words or more, which the API takes in snake_case too, as all of proto3 JSON (protobuf.dev/programming-
guides/json)."""

# ``function`` is the role that results had before they moved to ``user``.
ROLES = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.USER}

PART_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""What a part may be: exactly one of these. What else stands in a part only qualifies it."""

PART_QUALIFIERS = frozenset(
    {
        "thought",
        "thoughtSignature",
        "videoMetadata",
        "partMetadata",
        "mediaResolution",
        "mediaProcessing",
        "speechMetadata",
        "audioTranscription",
    }
)

# Beside pdf and text: ai.google.dev/gemini-api/docs/document-processing, and the code types of /docs/file-prompting.
DOCUMENT_TYPES = frozenset(
    {
        "application/pdf",
        "application/json",
        "application/xml",
        "application/rtf",
        "application/javascript",
        "application/x-javascript",
        "application/x-python",
        "application/x-python-code",
        "application/x-typescript",
    }
)

FILE_ADDRESSES = (
    "gs://",
    "https://generativelanguage.googleapis.com/",
    "https://www.youtube.com/",
    "https://m.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
)
"""What ``fileUri`` may begin with: a bucket, the Files API, a public video. Nothing else is fetched (MED-02)."""

# The first bytes of common types, in base64: for media that came without a type.
MAGIC = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "JVBERi0": "application/pdf",
    "SUQz": "audio/mpeg",
    "T2dnU": "audio/ogg",
    "ZkxhQ": "audio/flac",
}

THINKING_LEVELS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}
WIRE_LEVELS = reverse(THINKING_LEVELS)

# How Google's own endpoint for OpenAI clients turns an effort into a budget for models before Gemini 3:
# ai.google.dev/gemini-api/docs/openai#thinking.
EFFORT_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}

MAX_CANDIDATES = 8
MAX_STOP_SEQUENCES = 5
MAX_LOGPROBS = 20
MAX_INT32 = 2**31 - 1

FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "ESCALATION": FinishReason.CONTENT_FILTER,
    "PUP_LIMITED_DISABLED": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "IMAGE_OTHER": FinishReason.CONTENT_FILTER,
    # The first of these is what is written for an answer that broke elsewhere.
    "MALFORMED_RESPONSE": FinishReason.ERROR,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
    "TOO_MANY_TOOL_CALLS": FinishReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
    "CONTINUATION": FinishReason.PAUSED,
    "OTHER": FinishReason.OTHER,
}
WIRE_REASONS = reverse(FINISH_REASONS) | {
    FinishReason.TOOL_CALL: "STOP",  # FIN-01, hard-cases.md
    FinishReason.REFUSAL: "SAFETY",
}

# google.rpc.Code (cloud.google.com/apis/design/errors#handling_errors): the word for each kind, and the kind of each.
WIRE_STATUSES = {
    ErrorKind.INVALID_REQUEST: "INVALID_ARGUMENT",
    ErrorKind.CONTEXT_LENGTH: "INVALID_ARGUMENT",
    ErrorKind.CONTENT_FILTER: "INVALID_ARGUMENT",
    ErrorKind.UNSUPPORTED: "INVALID_ARGUMENT",
    ErrorKind.AUTHENTICATION: "UNAUTHENTICATED",
    ErrorKind.QUOTA: "RESOURCE_EXHAUSTED",
    ErrorKind.PERMISSION: "PERMISSION_DENIED",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.TOO_LARGE: "INVALID_ARGUMENT",
    ErrorKind.CANCELLED: "CANCELLED",
    ErrorKind.INTERNAL: "INTERNAL",
    ErrorKind.RATE_LIMIT: "RESOURCE_EXHAUSTED",
    ErrorKind.BAD_UPSTREAM: "UNAVAILABLE",
    ErrorKind.OVERLOADED: "UNAVAILABLE",
    ErrorKind.TIMEOUT: "DEADLINE_EXCEEDED",
}
STATUS_KINDS = {
    "INVALID_ARGUMENT": ErrorKind.INVALID_REQUEST,
    "FAILED_PRECONDITION": ErrorKind.INVALID_REQUEST,
    "OUT_OF_RANGE": ErrorKind.INVALID_REQUEST,
    "UNAUTHENTICATED": ErrorKind.AUTHENTICATION,
    "PERMISSION_DENIED": ErrorKind.PERMISSION,
    "NOT_FOUND": ErrorKind.NOT_FOUND,
    "ALREADY_EXISTS": ErrorKind.INVALID_REQUEST,
    "RESOURCE_EXHAUSTED": ErrorKind.RATE_LIMIT,
    "CANCELLED": ErrorKind.CANCELLED,
    "INTERNAL": ErrorKind.INTERNAL,
    "UNKNOWN": ErrorKind.INTERNAL,
    "DATA_LOSS": ErrorKind.INTERNAL,
    "UNIMPLEMENTED": ErrorKind.UNSUPPORTED,
    "UNAVAILABLE": ErrorKind.OVERLOADED,
    "ABORTED": ErrorKind.OVERLOADED,
    "DEADLINE_EXCEEDED": ErrorKind.TIMEOUT,
}

# Reasons in ``google.rpc.ErrorInfo`` that say more than the status: a bad key is a 400 here.
ERROR_REASONS = {
    "API_KEY_INVALID": ErrorKind.AUTHENTICATION,
    "API_KEY_EXPIRED": ErrorKind.AUTHENTICATION,
    "ACCESS_TOKEN_EXPIRED": ErrorKind.AUTHENTICATION,
    "CREDENTIALS_MISSING": ErrorKind.AUTHENTICATION,
}

CHUNK_FIELDS = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
"""Top-level fields of an answer that are read by name."""

CANDIDATE_FIELDS = frozenset({"content", "finishReason", "index", "logprobsResult"})
