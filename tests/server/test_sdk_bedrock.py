"""The official ``boto3`` client for ``bedrock-runtime`` against every upstream: it must not notice what is behind."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cache
from typing import Any

import pytest

from tests.server.sdk_cases import (
    ARGUMENTS,
    CITY,
    LONG,
    MOST_TOKENS,
    ODD,
    PDF_BYTES,
    PNG_BYTES,
    REFUSED,
    REPLIED,
    REPLY,
    REPORT,
    RESULTS,
    SEEN,
    SERVERS,
    SILENT_ON_USAGE,
    STATUSES,
    SYSTEM,
    TIMEOUT,
    TOOLS,
    TURNS,
    both_ways,
    cut,
    failing,
    has,
    need,
    said,
    thought,
    tokens,
    with_server,
    with_upstream,
)
from tests.server.stage import DEMO, Stage, breaks_off, target

need("bedrock_converse", "boto3")

import boto3  # noqa: E402  it may not be there
from botocore.config import Config  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError  # noqa: E402

Json = dict[str, Any]


@cache
def connect(base: str) -> Any:
    """The client, without its retries."""
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=base,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="any",
        config=Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            proxies={},
        ),
    )


@pytest.fixture(scope="module", autouse=True)
def bedrock(base: str, stage: Stage) -> Iterator[Any]:
    """The client of the proxy; it and the one of the demo provider are closed at the end."""
    yield connect(base)
    for server in SERVERS:
        connect(failing(stage, server, "bedrock_converse").base).close()


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def ask(client: Any, model: str, messages: str | list[Json], *, streamed: bool = False, **more: Any) -> Json:
    """The answer, whole or put together from the events as any reader of them does."""
    turns = [user({"text": messages})] if isinstance(messages, str) else messages
    if not streamed:
        answer: Json = client.converse(modelId=model, messages=turns, **more)
        return answer
    with closing(client.converse_stream(modelId=model, messages=turns, **more)["stream"]) as stream:
        return joined(stream)


def joined(events: Iterable[Json]) -> Json:
    """One answer in the form of ``converse`` from the events of ``converse_stream``."""
    answer: Json = {"output": {"message": {"content": []}}}
    blocks: dict[int, Json] = {}
    for event in events:
        [(kind, value)] = event.items()
        if kind == "messageStart":
            answer["output"]["message"]["role"] = value["role"]
        elif kind == "contentBlockStart":
            assert value["contentBlockIndex"] not in blocks
            blocks[value["contentBlockIndex"]] = {"toolUse": {**value["start"]["toolUse"], "input": ""}}
        elif kind == "contentBlockDelta":
            add(blocks.setdefault(value["contentBlockIndex"], {}), value["delta"])
        elif kind == "contentBlockStop":
            answer["output"]["message"]["content"].append(blocks[value["contentBlockIndex"]])
        elif kind == "messageStop":
            answer["stopReason"] = value["stopReason"]
        else:
            assert kind == "metadata"
            answer |= value
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return answer


def add(block: Json, delta: Json) -> None:
    [(kind, piece)] = delta.items()
    if kind == "text":
        block["text"] = block.get("text", "") + piece
    elif kind == "toolUse":
        block["toolUse"]["input"] += piece["input"]
    else:
        assert kind == "reasoningContent"
        said_so_far = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
        for name, value in piece.items():
            said_so_far[name] = said_so_far.get(name, "") + value


def content_of(answer: Json) -> list[Json]:
    assert answer["output"]["message"]["role"] == "assistant"
    content: list[Json] = answer["output"]["message"]["content"]
    return content


def text_of(answer: Json) -> str:
    """The text of an answer that is nothing but text."""
    [block] = content_of(answer)
    assert set(block) == {"text"}
    text: str = block["text"]
    return text


def refuses(upstream: str, feature: str, call: Callable[[], object]) -> bool:
    """Whether this upstream cannot take the feature; if so, asking for it must be refused with the field's name."""
    if has(upstream, feature) or feature not in REFUSED:
        return False
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert REFUSED[feature] in error["Message"]
    return True


# --- text -----------------------------------------------------------------------------------------------------------


@both_ways
@with_upstream
def test_text(bedrock: Any, upstream: str, streamed: bool) -> None:
    answer = ask(bedrock, target(upstream, "echo"), ODD, streamed=streamed)
    assert text_of(answer) == said(ODD)
    assert answer["stopReason"] == "end_turn"


@both_ways
@with_upstream
def test_usage(bedrock: Any, upstream: str, streamed: bool) -> None:
    usage = ask(bedrock, target(upstream, "echo"), "Hello", streamed=streamed).get("usage", {})
    if upstream in SILENT_ON_USAGE:
        assert streamed or usage["outputTokens"] == tokens(said("Hello"))
        return
    counts = {"inputTokens": tokens("Hello"), "outputTokens": tokens(said("Hello"))}
    assert {name: usage[name] for name in (*counts, "totalTokens")} == {**counts, "totalTokens": sum(counts.values())}


@with_upstream
def test_events_come_in_order(bedrock: Any, upstream: str) -> None:
    answer = bedrock.converse_stream(modelId=target(upstream, "echo"), messages=[user({"text": LONG})])
    kinds = [kind for event in answer["stream"] for kind in event]
    assert kinds[0] == "messageStart"
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert set(kinds[1:-3]) == {"contentBlockDelta"}
    assert upstream == "amarsia" or len(kinds) > 10


@with_upstream
def test_system_and_history_arrive(bedrock: Any, upstream: str) -> None:
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": [{"text": text}]} for role, text in zip(roles, TURNS, strict=True)]
    text = text_of(ask(bedrock, target(upstream, "mirror"), messages, system=[{"text": SYSTEM}]))
    places = [text.find(part) for part in (SYSTEM, *TURNS)]
    assert -1 not in places
    assert places == sorted(places)


@both_ways
@with_upstream
def test_length(bedrock: Any, upstream: str, streamed: bool) -> None:
    config = {"maxTokens": MOST_TOKENS}
    answer = ask(bedrock, target(upstream, "echo"), LONG, streamed=streamed, inferenceConfig=config)
    if has(upstream, "max_tokens"):
        assert (text_of(answer), answer["stopReason"]) == (cut(said(LONG), MOST_TOKENS), "max_tokens")
    else:
        assert (text_of(answer), answer["stopReason"]) == (said(LONG), "end_turn")


@both_ways
@with_upstream
def test_stop(bedrock: Any, upstream: str, streamed: bool) -> None:
    def stopped() -> Json:
        config = {"stopSequences": [" two"]}
        return ask(bedrock, target(upstream, "echo"), "one two", streamed=streamed, inferenceConfig=config)

    if refuses(upstream, "stop", stopped):
        return
    answer = stopped()
    assert text_of(answer) == 'You said: "one'
    assert answer["stopReason"] in ("stop_sequence", "end_turn")  # not every upstream tells why it stopped


@both_ways
@with_upstream
def test_thinking(bedrock: Any, upstream: str, streamed: bool) -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    answer = ask(
        bedrock,
        target(upstream, "think"),
        "Hello",
        streamed=streamed,
        inferenceConfig={"maxTokens": 2048},
        additionalModelRequestFields=fields,
    )
    *thoughts, text = content_of(answer)
    assert text == {"text": said("Hello")}
    told = [block["reasoningContent"]["reasoningText"]["text"] for block in thoughts]
    assert told == ([thought("Hello")] if has(upstream, "reasoning") else [])


# --- tools ----------------------------------------------------------------------------------------------------------

OFFERED = {
    "tools": [
        {"toolSpec": {"name": name, "description": f"{name}, please", "inputSchema": {"json": CITY}}} for name in TOOLS
    ]
}


@both_ways
@with_upstream
def test_the_whole_tool_loop(bedrock: Any, upstream: str, streamed: bool) -> None:
    messages = [user({"text": "Use both tools."})]

    def go_on() -> Json:
        return ask(bedrock, target(upstream, "tools"), messages, streamed=streamed, toolConfig=OFFERED)

    if refuses(upstream, "tools", go_on):
        return
    first = go_on()
    assert first["stopReason"] == "tool_use"
    calls = [block["toolUse"] for block in content_of(first)]
    assert [(call["name"], call["input"]) for call in calls] == [(name, ARGUMENTS) for name in TOOLS]
    assert len({call["toolUseId"] for call in calls}) == 2
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": RESULTS[call["name"]]}]}}
        for call in reversed(calls)
    ]
    messages += [first["output"]["message"], user(*results)]
    second = go_on()
    assert second["stopReason"] == "end_turn"
    assert text_of(second) == REPORT


@with_upstream
def test_arguments_come_in_pieces(bedrock: Any, upstream: str) -> None:
    if not has(upstream, "tools"):
        return
    answer = bedrock.converse_stream(
        modelId=target(upstream, "tools"), messages=[user({"text": "Use get_time only."})], toolConfig=OFFERED
    )
    deltas = [event["contentBlockDelta"]["delta"] for event in answer["stream"] if "contentBlockDelta" in event]
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas)) == ARGUMENTS


@with_upstream
def test_a_forced_tool(bedrock: Any, upstream: str) -> None:
    def forced() -> Json:
        config = {**OFFERED, "toolChoice": {"tool": {"name": "get_time"}}}
        return ask(bedrock, target(upstream, "tools"), "Hello", toolConfig=config)

    if refuses(upstream, "forced tool", forced):
        return
    assert [block["toolUse"]["name"] for block in content_of(forced())] == ["get_time"]


@with_upstream
def test_a_failed_tool(bedrock: Any, upstream: str) -> None:
    """Where the upstream has no mark for it, the text at least arrives."""
    if not has(upstream, "tools"):
        return
    result = {"toolUseId": "tooluse_1", "content": [{"text": "no clock"}], "status": "error"}
    messages = [
        user({"text": "Use get_time only."}),
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "tooluse_1", "name": "get_time", "input": {}}}]},
        user({"toolResult": result}),
    ]
    answer = text_of(ask(bedrock, target(upstream, "tools"), messages, toolConfig=OFFERED))
    assert answer.startswith("get_time ")
    assert answer.endswith("no clock")


# --- structured output and media ------------------------------------------------------------------------------------


@both_ways
@with_upstream
def test_json(bedrock: Any, upstream: str, streamed: bool) -> None:
    def asked() -> Json:
        schema = {"jsonSchema": {"schema": json.dumps(REPLY), "name": "reply"}}
        config = {"textFormat": {"type": "json_schema", "structure": schema}}
        return ask(bedrock, target(upstream, "json"), "Where?", streamed=streamed, outputConfig=config)

    if refuses(upstream, "json", asked):
        return
    assert json.loads(text_of(asked())) == REPLIED


@with_upstream
def test_image_and_document(bedrock: Any, upstream: str) -> None:
    content: list[Json] = [
        {"image": {"format": "png", "source": {"bytes": PNG_BYTES}}},
        {"document": {"format": "pdf", "name": "report", "source": {"bytes": PDF_BYTES}}},
        {"text": "What is this?"},
    ]
    assert text_of(ask(bedrock, target(upstream, "echo"), [user(*content)])).split("\n") == SEEN


# --- errors ---------------------------------------------------------------------------------------------------------

CODES: dict[int, str] = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    429: "ThrottlingException",
    500: "InternalServerException",
    502: "ModelErrorException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}
"""Status -> the exception's name: the service model of bedrock-runtime, of 401 the gateway before it (ERR-17).

For 413 the gateway has RequestEntityTooLargeException, which the model has not; ours is the class that clients know.
"""


@both_ways
@pytest.mark.parametrize("status", STATUSES)
@with_server
def test_errors_raise_the_right_exception(stage: Stage, server: str, status: int, streamed: bool) -> None:
    where = failing(stage, server, "bedrock_converse")
    client, told = connect(where.base), where.told[status]
    with pytest.raises(ClientError) as caught:
        ask(client, where.model(status), "x", streamed=streamed)
    error, metadata = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], error["Code"]) == (told, CODES[told])
    # The name is enough for the client's own class, whatever the status.
    assert type(caught.value) is getattr(client.exceptions, CODES[told], ClientError)
    assert error["Message"]
    assert metadata["RetryAttempts"] == 0
    if status in (429, 503):
        assert metadata["HTTPHeaders"]["retry-after"] == "1"
    if told == 502 and status in (401, 402, 403):  # our key is none of the client's business
        assert str(status) not in error["Message"]


def test_an_unknown_model_is_not_found(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        ask(bedrock, "no-such-model", "x")


def test_a_bad_request_names_the_field(bedrock: Any) -> None:
    content: list[Json] = [{"image": {"format": "bmp", "source": {"bytes": PNG_BYTES}}}]
    with pytest.raises(bedrock.exceptions.ValidationException) as caught:
        ask(bedrock, f"{DEMO}/echo", [user(*content)])
    assert "messages[0].content[0].image.format" in caught.value.response["Error"]["Message"]


@with_upstream
def test_a_failure_in_the_middle_raises(bedrock: Any, upstream: str) -> None:
    pieces: list[str] = []
    kinds: list[str] = []

    def read() -> None:
        answer = bedrock.converse_stream(modelId=target(upstream, "cut"), messages=[user({"text": LONG})])
        with closing(answer["stream"]) as stream:
            for event in stream:
                kinds.extend(event)
                pieces.append(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))

    with pytest.raises((ClientError, BotoCoreError)) as caught:
        read()
    text = "".join(pieces)
    assert said(LONG).startswith(text)
    assert text != said(LONG)
    assert "messageStop" not in kinds
    if not breaks_off(upstream):  # a broken connection may overtake the text before it
        assert text
        assert isinstance(caught.value, EventStreamError)
        assert caught.value.response["Error"]["Code"] == "modelStreamErrorException"
        assert caught.value.response["Error"]["Message"]
