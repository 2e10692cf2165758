"""The parts of ``content``."""

from typing import assert_never

from adapters.amarsia.fields import MEDIA_KINDS, MEDIA_TYPES, MIME_TYPES, NAME, PART_TYPES, URL_SCHEMES
from adapters.amarsia.losses import hint_losses, unsaid_part_losses, write_extra
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    FileId,
    Inline,
    Json,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from adapters.wire.fields import Fields
from adapters.wire.inline_data import data_url, is_data_url, read_data_url


def decode_part(value: object, path: str) -> Text | Media:
    """The part at this wire path. Raises ``DecodeError`` for one that the first-party client would not send either."""
    fields = Fields(value, path)
    kind = fields.choice("type", PART_TYPES)
    if kind is None:
        raise fields.error("type", f"is required: one of {', '.join(PART_TYPES)}", "missing_required_field")
    if kind == "text":
        return Text(_need_words(fields, "text"), extra=fields.extra(dialect=NAME))
    # ``type`` decides what it is, even where ``mime_type`` says otherwise (A20); ``url`` is for any document.
    mime_type = _need_words(fields, "mime_type")
    source = _decode_source(fields)
    return Media(MEDIA_KINDS[kind], source, mime_type, extra=fields.extra(dialect=NAME))


def _need_words(fields: Fields, name: str) -> str:
    """A string with more than white space in it, as the first-party client demands before it sends (A22)."""
    value = fields.need_string(name)
    if not value.strip():
        raise fields.error(name, "must not be blank")
    return value


def _decode_source(fields: Fields) -> Inline | Url:
    """A ``data:`` address is decoded; the type it names gives way to ``mime_type``, which is always there."""
    uri = _need_words(fields, "file_uri")
    if is_data_url(uri):
        _, data = read_data_url(uri, fields.path_of("file_uri"))
        return Inline(data)
    if not _is_fetchable(uri):
        raise fields.error("file_uri", "must be an https:, http: or data: address", "unsupported_file_uri")
    return Url(uri)


def _is_fetchable(url: str) -> bool:
    return url[:6].lower().startswith(URL_SCHEMES)


def encode_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The part as the wire has it, ``None`` if there is no such thing; ``path`` is its place in the model."""
    match part:
        case Text() | Refusal():
            return _encode_text(part, path, losses)
        case Media():
            return _encode_media(part, path, losses)
        case Reasoning() | ToolCall() | ToolResult() | Opaque():
            losses += unsaid_part_losses(part, path)
            return None
        case _:
            assert_never(part)


def _encode_text(part: Text | Refusal, path: str, losses: list[Loss]) -> Json | None:
    if not part.text.strip():
        losses.append(Loss(path, LossReason.UNSUPPORTED, "a text part must not be blank"))
        return None
    if isinstance(part, Refusal):
        losses.append(Loss(path, LossReason.APPROXIMATED, "sent as ordinary text"))
    losses += hint_losses(part, path)
    wire: Json = {"type": "text", "text": part.text}
    write_extra(wire, part.extra, f"{path}.", losses)
    return wire


def _encode_media(media: Media, path: str, losses: list[Loss]) -> Json | None:
    said = media.mime_type if media.mime_type and media.mime_type.strip() else None
    mime_type = said or _guessed_type(media)
    uri = _encode_source(media.source, mime_type)
    if uri is None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "files are taken by http(s) address or inline only"))
        return None
    if said is None:
        losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, f"not given, sent as {mime_type}"))
    losses += hint_losses(media, path)
    wire: Json = {"type": MEDIA_TYPES[media.kind], "mime_type": mime_type, "file_uri": uri}
    write_extra(wire, media.extra, f"{path}.", losses)
    return wire


def _encode_source(source: Inline | Url | FileId, mime_type: str) -> str | None:
    match source:
        case Inline():
            # A comma would end the address's head (RFC 2397); ``mime_type`` beside it tells the type anyway.
            return data_url("" if "," in mime_type else mime_type, source.data)
        case Url():
            return source.url if _is_fetchable(source.url) else None
        case FileId():
            return None
        case _:
            assert_never(source)


def _guessed_type(media: Media) -> str:
    """The media type by the suffix of the address or file name, else the commonest of its kind."""
    known = MIME_TYPES[media.kind]
    address = media.source.url.partition("#")[0].partition("?")[0] if isinstance(media.source, Url) else ""
    for name in (address, media.name or ""):
        suffix = name.rpartition(".")[2].lower()
        if suffix in known:
            return known[suffix]
    return next(iter(known.values()))
