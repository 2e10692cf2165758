"""What the official ``openai`` package makes of our models, errors and broken streams."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.server.stage import DEMO, UPSTREAMS, Stage, breaks_off, target

LONG = " ".join(f"word{number}" for number in range(60))
SAID = f'You said: "{LONG}"'

with_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


# --- models ---------------------------------------------------------------------------------------------------------


def test_models_are_listed_and_each_can_be_retrieved(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert {f"{DEMO}/{name}" for name in ("echo", "tools", "json", "slow", "think", "mirror", "cut")} <= {
        model.id for model in models
    }
    for model in models:
        found = client.models.retrieve(model.id)
        assert found == model
        assert found.object == "model"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=user("x"))
    assert caught.value.code == "model_not_found"


# --- errors ---------------------------------------------------------------------------------------------------------

ERRORS: dict[int, tuple[int, type[openai.APIStatusError]]] = {
    400: (400, openai.BadRequestError),
    401: (502, openai.InternalServerError),
    402: (502, openai.InternalServerError),
    403: (502, openai.InternalServerError),
    404: (404, openai.NotFoundError),
    413: (413, openai.APIStatusError),
    429: (429, openai.RateLimitError),
    500: (502, openai.InternalServerError),
    503: (503, openai.InternalServerError),
    504: (504, openai.InternalServerError),
}
CODES = {401: "upstream_auth", 402: "upstream_quota", 403: "upstream_auth"}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("status", ERRORS)
@with_upstream
def test_errors_raise_the_right_exception(client: openai.OpenAI, upstream: str, status: int, stream: bool) -> None:
    seen, kind = ERRORS[status]
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=target(upstream, f"fail-{status}"), messages=user("x"), stream=stream)
    error = caught.value
    assert error.status_code == seen
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.body["message"]
    assert error.body["type"]
    assert error.code
    assert error.code == CODES.get(status, error.code)
    assert error.request_id == error.response.headers["x-request-id"]
    if status in (429, 503):
        assert error.response.headers["retry-after"] == "1"
    if status in CODES:
        assert str(status) not in error.body["message"]


def test_a_bad_request_names_the_field(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "x"}, {"role": "wizard", "content": "x"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=f"{DEMO}/echo", messages=messages)
    assert caught.value.param == "messages[1].role"


@with_upstream
def test_a_failure_in_the_middle_raises(client: openai.OpenAI, upstream: str) -> None:
    pieces: list[str] = []
    reasons: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(model=target(upstream, "cut"), messages=user(LONG), stream=True):
            pieces.append(chunk.choices[0].delta.content or "")
            reasons.extend([chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else [])

    with pytest.raises(openai.APIError) as caught:
        read()
    text = "".join(pieces)
    assert SAID.startswith(text)
    assert text != SAID
    assert reasons == []
    assert caught.value.message
    if not breaks_off(upstream):  # a broken connection may overtake the text before it
        assert text
        assert not isinstance(caught.value, openai.APIStatusError)


@with_upstream
async def test_a_failure_in_the_middle_raises_async(async_client: openai.AsyncOpenAI, upstream: str) -> None:
    async def read() -> None:
        stream = await async_client.chat.completions.create(
            model=target(upstream, "cut"), messages=user(LONG), stream=True
        )
        async for chunk in stream:
            assert chunk.choices[0].finish_reason is None

    with pytest.raises(openai.APIError):
        await read()


def test_the_stage_has_every_dialect(stage: Stage) -> None:
    """The tests above are as good as the list of upstreams they run against."""
    assert {"amarsia", "bedrock_sse", "openai_chat"} <= set(stage.providers)
