"""Media by URL -> media by value, for upstreams that do not fetch."""

import asyncio
import base64
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from adapters.model.error import ApiError, ErrorKind
from adapters.model.message import Inline, Media, MediaKind, Message, Part, ResultPart, ToolResult, Url
from adapters.model.request import Request
from proxy.errors import RequestFailed
from proxy.media.fetch import Fetched, Fetcher
from proxy.media.refusal import WORDING, FetchRefused

log = logging.getLogger("dragoman")

AT_ONCE = 4
"""Fetches of one request that run at the same time."""


async def inline_media(request: Request, needed: Callable[[Media], bool], fetcher: Fetcher) -> Request:
    """The same request with every ``Media`` by URL that is ``needed`` fetched into it; the same URL only once.

    Raises ``RequestFailed`` naming the part in the common model.
    """
    wanted = [
        (path, media, media.source.url)
        for path, media in _media_of(request)
        if isinstance(media.source, Url) and needed(media)
    ]
    if not wanted:
        return request
    places: dict[str, str] = {}
    for path, _, url in wanted:
        places.setdefault(url, path)
    fetched = await _fetch_all(places, fetcher)
    # By identity, because parts cannot be hashed.
    inlined = {id(media): _inlined(media, fetched[url], path) for path, media, url in wanted}
    messages = (replace(message, parts=_replaced(message.parts, inlined)) for message in request.messages)
    return replace(request, messages=tuple(messages))


def _media_of(request: Request) -> Iterator[tuple[str, Media]]:
    """Every ``Media`` with its path, those in tool results too."""
    for place, message in enumerate(request.messages):
        yield from _media_in(message, f"messages[{place}]")


def _media_in(holder: Message | ToolResult, path: str) -> Iterator[tuple[str, Media]]:
    for place, part in enumerate(holder.parts):
        if isinstance(part, Media):
            yield f"{path}.parts[{place}]", part
        elif isinstance(part, ToolResult):
            yield from _media_in(part, f"{path}.parts[{place}]")


async def _fetch_all(places: dict[str, str], fetcher: Fetcher) -> dict[str, Fetched]:
    """URL -> its body. The first failure ends the other fetches."""
    limits = fetcher.limits
    if len(places) > limits.max_urls:
        message = f"at most {limits.max_urls} different media addresses can be fetched for one request"
        raise RequestFailed(ApiError(ErrorKind.INVALID_REQUEST, message, code="too_many_media"))
    slots = asyncio.Semaphore(AT_ONCE)
    fetched: dict[str, Fetched] = {}

    async def fetch(url: str, path: str) -> None:
        async with slots:
            try:
                fetched[url] = await fetcher.fetch(url)
            except FetchRefused as refused:
                raise _not_fetched(path, refused.reason) from None
        if sum(len(one.data) for one in fetched.values()) > limits.max_request_bytes:
            message = f"the media of one request may have at most {limits.max_request_bytes} bytes together"
            raise RequestFailed(ApiError(ErrorKind.TOO_LARGE, message, code="media_too_large", param=path))

    try:
        async with asyncio.TaskGroup() as tasks:
            for url, path in places.items():
                tasks.create_task(fetch(url, path))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return fetched


def _not_fetched(path: str, reason: str) -> RequestFailed:
    # Not the URL: it may hold a signature, which is a secret.
    log.info("media not fetched", extra={"param": path, "reason": reason})
    return RequestFailed(ApiError(ErrorKind.INVALID_REQUEST, WORDING, code="media_not_fetched", param=path))


def _inlined(media: Media, fetched: Fetched, path: str) -> Media:
    mime_type = _as_kind(media, fetched.mime_type)
    if mime_type is None:
        raise _not_fetched(path, f"{fetched.mime_type} is no {media.kind}")
    return replace(media, source=Inline(base64.b64encode(fetched.data).decode()), mime_type=mime_type)


def _as_kind(media: Media, mime_type: str) -> str | None:
    """The fetched type as this kind of media has it; ``None`` if it is something else altogether."""
    if media.kind is MediaKind.DOCUMENT:
        said = media.mime_type or ""
        if mime_type == "text/plain" and said.startswith("text/") and said != "text/html":
            return said  # many servers call every text plain; the client knows that it is CSV
        return mime_type  # a document's URL may hold anything (dialects/amarsia.md A20)
    if media.kind is MediaKind.AUDIO and mime_type in _CONTAINERS:
        return _CONTAINERS[mime_type]
    return mime_type if mime_type.startswith(media.kind + "/") else None


# Their first bytes do not tell sound from film.
_CONTAINERS = {"video/mp4": "audio/mp4", "video/webm": "audio/webm", "video/x-matroska": "audio/x-matroska"}


def _replaced(parts: tuple[Part, ...], inlined: dict[int, Media]) -> tuple[Part, ...]:
    return tuple(
        replace(part, parts=_results(part.parts, inlined))
        if isinstance(part, ToolResult)
        else inlined.get(id(part), part)
        for part in parts
    )


def _results(parts: Iterable[ResultPart], inlined: dict[int, Media]) -> tuple[ResultPart, ...]:
    return tuple(inlined.get(id(part), part) for part in parts)
