"""What a dialect is: one codec for one wire format, used unchanged as ingress and as upstream.

A dialect object holds no state; what a stream needs to remember lives in its stream codecs, one per stream.
``docs/add-a-dialect.md`` walks through a new one; ``adapters/conformance.py`` has the checks it must pass.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote

from adapters.model.catalog import ModelInfo
from adapters.model.error import ApiError, CodecError, DecodeError, EncodeError
from adapters.model.event import Event
from adapters.model.loss import Loss
from adapters.model.message import Media
from adapters.model.request import Request
from adapters.model.response import Response

__all__ = [
    "CodecError",
    "Context",
    "CredentialPlace",
    "DecodeError",
    "Dialect",
    "EncodeError",
    "Encoded",
    "ModelListing",
    "Operation",
    "Route",
    "StreamDecoder",
    "StreamEncoder",
    "TokenCounting",
    "WireRequest",
    "WireResponse",
]

WireT = TypeVar("WireT", covariant=True)
JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request below the API root. ``path`` is percent-encoded and starts with ``/``; header names are lower case.

    There is no host and no credential in it: the proxy adds both.
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WireResponse:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)


@dataclass(frozen=True, slots=True)
class Encoded(Generic[WireT]):
    """What was written, and what could not be."""

    wire: WireT
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a codec may know of the call. It is the only source of ids and time, so that codecs stay deterministic.

    ``request`` is the request being answered, as this dialect's side knows it; ``request_id`` is 24 hex digits, the
    same for the whole call; ``new_id(prefix)`` gives ``prefix`` and 24 fresh hex digits; ``now`` is in Unix seconds.
    """

    request: Request
    request_id: str
    new_id: Callable[[str], str]
    now: int


class Operation(StrEnum):
    GENERATE = "generate"
    LIST_MODELS = "list_models"
    GET_MODEL = "get_model"
    COUNT_TOKENS = "count_tokens"


@dataclass(frozen=True)
class Route:
    """An endpoint below the API root. In ``path``, ``{name}`` is one segment, ``{name:path}`` one or more."""

    method: str
    path: str
    operation: Operation = Operation.GENERATE

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        return re.compile(re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", names))

    def match(self, path: str) -> dict[str, str] | None:
        """The decoded values of the placeholders in a percent-encoded ``path``, or ``None`` if it is another path."""
        found = self._pattern.fullmatch(path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


@dataclass(frozen=True, slots=True)
class CredentialPlace:
    """Where an upstream wants its key: this header, with this before the key."""

    header: str
    prefix: str = ""


class StreamDecoder(Protocol):
    @property
    def pending(self) -> int:
        """How many of the bytes fed so far belong to no event yet: to a frame that is not complete, to one that is a
        failure, or to what follows the end.

        The proxy forwards a same-dialect stream only up to there: a cut never leaves half a frame at the client, the
        upstream's own words for a failure do not reach it, and it sees one end.
        """

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes. Raises ``DecodeError`` for bytes that no such stream can hold."""

    def close(self, *, clean: bool) -> list[Event]:
        """Called once, at end of input; ``clean``: the connection ended in order.

        Without the dialect's terminal mark the last event is ``StreamFailed``.
        """


class StreamEncoder(Protocol):
    losses: list[Loss]
    """What could not be written so far."""

    breaks_off: bool
    """The dialect has no words for a failure mid-stream: the connection must be broken to report one."""

    def encode(self, event: Event) -> bytes:
        """The bytes for this event, ``b""`` if none yet. Raises ``EncodeError`` for what must not be dropped."""

    def keepalive(self) -> bytes:
        """Bytes that every client of this dialect ignores; ``b""`` where there are none."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """How a dialect shows which models there are. ``wire`` is the listing request, for its filters."""

    encode_list: Callable[[Sequence[ModelInfo], WireRequest], WireResponse]
    encode_one: Callable[[ModelInfo], WireResponse]


@dataclass(frozen=True, slots=True)
class TokenCounting:
    """How a dialect counts the input tokens of a request without answering it; both sides, as for generation."""

    decode_request: Callable[[WireRequest], Request]
    encode_request: Callable[[Request], Encoded[WireRequest]]
    decode_count: Callable[[WireResponse], int]
    encode_count: Callable[[int], WireResponse]


def _takes_addresses(media: Media) -> bool:
    return False


def _any_client(headers: Mapping[str, str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format.

    ``roots`` are the path prefixes under which clients expect the API; an upstream's ``base_url`` stands in for them.
    ``readdress`` gives the same request for another model with every other byte untouched, or ``None`` if it cannot.
    ``request_id_prefix`` goes before the request id in ``request_id_header``. ``request_headers`` and ``request_query``
    name what of the client's headers and query means something to an upstream of the same dialect; nothing else is ever
    passed on. ``answer_type`` is the content type of the stream that answers a request, where there is more than
    ``stream_type``. ``ends_with_body``: a stream has no end mark but the end of its body, so that its last frame is
    known to be the last only then. ``profiles``
    are the same dialect with other numbers or statuses, by name, for an operator to choose. ``recognises`` tells from
    the headers whether a request is meant for this dialect, where several share a path. ``needs_bytes`` says which
    media must be inline in a request to an upstream; the proxy fetches those that came as addresses.
    """

    name: str
    roots: tuple[str, ...]
    routes: tuple[Route, ...]
    credential: CredentialPlace
    stream_type: str
    decode_request: Callable[[WireRequest], Request]
    encode_request: Callable[[Request], Encoded[WireRequest]]
    readdress: Callable[[WireRequest, Request, str], WireRequest | None]
    decode_response: Callable[[WireResponse, Context], Response]
    encode_response: Callable[[Response, Context], Encoded[WireResponse]]
    decode_error: Callable[[WireResponse], ApiError]
    encode_error: Callable[[ApiError], WireResponse]
    stream_decoder: Callable[[Context], StreamDecoder]
    stream_encoder: Callable[[Context], StreamEncoder]
    request_id_prefix: str = "req_"
    request_headers: frozenset[str] = frozenset()
    request_query: frozenset[str] = frozenset()
    answer_type: Callable[[Request], str] | None = None
    ends_with_body: bool = False
    profiles: "Mapping[str, Dialect]" = field(default_factory=dict)
    models: ModelListing | None = None
    tokens: TokenCounting | None = None
    request_id_header: str = "x-request-id"
    recognises: Callable[[Mapping[str, str]], bool] = _any_client
    needs_bytes: Callable[[Media], bool] = _takes_addresses
