"""Names and ids: of functions, which this API restricts, and of calls, which it may leave out."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from adapters.model.message import ToolCall
from adapters.model.request import Request, Tool

# FunctionDeclaration.name in types.py: wider than elsewhere, but it must not begin with a digit or a dash.
_GOOD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_BAD_CHARACTER = re.compile(r"[^A-Za-z0-9_.:-]")
_ROOM = 119  # of 128 characters, 9 go to the mark

_MADE_UP = re.compile(r"call_gemini_(?:[0-9]+|[0-9a-f]{24}_[0-9]+)_[0-9]+")
_GENERATION = re.compile(r"gemini-([0-9]+)")


def is_good_name(name: str) -> bool:
    """Whether a function can be called so here."""
    return _GOOD_NAME.fullmatch(name) is not None


def wire_name(name: str) -> str:
    """The name itself, or one that is allowed and stands for it; two names never share one."""
    if is_good_name(name):
        return name
    clean = _BAD_CHARACTER.sub("_", name)
    if not is_good_name(clean[:1]):
        clean = "_" + clean
    mark = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean[:_ROOM]}_{mark}"


def original_names(request: Request) -> Mapping[str, str]:
    """Wire name -> the name in the request, for those that had to be changed."""
    return {changed: name for name in _names(request) if (changed := wire_name(name)) != name}


def _names(request: Request) -> Iterable[str]:
    yield from (tool.name for tool in request.tools if isinstance(tool, Tool))
    yield from (part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall))


def request_call_id(turn: int, position: int) -> str:
    """The id of a call in a history that came without one: the n-th call in the t-th turn with calls."""
    return f"call_gemini_{turn}_{position}"


def answer_call_id(request_id: str, candidate: int, position: int) -> str:
    """The id of a call in an answer that came without one: the same streamed or whole, another in every answer."""
    return f"call_gemini_{request_id}_{candidate}_{position}"


def is_made_up(call_id: str) -> bool:
    """Whether the id is one of ours, which the API never gave and must not be sent."""
    return _MADE_UP.fullmatch(call_id) is not None


def generation(model: str) -> int | None:
    """The 3 in ``gemini-3-pro``; ``None`` for a name that does not tell."""
    found = _GENERATION.search(model)
    return None if found is None else int(found[1][:3])
