"""What the operator says, read from one YAML file.

The records below are the configuration's reference: key names are field names, defaults are the fields' defaults.
Unknown keys are errors with the line and a did-you-mean, because a misspelt limit that is silently ignored is worse
than a server that does not start.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
import yaml

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


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upstream that speaks one of the registered dialects."""

    dialect: Name
    """Name of a registered dialect."""
    base_url: Name
    """The API root, ``https://api.example.com/v1``; may be ``env:NAME``."""
    credential: str | None = None
    """``env:NAME`` or ``file:PATH``; literal keys are refused. None: the upstream wants no key."""
    timeouts: Timeouts = Timeouts()


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
    models: dict[str, str] = {}
    """What clients ask for -> ``provider/model``. A ``*`` on the left is any text, one on the right the same."""
    presets: dict[str, Preset] = {}
    default_model: str | None = None
    """What an unknown model name gets; without it, 404 in the client's dialect."""
    profiles: dict[str, str] = {}
    """Dialect -> the profile of it to use, to clients and upstreams alike: other numbers of the same API."""
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
            return self._read_record(kind, value, path)
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
        if provider.credential is not None and not provider.credential.startswith(("env:", "file:")):
            problem = "must be env:NAME or file:PATH; a key does not belong into the file"
            raise document.error(("providers", name, "credential"), problem)
        url = provider.base_url
        if not url.startswith("env:") and not is_address(url):
            raise document.error(("providers", name, "base_url"), "must be an https:// or http:// address, or env:NAME")
    known = [DEMO_PROVIDER, *settings.providers]
    targets: dict[tuple[str, ...], str] = {("models", name): target for name, target in settings.models.items()}
    targets |= {("presets", name, "model"): preset.model for name, preset in settings.presets.items()}
    if settings.default_model is not None:
        targets[("default_model",)] = settings.default_model
    for path, target in targets.items():
        provider_name, slash, model = target.partition("/")
        if slash and model and provider_name in known:
            continue
        if path[0] == "models":
            problem = f"must be provider/model{did_you_mean(provider_name, known)}"
        elif target in settings.models or (path[0] == "default_model" and target in settings.presets):
            continue
        else:
            problem = f"names neither a model nor provider/model{did_you_mean(target, [*settings.models, *known])}"
        raise document.error(path, problem)
