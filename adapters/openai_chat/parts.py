"""Content parts of request messages."""

from collections.abc import Callable, Collection

from adapters.model.error import DecodeError
from adapters.model.loss import Loss, LossReason
from adapters.model.message import (
    CacheHint,
    FileId,
    Inline,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from adapters.model.request import Tool
from adapters.openai_chat.extras import decode_extra, encode_extra, own_extra, unread
from adapters.openai_chat.fields import AUDIO_FORMATS, AUDIO_TYPES, NAME
from adapters.wire.fields import Fields, wrong_type
from adapters.wire.inline_data import clean_base64, data_url, is_data_url, read_data_url

CACHE_MARK = "cache_control"


def decode_content(fields: Fields, allowed: Collection[str]) -> tuple[Text | Media | Refusal, ...] | None:
    """The parts of ``content``, a string or an array of the ``allowed`` types; ``None`` if it is absent."""
    content = fields.any("content")
    if content is None:
        return None
    if isinstance(content, str):
        return (Text(content),)
    path = fields.path_of("content")
    if not isinstance(content, list):
        raise wrong_type(path, "a string or an array of content parts", content)
    return tuple(_decode_part(Fields(value, f"{path}[{index}]"), allowed) for index, value in enumerate(content))


def decode_cache(fields: Fields) -> CacheHint | None:
    """The cache mark that clients of OpenRouter and LiteLLM send, if it is one we know.

    It stays unread, so that it is kept as an extra field too: only where a client sent it is it written again, since
    an upstream that does not know the field may refuse it.
    """
    mark = fields.rest().get(CACHE_MARK)
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
        return None
    ttl = mark.get("ttl")
    return CacheHint(ttl) if ttl is None or isinstance(ttl, str) else None


def encode_part(part: Part, path: str, losses: list[Loss]) -> Json | None:
    """The part as an item of ``content``, or ``None`` if there is no such item; what is lost joins ``losses``."""
    match part:
        case Text():
            if part.citations:
                losses.append(Loss(f"{path}.citations", LossReason.UNSUPPORTED, "a request has no place for citations"))
            lose_cache(part, path, losses)
            return encode_extra({"type": "text", "text": part.text}, part.extra)
        case Media():
            lose_cache(part, path, losses)
            return _encode_media(part, path, losses)
        case Refusal():
            return encode_extra({"type": "refusal", "refusal": part.text}, part.extra)
        case Opaque():
            return dict(part.payload) if part.dialect == NAME else None
        case _:
            losses.append(Loss(path, LossReason.UNSUPPORTED, "a message of this role cannot hold it"))
            return None


def needs_bytes(media: Media) -> bool:
    """Whether it must be inline: only images can be named by address, sound and files cannot."""
    return media.kind in (MediaKind.AUDIO, MediaKind.DOCUMENT)


def shortened(content: list[Json]) -> str | list[Json]:
    """A lone text as a string, which every server takes, and no part at all as an empty one."""
    if not content:
        return ""
    only = content[0]
    if len(content) == 1 and only.keys() == {"type", "text"} and isinstance(only["text"], str):
        return only["text"]
    return content


def lose_cache(thing: Text | Media | Tool | ToolCall | ToolResult, path: str, losses: list[Loss]) -> None:
    """Report a cache mark that did not come from a client of this dialect."""
    if thing.cache is not None and CACHE_MARK not in own_extra(thing.extra):
        losses.append(Loss(f"{path}.cache", LossReason.UNSUPPORTED, "prompt cache marks are not sent"))


# --- decoding ---------------------------------------------------------------------------------------------------


def _decode_part(fields: Fields, allowed: Collection[str]) -> Text | Media | Refusal:
    kind = fields.choice("type", allowed)
    if kind is None:
        raise fields.error("type", f"is required: one of {', '.join(allowed)}", code="missing_required_field")
    return _PART_DECODERS[kind](fields)


def _decode_text(fields: Fields) -> Text:
    text = fields.string("text")
    if text is None:
        raise fields.error("text", "is required", code="missing_required_field")
    return Text(text, cache=decode_cache(fields), extra=decode_extra(fields))


def _decode_refusal(fields: Fields) -> Refusal:
    text = fields.string("refusal")
    if text is None:
        raise fields.error("refusal", "is required", code="missing_required_field")
    return Refusal(text, extra=decode_extra(fields))


def _decode_image(fields: Fields) -> Media:
    image = fields.need_fields("image_url")
    url = image.need_string("url")
    mime_type: str | None = None
    source: Inline | Url = Url(url)
    if is_data_url(url):
        mime_type, data = read_data_url(url, image.path_of("url"))
        source = Inline(data)
    detail = image.string("detail")
    cache = decode_cache(fields)
    extra = decode_extra(fields, image_url=unread(image))
    return Media(MediaKind.IMAGE, source, mime_type, detail=detail, cache=cache, extra=extra)


def _decode_audio(fields: Fields) -> Media:
    audio = fields.need_fields("input_audio")
    data = clean_base64(audio.need_string("data"), audio.path_of("data"))
    audio_format = audio.choice("format", AUDIO_TYPES)
    if audio_format is None:
        raise audio.error("format", "is required: one of wav, mp3", code="missing_required_field")
    cache = decode_cache(fields)
    extra = decode_extra(fields, input_audio=unread(audio))
    return Media(MediaKind.AUDIO, Inline(data), AUDIO_TYPES[audio_format], cache=cache, extra=extra)


def _decode_file(fields: Fields) -> Media:
    file = fields.need_fields("file")
    data, file_id, name = file.string("file_data"), file.string("file_id"), file.string("filename")
    if (data is None) == (file_id is None):
        raise fields.error("file", "must have exactly one of file_data and file_id")
    mime_type: str | None = None
    source: Inline | FileId
    if data is None:
        source = FileId(file_id or "")
    else:
        mime_type, source = _decode_file_data(data, file.path_of("file_data"))
    cache = decode_cache(fields)
    extra = decode_extra(fields, file=unread(file))
    return Media(MediaKind.DOCUMENT, source, mime_type, name, cache=cache, extra=extra)


def _decode_file_data(data: str, path: str) -> tuple[str | None, Inline]:
    if is_data_url(data):
        mime_type, body = read_data_url(data, path)
        return mime_type, Inline(body)
    if "://" in data[:16]:
        # OpenRouter takes an address here; in OpenAI's format a file has none, and nobody downstream would fetch it.
        raise DecodeError(f"{path} must be a data: URL or base64, not an address", param=path, code="invalid_value")
    return None, Inline(clean_base64(data, path))


_PART_DECODERS: dict[str, Callable[[Fields], Text | Media | Refusal]] = {
    "text": _decode_text,
    "refusal": _decode_refusal,
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "file": _decode_file,
}


# --- encoding ---------------------------------------------------------------------------------------------------


def _encode_media(media: Media, path: str, losses: list[Loss]) -> Json | None:
    encode = _MEDIA_ENCODERS.get(media.kind)
    if encode is None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, f"a message cannot hold {media.kind}"))
        return None
    wire = encode(media, path, losses)
    if wire is None:
        return None
    if media.detail is not None and media.kind is not MediaKind.IMAGE:
        losses.append(Loss(f"{path}.detail", LossReason.UNSUPPORTED, "only images have a detail level"))
    if media.name is not None and media.kind is not MediaKind.DOCUMENT:
        losses.append(Loss(f"{path}.name", LossReason.UNSUPPORTED, "only files have a name"))
    return encode_extra(wire, media.extra)


def _encode_image(media: Media, path: str, losses: list[Loss]) -> Json | None:
    match media.source:
        case Inline(data):
            url = data_url(media.mime_type or "", data)
        case Url(url):
            _lose_mime_type(media, path, losses)
        case FileId():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "an image cannot be named by file id here"))
            return None
    image: Json = {"url": url}
    if media.detail is not None:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _encode_audio(media: Media, path: str, losses: list[Loss]) -> Json | None:
    audio_format = AUDIO_FORMATS.get(media.mime_type or "")
    if not isinstance(media.source, Inline) or audio_format is None:
        losses.append(Loss(path, LossReason.UNSUPPORTED, "audio can only be sent inline, as wav or mp3"))
        return None
    if AUDIO_TYPES[audio_format] != media.mime_type:
        losses.append(Loss(f"{path}.mime_type", LossReason.APPROXIMATED, f"it is sent as {audio_format}"))
    return {"type": "input_audio", "input_audio": {"data": media.source.data, "format": audio_format}}


def _encode_document(media: Media, path: str, losses: list[Loss]) -> Json | None:
    file: Json = {}
    name = media.name
    match media.source:
        case Inline(data):
            file["file_data"] = data if media.mime_type is None else data_url(media.mime_type, data)
            if name is None:
                # Refused without one: github.com/openai/openai-agents-python/pull/1513.
                name = "document.pdf" if media.mime_type == "application/pdf" else "document"
                losses.append(Loss(f"{path}.name", LossReason.APPROXIMATED, f"a file needs a name: {name} was put in"))
        case FileId(id):
            file["file_id"] = id
            _lose_mime_type(media, path, losses)
        case Url():
            losses.append(Loss(path, LossReason.UNSUPPORTED, "a document cannot be named by address here"))
            return None
    if name is not None:
        file["filename"] = name
    return {"type": "file", "file": file}


def _lose_mime_type(media: Media, path: str, losses: list[Loss]) -> None:
    if media.mime_type is not None:
        losses.append(Loss(f"{path}.mime_type", LossReason.UNSUPPORTED, "only inline data carries its type"))


_MEDIA_ENCODERS: dict[MediaKind, Callable[[Media, str, list[Loss]], Json | None]] = {
    MediaKind.IMAGE: _encode_image,
    MediaKind.AUDIO: _encode_audio,
    MediaKind.DOCUMENT: _encode_document,
}
