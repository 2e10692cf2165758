"""The only reader of client-supplied URLs: what it returns is what is checked and what is dialled.

Two readers that disagree about the host are how such filters fall (CVE-2026-24779). So this one is strict: what
browsers, curl and libc read differently is refused, not interpreted.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import idna

from proxy.addresses import Address, read_address
from proxy.media.refusal import FetchRefused

MAX_URL_LENGTH = 8192


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go. ``host`` is lower-case ASCII without brackets or final dot, ``path`` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None
    """Set if the host is an address itself."""

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


DEFAULT_PORTS = {"https": 443, "http": 80}


def read_target(url: str, ports: Collection[int], *, allow_http: bool) -> Target:
    """Where ``url`` leads. Raises ``FetchRefused`` for everything that is not plainly a public web address."""
    _check_characters(url)
    found = _URL.fullmatch(url)
    if found is None:
        raise FetchRefused("not an absolute URL with a host")
    scheme = found["scheme"].lower()
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise FetchRefused("the scheme is not allowed")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise FetchRefused("the host is missing, malformed or has a user name")
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if port not in ports and not (allow_http and port == DEFAULT_PORTS["http"]):
        raise FetchRefused("the port is not allowed")
    path = quote((found["path"] or "/") + (found["query"] or ""), safe=_PRINTABLE)
    if authority["v6"] is not None:
        address = _address(authority["v6"])
        return Target(scheme, str(address), port, path, address)
    host = _name(authority["name"])
    return Target(scheme, host, port, path, _address(host) if _ends_in_number(host) else None)


def redirected(target: Target, location: str, ports: Collection[int], *, allow_http: bool) -> Target:
    """Where a redirect leads, checked like a new URL. Raises ``FetchRefused``, for https -> http as well."""
    _check_characters(location)  # before urljoin, which takes tabs and line breaks out without a word
    try:
        url = urljoin(target.url, location)
    except ValueError:
        raise FetchRefused("redirected to a malformed address") from None
    found = read_target(url, ports, allow_http=allow_http)
    if target.scheme == "https" and found.scheme != "https":
        raise FetchRefused("redirected from https to http")
    return found


_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?")
_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)\]|(?P<name>[^:@%\[\]]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def _check_characters(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise FetchRefused("the URL is too long")
    # Not printable: controls, all blanks but the plain one, zero-width and direction marks, lone surrogates.
    if " " in url or "\\" in url or not url.isprintable():
        raise FetchRefused("the URL holds a blank, a backslash or a control character")


def _name(text: str) -> str:
    """The host as DNS will be asked for it. Full-width digits and dots become plain ones before they are judged."""
    host = text.lower()
    if not text.isascii():
        if len(text) > 253:  # the codec takes its time over long ones
            raise FetchRefused("the host is not a valid name")
        try:
            host = idna.encode(text, uts46=True, std3_rules=True).decode().lower()
        except idna.IDNAError:
            raise FetchRefused("the host is not a valid international name") from None
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchRefused("the host is not a valid name")
    if host in _REFUSED_NAMES or any(host.endswith(suffix) for suffix in _REFUSED_SUFFIXES):
        raise FetchRefused("the host's name is local or a metadata service's")
    return host


def _ends_in_number(host: str) -> bool:
    """Whether libc may read the host as an IPv4 address (https://url.spec.whatwg.org/#ends-in-a-number-checker)."""
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _address(text: str) -> Address:
    try:
        return read_address(text)
    except ValueError:
        raise FetchRefused("the host is an address in an unusual spelling") from None


_REFUSED_NAMES = frozenset(
    {
        "localhost",
        "metadata",  # GCP's short name, through the search list
        "metadata.goog",
        "metadata.tencentyun.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "instance-data",  # EC2's, through the search list
        "internal",
        "local",
        "kubernetes.default.svc",
    }
)
# RFC 6762, ICANN's private-use domain (holds metadata.google.internal), RFC 6761, common resolvers, RFC 8375, RFC 7686.
_REFUSED_SUFFIXES = (".local", ".internal", ".localhost", ".localdomain", ".home.arpa", ".onion")
