"""Errors: the one record that crosses codecs, and the exceptions that codecs raise."""

from dataclasses import dataclass
from enum import StrEnum

from adapters.model.message import Json


class Fault(StrEnum):
    """Whose doing it was. An upstream's refusal of *our* key must never look like a refusal of the client's."""

    CLIENT = "client"
    PROXY = "proxy"
    UPSTREAM = "upstream"


class ErrorKind(StrEnum):
    """What went wrong, in terms every dialect can say. ``STATUSES`` has the usual HTTP status of each."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    UNSUPPORTED = "unsupported"
    AUTHENTICATION = "authentication"
    QUOTA = "quota"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    RATE_LIMIT = "rate_limit"
    BAD_UPSTREAM = "bad_upstream"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"


STATUSES: dict[ErrorKind, int] = {
    ErrorKind.INVALID_REQUEST: 400,
    ErrorKind.CONTEXT_LENGTH: 400,
    ErrorKind.CONTENT_FILTER: 400,
    ErrorKind.UNSUPPORTED: 400,
    ErrorKind.AUTHENTICATION: 401,
    ErrorKind.QUOTA: 402,
    ErrorKind.PERMISSION: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.CANCELLED: 499,
    ErrorKind.INTERNAL: 500,
    ErrorKind.RATE_LIMIT: 429,
    ErrorKind.BAD_UPSTREAM: 502,
    ErrorKind.OVERLOADED: 503,
    ErrorKind.TIMEOUT: 504,
}

RETRYABLE = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.BAD_UPSTREAM, ErrorKind.OVERLOADED, ErrorKind.TIMEOUT})

_KIND_OF_STATUS: dict[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.QUOTA,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.TOO_LARGE,
    429: ErrorKind.RATE_LIMIT,
    499: ErrorKind.CANCELLED,
    500: ErrorKind.INTERNAL,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status stands for when a body says nothing better; an unknown 4xx is a bad request, the rest 502."""
    if status in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.BAD_UPSTREAM


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error as any dialect can report it.

    ``status`` is the HTTP status (default: the kind's own), ``param`` the wire path of the field at fault
    (``messages[2].content[0].type``), ``retry_after`` seconds, ``extra`` what one dialect alone says.
    """

    kind: ErrorKind
    message: str
    fault: Fault = Fault.CLIENT
    status: int | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    request_id: str | None = None
    extra: Json | None = None

    @property
    def http_status(self) -> int:
        return self.status if self.status is not None else STATUSES[self.kind]


class CodecError(ValueError):
    """A codec cannot go on. The caller knows which peer was at fault.

    ``param`` is the wire path of the offending field, ``code`` a machine-readable word, ``kind`` what it amounts to
    when the client is the peer.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: ErrorKind = ErrorKind.INVALID_REQUEST,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind


class DecodeError(CodecError):
    """The bytes or fields read are not what the dialect allows."""


class EncodeError(CodecError):
    """The model holds something that this dialect has no way to say and must not leave out."""
