"""Upstreams that answer badly: what each client sees of it, whole and streamed, for every pair of dialects.

``reliability.md`` section 3. All questions are asked at once when the module starts; the tests judge the answers.
"""

import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.running import Running, running, write_config
from tests.server.test_disconnect_kit import (
    CANARY_KEY,
    INGRESS,
    LAST_CHUNK,
    PIECES,
    Ending,
    Heard,
    Script,
    ScriptedUpstream,
    answer,
    ask,
    check_error_shape,
    chunk,
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
    whole_body,
    whole_script,
)

HASTY = "{connect: 1, between_events: 1, total: 5}"
AT_ONCE = 24


def error_body(dialect: str, message: str = "They said no.", code: str | None = "their_code") -> bytes:
    """An error as providers of this dialect send it."""
    if dialect == "bedrock_sse":
        return json.dumps({"error": True, "message": message} | ({"code": code} if code else {})).encode()
    return json.dumps({"error": {"message": message, "type": "api_error", "param": None, "code": code}}).encode()


def error_event(dialect: str, message: str = "They said no.", code: str | None = None) -> bytes:
    """An error in a stream of this dialect."""
    if dialect == "bedrock_sse":
        told = {"error": message} | ({"code": code} if code else {})
        return b"id: chunk-0\nevent: error\ndata: " + json.dumps(told).encode() + b"\n\n"
    return b"data: " + error_body(dialect, message, code) + b"\n\n"


def status_script(dialect: str, status: int, headers: dict[str, str] | None = None) -> Script:
    return Script((answer(status, error_body(dialect, code=None), headers),))


@dataclass(frozen=True, slots=True)
class Row:
    """What every client must see. ``code`` is ``None`` where dialects differ or the upstream's own is kept."""

    status: int
    code: str | None = None
    whole: bool = True
    """Whether it is asked for as a whole answer."""
    streamed: bool = True
    """Whether it is asked for as a stream."""
    framed: bool = False
    """Only for upstreams whose stream has frames."""


FAULTS: dict[str, Row] = {
    "400": Row(400),
    "401": Row(502, "upstream_auth"),
    "402": Row(502, "upstream_quota"),
    "403": Row(502, "upstream_auth"),
    "404": Row(404),
    "413": Row(413),
    "422": Row(400),
    "429": Row(429),
    "429 in seven seconds": Row(429),
    "500": Row(502, "upstream_error"),
    "502": Row(502),
    "503": Row(503),
    "504": Row(504),
    "529": Row(503),
    "html 404": Row(404),
    "html 502": Row(502),
    "redirect": Row(502, "upstream_redirect"),
    "redirect that keeps the method": Row(502, "upstream_redirect"),
    "not modified": Row(502),
    "no content": Row(502),
    "html": Row(502),
    "error under 200": Row(502),
    "no json": Row(502, streamed=False),
    "no object": Row(502, streamed=False),
    "nothing": Row(502, streamed=False),
    "whole answer cut": Row(502, streamed=False),
    "too deep": Row(502, streamed=False),
    "too many values": Row(502, streamed=False),
    "event too large": Row(502, whole=False, framed=True),
    "error as first event": Row(502, whole=False, framed=True),
    "rate limit as first event": Row(429, whole=False, framed=True),
    "overload as first event": Row(503, whole=False, framed=True),
    "garbage as first event": Row(502, whole=False, framed=True),
    "no event": Row(502, "stream_interrupted", whole=False, framed=True),
    "event for ever": Row(504, "upstream_timeout", whole=False),
    "headers never": Row(504, "upstream_timeout"),
    "closed at once": Row(502, "upstream_reset"),
    "reset at once": Row(502, "upstream_reset"),
    "no http": Row(502),
    "refused": Row(502, "upstream_unavailable"),
}

RATE_CODES = {"openai_chat": "rate_limit_exceeded", "bedrock_sse": "rate_limited"}
BUSY_CODES = {"openai_chat": "503", "bedrock_sse": "upstream_overloaded"}


def scripts(dialect: str, canary_port: int) -> dict[str, Script]:
    """Fault -> what the upstream of this dialect does; the same for whole answers and streams."""
    html = b"<!doctype html><html><body>Welcome to nginx</body></html>"
    page = {"content-type": "text/html"}
    elsewhere = {"location": f"http://127.0.0.1:{canary_port}/canary"}
    opened = stream_head(stream_type(dialect))
    numbers = (400, 401, 402, 403, 404, 413, 422, 429, 500, 502, 503, 504, 529)
    return {str(number): status_script(dialect, number) for number in numbers} | {
        "429 in seven seconds": status_script(dialect, 429, {"retry-after": "7"}),
        "html 404": Script((answer(404, html, page),)),
        "html 502": Script((answer(502, html, page),)),
        "redirect": Script((answer(302, b"", elsewhere),)),
        "redirect that keeps the method": Script((answer(307, b"{}", elsewhere),)),
        "not modified": Script((b"HTTP/1.1 304 Not Modified\r\n\r\n",)),
        "no content": Script((b"HTTP/1.1 204 No Content\r\n\r\n",)),
        "html": Script((answer(200, html, page),)),
        "error under 200": Script((answer(200, error_body(dialect)),)),
        "no json": Script((answer(200, b'{"choices":['),)),
        "no object": Script((answer(200, b'["x"]'),)),
        "nothing": Script((answer(200, b""),)),
        "too deep": Script((answer(200, whole_body(dialect)[:-1] + b',"x":' + b"[" * 70 + b"]" * 70 + b"}"),)),
        "too many values": Script((answer(200, whole_body(dialect)[:-1] + b',"x":[' + b"1," * 500_001 + b"1]}"),)),
        "event too large": Script((opened, chunk(b"data: " + b" " * 9_000_000), chunk(b"{}\n\n"), LAST_CHUNK)),
        "whole answer cut": Script((answer(200, whole_body(dialect))[:-9],), Ending.FIN),
        "error as first event": Script((opened, chunk(error_event(dialect)), LAST_CHUNK)),
        "rate limit as first event": Script(
            (opened, chunk(error_event(dialect, code=RATE_CODES.get(dialect))), LAST_CHUNK)
        ),
        "overload as first event": Script(
            (opened, chunk(error_event(dialect, code=BUSY_CODES.get(dialect))), LAST_CHUNK)
        ),
        "garbage as first event": Script((opened, chunk(b"data: {]\n\n"), LAST_CHUNK)),
        "no event": Script((opened, LAST_CHUNK)),
        "event for ever": Script((opened,), Ending.HOLD),
        "headers never": Script((), Ending.HOLD),
        "closed at once": Script((), Ending.FIN),
        "reset at once": Script((), Ending.RST),
        "no http": Script((b"SSH-2.0-OpenSSH_9.6\r\n\r\n",), Ending.FIN),
    }


Asked = tuple[str, str, str, bool]
"""Client's dialect, upstream's dialect, fault, streamed."""


def questions() -> Iterator[Asked]:
    for ingress in INGRESS:
        for upstream in INGRESS:
            for fault, row in FAULTS.items():
                for stream in (False, True):
                    asked = row.streamed if stream else row.whole
                    if asked and not (row.framed and upstream == "amarsia"):
                        yield ingress, upstream, fault, stream


@dataclass(frozen=True, slots=True)
class Outcome:
    heard: Heard
    seconds: float


@dataclass(frozen=True, slots=True)
class Stage:
    server: Running
    upstream: ScriptedUpstream
    canary: ScriptedUpstream
    outcomes: dict[Asked, Outcome]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream() as upstream, scripted_upstream() as canary, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and never listening: connections are refused
        for dialect in INGRESS:
            for fault, script in scripts(dialect, canary.port).items():
                upstream.scripts[f"{dialect} {fault}"] = script
        config = provider_lines(upstream.port, HASTY)
        config += provider_lines(taken.getsockname()[1], HASTY).replace("providers:\n", "").replace("up_", "none_")
        path = write_config(tmp_path_factory.mktemp("faults"), config)
        with running("serve", "--config", path, "--port", "0", environment={"CANARY_KEY": CANARY_KEY}) as server:

            def run(asked: Asked) -> tuple[Asked, Outcome]:
                ingress, dialect, fault, stream = asked
                model = f"none_{dialect}/x" if fault == "refused" else f"up_{dialect}/{dialect} {fault}"
                started = time.monotonic()
                heard = ask(server.port, question(ingress, model, stream=stream))
                return asked, Outcome(heard, time.monotonic() - started)

            with ThreadPoolExecutor(AT_ONCE) as pool:
                outcomes = dict(pool.map(run, list(questions())))
            yield Stage(server, upstream, canary, outcomes)


@pytest.mark.parametrize(
    "asked",
    [pytest.param(asked, id="-".join([*asked[:3], "stream" if asked[3] else "whole"])) for asked in questions()],
)
def test_a_bad_answer_is_a_clean_error(stage: Stage, asked: Asked) -> None:
    ingress, _, fault, _ = asked
    row, outcome = FAULTS[fault], stage.outcomes[asked]
    heard = outcome.heard
    assert heard.status == row.status, heard
    error = check_error_shape(ingress, heard)
    if row.code is not None:
        assert error["code"] == row.code, error
    assert len(error["message"]) < 400, "a short excerpt of what it said is enough (ERR-11, hard-cases.md)"
    assert outcome.seconds < 4, "the time limits are one second"
    if fault == "429 in seven seconds":
        assert heard.headers["retry-after"] == "7"
    else:
        assert "retry-after" not in heard.headers


TYPES = {
    400: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


@pytest.mark.parametrize("ingress", ["openai_chat", "amarsia"])
def test_the_type_of_an_error_fits_its_status(stage: Stage, ingress: str) -> None:
    """K7 (dialects/arka.md), and section 9 of dialects/amarsia.md."""
    for asked, outcome in stage.outcomes.items():
        if asked[0] == ingress and outcome.heard.status != 200:  # those are judged above
            error = check_error_shape(ingress, outcome.heard)
            assert error["type"] == TYPES.get(outcome.heard.status, "api_error"), (asked, error)


def test_a_redirect_is_not_followed(stage: Stage) -> None:
    assert stage.canary.connections == 0


# --- failures after the first text ------------------------------------------------------------------------------------

LATE: dict[str, tuple[str, str | None]] = {
    # fault -> (the code told, or None where the upstream's own is kept)
    "silence": ("silence", "upstream_timeout"),
    "error event": ("error event", None),
    "garbage": ("garbage", None),
    "trickle": ("trickle", "upstream_timeout"),
}


def late_script(dialect: str, fault: str) -> Script | None:
    """Two texts, and then the fault; ``None`` where this dialect cannot have it."""
    frames = stream_frames(dialect)
    begun = (stream_head(stream_type(dialect)), chunk(frames[0]), chunk(frames[1]))
    match fault:
        case "silence":
            return Script(begun, Ending.HOLD, 0.01)
        case "error event" if dialect != "amarsia":
            return Script((*begun, chunk(error_event(dialect)), LAST_CHUNK), pause=0.01)
        case "garbage" if dialect != "amarsia":
            return Script((*begun, chunk(b"data: {]\n\n"), LAST_CHUNK), pause=0.01)
        case "garbage":
            return Script((*begun, chunk(b"\xff\xfe"), LAST_CHUNK), pause=0.01)
        case "trickle" if dialect != "amarsia":
            # A byte now and then, never a whole event: only the limit for the whole answer ends it, after five seconds.
            return Script((*begun, *(chunk(bytes([byte])) for byte in b"data: {" + b" " * 40)), Ending.HOLD, 0.15)
        case _:
            return None


@pytest.mark.parametrize("fault", LATE)
def test_a_late_fault_ends_the_stream_with_an_error(stage: Stage, fault: str) -> None:
    """Pairs of one fault together, since some of them take seconds."""
    pairs = [(ingress, upstream) for ingress in INGRESS for upstream in INGRESS if late_script(upstream, fault)]
    for _, upstream in pairs:
        script = late_script(upstream, fault)
        assert script is not None
        stage.upstream.scripts[f"late {fault} {upstream}"] = script

    def run(pair: tuple[str, str]) -> Heard:
        ingress, upstream = pair
        return ask(stage.server.port, question(ingress, f"up_{upstream}/late {fault} {upstream}", stream=True))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(run, pairs))
    said = "".join(PIECES[:2])
    for (ingress, upstream), heard in zip(pairs, answers, strict=True):
        about = (ingress, upstream, heard)
        assert heard.status == 200, about
        assert text_in(ingress, heard.body) == said, about
        assert not looks_finished(ingress, heard), about
        if ingress == "amarsia":
            assert not heard.ended, about
            continue
        failure = stream_failure(ingress, heard)
        assert failure is not None, about
        assert heard.ended, about
        if LATE[fault][1] is not None:
            assert failure["code"] == LATE[fault][1], about


# --- secrets in the upstream's words ----------------------------------------------------------------------------------

SHAPES = {
    "plain": CANARY_KEY,
    "header": f"Bearer {CANARY_KEY}",
    "base64": base64.b64encode(CANARY_KEY.encode()).decode(),
    "quoted": quote(CANARY_KEY, safe="").replace("-", "%2D"),
}
ECHOES = ["400", "401", "404", "422", "429", "500", "503", "under 200", "first event", "late event"]


def echo_script(dialect: str, where: str, words: str) -> Script | None:
    """An upstream that repeats the key and its own address in its error."""
    match where:
        case "under 200":
            return Script((answer(200, error_body(dialect, words, "their_code")),))
        case "first event" | "late event" if dialect == "amarsia":
            return None
        case "first event":
            sends = (stream_head(stream_type(dialect)), chunk(error_event(dialect, words)), LAST_CHUNK)
            return Script(sends)
        case "late event":
            begun = (stream_head(stream_type(dialect)), chunk(stream_frames(dialect)[0]))
            return Script((*begun, chunk(error_event(dialect, words)), LAST_CHUNK), pause=0.01)
        case _:
            return Script((answer(int(where), error_body(dialect, words, words)),))


def echoing(stage: Stage, upstream: str, where: str, words: str) -> list[tuple[str, bool, Heard]]:
    """What each client hears of an upstream that says these words in its error: dialect, streamed, answer."""
    script = echo_script(upstream, where, words)
    if script is None:
        return []  # there is no such event in plain text
    name = f"echo {where} {upstream}"
    stage.upstream.scripts[name] = script
    kinds = [True] if where.endswith("event") else [False, True]
    asked = [(ingress, stream) for ingress in INGRESS for stream in kinds]
    return [(i, s, ask(stage.server.port, question(i, f"up_{upstream}/{name}", stream=s))) for i, s in asked]


@pytest.mark.parametrize("where", ECHOES)
@pytest.mark.parametrize("upstream", INGRESS)
def test_a_key_that_the_upstream_repeats_stays_inside(stage: Stage, upstream: str, where: str) -> None:
    """reliability.md T4: upstream text is scrubbed of every loaded secret and its base64 and URL forms."""
    leaks = [
        (shape, ingress, "stream" if stream else "whole")
        for shape, secret in SHAPES.items()
        for ingress, stream, heard in echoing(stage, upstream, where, f"Bad key {secret} for you")
        if secret.encode() in heard.raw
    ]
    assert leaks == []


@pytest.mark.parametrize("where", ECHOES)
@pytest.mark.parametrize("upstream", INGRESS)
def test_the_upstreams_address_stays_inside(stage: Stage, upstream: str, where: str) -> None:
    address = f"127.0.0.1:{stage.upstream.port}"
    answers = echoing(stage, upstream, where, f"Cannot POST http://{address}/v1/x")
    assert [(ingress, stream) for ingress, stream, heard in answers if address.encode() in heard.raw] == []


def test_no_secret_is_in_the_log(stage: Stage) -> None:
    log = "".join(stage.server.log)
    assert all(secret not in log for secret in SHAPES.values())
    assert f"127.0.0.1:{stage.upstream.port}" not in log


def test_the_server_is_well_after_all_faults(stage: Stage) -> None:
    for upstream in INGRESS:
        stage.upstream.scripts["fine"] = whole_script(upstream)
        for ingress in INGRESS:
            assert ask(stage.server.port, question(ingress, f"up_{upstream}/fine", stream=False)).status == 200


def test_the_log_has_no_trouble(stage: Stage) -> None:
    assert troubles(stage.server.log) == []
