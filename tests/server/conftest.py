"""One stage for all tests of this folder: starting it takes longer than most of them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from tests.server.recording import Recorder
from tests.server.stage import Stage, set_up


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The proxy with its upstreams."""
    with set_up(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="session")
def base(stage: Stage) -> str:
    """The proxy's URL, without a path."""
    return stage.base


@pytest.fixture
def recorder(stage: Stage) -> Recorder:
    """The recording upstream; what came in before this test is forgotten."""
    stage.recorder.received.clear()
    return stage.recorder


def _settings(base: str) -> dict[str, Any]:
    return {"base_url": f"{base}/v1", "api_key": "any", "max_retries": 0, "timeout": 20}


@pytest.fixture(scope="session")
def client(base: str) -> Iterator[openai.OpenAI]:
    """The official client, without its retries."""
    with openai.OpenAI(**_settings(base)) as client:
        yield client


@pytest.fixture
async def async_client(base: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(**_settings(base)) as client:
        yield client
