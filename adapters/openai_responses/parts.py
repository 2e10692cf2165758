"""Content parts of messages and of tools' outputs."""

from collections.abc import Callable, Collection
from typing import Any

from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import FileId, Inline, Json, Media, MediaKind, Opaque, Part, Refusal, Text, Url
from adapters.openai_responses.citations import decode_annotations, encode_citations
from adapters.openai_responses.extras import INPUT_AUDIO, ITEM, decode_extra, encode_extra, marked, unread
from adapters.openai_responses.fields import AUDIO_FORMATS, AUDIO_TYPES, KEPT_PARTS, NAME
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64, data_url, is_data_url, read_data_url

USUAL_DETAIL = "auto"
"""What an image's level of detail is unless it is told; the types demand it: response_input_image_param.py."""

ContentPart = Text | Media | Refusal | Opaque


def decode_content(value: Any, path: str, allowed: Collection[str]) -> tuple[ContentPart, ...]:
    """The parts of a ``content`` or ``output``: a string, or an array of the ``allowed`` types."""
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of content parts", value)
    return tuple(_decode_part(Fields(entry, f"{path}[{index}]"), entry, allowed) for index, entry in enumerate(value))


def encode_input_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The part as content of a user's or system message, or of a tool's output; ``None`` if there is no such part."""
    match part:
        case Text():
            lose_cache(part, path, losses)
            if part.citations:
                losses.append(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "only answers have annotations"))
            return encode_extra({"type": "input_text", "text": part.text}, part.extra, (ITEM,))
        case Media():
            lose_cache(part, path, losses)
            return _encode_media(part, path, losses)
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None
        case _:
            losses.append(Loss(path, LossReason.UNSUPPORTED, "a message of this role cannot hold it"))
            return None


def encode_output_part(part: Text | Refusal, path: str, losses: list[Loss]) -> Json:
    """The part as content of a message of the model's."""
    if isinstance(part, Refusal):
        return encode_extra({"type": "refusal", "refusal": part.text}, part.extra, (ITEM,))
    lose_cache(part, path, losses)
    wire: Json = {"type": "output_text", "text": part.text}
    wire["annotations"] = encode_citations(part.citations, path, losses)
    return encode_extra(wire, part.extra, (ITEM,))


def shortened(content: list[Json]) -> str | list[Json]:
    """A lone text as a string, which every server takes."""
    only = content[0] if len(content) == 1 else {}
    bare = only.keys() == {"type", "text"} or (
        only.keys() == {"type", "text", "annotations"} and not only["annotations"]
    )
    return only["text"] if bare and isinstance(only["text"], str) else content


def lose_cache(thing: Any, path: str, losses: list[Loss]) -> None:
    """Report a cache mark; this dialect's own breakpoints are kept as an extra field."""
    if thing.cache is not None:
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "prompt cache marks are not sent"))


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_part(fields: Fields, value: Json, allowed: Collection[str]) -> ContentPart:
    kind = fields.string("type")
    if kind is None:
        raise fields.error("type", f"is required: one of {', '.join(allowed)}", code="missing_required_field")
    if kind not in allowed:
        raise fields.error("type", f"must be one of {', '.join(allowed)}")
    return Opaque(NAME, value) if kind in KEPT_PARTS else _PART_DECODERS[kind](fields)


def _decode_text(fields: Fields) -> Text:
    text = _words(fields, "text")
    citations = decode_annotations(fields.any("annotations"), fields.path_of("annotations"))
    if fields.rest().get("logprobs") == []:
        fields.any("logprobs")  # clients send answers back as they got them, and there it says nothing
    return Text(text, citations, extra=decode_extra(fields))


def _decode_refusal(fields: Fields) -> Refusal:
    return Refusal(_words(fields, "refusal"), extra=decode_extra(fields))


def _words(fields: Fields, name: str) -> str:
    text = fields.string(name)
    if text is None:
        raise fields.error(name, "is required", code="missing_required_field")
    return text


def _decode_image(fields: Fields) -> Media:
    url, file_id = fields.string("image_url"), fields.string("file_id")
    if bool(url) == bool(file_id):
        raise fields.error("image_url", "or file_id must be given, and not both")
    mime_type: str | None = None
    source: Inline | Url | FileId = FileId(file_id or "")
    if url:
        source = Url(url)
        if is_data_url(url):
            mime_type, data = read_data_url(url, fields.path_of("image_url"))
            source = Inline(data)
    return Media(MediaKind.IMAGE, source, mime_type, detail=_detail(fields), extra=decode_extra(fields))


def _detail(fields: Fields) -> str | None:
    detail = fields.string("detail")
    return None if detail == USUAL_DETAIL else detail


def _decode_file(fields: Fields) -> Media:
    given = {name: fields.string(name) for name in ("file_data", "file_url", "file_id")}
    name, detail = fields.string("filename"), fields.string("detail")
    if sum(bool(value) for value in given.values()) != 1:
        raise fields.error("file_data", "or file_url or file_id must be given, and only one of them")
    mime_type: str | None = None
    source: Inline | Url | FileId
    if given["file_url"]:
        source = Url(given["file_url"])
        if is_data_url(given["file_url"]):
            mime_type, data = read_data_url(given["file_url"], fields.path_of("file_url"))
            source = Inline(data)
    elif given["file_id"]:
        source = FileId(given["file_id"])
    else:
        mime_type, source = _decode_file_data(given["file_data"] or "", fields.path_of("file_data"))
    return Media(MediaKind.DOCUMENT, source, mime_type, name, detail, extra=decode_extra(fields))


def _decode_file_data(data: str, path: str) -> tuple[str | None, Inline]:
    if is_data_url(data):
        mime_type, body = read_data_url(data, path)
        return mime_type, Inline(body)
    if "://" in data[:16]:
        raise DecodeError(f"{path} must be a data: URL or base64; addresses go in file_url", path, "invalid_value")
    return None, Inline(clean_base64(data, path))


def _decode_audio(fields: Fields) -> Media:
    audio = fields.need_fields("input_audio")
    data = clean_base64(audio.need_string("data"), audio.path_of("data"))
    audio_format = audio.choice("format", AUDIO_TYPES)
    if audio_format is None:
        raise audio.error("format", "is required: one of wav, mp3", code="missing_required_field")
    extra = decode_extra(fields, INPUT_AUDIO, audio=unread(audio))
    return Media(MediaKind.AUDIO, Inline(data), AUDIO_TYPES[audio_format], extra=extra)


_PART_DECODERS: dict[str, Callable[[Fields], ContentPart]] = {
    "input_text": _decode_text,
    "output_text": _decode_text,
    "refusal": _decode_refusal,
    "input_image": _decode_image,
    "input_file": _decode_file,
    "input_audio": _decode_audio,
}


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_media(media: Media, path: str, losses: list[Loss]) -> Json | None:
    match media.kind:
        case MediaKind.IMAGE:
            wire = _encode_image(media, path, losses)
        case MediaKind.DOCUMENT:
            wire = _encode_document(media, path, losses)
        case MediaKind.AUDIO if marked(media, INPUT_AUDIO) and isinstance(media.source, Inline):
            audio_format = AUDIO_FORMATS.get(media.mime_type or "", "wav")
            wire = {"type": "input_audio", "input_audio": {"data": media.source.data, "format": audio_format}}
        case _:
            losses.append(Loss(path, LossReason.UNSUPPORTED, f"a message cannot hold {media.kind}"))
            return None
    if media.detail == USUAL_DETAIL and media.kind is MediaKind.IMAGE:
        losses.append(Loss(f"{path}.detail", LossReason.APPROXIMATED, "it is the same as not said"))
    if media.detail is not None or media.kind is MediaKind.IMAGE:
        wire["detail"] = media.detail or USUAL_DETAIL
    return encode_extra(wire, media.extra)


def _encode_image(media: Media, path: str, losses: list[Loss]) -> Json:
    if media.name is not None:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "only files have a name"))
    match media.source:
        case Inline(data):
            return {"type": "input_image", "image_url": data_url(media.mime_type or "", data)}
        case Url(url):
            _lose_mime_type(media, path, losses)
            return {"type": "input_image", "image_url": url}
        case FileId(id):
            _lose_mime_type(media, path, losses)
            return {"type": "input_image", "file_id": id}


def _encode_document(media: Media, path: str, losses: list[Loss]) -> Json:
    wire: Json = {"type": "input_file"}
    name = media.name
    match media.source:
        case Inline(data):
            if name is None:
                # Refused without one: github.com/openai/openai-agents-python/pull/1513.
                name = "document.pdf" if media.mime_type == "application/pdf" else "document"
                losses.append(Loss(f"{path}.name", LossReason.APPROXIMATED, f"a file needs a name: {name} was put in"))
            wire["filename"] = name
            wire["file_data"] = data if media.mime_type is None else data_url(media.mime_type, data)
            return wire
        case Url(url):
            wire["file_url"] = url
        case FileId(id):
            wire["file_id"] = id
    _lose_mime_type(media, path, losses)
    if name is not None:
        wire["filename"] = name
    return wire


def _lose_mime_type(media: Media, path: str, losses: list[Loss]) -> None:
    if media.mime_type is not None:
        losses.append(Loss(f"{path}.mime_type", LossReason.UNSUPPORTED, "only inline data carries its type"))
