"""The echo: what the last user turn said and carried."""

from adapters.model.message import FileId, Inline, Media, MediaKind, Message, Opaque, Part, Role, Source, Text, Url
from adapters.model.request import Request
from adapters.wire.inline_data import byte_count

_NOUNS = {
    MediaKind.IMAGE: "an image",
    MediaKind.AUDIO: "an audio clip",
    MediaKind.VIDEO: "a video",
    MediaKind.DOCUMENT: "a document",
}


def echo_text(request: Request) -> str:
    """One line for what the last user turn said, and one for each thing that came with it."""
    turn = _last_user_turn(request)
    said = said_in(turn)
    lines = [f'You said: "{said}"'] if said else []
    lines += [f"I received {description}." for description in map(describe, turn) if description]
    return "\n".join(lines) or "You said nothing."


def user_text(request: Request) -> str:
    """What the last user turn said, ``""`` if nothing."""
    return said_in(_last_user_turn(request))


def said_in(parts: tuple[Part, ...]) -> str:
    """The texts among the parts, one below the other."""
    return "\n".join(part.text for part in parts if isinstance(part, Text) and part.text)


def describe(part: Part) -> str | None:
    """A few words about a part that is not text, ``None`` for all others."""
    match part:
        case Media():
            details = [detail for detail in (part.mime_type, _extent(part.source)) if detail]
            return f"{_NOUNS[part.kind]} ({', '.join(details)})"
        case Opaque():
            return f"a part that only {part.dialect} understands"
        case _:
            return None


def _last_user_turn(request: Request) -> tuple[Part, ...]:
    turn = next((message for message in reversed(request.messages) if message.role is Role.USER), None)
    return turn.parts if isinstance(turn, Message) else ()


def _extent(source: Source) -> str:
    match source:
        case Inline():
            size = byte_count(source.data)
            return f"{size} byte" if size == 1 else f"{size} bytes"
        case Url():
            return source.url
        case FileId():
            return f"file {source.id}"
