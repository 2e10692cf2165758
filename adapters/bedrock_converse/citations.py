"""Text with citations: ``citationsContent`` blocks, and what a citation must look like to stand in one."""

from typing import Any

from adapters.bedrock_converse.extra import keep
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Json, Text
from adapters.wire.fields import Fields, wrong_type

_LOCATIONS = frozenset({"web", "documentChar", "documentPage", "documentChunk", "searchResultLocation"})


def decode_cited_text(value: object, path: str) -> Text:
    """The text of the block in one piece, with its citations. Raises ``DecodeError``."""
    block = Fields(value, path)
    pieces = [
        _piece_text(piece, f"{block.path_of('content')}[{index}]")
        for index, piece in enumerate(block.array("content") or [])
    ]
    where = block.path_of("citations")
    citations = [
        decode_citation(value, f"{where}[{index}]") for index, value in enumerate(block.array("citations") or [])
    ]
    return Text("".join(pieces), tuple(citations), extra=keep(block.rest()))


def decode_citation(value: Any, path: str) -> Json:
    """One citation, as it stands."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return value


def _piece_text(piece: Any, path: str) -> str:
    text = piece.get("text") if isinstance(piece, dict) else piece
    if not isinstance(piece, dict) or not isinstance(text, str):
        raise wrong_type(f"{path}.text", "a string", text)
    return text


def encode_cited_text(part: Text, path: str, losses: list[Loss]) -> Json | None:
    """The content of a ``citationsContent`` block; ``None`` if no citation has the form for it."""
    citations = [citation for citation in part.citations if is_citation(citation)]
    losses += citation_losses(part, path)
    if not citations:
        return None
    return {"content": [{"text": part.text}] if part.text else [], "citations": citations}


def citation_losses(part: Text, path: str) -> list[Loss]:
    """The citations in another dialect's form."""
    return [
        Loss(f"{path}.citations[{index}]", LossReason.UNSUPPORTED, "it has not the form of a citation here")
        for index, citation in enumerate(part.citations)
        if not is_citation(citation)
    ]


def is_citation(citation: Json) -> bool:
    """Whether it has the members of a Citation (botocore 1.44.5) and no others."""
    if not citation or not citation.keys() <= {"title", "source", "sourceContent", "location"}:
        return False
    contents, location = citation.get("sourceContent"), citation.get("location")
    return (
        all(isinstance(citation.get(name), str | None) for name in ("title", "source"))
        and (contents is None or (isinstance(contents, list) and all(map(_is_source_content, contents))))
        and (location is None or (isinstance(location, dict) and len(location) == 1 and location.keys() <= _LOCATIONS))
    )


def _is_source_content(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"text"} and isinstance(value["text"], str)
