"""What a demo model is given besides the request, and how it declines."""

from collections.abc import Callable
from dataclasses import dataclass

from adapters.model.error import ApiError, ErrorKind


@dataclass(frozen=True)
class DemoCall:
    """The only source of ids and time: ``new_id(prefix)`` gives a fresh id, ``now`` is in Unix seconds."""

    new_id: Callable[[str], str]
    now: int


class DemoFailure(Exception):  # noqa: N818  it carries an ApiError; a second "Error" in the name would say nothing
    """The demo upstream answers with ``error`` instead of a response."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def invalid(message: str, code: str) -> DemoFailure:
    """A failure that is the client's doing: the request asks for what the demo does not do."""
    return DemoFailure(ApiError(ErrorKind.INVALID_REQUEST, message, status=400, code=code))
