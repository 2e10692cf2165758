"""Any exception -> ApiError. The only place that does this."""

import logging

from adapters.contract import DecodeError, EncodeError
from adapters.model.error import ApiError, ErrorKind, Fault

log = logging.getLogger("dragoman")


class RequestFailed(Exception):  # noqa: N818 - it is a result that ends a request, not a programming error
    """Ends a request with this error."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def refused_by_client_codec(error: DecodeError) -> ApiError:
    """The client sent what its dialect does not allow."""
    return ApiError(error.kind, error.message, Fault.CLIENT, code=error.code, param=error.param)


def refused_by_upstream_codec(error: DecodeError) -> ApiError:
    """The upstream sent what its dialect does not allow. Its words stay out: they may quote anything."""
    message = "the upstream's answer cannot be read"
    return ApiError(ErrorKind.BAD_UPSTREAM, message, Fault.UPSTREAM, code=error.code or "upstream_invalid_response")


def unspeakable(error: EncodeError) -> ApiError:
    """The upstream's answer holds something that the client's dialect cannot say and must not leave out."""
    return ApiError(ErrorKind.BAD_UPSTREAM, error.message, Fault.UPSTREAM, code=error.code or "untranslatable_answer")


def seen_by_client(error: ApiError) -> ApiError:
    """An upstream's error as the client may see it.

    Our own key or quota at the upstream is not the client's: those become 502 (``reliability`` fault matrix). An
    upstream's 500 is 502 here, because 500 says that the proxy failed.
    """
    if error.fault is not Fault.UPSTREAM:
        return error
    status, kind, code = _SEEN.get(error.kind, (None, error.kind, None))
    message = _CLEAN_MESSAGES.get(error.kind, error.message[:_LONGEST_MESSAGE])
    return ApiError(
        kind,
        message,
        Fault.UPSTREAM,
        status=status,
        code=code or (error.code[:_LONGEST_CODE] if error.code else None),
        param=error.param,
        retry_after=error.retry_after,
    )


_LONGEST_MESSAGE = 2051
_LONGEST_CODE = 64

_SEEN: dict[ErrorKind, tuple[int | None, ErrorKind, str | None]] = {
    ErrorKind.AUTHENTICATION: (502, ErrorKind.BAD_UPSTREAM, "upstream_auth"),
    ErrorKind.PERMISSION: (502, ErrorKind.BAD_UPSTREAM, "upstream_auth"),
    ErrorKind.QUOTA: (502, ErrorKind.BAD_UPSTREAM, "upstream_quota"),
    ErrorKind.INTERNAL: (502, ErrorKind.BAD_UPSTREAM, "upstream_error"),
    ErrorKind.BAD_UPSTREAM: (502, ErrorKind.BAD_UPSTREAM, None),
    ErrorKind.CANCELLED: (502, ErrorKind.BAD_UPSTREAM, "upstream_error"),
    ErrorKind.OVERLOADED: (503, ErrorKind.OVERLOADED, None),
    ErrorKind.TIMEOUT: (504, ErrorKind.TIMEOUT, None),
}
_CLEAN_MESSAGES: dict[ErrorKind, str] = {
    ErrorKind.AUTHENTICATION: "the upstream refused the proxy's credential",
    ErrorKind.PERMISSION: "the upstream refused the proxy's credential",
    ErrorKind.QUOTA: "the proxy's account at the upstream is exhausted",
}


def unexpected(error: Exception, request_id: str) -> ApiError:
    """The clean error for a bug: the log has the traceback and the request id, the client only the id."""
    log.error("unexpected failure", exc_info=error, extra={"request_id": request_id})
    return ApiError(ErrorKind.INTERNAL, "the proxy failed; quote the request id when you report it", Fault.PROXY)


def to_api_error(error: Exception, request_id: str) -> ApiError:
    """What the client is told about ``error``."""
    match error:
        case RequestFailed():
            return seen_by_client(error.error)
        case EncodeError():
            return unspeakable(error)
        case _:
            return unexpected(error, request_id)
