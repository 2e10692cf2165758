"""What the tests of the official clients share: what they ask, what the demo answers, and what comes of errors.

Every client runs against every upstream; what an upstream has no words for is written down here, from its documents.
"""

import importlib.util
from base64 import b64decode
from dataclasses import dataclass

import pytest

from adapters.model.message import Json
from adapters.samples import PDF, PNG
from proxy.demo.words import pieces
from proxy.registry import dialect_names
from tests.server.stage import UPSTREAMS, Stage

TIMEOUT = 20.0
"""Seconds until a client gives up."""


def need(dialect: str, package: str) -> None:
    """Skips the module that calls this if the dialect or the official client of it is not there, and says which."""
    if dialect not in dialect_names():
        pytest.skip(f"the dialect {dialect} is not registered", allow_module_level=True)
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"the package {package} is not installed", allow_module_level=True)


with_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])

# --- what upstreams have no words for -------------------------------------------------------------------------------

WITHOUT: dict[str, set[str]] = {
    "amarsia": {"tools", "forced tool", "json", "stop", "max_tokens", "reasoning"},
    "bedrock_sse": {"forced tool", "reasoning"},
    "openai_responses": {"stop"},
}
"""What can neither be asked of an upstream nor be told by it. Of this ``REFUSED`` is refused, the rest is reported."""

REFUSED: dict[str, str] = {
    "tools": "tools[0]",
    "forced tool": "tool",
    "json": "output",
    "stop": "sampling.stop_sequences",
}
"""How the field begins that the refusal names."""

TELL_STOP_SEQUENCE = {"demo", "anthropic", "bedrock_converse"}
"""The upstreams whose answers say which stop sequence was met."""

SILENT_ON_USAGE = {"amarsia"}
"""The upstreams whose streams hold no token counts, and whose transcript makes them differ from the question's own."""


def has(upstream: str, feature: str) -> bool:
    """Whether the upstream can be asked for this."""
    return feature not in WITHOUT.get(upstream, set())


# --- what is asked, and what the demo models answer -----------------------------------------------------------------

LONG = " ".join(f"word{number}" for number in range(60))
ODD = "Hello, 世界 😀\u2028!"


def said(text: str) -> str:
    """What the model ``echo`` answers."""
    return f'You said: "{text}"'


def thought(text: str) -> str:
    """What the model ``think`` thinks before it answers."""
    return f"The question is: {text}\nI can only repeat what I receive, so I do that."


def tokens(text: str) -> int:
    """How many tokens the demo models count in a text."""
    return len(pieces(text))


def cut(text: str, count: int) -> str:
    """The first ``count`` tokens of a text, as the demo models cut it."""
    return "".join(pieces(text)[:count])


MOST_TOKENS = 16
"""The least that every API accepts as the most tokens to answer with."""

CITY: Json = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Kigali"]}}, "required": ["city"]}
TOOLS = ("get_weather", "get_time")
ARGUMENTS = {"city": "Kigali"}
RESULTS = {"get_weather": "24 degrees, rain", "get_time": "14:05"}
REPORT = "get_time said: 14:05\nget_weather said: 24 degrees, rain"
"""The answer to the results, which all tests give back last call first."""

REPLY: Json = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Kigali"]},
        "degrees": {"type": "integer"},
        "notes": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["city", "degrees", "notes"],
    "additionalProperties": False,
}
REPLIED = {"city": "Kigali", "degrees": 1, "notes": ["example"]}

PNG_BYTES, PDF_BYTES = b64decode(PNG), b64decode(PDF)
SEEN = [
    said("What is this?"),
    f"I received an image (image/png, {len(PNG_BYTES)} bytes).",
    f"I received a document (application/pdf, {len(PDF_BYTES)} bytes).",
]
"""The lines of the answer to an image and a document with the question ``What is this?``."""

TURNS = ("first question", "first answer", "second question")
SYSTEM = "Speak French."

# --- errors ---------------------------------------------------------------------------------------------------------

STATUSES = (400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529)
"""The statuses that ``fail-<status>`` is asked for."""

BEHIND: dict[int, int] = {401: 502, 402: 502, 403: 502, 408: 504, 500: 502, 529: 503}
"""Upstream's status -> the one that means the same of the proxy, where they differ: ``proxy/errors.py``."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A server whose models ``fail-<status>`` fail, and the status with which it tells of each."""

    base: str
    prefix: str
    told: dict[int, int]
    direct: bool

    def model(self, status: int) -> str:
        return f"{self.prefix}fail-{status}"


BARE = "bare"
"""Among the servers below: the demo provider itself, which answers with the very status."""

SERVERS = (BARE, *UPSTREAMS)
with_server = pytest.mark.parametrize("server", SERVERS)


def failing(stage: Stage, server: str, dialect: str) -> Failing:
    """The demo provider that speaks ``dialect``, or the proxy before the upstream ``server``."""
    same = {status: status for status in STATUSES}
    if server == BARE:
        return Failing(host(stage.providers[dialect]), "", same, direct=True)
    prefix = "demo/" if server == "demo" else f"over_{server}/"
    return Failing(stage.base, prefix, same | BEHIND, direct=False)


def host(base: str) -> str:
    """A base URL without its path."""
    scheme, _, rest = base.partition("//")
    return f"{scheme}//{rest.partition('/')[0]}"
