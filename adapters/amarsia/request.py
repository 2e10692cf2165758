"""Requests: one user turn for a deployment, which has its model, instructions and settings on the server."""

from dataclasses import fields, replace
from urllib.parse import quote

import orjson

from adapters.amarsia.fields import NAME, RUN_ROUTE, STREAM_ROUTE, UNSAID_GROUPS, UNSAID_SETTINGS
from adapters.amarsia.losses import write_extra
from adapters.amarsia.parts import decode_part
from adapters.amarsia.transcript import encode_content
from adapters.contract import JSON_HEADERS, DecodeError, Encoded, EncodeError, WireRequest
from adapters.model.error import ErrorKind
from adapters.model.loss import SAYS_NOTHING, Loss, LossReason, foreign_losses
from adapters.model.message import Json, Message, Opaque, Role
from adapters.model.request import Request
from adapters.wire.body import read_object
from adapters.wire.fields import Fields


def decode_request(wire: WireRequest) -> Request:
    """The request for the deployment that the path names, streamed if the path says so."""
    model, stream = _decode_path(wire.path)
    body = Fields(read_object(wire.body, once=("content", "variables")))
    content = body.need_array("content")
    parts = tuple(decode_part(part, f"content[{index}]") for index, part in enumerate(content))
    variables = _decode_variables(body)
    messages = (Message(Role.USER, parts),)
    return Request(model, messages, stream=stream, variables=variables, extra=body.extra(dialect=NAME))


def _decode_path(path: str) -> tuple[str, bool]:
    for route in (STREAM_ROUTE, RUN_ROUTE):
        found = route.match(path)
        if found is not None:
            return found["deployment_id"], route is STREAM_ROUTE
    raise DecodeError("there is no such path", code="not_found", kind=ErrorKind.NOT_FOUND)


def _decode_variables(body: Fields) -> dict[str, str] | None:
    variables = body.object("variables")
    if variables is None:
        return None
    return {name: _decode_variable(value) for name, value in variables.items() if value is not None}


def _decode_variable(value: object) -> str:
    """The text that goes into the slot; what is no string as JSON text (A17)."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def encode_request(request: Request) -> Encoded[WireRequest]:
    """The request as one user turn; what only a deployment can decide is reported as lost."""
    path = _encode_path(request.model, request.stream)
    losses = foreign_losses(request, NAME)
    losses += _setting_losses(request)
    body: Json = {"content": encode_content(request.messages, losses)}
    if request.variables is not None:
        body["variables"] = dict(request.variables)
    write_extra(body, request.extra, "", losses)
    return Encoded(WireRequest("POST", path, orjson.dumps(body), JSON_HEADERS), tuple(losses))


def _encode_path(model: str, stream: bool) -> str:
    # HTTP clients resolve ``.`` and ``..``, however they are encoded, and would ask for another path.
    if model in ("", ".", ".."):
        raise EncodeError("the model's name cannot be a deployment id", "model", "invalid_model", ErrorKind.NOT_FOUND)
    path = f"/runner/{quote(model, safe='', errors='replace')}"
    return f"{path}/stream" if stream else path


def _setting_losses(request: Request) -> list[Loss]:
    """Everything said besides the turn, none of which this API has a field for."""
    lost: list[tuple[str, str]] = []
    for index, tool in enumerate(request.tools):
        if not isinstance(tool, Opaque) or tool.dialect == NAME:  # others' are among the foreign losses
            lost.append((f"tools[{index}]", "the deployment has its own tools"))
    lost += [(name, detail) for name, detail in UNSAID_SETTINGS.items() if _is_said(name, getattr(request, name))]
    for name, detail in UNSAID_GROUPS.items():
        group = getattr(request, name)
        names = [field.name for field in fields(group)] if group is not None else []
        lost += [(f"{name}.{field}", detail) for field in names if _is_said(field, getattr(group, field))]
    return [Loss(path, LossReason.UNSUPPORTED, detail) for path, detail in lost]


def _is_said(name: str, value: object) -> bool:
    return value not in (None, (), SAYS_NOTHING.get(name))


def readdress(wire: WireRequest, request: Request, model: str) -> WireRequest | None:
    """The same request for another deployment: the name stands in the path alone."""
    try:
        return replace(wire, path=_encode_path(model, request.stream))
    except EncodeError:
        return None
