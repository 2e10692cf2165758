"""What each pair of dialects carries: the product's matrix, computed from the codecs themselves. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from adapters.contract import Context, Dialect, EncodeError
from adapters.model.event import StreamEnded
from adapters.model.fold import collect, explode
from adapters.model.loss import Loss
from adapters.model.message import Inline, Media, MediaKind, Part, Url
from adapters.model.request import Request
from adapters.model.response import Response
from adapters.samples import FEATURES, PDF, PNG, Sample
from proxy.fidelity import Mode, refusal


class Verdict(StrEnum):
    """How a feature fares between a client and an upstream; ``MEANINGS`` says it in words."""

    EXACT = "exact"
    LOSSY = "lossy"
    REFUSED = "refused"
    FAILS = "fails"
    NOT_SAID = "-"


MEANINGS = {
    Verdict.EXACT: "everything arrives, in both directions",
    Verdict.LOSSY: "answered, and the response headers name what was changed or left out",
    Verdict.REFUSED: "400 before anything is sent, because the meaning would change",
    Verdict.FAILS: "the upstream's answer cannot be told to this client, which gets an error and never half an answer",
    Verdict.NOT_SAID: "the client's dialect has no way to ask for it",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One feature between one client and one upstream. ``upstream`` is a dialect's name or ``demo``."""

    ingress: str
    upstream: str
    feature: str
    stream: bool
    verdict: Verdict
    request_losses: tuple[Loss, ...] = ()
    answer_losses: tuple[Loss, ...] = ()


EMBEDDED = "demo"


def cells(dialects: Sequence[Dialect]) -> Iterator[Cell]:
    """Every cell: ingress x (upstreams and the embedded demo) x feature x unary and streamed."""
    for ingress in dialects:
        for sample in FEATURES.values():
            for stream in (False, True):
                for upstream in (*dialects, None):
                    yield cell(ingress, upstream, sample, stream)


def cell(ingress: Dialect, upstream: Dialect | None, sample: Sample, stream: bool) -> Cell:
    """What happens to ``sample``; an ``upstream`` of ``None`` is the embedded demo."""
    name = EMBEDDED if upstream is None else upstream.name
    request = native_request(ingress, replace(sample.request, stream=stream))
    if request is None:
        return Cell(ingress.name, name, sample.name, stream, Verdict.NOT_SAID)
    if upstream is None or upstream is ingress:
        request_losses: tuple[Loss, ...] = ()
    else:
        request_losses = upstream.encode_request(_fetched(request, upstream)).losses
        if refusal(request, request_losses, Mode.REPORT) is not None:
            return Cell(ingress.name, name, sample.name, stream, Verdict.REFUSED, request_losses)
    try:
        answer_losses = _answer_losses(ingress, upstream, replace(sample, request=request), stream)
    except EncodeError:
        return Cell(ingress.name, name, sample.name, stream, Verdict.FAILS, request_losses)
    verdict = Verdict.LOSSY if request_losses or answer_losses else Verdict.EXACT
    return Cell(ingress.name, name, sample.name, stream, verdict, request_losses, answer_losses)


def native_request(dialect: Dialect, request: Request) -> Request | None:
    """``request`` as a client of this dialect would say it; ``None`` if what the sample is about cannot be said."""
    encoded = dialect.encode_request(request)
    if refusal(request, encoded.losses, Mode.REPORT) is not None or _flattened(encoded.losses):
        return None
    return dialect.decode_request(encoded.wire)


def _fetched(request: Request, upstream: Dialect) -> Request:
    """The request as the proxy sends it on: with what it fetches for an upstream that needs bytes."""
    messages = (
        replace(message, parts=tuple(_fetched_part(part, upstream) for part in message.parts))
        for message in request.messages
    )
    return replace(request, messages=tuple(messages))


def _fetched_part(part: Part, upstream: Dialect) -> Part:
    if not isinstance(part, Media) or not isinstance(part.source, Url) or not upstream.needs_bytes(part):
        return part
    found = _FOUND.get(part.kind)
    return part if found is None else replace(part, source=Inline(found[0]), mime_type=found[1])


# What stands at the samples' addresses.
_FOUND = {MediaKind.IMAGE: (PNG, "image/png"), MediaKind.DOCUMENT: (PDF, "application/pdf")}


def _flattened(losses: Sequence[Loss]) -> bool:
    return any(loss.field == "messages" for loss in losses)


def context(request: Request) -> Context:
    """A context whose ids and time are always the same."""
    return Context(request, "0" * 24, lambda prefix: prefix + "0" * 24, 0)


def _answer_losses(ingress: Dialect, upstream: Dialect | None, sample: Sample, stream: bool) -> tuple[Loss, ...]:
    request = sample.request
    if stream:
        response = _named(sample.response if upstream is None else _streamed(upstream, sample), request)
        encoder = ingress.stream_encoder(context(request))
        for event in explode(response):
            encoder.encode(event)
        return tuple(encoder.losses)
    response = sample.response
    if upstream is not None:
        wire = upstream.encode_response(response, context(request)).wire
        response = upstream.decode_response(wire, context(request))
    return ingress.encode_response(_named(response, request), context(request)).losses


def _named(response: Response, request: Request) -> Response:
    """The answer under the name the client asked for, as the proxy gives it."""
    return replace(response, model=request.model)


def _streamed(upstream: Dialect, sample: Sample) -> Response:
    """The sample's answer as it arrives from a stream of this upstream."""
    encoder = upstream.stream_encoder(context(replace(sample.request, include_usage=True)))
    decoder = upstream.stream_decoder(context(sample.request))
    raw = b"".join(encoder.encode(event) for event in explode(sample.response))
    events = decoder.feed(raw)
    if not events or not isinstance(events[-1], StreamEnded):
        events += decoder.close(clean=True)
    return collect(events)


def as_markdown(table: Sequence[Cell]) -> str:
    """The matrix as Markdown: one table per client dialect, and every loss below it."""
    lines = [
        "# What each pair of dialects carries",
        "",
        "Generated by `make matrix` from the codecs; do not edit. Rows are features, columns are upstreams; `demo` is",
        "the embedded one. Where streaming differs it stands after the slash.",
        "",
        *(f"- **{verdict}**: {meaning}" for verdict, meaning in MEANINGS.items()),
        "",
        "Media by address is fetched for upstreams that need bytes.",
    ]
    for ingress in dict.fromkeys(entry.ingress for entry in table):
        lines += ["", f"## {ingress} clients", ""]
        lines += _table([entry for entry in table if entry.ingress == ingress])
    return "\n".join(lines) + "\n"


def _table(entries: Sequence[Cell]) -> Iterator[str]:
    upstreams = list(dict.fromkeys(entry.upstream for entry in entries))
    by_place = {(entry.feature, entry.upstream, entry.stream): entry for entry in entries}
    yield "| feature | " + " | ".join(upstreams) + " |"
    yield "|---" * (len(upstreams) + 1) + "|"
    notes: list[str] = []
    for feature in dict.fromkeys(entry.feature for entry in entries):
        row = []
        for upstream in upstreams:
            unary, streamed = by_place[feature, upstream, False], by_place[feature, upstream, True]
            same = unary.verdict is streamed.verdict
            row.append(unary.verdict if same else f"{unary.verdict} / {streamed.verdict}")
            notes += _notes(feature, unary, streamed)
        yield f"| {feature} | " + " | ".join(row) + " |"
    if notes:
        yield ""
        yield from notes


def _notes(feature: str, unary: Cell, streamed: Cell) -> Iterator[str]:
    told = {
        "request": unary.request_losses,
        "answer": unary.answer_losses,
        "streamed answer": () if streamed.answer_losses == unary.answer_losses else streamed.answer_losses,
    }
    said = [f"{where}: {', '.join(f'`{loss}`' for loss in losses)}" for where, losses in told.items() if losses]
    if said:
        yield f"- {feature} -> {unary.upstream}: {'; '.join(said)}"
