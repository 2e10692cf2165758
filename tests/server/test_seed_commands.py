"""The requests printed in the documents the project was made from, with nothing changed but host and key.

They run through the real ``curl`` where there is one; without it the same command line is read by ``run_like_curl``.
"""

import codecs
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.server.calls import Answer, get, post
from tests.server.stage import UPSTREAMS, Stage, provider_settings, reports_usage, serving, target

AMARSIA_HOST = "https://api.amarsia.com"
ARKA_HOST = "https://api.arka-ai.com"

# Seed 000, "Standard API".
AMARSIA_RUN = r"""curl https://api.amarsia.com/v1/runner/YOUR_DEPLOYMENT_ID \
-H "Content-Type: application/json" \
-H "x-api-key: YOUR_API_KEY" \
-d '{
"content": [{
"type": "text",
"text": "Your input message here."
}]
}'"""

# Seed 000, "Streaming API". Only the call at its end is ours; console.log prints what the page calls real-time.
AMARSIA_FETCH = """async function streamResponse(prompt) {
const response = await fetch(
'https://api.amarsia.com/v1/runner/YOUR_DEPLOYMENT_ID/stream',
{
method: 'POST',
headers: {
'Content-Type': 'application/json',
'x-api-key': 'YOUR_API_KEY',
},
body: JSON.stringify({
content: [{ type: 'text', text: prompt }]
})
}
);
const reader = response.body.getReader();
const decoder = new TextDecoder();
while (true) {
const { done, value } = await reader.read();
if (done) break;
const chunk = decoder.decode(value, { stream: true });
console.log(chunk); // Display in real-time
}
}"""

# Seed 000, "Multimodal Requests".
AMARSIA_MULTIMODAL = """{
"content": [
{
"type": "text",
"text": "Analyze this image and video."
},
{
"type": "image",
"mime_type": "image/jpeg",
"file_uri": "https://example.com/image.jpg"
},
{
"type": "video",
"mime_type": "video/mp4",
"file_uri": "https://example.com/video.mp4"
}
]
}"""

# Seed 004, "Create Completion".
ARKA_CHAT = r"""curl https://api.arka-ai.com/v1/chat/completions \
-H "Authorization: Bearer YOUR_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"model": "gpt-4o",
"messages": [
{
"role": "system",
"content": "You are a helpful assistant."
},
{
"role": "user",
"content": "Explain quantum computing in simple terms."
}
],
"temperature": 0.7,
"max_tokens": 500
}'"""

# Seed 003 has a parameter table and no example request: this one has every text parameter of it, all at legal values.
QUANT_CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"text": "Hello there, how are you?"}]},
    ],
    "modelId": "amazon.nova-lite-v1:0",
    "temperature": 0.7,
    "maxTokens": 1024,
    "topP": 1,
    "systemPrompt": "You are helpful.",
}

DEPLOYMENT = "YOUR_DEPLOYMENT_ID"
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "claude-3-5-sonnet", "claude-3-opus", "amazon.nova-lite-v1:0")


@pytest.fixture(scope="module", params=UPSTREAMS)
def upstream(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def host(stage: Stage, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy that serves the documents' model names and deployment from one upstream."""
    echo = target(upstream, "echo")
    settings = {
        "providers": provider_settings(stage.providers, stage.recorder),
        "models": dict.fromkeys(MODELS, echo),
        "presets": {DEPLOYMENT: {"model": echo}},
    }
    with serving(tmp_path_factory.mktemp("seeds"), settings) as proxy:
        yield proxy.base


def run_in_shell(command: str) -> Answer:
    """The answer to a curl command line, with its headers."""
    assert command.startswith("curl ")
    if shutil.which("curl") is None:
        return run_like_curl(command)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    shown = command.replace("curl ", "curl --no-buffer --max-time 20 --include ", 1)
    result = subprocess.run(["sh", "-c", shown], capture_output=True, timeout=30, env=environment, check=False)
    assert result.returncode == 0, result.stderr.decode()
    head, _, body = result.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, body)


def run_like_curl(command: str) -> Answer:
    """What curl would do with a command line of these documents: a URL, ``-H`` and ``-d``."""
    _, url, *options = shlex.split(command.replace("\\\n", " "))
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    return post(url, next(value for name, value in pairs if name == "-d").encode(), headers)


def test_both_ways_to_run_a_command_agree(host: str) -> None:
    command = AMARSIA_RUN.replace(AMARSIA_HOST, host)
    one, other = run_in_shell(command), run_like_curl(command)
    assert one.status == other.status == 200
    assert one.json()["content"] == other.json()["content"]


def test_amarsia_run(host: str, upstream: str) -> None:
    """Seed 000: ``content``, ``model``, ``output_tokens``, ``input_tokens``; seed 001 adds ``request_id``."""
    answer = run_in_shell(AMARSIA_RUN.replace(AMARSIA_HOST, host).replace("YOUR_API_KEY", "secret-key"))
    assert answer.status == 200
    body = answer.json()
    assert set(body) == {"content", "model", "output_tokens", "input_tokens", "request_id"}
    assert body["content"] == 'You said: "Your input message here."'
    assert body["model"] == DEPLOYMENT
    assert type(body["input_tokens"]) is int
    assert type(body["output_tokens"]) is int
    assert re.fullmatch(r"req_\w+", body["request_id"])
    assert answer.headers["x-dragoman-target"] == target(upstream, "echo")
    assert b"secret-key" not in answer.body


def test_amarsia_stream_through_the_documented_loop(host: str) -> None:
    prompt = "Hello 😀 漢字\u2028 there, how are you?"
    assert fetch_loop(host, prompt) == f'You said: "{prompt}"'


@pytest.mark.skipif(shutil.which("node") is None, reason="the documented code is JavaScript, and there is no node here")
def test_amarsia_stream_through_the_documented_code_itself(host: str) -> None:
    """console.log ends each chunk with a line break, and the prompt has none: so they can be taken out again."""
    prompt = "Hello 😀 漢字\u2028 there, how are you?"
    script = f"{AMARSIA_FETCH.replace(AMARSIA_HOST, host)}\nstreamResponse({json.dumps(prompt)});"
    result = subprocess.run(["node", "-e", script], capture_output=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.decode().replace("\n", "") == f'You said: "{prompt}"'


def fetch_loop(host: str, prompt: str) -> str:
    """The same loop in Python: read, decode what is complete, put together."""
    place = urlsplit(host)
    assert place.hostname is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = ""
    with closing(HTTPConnection(place.hostname, place.port, timeout=20)) as connection:
        body = json.dumps({"content": [{"type": "text", "text": prompt}]})
        headers = {"Content-Type": "application/json", "x-api-key": "YOUR_API_KEY"}
        connection.request("POST", f"/v1/runner/{DEPLOYMENT}/stream", body, headers)
        with connection.getresponse() as response:
            while value := response.read1(65536):
                text += decoder.decode(value)
    return text


def test_amarsia_multimodal(host: str, upstream: str) -> None:
    """The documented request where the upstream takes addresses; elsewhere a refusal that names the part."""
    for path in (f"/v1/runner/{DEPLOYMENT}", f"/v1/runner/{DEPLOYMENT}/stream"):
        answer = post(host + path, AMARSIA_MULTIMODAL.encode(), {"content-type": "application/json"})
        if upstream in ("demo", "amarsia"):
            assert answer.status == 200, answer
            assert b"I received an image (image/jpeg, https://example.com/image.jpg)." in answer.body
            assert b"I received a video (video/mp4, https://example.com/video.mp4)." in answer.body
        else:
            assert answer.status == 400, answer
            error = answer.json()["error"]
            assert set(error) == {"type", "message", "param", "code"}
            assert re.fullmatch(r"messages\[0\]\.parts\[[12]\].*", error["param"])


def test_arka_chat_completion(host: str, upstream: str) -> None:
    """Seed 004's example response, field by field."""
    answer = run_in_shell(ARKA_CHAT.replace(ARKA_HOST, host).replace("YOUR_API_KEY", "arka_sk_any"))
    assert answer.status == 200, answer
    body = answer.json()
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(body)
    assert re.fullmatch(r"chatcmpl-\w+", body["id"])
    assert (body["object"], body["model"]) == ("chat.completion", "gpt-4o")
    assert type(body["created"]) is int
    (choice,) = body["choices"]
    assert {"index", "message", "finish_reason"} <= set(choice)
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["role"] == "assistant"
    assert "Explain quantum computing in simple terms." in choice["message"]["content"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    if upstream != "amarsia":
        assert choice["message"]["content"] == 'You said: "Explain quantum computing in simple terms."'


@pytest.mark.parametrize("model", MODELS)
def test_arka_models_are_all_served_and_listed(host: str, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    answer = post(f"{host}/v1/chat/completions", body)
    assert answer.json()["model"] == model
    listed = run_in_shell(f"curl {host}/v1/models -H 'Authorization: Bearer any'").json()
    assert model in [entry["id"] for entry in listed["data"]]


def test_arka_errors_have_the_documented_form(host: str) -> None:
    command = ARKA_CHAT.replace(ARKA_HOST, host).replace('"gpt-4o"', '"gpt-5o-unheard-of"')
    answer = run_in_shell(command)
    assert answer.status == 404
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "model_not_found")


@pytest.mark.parametrize("spelling", ["organizations", "organisations"])
def test_quant_stream(host: str, upstream: str, spelling: str) -> None:
    """Seed 003's example stream, field by field; both spellings of its path are in use."""
    address = f"{host}/api/v3/{spelling}/acme/ai/chat/stream"
    command = f"""curl {address} -H 'Authorization: Bearer qc_any' -H 'Content-Type: application/json' \
-H 'Accept: text/event-stream' -d '{json.dumps(QUANT_CHAT)}'"""
    answer = run_in_shell(command)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/event-stream"
    found = re.findall(rb"id: chunk-(\d+)\nevent: (\w+)\ndata: (\{.*\})\n\n", answer.body)
    assert b"".join(b"id: chunk-%b\nevent: %b\ndata: %b\n\n" % event for event in found) == answer.body
    assert [int(number) for number, _, _ in found] == list(range(len(found)))
    (_, first, start), *contents, (_, last, done) = found
    assert (first, last) == (b"start", b"done")
    started: dict[str, Any] = json.loads(start)
    assert (started["model"], started["streaming"]) == ("amazon.nova-lite-v1:0", True)
    assert started["requestId"]
    deltas = [json.loads(data) for _, name, data in contents if name == b"content"]
    assert len(deltas) == len(contents) > 0
    assert all(set(delta) == {"delta", "complete"} and delta["complete"] is False for delta in deltas)
    assert "Hello there, how are you?" in "".join(delta["delta"] for delta in deltas)
    ended = json.loads(done)
    assert ended["complete"] is True
    if reports_usage(upstream):
        usage = ended["usage"]
        assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0


def test_quant_whole_answer(host: str) -> None:
    """The buffered twin of the endpoint (``dialects/quant.md`` 4)."""
    answer = post(f"{host}/api/v3/organizations/acme/ai/chat", QUANT_CHAT)
    assert answer.status == 200, answer
    body = answer.json()
    assert body["response"]["role"] == "assistant"
    assert "Hello there, how are you?" in body["response"]["content"]
    assert "toolUse" not in body["response"]
    assert (body["model"], body["finishReason"]) == ("amazon.nova-lite-v1:0", "stop")
    assert re.fullmatch("req-[0-9a-f]{24}", body["requestId"])
    assert body["usage"]["totalTokens"] == body["usage"]["inputTokens"] + body["usage"]["outputTokens"] > 0


def test_quant_models(host: str) -> None:
    """The listing of the same API (``dialects/quant.md`` 2)."""
    root = f"{host}/api/v3/organizations/acme/ai"
    body = get(f"{root}/models").json()
    assert body["count"] == len(body["models"]) > len(MODELS)
    (entry,) = [model for model in body["models"] if model["id"] == "amazon.nova-lite-v1:0"]
    assert {"id", "provider"} <= set(entry) <= {"id", "name", "provider", "capabilities"}
    assert get(f"{root}/models/amazon.nova-lite-v1:0").json()["id"] == "amazon.nova-lite-v1:0"
    missing = get(f"{root}/models/nobody-has-this")
    assert (missing.status, missing.json()["code"]) == (404, "MODEL_NOT_FOUND")
