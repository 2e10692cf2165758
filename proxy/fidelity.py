"""What is done about losses: tell the caller, or refuse before anything is sent. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from adapters.model.error import ApiError, ErrorKind
from adapters.model.loss import Loss, LossReason
from adapters.model.message import Reasoning
from adapters.model.request import OutputKind, Request, ToolChoiceMode


class Mode(StrEnum):
    """How much loss a caller accepts."""

    STRICT = "strict"
    """None: every loss is refused."""
    REPORT = "report"
    """What changes the meaning is refused, the rest is reported."""
    BEST_EFFORT = "best-effort"
    """Everything is reported, nothing refused."""


_GONE = frozenset({LossReason.UNSUPPORTED, LossReason.FOREIGN, LossReason.INVALID})
HEADER_LIMIT = 2000
"""Most characters of the losses header; proxies in between commonly cap a header line at 8 KB, some at 4."""


def refusal(request: Request, losses: Sequence[Loss], mode: Mode) -> ApiError | None:
    """The error for losses that this caller does not accept, naming each field; ``None`` if all are acceptable."""
    match mode:
        case Mode.STRICT:
            refused = list(losses)
        case Mode.REPORT:
            refused = [loss for loss in losses if loss.reason in _GONE and _changes_meaning(request, loss.field)]
        case Mode.BEST_EFFORT:
            refused = []
    if not refused:
        return None
    reasons = "; ".join(f"{loss.field}: {loss.detail or loss.reason}" for loss in refused[:20])
    more = f"; and {len(refused) - 20} more" if len(refused) > 20 else ""
    message = f"the model behind this name cannot take part of the request: {reasons}{more}"
    return ApiError(ErrorKind.UNSUPPORTED, message, code="unsupported_field", param=refused[0].field)


def _changes_meaning(request: Request, field: str) -> bool:
    """Whether the answer would be one to another question without ``field`` (``shared`` ruling 2)."""
    top, _, rest = field.partition("[")
    if ".extra." in field:
        return False
    if top == "tools":
        return not rest or rest.endswith("]") or rest.rpartition(".")[2] in ("name", "parameters")
    if top == "messages":
        return _is_content(request, rest)
    if field == "tool_choice":
        choice = request.tool_choice
        return choice is not None and choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.TOOL)
    if field == "output":
        return request.output is not None and request.output.kind is not OutputKind.TEXT
    return field in _MEANINGFUL


_MEANINGFUL = frozenset(
    {
        "choice_count",
        "sampling.logprobs",
        "sampling.stop_sequences",
        "output.schema",
        "conversation.id",
        "conversation.previous_response_id",
    }
)


def _is_content(request: Request, rest: str) -> bool:
    """Whether ``messages[`` + ``rest`` is a message or a part with content, not one of a part's hints."""
    steps = rest.split(".")
    if len(steps) == 1:
        return True
    if not all(step.startswith("parts[") for step in steps[1:]):
        return steps[-1] == "arguments"
    message = request.messages[int(steps[0].rstrip("]"))]
    part = message.parts[int(steps[1][len("parts[") :].rstrip("]"))]
    return not isinstance(part, Reasoning)


def fidelity_headers(losses: Sequence[Loss]) -> dict[str, str]:
    """``x-dragoman-fidelity`` and, if anything was lost, ``x-dragoman-losses``: ``field=reason`` entries, capped."""
    if not losses:
        return {"x-dragoman-fidelity": "exact"}
    entries: list[str] = []
    length = 0
    for loss in losses:
        entry = header_text(str(loss))
        if length + len(entry) > HEADER_LIMIT:
            break
        entries.append(entry)
        length += len(entry) + 1
    if len(entries) < len(losses):
        entries.append(f"+{len(losses) - len(entries)}")
    return {"x-dragoman-fidelity": "lossy", "x-dragoman-losses": ",".join(entries)}


def header_text(text: str) -> str:
    """``text`` as it can stand in a header: printable ASCII, everything else as an escape or ``?``."""
    ascii_text = text.encode("ascii", "backslashreplace").decode()
    return ascii_text if ascii_text.isprintable() else "".join(c if c.isprintable() else "?" for c in ascii_text)
