"""Names and ids that Converse cannot hold, as others that it can: the same ones whenever they are asked for.

ToolName is ``[a-zA-Z0-9_-]{1,64}`` and ToolUseId ``[a-zA-Z0-9_.:-]{1,64}`` (botocore 1.44.5).
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from adapters.model.message import ToolCall
from adapters.model.request import Request, Tool

_LONGEST = 64
_HASH_DIGITS = 8
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_OUTSIDE_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_OUTSIDE_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")


def wire_name(name: str) -> str:
    """The tool's name on the wire (TOOL-22, TOOL-23)."""
    return name if _NAME.fullmatch(name) else _shortened(name, _OUTSIDE_NAMES)


def wire_id(identity: str) -> str:
    """The call's id on the wire, the same in the call and in its result (TOOL-25)."""
    return identity if _ID.fullmatch(identity) else _shortened(identity, _OUTSIDE_IDS)


def original_names(request: Request) -> Mapping[str, str]:
    """Wire name -> the name in the request, for the tools whose names were changed on the way out."""
    return {wire: name for name in _tool_names(request) if (wire := wire_name(name)) != name}


def _shortened(text: str, outside: re.Pattern[str]) -> str:
    """Two texts that differ stay distinct by the hash, also when cleaning makes them equal."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{outside.sub('_', text)[: _LONGEST - _HASH_DIGITS - 1]}_{digest}"


def _tool_names(request: Request) -> Iterable[str]:
    yield from (tool.name for tool in request.tools if isinstance(tool, Tool))
    for message in request.messages:
        yield from (part.name for part in message.parts if isinstance(part, ToolCall))
