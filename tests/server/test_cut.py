"""R5, "cut": whatever part of a stream an upstream manages to send, no client takes it for a whole answer.

Streams of each dialect are cut at many offsets, by FIN without the last chunk and by RST, and read by a bare socket.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.contract import Context
from adapters.model.event import Event as StreamEvent
from adapters.model.event import StreamEnded, TextDelta
from adapters.model.request import Request
from proxy.registry import load_dialect
from tests.running import Running, running, write_config
from tests.server.test_disconnect_kit import (
    CANARY_KEY,
    INGRESS,
    LAST_CHUNK,
    PIECES,
    TEXT,
    Ending,
    Heard,
    Script,
    ScriptedUpstream,
    ask,
    check_error_shape,
    chunk,
    events_in,
    looks_finished,
    provider_lines,
    question,
    scripted_upstream,
    stream_failure,
    stream_frames,
    stream_head,
    stream_type,
    text_in,
    troubles,
)

CUTS = 75
"""Offsets for each pair of dialects; each is cut by FIN and by RST."""
AT_ONCE = 16
PAUSE = 0.01
VECTORS = Path(__file__).parent.parent / "vectors"


@dataclass(frozen=True, slots=True)
class Stage:
    server: Running
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream() as upstream:
        # The same name on both sides: with one dialect, too, the bytes are relayed as they come.
        names = [f"{name}-{number}" for name in INGRESS for number in range(2 * CUTS + 1)]
        models = "models:\n" + "".join(f"  {name}: up_{name.rpartition('-')[0]}/{name}\n" for name in names)
        config = write_config(tmp_path_factory.mktemp("cut"), provider_lines(upstream.port) + models)
        with running("serve", "--config", config, "--port", "0", environment={"CANARY_KEY": CANARY_KEY}) as server:
            yield Stage(server, upstream)


def offsets(raw: bytes, frames: list[bytes]) -> list[int]:
    """Every offset of a short stream; of a longer one those around the ends of its frames, and others evenly."""
    if len(raw) < CUTS:
        return list(range(len(raw) + 1))
    ends = [sum(map(len, frames[:count])) for count in range(len(frames) + 1)]
    chosen = {at for end in ends for at in (end - 2, end - 1, end, end + 1) if 0 <= at <= len(raw)}
    others = CUTS - len(chosen)
    return sorted(chosen | {number * len(raw) // others for number in range(others)})


def played(dialect: str, raw: bytes, at: int, ending: Ending, pause: float = PAUSE) -> Script:
    """The first ``at`` bytes in two chunks, of which every third time the last one is cut itself, and then the end."""
    first, second = raw[: at * 2 // 3], raw[at * 2 // 3 : at]
    last = b"%x\r\n%b" % (len(second) + 50, second) if at % 3 == 0 and second else chunk(second)
    return Script((stream_head(stream_type(dialect)), *filter(None, (chunk(first), last))), ending, pause)


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut stream and what the client heard of it."""

    at: int
    ending: Ending
    heard: Heard


def cut_streams(stage: Stage, ingress: str, upstream: str, *, relayed: bool) -> list[Cut]:
    """All cuts of one pair, some at a time."""
    frames = stream_frames(upstream)
    raw = b"".join(frames)
    jobs: list[tuple[int, Ending, str]] = []
    for at in offsets(raw, frames):
        for ending in (Ending.FIN, Ending.RST):
            name = f"{upstream}-{len(jobs)}"
            stage.upstream.scripts[name] = played(upstream, raw, at, ending)
            jobs.append((at, ending, name if relayed else f"up_{upstream}/{name}"))

    def run(job: tuple[int, Ending, str]) -> Cut:
        at, ending, model = job
        return Cut(at, ending, ask(stage.server.port, question(ingress, model, stream=True)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, jobs))


def is_whole(upstream: str, raw: bytes, at: int) -> bool:
    """Whether the cut took only padding. Where the end of the body is the only end mark, there is no padding."""
    return upstream != "amarsia" and not raw[at:].strip(b"\n")


def check_failed_early(ingress: str, cut: Cut) -> None:
    assert cut.heard.status == 502, cut
    error = check_error_shape(ingress, cut.heard)
    assert error["code"], cut


def check_failed_late(ingress: str, cut: Cut) -> None:
    """The stream told that it failed, in the way of its dialect, and told no end."""
    heard = cut.heard
    assert not looks_finished(ingress, heard) or ingress == "amarsia", cut
    if ingress == "amarsia":
        assert not heard.ended, f"a body that ends in order is a success to every client: {cut}"
        assert not heard.raw.endswith(LAST_CHUNK)
        return
    assert heard.ended, f"where the dialect has words for a failure, the body ends in order: {cut}"
    assert heard.body.endswith(b"\n\n"), f"half a frame: {cut}"
    failure = stream_failure(ingress, heard)
    assert failure is not None, cut
    assert failure["code"] == "stream_interrupted", cut
    last = events_in(ingress, heard.body)[-1]
    assert last[0] == "error" if ingress == "bedrock_sse" else "error" in last[1], "nothing follows the error"


def check(ingress: str, upstream: str, cut: Cut) -> str:
    """Judges one cut; gives what became of it."""
    frames = stream_frames(upstream)
    raw = b"".join(frames)
    heard = cut.heard
    whole = is_whole(upstream, raw, cut.at)
    first_text = len(frames[0]) - 2 if upstream != "amarsia" else 1
    if heard.status != 200:
        check_failed_early(ingress, cut)
        return "early"
    assert cut.at >= first_text, f"there was no text yet: {cut}"
    text = text_in(ingress, heard.body)
    assert TEXT.startswith(text), cut
    assert heard.headers["content-type"].split(";")[0] == stream_type(ingress).split(";")[0]
    # When nothing but padding is missing, a reset may still have overtaken the last bytes on their way in.
    if whole and looks_finished(ingress, heard) and heard.ended:
        assert text == TEXT, cut
        assert ingress == "amarsia" or stream_failure(ingress, heard) is None, cut
        assert ingress == "amarsia" or heard.body.endswith(b"\n\n"), f"half a frame: {cut}"
        return "whole"
    check_failed_late(ingress, cut)
    return "late"


@pytest.mark.parametrize("upstream", INGRESS)
@pytest.mark.parametrize("ingress", INGRESS)
def test_a_cut_stream_never_looks_finished(stage: Stage, ingress: str, upstream: str) -> None:
    results = Counter(check(ingress, upstream, cut) for cut in cut_streams(stage, ingress, upstream, relayed=False))
    check_spread(results, upstream)


@pytest.mark.parametrize("dialect", INGRESS)
def test_a_cut_relayed_stream_never_looks_finished(stage: Stage, dialect: str) -> None:
    results = Counter(check(dialect, dialect, cut) for cut in cut_streams(stage, dialect, dialect, relayed=True))
    check_spread(results, dialect)


def check_spread(results: Counter[str], upstream: str) -> None:
    """The cuts must have reached every phase, or the test proves less than it says."""
    assert results["early"] >= (2 if upstream == "amarsia" else 20), results
    assert results["late"] >= 20, results
    assert (results["whole"] > 0) is (upstream != "amarsia"), results


@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RST], ids=["fin", "rst"])
@pytest.mark.parametrize("relayed", [False, True], ids=["translated", "relayed"])
def test_events_of_a_failed_stream_are_numbered_without_a_gap(stage: Stage, relayed: bool, ending: Ending) -> None:
    """Ids rise by one over all events, the error included (dialects/quant.md, section 5 and Q6)."""
    frames = stream_frames("bedrock_sse")
    name = f"bedrock_sse-{2 * CUTS}"
    raw = b"".join(frames[:4])
    stage.upstream.scripts[name] = played("bedrock_sse", raw, len(raw), ending, 0.05)
    heard = ask(stage.server.port, question("bedrock_sse", name if relayed else f"up_bedrock_sse/{name}", stream=True))
    ids = [line[4:] for line in heard.body.split(b"\n") if line.startswith(b"id: ")]
    assert len(ids) >= 4
    assert ids == [b"chunk-%d" % number for number in range(len(ids))]


@pytest.mark.parametrize("relayed", [False, True], ids=["translated", "relayed"])
def test_all_chunks_of_a_failed_stream_have_one_id(stage: Stage, relayed: bool) -> None:
    """K24 (dialects/arka.md). Text that comes together with the failure is written by us, after relayed chunks."""
    frames = stream_frames("openai_chat")
    failing = b'data: {"error":{"message":"no","type":"server_error","code":null}}\n\n'
    name = f"openai_chat-{2 * CUTS}"
    sends = (stream_head("text/event-stream"), chunk(frames[0]), chunk(frames[1]), chunk(frames[2] + failing))
    stage.upstream.scripts[name] = Script(sends, Ending.FIN, 0.05)
    heard = ask(stage.server.port, question("openai_chat", name if relayed else f"up_openai_chat/{name}", stream=True))
    assert text_in("openai_chat", heard.body) == "".join(PIECES[:3])
    chunks = [data for _, data in events_in("openai_chat", heard.body) if "error" not in data]
    assert len({data["id"] for data in chunks}) == 1
    assert len({data["model"] for data in chunks}) == 1
    assert not looks_finished("openai_chat", heard)


def test_a_whole_relayed_stream_is_the_upstreams_own_bytes(stage: Stage) -> None:
    """What the cuts are measured against; also proof that this traffic is relayed and not translated."""
    for dialect in INGRESS:
        raw = b"".join(stream_frames(dialect))
        name = f"{dialect}-{2 * CUTS}"
        # In chunks that end anywhere: clients get whole frames, one write each.
        pieces = [chunk(raw[at : at + 37]) for at in range(0, len(raw), 37)]
        stage.upstream.scripts[name] = Script((stream_head(stream_type(dialect)), *pieces, LAST_CHUNK))
        heard = ask(stage.server.port, question(dialect, name, stream=True))
        assert (heard.status, heard.ended, heard.body) == (200, True, raw)
        if dialect != "amarsia":
            assert all(piece.endswith(b"\n\n") for piece in http_chunks(heard.raw))


@pytest.mark.parametrize("relayed", [False, True], ids=["translated", "relayed"])
@pytest.mark.parametrize("dialect", ["openai_chat", "bedrock_sse"])
def test_what_follows_the_end_is_not_told(stage: Stage, dialect: str, relayed: bool) -> None:
    """The client sees one end and nothing after it, whatever comes (reliability.md section 3, "events after done")."""
    frames = stream_frames(dialect)
    name = f"{dialect}-{2 * CUTS}"
    sends = (stream_head(stream_type(dialect)), chunk(b"".join(frames) + b"".join(frames)), LAST_CHUNK)
    stage.upstream.scripts[name] = Script(sends)
    heard = ask(stage.server.port, question(dialect, name if relayed else f"up_{dialect}/{name}", stream=True))
    assert (heard.status, heard.ended) == (200, True)
    assert text_in(dialect, heard.body) == TEXT
    ends = heard.body.count(b"data: [DONE]\n\n" if dialect == "openai_chat" else b"\nevent: done\n")
    assert ends == 1


@pytest.mark.parametrize("relayed", [False, True], ids=["translated", "relayed"])
def test_a_client_is_never_left_in_doubt(stage: Stage, relayed: bool) -> None:
    """A finished answer without ``[DONE]`` and an orderly end of the body: it may count as whole or as cut.

    The fault matrix wants the first. Either way the client must be told, by the end mark or by an error.
    """
    whole = b"".join(stream_frames("openai_chat"))
    raw = whole.removesuffix(b"data: [DONE]\n\n")
    assert raw != whole
    name = f"openai_chat-{2 * CUTS}"
    stage.upstream.scripts[name] = Script((stream_head("text/event-stream"), chunk(raw), LAST_CHUNK))
    heard = ask(stage.server.port, question("openai_chat", name if relayed else f"up_openai_chat/{name}", stream=True))
    assert text_in("openai_chat", heard.body) == TEXT
    assert looks_finished("openai_chat", heard) is (stream_failure("openai_chat", heard) is None)


def http_chunks(raw: bytes) -> list[bytes]:
    """The chunks of a chunked answer, as they were written."""
    rest = raw.partition(b"\r\n\r\n")[2]
    found = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        found.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return found


# --- captured streams ----------------------------------------------------------------------------------------------


def captured(dialect: str) -> list[Path]:
    """The recorded streams of this dialect that end well."""
    return sorted(path for path in (VECTORS / dialect / "streams").glob("*.raw") if not path.name.startswith("failed"))


def read_captured(dialect: str, raw: bytes) -> tuple[str, int] | None:
    """The text of a whole recorded stream, and the length up to its end mark, by the dialect's own decoder.

    ``None`` if it has more than one choice, which no other dialect can tell in one stream.
    """
    context = Context(Request("m", (), stream=True), "0" * 24, lambda prefix: prefix + "1", 1700000000)
    decoder = load_dialect(dialect).stream_decoder(context)
    events: list[StreamEvent] = []
    end = len(raw)
    for at in range(len(raw)):
        events += decoder.feed(raw[at : at + 1])
        if events and isinstance(events[-1], StreamEnded):
            end = at + 1
            break
    events += decoder.close(clean=True)
    assert isinstance(events[-1], StreamEnded)
    if any(getattr(event, "choice", 0) != 0 for event in events):
        return None
    return "".join(event.text for event in events if isinstance(event, TextDelta)), end


@pytest.mark.parametrize("upstream", INGRESS)
@pytest.mark.parametrize("ingress", INGRESS)
def test_a_cut_captured_stream_never_looks_finished(stage: Stage, ingress: str, upstream: str) -> None:
    """Every recorded stream, cut in the middle, later on, and within its last event."""
    jobs: list[tuple[str, bytes, int, str]] = []
    for path in captured(upstream):
        raw = path.read_bytes()
        found = read_captured(upstream, raw)
        if found is None or not raw:
            continue
        text, end = found
        last_data = raw.rfind(b"data:", 0, end)
        last = last_data + 7 if last_data >= 0 else len(raw[:end].rstrip()) - 1
        for at in sorted({end // 2, end * 4 // 5, max(last, 0)}):
            name = f"captured-{ingress}-{upstream}-{len(jobs)}"
            ending = Ending.FIN if len(jobs) % 2 else Ending.RST
            stage.upstream.scripts[name] = played(upstream, raw, at, ending)
            jobs.append((name, raw, at, text))
    if not jobs:
        pytest.skip(f"there are no recorded streams of {upstream}")

    def run(job: tuple[str, bytes, int, str]) -> Heard:
        return ask(stage.server.port, question(ingress, f"up_{upstream}/{job[0]}", stream=True))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(run, jobs))
    for (_, raw, at, text), heard in zip(jobs, answers, strict=True):
        about = (raw[:at][-80:], heard)
        if heard.status != 200:
            assert heard.status == 502, about
            check_error_shape(ingress, heard)
            continue
        assert text.startswith(text_in(ingress, heard.body)), about
        assert not looks_finished(ingress, heard), about
        if ingress == "amarsia":
            assert not heard.ended, about
        else:
            assert stream_failure(ingress, heard) is not None, about


def test_the_server_is_well_after_all_cuts(stage: Stage) -> None:
    for dialect in INGRESS:
        stage.upstream.scripts["fine"] = Script(
            (stream_head(stream_type(dialect)), *map(chunk, stream_frames(dialect)), LAST_CHUNK)
        )
        for ingress in INGRESS:
            heard = ask(stage.server.port, question(ingress, f"up_{dialect}/fine", stream=True))
            assert (heard.status, heard.ended, text_in(ingress, heard.body)) == (200, True, TEXT)
            assert looks_finished(ingress, heard)


def test_the_log_has_no_trouble(stage: Stage) -> None:
    """A cut is a warning with the request's id, not an error; and no text of any answer is in the log."""
    assert troubles(stage.server.log) == []
    assert "Kigali" not in "".join(stage.server.log)
    warnings = [json.loads(line) for line in stage.server.log if '"stream failed"' in line]
    assert warnings
    assert all(warning["request_id"] and warning["level"] == "warning" for warning in warnings)
