"""Pieces of text, which stand for tokens here, and the counting of them."""

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

from adapters.model.message import Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from adapters.model.request import Request, Tool
from adapters.model.response import Choice, Usage

MEDIA_TOKENS = 100
"""What each media part and each opaque part counts, whatever its size."""

# White space goes with what follows it, so that the pieces glued together are the text again.
_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


def pieces(text: str) -> list[str]:
    """The text cut before every word and every sign of punctuation; each piece counts as one token."""
    return _PIECE.findall(text)


def words(text: str) -> Iterator[list[str]]:
    """The pieces of each word in turn: with the white space before it and the punctuation after it."""
    word: list[str] = []
    for piece in pieces(text):
        if word and piece[0].isspace():
            yield word
            word = []
        word.append(piece)
    if word:
        yield word


def usage(request: Request, choices: Iterable[Choice]) -> Usage:
    """Tokens of the request (its messages, and its tools' names and descriptions) and of all choices together."""
    answered = [part for choice in choices for part in choice.parts]
    thoughts = [part_tokens(part) for part in answered if isinstance(part, Reasoning)]
    return Usage(
        input_tokens=count_tokens(request),
        output_tokens=sum(map(part_tokens, answered)),
        reasoning_tokens=sum(thoughts) if thoughts else None,
    )


def part_tokens(part: Part) -> int:
    """How many tokens the part counts: pieces of its text, and ``MEDIA_TOKENS`` for what is no text."""
    match part:
        case Text() | Reasoning() | Refusal():
            return len(pieces(part.text))
        case ToolCall():
            return len(pieces(part.name)) + len(pieces(part.arguments))
        case ToolResult():
            return sum(map(part_tokens, part.parts))
        case Media() | Opaque():
            return MEDIA_TOKENS
    assert_never(part)


def count_tokens(request: Request) -> int:
    """Tokens of the request: its messages, and its tools' names and descriptions."""
    spoken = sum(part_tokens(part) for message in request.messages for part in message.parts)
    offered = sum(
        len(pieces(tool.name)) + len(pieces(tool.description or "")) if isinstance(tool, Tool) else MEDIA_TOKENS
        for tool in request.tools
    )
    return spoken + offered
