"""What the operator says, read from one YAML file.

The records below are the configuration's reference: key names are field names, defaults are the fields' defaults.
Unknown keys are errors with the line and a did-you-mean, because a misspelt limit that is silently ignored is worse
than a server that does not start.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
import yaml

from proxy.providers import PLACEHOLDER, is_announced, shipped_files

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]

DEMO_PROVIDER = "demo"
"""The provider that is always there and answers in-process; no configured provider may take its name."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait for an upstream, in seconds."""

    connect: Seconds = 3.0
    """Until the connection stands."""
    between_events: Seconds = 60.0
    """Until the next bytes, the first ones included."""
    total: Seconds = 600.0
    """Until the whole answer is there."""


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a provider wants its key."""

    header: Name
    """The header's name."""
    prefix: str = ""
    """What stands before the key: ``"Bearer "``."""


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider wants otherwise than its dialect says.

    A field is named as it stands in the request's JSON: ``seed``, ``stream_options.include_usage`` inside an object,
    ``messages[].name`` in each item of a list.
    """

    rename: dict[str, str] = {}
    """Field -> the name it has at this provider. Where that is taken, the renamed field wins."""
    drop: tuple[str, ...] = ()
    """Fields left out. Each is reported as a loss, and refused where the answer would be one to another question."""
    refuse: tuple[str, ...] = ()
    """Fields whose presence is answered with 400, whatever losses the client accepts."""
    tool_id: Literal["nine_alphanumeric"] | None = None
    """The only form of a tool call's id that is taken; both ends of each pair are rewritten alike."""
    plain_content: bool = False
    """Messages are one text each: texts are joined, anything else is a loss."""
    headers: dict[str, str] = {}
    """Headers sent with every request; a value may be ``env:NAME`` or hold ``${NAME}``."""
    query: dict[str, str] = {}
    """Query fields sent with every request; values as in ``headers``."""


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upstream that speaks one of the registered dialects."""

    use: str | None = None
    """A provider file that comes with Dragoman; what stands beside this key overrides it, key by key."""
    dialect: Name
    """Name of a registered dialect."""
    base_url: Name
    """The API root, ``https://api.example.com/v1``; may be ``env:NAME`` or hold ``${NAME}``, ``${NAME:-default}``."""
    credential: str | None = None
    """``env:NAME``, ``file:PATH`` or ``command:PROGRAM ARGUMENTS`` (its output is the key, fetched again every five
    minutes and when refused). Literal keys are refused. None: the upstream wants no key."""
    credential_place: Place | None = None
    """Where the key goes, if not where the dialect has it."""
    timeouts: Timeouts = Timeouts()
    quirks: Quirks = Quirks()


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named, prepared request. An Amarsia deployment id is a preset's name."""

    model: Name
    """A name from ``models``, or ``provider/model``."""
    instructions: str | None = None
    """System text put before the client's messages; ``{{NAME}}`` is filled from the request's variables."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    """Used where the request says none."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Used where the request says none."""


class MediaFetching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Media named by address, for upstreams that take bytes only; fetched from public https addresses."""

    fetch: bool = True
    """False: such a request is refused."""
    allow: tuple[str, ...] = ()
    """Networks fetched from besides the public ones, as ``10.1.2.0/24``: an operator's own media hosts."""
    allow_http: bool = False
    """Whether http: and port 80 will do as well."""


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The listening side."""

    host: Name = "127.0.0.1"
    """Address to listen on. Without client keys only loopback is allowed."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """0: any free port."""
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 25 * 1024 * 1024
    """Largest request body; 25 MiB is what the Bedrock-style API documents."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    providers: dict[str, Provider] = {}
    detect_providers: bool = True
    """Whether a shipped provider whose key is in the environment is there without an entry in ``providers``."""
    models: dict[str, str] = {}
    """What clients ask for -> ``provider/model``. A ``*`` on the left is any text, one on the right the same."""
    presets: dict[str, Preset] = {}
    default_model: str | None = None
    """What an unknown model name gets; without it, 404 in the client's dialect."""
    profiles: dict[str, str] = {}
    """Dialect -> the profile of it to use, to clients and upstreams alike: other numbers of the same API."""
    media: MediaFetching = MediaFetching()
    server: Server = Server()


class SettingsError(Exception):
    """The configuration cannot be used; the message names file, line and key, and says what to do."""


def load_settings(path: Path) -> Settings:
    """The settings in the file. Raises ``SettingsError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: cannot be read: it is not UTF-8 text") from None
    return parse_settings(text, str(path))


def parse_settings(text: str, source: str = "config") -> Settings:
    """The settings in this YAML text; ``source`` is the name used in messages. Raises ``SettingsError``."""
    document = _Document(text, source)
    settings: Settings = document.read(Settings, document.value, ())
    _check_references(settings, document)
    return settings


def with_shipped(settings: Settings, dialects: Collection[str]) -> Settings:
    """The settings with the shipped providers that they refer to or the environment has a key for.

    Files for other than these ``dialects`` do not count, nor do those whose name a configured provider has.
    """
    targets = [*settings.models.values(), *(preset.model for preset in settings.presets.values())]
    targets.append(settings.default_model or "")
    named = {target.partition("/")[0] for target in targets if "/" in target}
    added = {}
    for name in shipped_files().keys() - settings.providers.keys():
        provider = shipped_provider(name)
        announced = settings.detect_providers and is_announced(provider.credential, provider.base_url)
        if provider.dialect in dialects and (name in named or announced):
            added[name] = provider
    providers = settings.providers | dict(sorted(added.items()))
    return msgspec.structs.replace(settings, providers=providers)


@cache
def shipped_provider(name: str) -> Provider:
    """The provider that the shipped file of this name describes. Raises ``SettingsError``."""
    document = _shipped_document(name)
    provider: Provider = document.read(Provider, document.value, ())
    _check_provider(provider, document, ())
    return provider


@cache
def _shipped_document(name: str) -> "_Document":
    path = shipped_files()[name]
    return _Document(path.read_text(encoding="utf-8"), str(path))


_DEEPEST = 32
"""No key stands deeper; a mapping that holds itself through an alias has no end."""


class _Document:
    """A YAML text as plain values, with the line of every key."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[tuple[str, ...], int] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.value = {} if node is None else self._plain(node, ())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f" line {mark.line + 1}:" if mark is not None else ""
            problem = getattr(error, "problem", None) or str(error)
            raise SettingsError(f"{source}:{line} not valid YAML: {problem}") from None

    def error(self, path: tuple[str, ...], problem: str) -> SettingsError:
        line = next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 1)
        return SettingsError(f"{self.source}: line {line}: {'.'.join(path) or 'the file'} {problem}")

    def _plain(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _DEEPEST:
            raise self.error(path[:1], "is nested too deeply, or holds itself")
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                if key in mapping:
                    raise self.error((*path, key), "is given twice")
                mapping[key] = self._plain(value_node, (*path, key))
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, str(index))) for index, item in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except ValueError:
            raise self.error(path, "is not a value YAML can make; put it in quotes") from None

    def read(self, kind: Any, value: Any, path: tuple[str, ...]) -> Any:
        """``value`` as ``kind``: a record, a mapping of records, or a leaf."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            based = self._on_shipped(value, path) if kind is Provider and isinstance(value, dict) else value
            return self._read_record(kind, based, path)
        if kind == Place | None and value is not None:
            return self._read_record(Place, value, path)
        if get_origin(kind) is dict:
            if value is None:
                return {}
            if not isinstance(value, dict):
                raise self.error(path, "must be a mapping")
            return {name: self.read(get_args(kind)[1], item, (*path, name)) for name, item in value.items()}
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            problem = str(error).split(" - at ")[0]
            raise self.error(path, f"is not valid: {problem[:1].lower()}{problem[1:]}") from None

    def _on_shipped(self, value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """A provider's keys over those of the shipped file it uses, those inside of a mapping one by one."""
        name = value.get("use")
        if name is None:
            return value
        if not isinstance(name, str) or name not in shipped_files():
            problem = f"is no provider that comes with Dragoman{did_you_mean(str(name), list(shipped_files()))}"
            raise self.error((*path, "use"), problem)
        merged = dict(_shipped_document(name).value)
        for key, own in value.items():
            inner = merged.get(key)
            merged[key] = inner | own if isinstance(inner, dict) and isinstance(own, dict) else own
        return merged

    def _read_record(self, kind: type[msgspec.Struct], value: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(value, dict):
            raise self.error(path, "must be a mapping")
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in value:
            if name not in fields:
                raise self.error((*path, name), f"is not a known key{did_you_mean(name, fields)}")
        missing = [name for name, field in fields.items() if field.required and name not in value]
        if missing:
            raise self.error(path, f"lacks {', '.join(missing)}")
        return kind(**{name: self.read(fields[name].type, item, (*path, name)) for name, item in value.items()})


_LONGEST_NAME = 200
"""Names beyond this are no slip of the fingers, and comparing them would take seconds."""


def did_you_mean(name: str, known: Mapping[str, object] | list[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known name, else what is known, else nothing."""
    if len(name) > _LONGEST_NAME:
        return ""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def is_address(url: str) -> bool:
    """Whether this can be the root of an API: http(s), with a host, without blanks."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return False


def _check_references(settings: Settings, document: _Document) -> None:
    """Every model name leads to a provider, and every secret is a reference."""
    if DEMO_PROVIDER in settings.providers:
        raise document.error(("providers", DEMO_PROVIDER), "is the name of the built-in provider; choose another")
    for name, provider in settings.providers.items():
        _check_provider(provider, document, ("providers", name))
    known = [DEMO_PROVIDER, *settings.providers]
    targets: dict[tuple[str, ...], str] = {("models", name): target for name, target in settings.models.items()}
    targets |= {("presets", name, "model"): preset.model for name, preset in settings.presets.items()}
    if settings.default_model is not None:
        targets[("default_model",)] = settings.default_model
    for path, target in targets.items():
        provider_name, slash, model = target.partition("/")
        if slash and model and (provider_name in known or provider_name in shipped_files()):
            continue
        if path[0] == "models":
            problem = f"must be provider/model{did_you_mean(provider_name, known)}"
        elif target in settings.models or (path[0] == "default_model" and target in settings.presets):
            continue
        else:
            problem = f"names neither a model nor provider/model{did_you_mean(target, [*settings.models, *known])}"
        raise document.error(path, problem)


_FIELD_PATH = re.compile(r"[\w-]+(\[\])?(\.[\w-]+(\[\])?)*(?<!\])")
_HEADER_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_REFERENCES = ("env:", "file:", "command:")


def _check_provider(provider: Provider, document: _Document, path: tuple[str, ...]) -> None:
    """The address is one, every secret is a reference, and every field named in the quirks can be a field."""
    if provider.credential is not None and not provider.credential.startswith(_REFERENCES):
        problem = "must be env:NAME or file:PATH; a key does not belong into the file"
        raise document.error((*path, "credential"), problem)
    url = provider.base_url
    if not url.startswith("env:") and not is_address(PLACEHOLDER.sub("1", url)):
        raise document.error((*path, "base_url"), "must be an https:// or http:// address, or env:NAME")
    quirks = provider.quirks
    for key in ("rename", "drop", "refuse"):
        for field in getattr(quirks, key):
            if not _FIELD_PATH.fullmatch(field):
                problem = f"names {field!r}, which is no field: seed, stream_options.include_usage, messages[].name"
                raise document.error((*path, "quirks", key), problem)
    for old, new in quirks.rename.items():
        if not re.fullmatch(r"[\w-]+", new):
            raise document.error((*path, "quirks", "rename", old), "must be a field's new name, without its place")
    for header, value in quirks.headers.items():
        place = (*path, "quirks", "headers", header)
        if not _HEADER_NAME.fullmatch(header) or not value.isprintable():
            raise document.error(place, "is no header")
        if _SECRET_NAME.search(header) and not value.startswith("env:") and not PLACEHOLDER.search(value):
            raise document.error(place, "must be env:NAME; a key does not belong into the file")
    place_header = provider.credential_place.header if provider.credential_place is not None else "x"
    if not _HEADER_NAME.fullmatch(place_header):
        raise document.error((*path, "credential_place", "header"), "is no header's name")
