"""Tool names and call ids as the API takes them. Pure and the same every time, so that an answer can be mapped back."""

import hashlib
import re

from adapters.model.request import Request, Tool

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_DIGITS = 10
_KEPT = 100


def wire_name(name: str) -> str:
    """The name itself if the API takes it, else a cleaned and shortened one that no other name has (TOOL-23)."""
    return name if _NAME.fullmatch(name) else _fitted(name)


def wire_id(identity: str) -> str:
    """The same for the id of a call; the length is not limited by the API, but by reason."""
    return identity if _ID.fullmatch(identity) else _fitted(identity)


def client_names(request: Request) -> dict[str, str]:
    """Name on the wire -> the client's own, for those of the request's tools that differ."""
    names = (tool.name for tool in request.tools if isinstance(tool, Tool))
    return {wire_name(name): name for name in names if not _NAME.fullmatch(name)}


def _fitted(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{_UNFIT.sub('_', text)[:_KEPT]}_{digest}"
