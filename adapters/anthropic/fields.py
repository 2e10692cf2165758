"""Names and numbers of the wire. The authority on names is ``anthropic/types`` of ``anthropic`` 2.10.0.

``docs`` stands for https://platform.claude.com/docs/en, case ids (``THK-18``) for hard-cases.md.
"""

from enum import StrEnum
from typing import NamedTuple

from adapters.model.error import ErrorKind
from adapters.model.message import Role
from adapters.model.response import FinishReason
from adapters.model.tables import reverse

NAME = "anthropic"
MESSAGES = "/messages"
COUNT_TOKENS = "/messages/count_tokens"
STREAM_TYPE = "text/event-stream"
REQUEST_ID_PREFIX = "req_"
ANSWER_ID_PREFIX = "msg_"
CALL_ID_PREFIX = "toolu_"

VERSION_HEADER = "anthropic-version"
DEFAULT_VERSION = "2023-06-01"
BETA_HEADER = "anthropic-beta"
REQUEST_HEADERS = (VERSION_HEADER, BETA_HEADER)
"""The client's headers that an upstream is to get. ``anthropic-workspace-id`` is not among them: it picks one of the
workspaces of whoever owns the key, and that is the operator."""
INTERLEAVED_THINKING = "interleaved-thinking"
"""The beta under which a budget may exceed ``max_tokens``."""

DECISIVE = ("model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking")

# --- turns and their blocks ---

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
PLAIN_TEXT = "text/plain"
MIME_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript")
"""Types beside ``text/*`` whose bytes are text, and can be sent as a plain text document."""

# How files of a type begin, in base64 (MED-06). The letters that the first bytes fix are the same in every file.
SIGNATURES = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi0", PDF),
)
WEBP = ("UklGR", "XRUJQ")
"""Of ``RIFF``, four bytes of length, ``WEBP``: the letters at the start, and those from the 11th on."""

PLACEHOLDER = "(empty)"
"""Stands where there must be text and there is none: blank text blocks are refused."""

REMINDER = "<system-reminder>\n{}\n</system-reminder>"
"""A system message in a user turn, for models that take none in between; Claude Code's own form for it."""

MOST_CACHE_MARKS = 4

# --- what differs by model ---


class Thinking(StrEnum):
    """How a model is told how much to think."""

    NEVER = "never"
    BUDGET = "budget"
    EITHER = "either"
    ADAPTIVE = "adaptive"


class Randomness(StrEnum):
    """Which of ``temperature`` and ``top_p`` may be sent, and whether ``top_k`` may (PAR-06, PAR-07)."""

    BOTH = "both"
    ONE = "one"
    NONE = "none"


class ModelFacts(NamedTuple):
    """What a model takes.

    ``off`` is the ``thinking.type`` that stops it from thinking, ``None`` where the field is left out for that;
    ``thinks_unasked``: it thinks if the field is left out. ``system_turns``: system messages after the first turn.
    """

    max_tokens: int
    thinking: Thinking
    randomness: Randomness
    off: str | None = None
    thinks_unasked: bool = False
    takes_effort: bool = True
    system_turns: bool = False
    forced_tools: bool = True
    unstreamed: int | None = None
    """The most that the official client asks for in one piece, where it has a limit: ``MODEL_NONSTREAMING_TOKENS``."""


_BUDGET = ModelFacts(64_000, Thinking.BUDGET, Randomness.BOTH, off="disabled", takes_effort=False)
_OPUS_4 = _BUDGET._replace(max_tokens=32_000, unstreamed=8_192)
_ADAPTIVE = ModelFacts(128_000, Thinking.ADAPTIVE, Randomness.NONE)
_FIVE = _ADAPTIVE._replace(off="disabled", thinks_unasked=True, system_turns=True)
_ALWAYS = _FIVE._replace(off=None)
_UNFORCED = _ALWAYS._replace(forced_tools=False)

# By the beginning of the model's name from "claude-" on, the longest match counts. Sources, read 2026-11: docs
# /models/*/overview (output limits), /build-with-claude/thinking, /models/*/whats-new-*, /api/versioning,
# /build-with-claude/mid-conversation-system-messages ("not supported" before Opus 4.8, and on Sonnet 5).
MODELS: dict[str, ModelFacts] = {
    "claude-": _FIVE._replace(max_tokens=64_000, off=None),  # later than this table: the newest rules, a limit all take
    "claude-2": ModelFacts(4_096, Thinking.NEVER, Randomness.BOTH, takes_effort=False),
    "claude-3": ModelFacts(4_096, Thinking.NEVER, Randomness.BOTH, takes_effort=False),
    "claude-3-5": ModelFacts(8_192, Thinking.NEVER, Randomness.BOTH, takes_effort=False),
    "claude-3-7": _BUDGET,
    "claude-4-opus": _OPUS_4,
    "claude-4-sonnet": _BUDGET,
    "claude-opus-4": _OPUS_4,
    "claude-opus-4-1": _OPUS_4._replace(randomness=Randomness.ONE),
    "claude-opus-4-5": _BUDGET._replace(randomness=Randomness.ONE, takes_effort=True),
    "claude-opus-4-6": _ADAPTIVE._replace(thinking=Thinking.EITHER, randomness=Randomness.ONE),
    "claude-opus-4-7": _ADAPTIVE,
    "claude-opus-4-8": _ADAPTIVE._replace(system_turns=True),
    "claude-opus-5": _FIVE,
    "claude-opus-5-5": _UNFORCED,
    "claude-sonnet-4": _BUDGET,
    "claude-sonnet-4-5": _BUDGET._replace(randomness=Randomness.ONE),
    "claude-sonnet-4-6": _ADAPTIVE._replace(thinking=Thinking.EITHER, randomness=Randomness.ONE),
    "claude-sonnet-5": _FIVE._replace(system_turns=False),
    "claude-sonnet-5-5": _UNFORCED._replace(off="between_tools"),
    "claude-haiku-4-5": _BUDGET._replace(randomness=Randomness.ONE),
    "claude-haiku-5": _FIVE,
    "claude-mythos-preview": _ALWAYS._replace(system_turns=False),
    "claude-mythos-5": _ALWAYS,
    "claude-mythos-5-1": _UNFORCED,
    "claude-mythos-5-2": _UNFORCED,
    "claude-fable-5": _ALWAYS,
    "claude-fable-5-1": _UNFORCED,
    "claude-fable-5-2": _UNFORCED,
}
OTHER_MODEL = ModelFacts(4_096, Thinking.BUDGET, Randomness.BOTH, off="disabled", system_turns=True)
"""Other makers' models behind this API: the oldest form of everything is what most of them read."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
LEAST_BUDGET = 1024
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 31_999}
"""Tokens to think with, where a model knows no effort. At most half of ``max_tokens`` goes into thinking."""
LEAST_TOP_P_THINKING = 0.95

# --- why an answer ended ---

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALL,
    "pause_turn": FinishReason.PAUSED,
    "refusal": FinishReason.REFUSAL,
}
WIRE_REASONS = reverse(FINISH_REASONS) | {FinishReason.CONTENT_FILTER: "refusal"}  # FIN-10

CHOICE_FIELDS = ("container", "context_management")
"""Fields of an answer that a stream tells at its end, and that are kept with the choice for that."""

# --- errors ---

ERROR_TYPES: dict[ErrorKind, str] = {
    ErrorKind.INVALID_REQUEST: "invalid_request_error",
    ErrorKind.CONTEXT_LENGTH: "invalid_request_error",
    ErrorKind.CONTENT_FILTER: "invalid_request_error",
    ErrorKind.UNSUPPORTED: "invalid_request_error",
    ErrorKind.AUTHENTICATION: "authentication_error",
    ErrorKind.QUOTA: "billing_error",
    ErrorKind.PERMISSION: "permission_error",
    ErrorKind.NOT_FOUND: "not_found_error",
    ErrorKind.TOO_LARGE: "request_too_large",
    ErrorKind.CANCELLED: "api_error",
    ErrorKind.INTERNAL: "api_error",
    ErrorKind.RATE_LIMIT: "rate_limit_error",
    ErrorKind.BAD_UPSTREAM: "api_error",
    ErrorKind.OVERLOADED: "overloaded_error",
    ErrorKind.TIMEOUT: "timeout_error",
}
KINDS_OF_TYPES = {
    **reverse(ERROR_TYPES),
    # Inside a stream there is no status beside the type, and 500 is what the type has outside (docs /api/errors).
    "api_error": ErrorKind.INTERNAL,
    "gateway_timeout_error": ErrorKind.TIMEOUT,
    "conflict_error": ErrorKind.INVALID_REQUEST,
}
KINDS_OF_CODES: dict[str, ErrorKind] = {
    # Ours: kinds that share status and type with plain bad requests.
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "unsupported": ErrorKind.UNSUPPORTED,
    # Theirs, in ``error.details.error_code``: no retry helps against a limit on spending (reliability.md, section 3).
    "enforced_spend_limit_reached": ErrorKind.QUOTA,
    "contract_spend_limit_reached": ErrorKind.QUOTA,
    "linked_organization_spend_limit_reached": ErrorKind.QUOTA,
    "linked_organization_billing_unavailable": ErrorKind.QUOTA,
    "user_profile_not_billable": ErrorKind.QUOTA,
    "request_body_too_large_after_decoding": ErrorKind.TOO_LARGE,
}
CODES_OF_KINDS: dict[ErrorKind, str] = {
    kind: code
    for kind, code in reverse(KINDS_OF_CODES).items()
    if kind in (ErrorKind.CONTEXT_LENGTH, ErrorKind.CONTENT_FILTER, ErrorKind.UNSUPPORTED)
}
OVERLOADED_STATUS = 529
"""Only this status makes the official client raise ``OverloadedError`` (ERR-07)."""
