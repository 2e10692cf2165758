"""Names and ids that the format can hold, made by pure functions, so that answers can be traced back."""

import hashlib
import re
from collections.abc import Mapping

from adapters.model.request import Request, Tool
from adapters.openai_responses.fields import MAX_CALL_ID, MAX_TOOL_NAME

_HASH = 10
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def wire_call_id(call_id: str) -> str:
    """The id of a call, of at most 64 characters; the same for the call and its result (TOOL-26, hard-cases.md)."""
    if 0 < len(call_id) <= MAX_CALL_ID:
        return call_id
    return _shortened(call_id, call_id, MAX_CALL_ID)


def wire_tool_name(name: str) -> str:
    """The name of a tool in letters, digits, ``_`` and ``-``, of at most 128 characters (TOOL-23, hard-cases.md)."""
    clean = _NOT_IN_NAMES.sub("_", name)
    if clean == name and 0 < len(name) <= MAX_TOOL_NAME:
        return name
    return _shortened(name, clean, MAX_TOOL_NAME)


def tool_names(request: Request) -> Mapping[str, str]:
    """The client's own name of each tool, by the name that the upstream knows it by."""
    return {wire_tool_name(tool.name): tool.name for tool in request.tools if isinstance(tool, Tool)}


def _shortened(whole: str, clean: str, longest: int) -> str:
    """``clean`` cut off, and a mark of what ``whole`` was: two that clean to the same text stay distinct."""
    mark = hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:_HASH]
    return f"{clean[: longest - _HASH - 1]}_{mark}"
