"""The fetcher for client-supplied URLs: what it must never reach, how far it goes, and what it brings back."""

import asyncio
import base64
import contextlib
import gzip
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import httpcore
import pytest

from adapters.model.error import ErrorKind, Fault
from adapters.model.message import FileId, Inline, Media, MediaKind, Message, Role, Text, ToolResult, Url
from adapters.model.request import Request
from proxy.addresses import read_address, why_refused
from proxy.errors import RequestFailed
from proxy.media import Fetched, Fetcher, FetchLimits, FetchRefused, inline_media
from proxy.media.inline import AT_ONCE
from proxy.media.sniff import media_type
from proxy.media.target import read_target

LOOPBACK = frozenset({ipaddress.ip_network("127.0.0.0/8")})
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PUBLIC = "93.184.216.34"
WORDS = "the media at this address could not be fetched"

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A server on loopback that plays one script per path, and keeps what came in."""

    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    plays: dict[str, Play] = field(default_factory=dict)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            await self.plays[head.split()[1]](reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            self.closed.set()
            writer.close()

    def says(self, path: str, body: bytes = PNG, status: str = "200 OK", **headers: str) -> None:
        fields = {"content-length": str(len(body)), "content-type": "application/octet-stream"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.sends(path, f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    def sends(self, path: str, raw: bytes) -> None:
        async def play(reader, writer):
            writer.write(raw)

        self.plays[path] = play


@contextlib.asynccontextmanager
async def listening(trust: ssl.SSLContext | None = None):
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=trust)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for writer in site.open:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture
async def site():
    async with listening() as site:
        yield site


class Names:
    """DNS that gives each name's answers in turn, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host, port):
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def dialled(monkeypatch):
    """Every address that a socket is opened to."""
    seen: list[str] = []
    real = httpcore.AnyIOBackend.connect_tcp

    async def connect_tcp(self, host, port, *rest, **named):
        seen.append(host)
        return await real(self, host, port, *rest, **named)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    return seen


def limits(site: Site, **changes) -> FetchLimits:
    quick = FetchLimits(
        allow_http=True,
        allowed_ports=(site.port, 443),
        max_bytes=100_000,
        connect=0.5,
        total=0.5,
        least_time_to_refuse=0,
    )
    return replace(quick, **changes)


def fetcher_for(site: Site, names=None, allow=LOOPBACK, trust=None, **changes) -> Fetcher:
    return Fetcher(limits(site, **changes), names or Names(["127.0.0.1"]), allow, trust)


def at(site: Site, path: str = "/a", host: str = "media.example") -> str:
    return f"http://{host}:{site.port}{path}"


async def refusal(fetcher: Fetcher, url: str) -> str:
    """Why it was refused; the wording is checked here for every one of them."""
    with pytest.raises(FetchRefused) as caught:
        await fetcher.fetch(url)
    assert str(caught.value) == WORDS
    assert caught.value.args == (WORDS,)
    assert caught.value.__cause__ is None
    return caught.value.reason


# --- hostile addresses ------------------------------------------------------------------------------------------

REFUSED_UNASKED = [
    # IPv4 in spellings that libc, curl or browsers accept
    "http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://2130706433:{port}/",
    "http://0x7f000001:{port}/", "http://0x7f.1:{port}/", "http://0x7F.0x0.0x0.0x1:{port}/", "http://0x:{port}/",
    "http://017700000001:{port}/", "http://0177.0.0.1:{port}/", "http://0177.0.0.01:{port}/", "http://0:{port}/",
    "http://0.0.0.0:{port}/", "http://00:{port}/", "http://127.0.0.1.:{port}/", "http://2130706433.:{port}/",
    "http://127.000.000.001:{port}/", "http://4294967297:{port}/", "http://127.0.0.1.1:{port}/",
    "http://256.0.0.1:{port}/", "http://1.2.3.4.0x7f:{port}/", "http://127.0.0.0x1:{port}/", "http://127.255.255.254/",
    "http://-1:{port}/", "http://1e3.127.1:{port}/", "http://media.example.1:{port}/",
    # special IPv4 networks
    "http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://168.63.129.16/", "http://192.0.0.192/",
    "http://100.100.100.200/", "http://192.0.0.8/", "http://192.0.2.1/", "http://192.88.99.1/", "http://198.18.0.1/",
    "http://198.19.255.255/", "http://198.51.100.7/", "http://203.0.113.7/", "http://224.0.0.1/", "http://240.0.0.1/",
    "http://255.255.255.255/", "http://192.31.196.1/", "http://192.52.193.1/", "http://192.175.48.1/",
    # IPv6
    "http://[::1]:{port}/", "http://[::]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[::FFFF:7F00:0001]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/", "http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b::a00:1]/",
    "http://[64:ff9b:1::7f00:1]/", "http://[64:ff9b:1:a00:0:100::]/", "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/", "http://[2001:0:7f00:1::]/", "http://[2001:0:5db8:d822:0:0:80ff:fffe]/",
    "http://[2001:db8::1]/", "http://[2001:2::1]/", "http://[2001:10::1]/", "http://[2001:20::1]/",
    "http://[100::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[fd20:ce::254]/", "http://[fe80::1]/",
    "http://[fec0::1]/", "http://[ff02::1]/", "http://[3fff::1]/", "http://[3ffe::1]/", "http://[5f00::1]/",
    "http://[4000::1]/", "http://[1000::1]/", "http://[2606:4700::5efe:7f00:1]/", "http://[fe80::1%25eth0]:{port}/",
    "http://[fe80::1%eth0]:{port}/", "http://[::1%lo]:{port}/", "http://[v1.::1]:{port}/", "http://[]:{port}/",
    "http://[127.0.0.1]:{port}/", "http://[93.184.216.34]:{port}/", "http://[::1:{port}/", "http://::1:{port}/", "http://[::1]x:{port}/",
    # names
    "http://localhost:{port}/", "http://LOCALHOST:{port}/", "http://localhost.:{port}/", "http://a.localhost:{port}/",
    "http://localhost.localdomain:{port}/", "http://metadata.google.internal/", "http://metadata.google.internal./",
    "http://METADATA.google.Internal/", "http://metadata/", "http://metadata.goog/", "http://instance-data/",
    "http://metadata.azure.internal/", "http://metadata.tencentyun.com/", "http://db.corp.internal/", "http://nas.local/",
    "http://x.svc.cluster.local/", "http://kubernetes.default.svc/", "http://router.home.arpa/",
    "http://host.docker.internal/",
    # IDN tricks: all of these map to 127.0.0.1, localhost or nothing
    "http://①②⑦.⓪.⓪.①:{port}/", "http://127。0。0。1:{port}/", "http://１２７.０.０.１:{port}/",
    "http://ｌｏｃａｌｈｏｓｔ:{port}/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/", "http://loc\u00adalhost:{port}/", "http://\u200d.example/",
    "http://a\uff0fb.example/", "http://a\uff20127.0.0.1:{port}/", "http://\u2100.example/", "http://xn--/",
    "http://a\u3002\u3002b.example/", "http://" + "ü" * 300 + ".example/",
    # user names, and what some readers take for the host
    "http://user@127.0.0.1:{port}/", "http://user:pass@media.example:{port}/", "http://@media.example:{port}/",
    "http://media.example@127.0.0.1:{port}/", "http://127.0.0.1:{port}@media.example/", "http://media.example%40b/",
    "http://media.example:{port}#@127.0.0.1/\\", "http://media.example\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\", "http:/\\127.0.0.1:{port}/", "http://127.0.0.1\\.example/", "http://a/\\b",
    "http://%31%32%37.0.0.1:{port}/", "http://127.0.0.1%2f.example/", "http://127.0.0.1%00.example/",
    # blanks and control characters
    " http://media.example/", "http://media.example/ ", "http://media.example/a b", "http://media.example/\t",
    "ht\ttp://127.0.0.1:{port}/", "http://127.0.\n0.1:{port}/", "http://media.example/\r\nHost: x", "http://a\0b/",
    "http://media.example/\x7f", "http://media.example/\x85", "http://media.example/\u2028", "http://a\u00a0b.example/",
    "http://media.example/\u202e", "http://media.example/\ud800", "\ufeffhttp://media.example/",
    # schemes
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://media.example/",
    "dict://127.0.0.1:{port}/", "ldap://127.0.0.1/", "data:image/png;base64,AAAA", "javascript:alert(1)",
    "ws://media.example/", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "unix:///var/run/docker.sock", "s3://bucket/a",
    "gs://bucket/a", "jar:http://media.example!/", "blob:http://media.example/1", "about:blank", "view-source:http://a/",
    # no host, broken forms
    "", "http", "http:", "http:/", "http://", "http:///", "http:///127.0.0.1/", "http:127.0.0.1", "//127.0.0.1:{port}/",
    "/a", "media.example/a", "http://?a", "http://#a", "http://.", "http://../", "http://a..b/", "http://.a/",
    "http://media.example../", "http://-a.example/", "http://a-.example/", "http://a*b.example/", "http://a,b.example/",
    "http://a'b/", "http://a;b/", "http://" + "a" * 64 + ".example/", "http://" + "a." * 127 + "example/",
    "http://media.example/" + "a" * 9000,
    # ports
    "http://media.example:22/", "http://media.example:6379/", "http://media.example:0/", "http://media.example:65536/",
    "http://media.example:-1/", "http://media.example:/", "http://media.example:0443/", "http://media.example:8080/",
    "http://media.example:443:80/", "http://media.example:４４３/", "http://media.example:+443/", "https://media.example:8443/",
]  # fmt: skip


async def test_hostile_urls_are_refused_before_any_name_is_looked_up(site, dialled):
    names = Names([PUBLIC])
    fetcher = fetcher_for(site, names, allow=())
    for url in REFUSED_UNASKED:
        await refusal(fetcher, url.replace("{port}", str(site.port)))
        assert names.asked == [], url
    assert dialled == []
    assert site.connections == 0
    assert len(REFUSED_UNASKED) > 200


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
async def test_plain_http_is_refused_unless_it_is_allowed(site, scheme):
    names = Names(["127.0.0.1"])
    await refusal(fetcher_for(site, names, allow_http=False), f"{scheme}://media.example:{site.port}/a")
    assert names.asked == []


def test_the_only_ports_are_443_and_80_with_plain_http():
    assert read_target("https://a.example", (443,), allow_http=False).port == 443
    assert read_target("http://a.example", (443,), allow_http=True).port == 80
    with pytest.raises(FetchRefused):
        read_target("https://a.example:80", (443,), allow_http=False)


@pytest.mark.parametrize(
    ("url", "host", "authority", "path"),
    [
        ("https://A.Example/x?y=%20&z#f", "a.example", "a.example", "/x?y=%20&z"),
        ("HTTPS://a.example.", "a.example", "a.example", "/"),
        ("https://a.example?q=/../@", "a.example", "a.example", "/?q=/../@"),
        ("https://bücher.example/ä", "xn--bcher-kva.example", "xn--bcher-kva.example", "/%C3%A4"),
        ("https://my_bucket.example:443/a", "my_bucket.example", "my_bucket.example", "/a"),
        (f"https://{PUBLIC}/", PUBLIC, PUBLIC, "/"),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", "[2606:4700::1111]", "/"),
    ],
)
def test_ordinary_urls_are_read(url, host, authority, path):
    target = read_target(url, (443,), allow_http=False)
    assert (target.host, target.authority, target.path) == (host, authority, path)
    assert why_refused(read_address(PUBLIC)) is None


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        ["fe80::1%2"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "2606:4700::1111", "fd00::1"],
        [PUBLIC, PUBLIC, PUBLIC, PUBLIC, PUBLIC, "10.0.0.1"],
        ["0x7f.1"],
        ["not an address"],
        [],
    ],
)
async def test_one_address_that_is_not_public_refuses_the_name(site, dialled, addresses):
    names = Names(addresses)
    for host in ("127.0.0.1.nip.io", "localtest.me", "7f000001.1.rebind.example"):
        await refusal(fetcher_for(site, names, allow=()), at(site, host=host))
    assert len(names.asked) == 3
    assert dialled == []
    assert site.connections == 0


@pytest.mark.parametrize("error", [socket.gaierror(-2, "no such name"), UnicodeError("label too long"), OSError()])
async def test_names_that_cannot_be_resolved(site, error):
    async def fails(host, port):
        raise error

    await refusal(fetcher_for(site, fails), at(site))


async def test_a_name_is_looked_up_once_and_the_checked_address_is_dialled(site, dialled):
    site.says("/a")
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    await fetcher_for(site, names).fetch(at(site))
    assert names.asked == ["media.example"]
    assert dialled == ["127.0.0.1"]
    assert f"Host: media.example:{site.port}\r\n" in site.heads[0]


async def test_a_name_that_changes_to_loopback_after_the_check_is_not_followed(site, dialled, monkeypatch):
    async def goes_nowhere(self, host, port, *rest, **named):
        dialled.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", goes_nowhere)
    names = Names([PUBLIC], ["127.0.0.1"])
    fetcher = fetcher_for(site, names, allow=())
    await refusal(fetcher, at(site))
    assert (names.asked, dialled) == (["media.example"], [PUBLIC])
    assert "not public" in await refusal(fetcher, at(site))
    assert dialled == [PUBLIC]
    assert site.connections == 0


async def test_the_next_address_is_tried_and_no_more_than_four(site, dialled):
    site.says("/a")
    closed = [f"127.0.0.{number}" for number in range(2, 9)]
    await fetcher_for(site, Names([*closed[:3], "127.0.0.1"])).fetch(at(site))
    assert dialled == [*closed[:3], "127.0.0.1"]
    dialled.clear()
    await refusal(fetcher_for(site, Names(closed)), at(site))
    assert dialled == closed[:4]


# --- the address table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [PUBLIC, "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_public_addresses(text):
    assert why_refused(read_address(text)) is None


def test_whatever_the_standard_library_calls_private_is_refused():
    """The other way round does not hold: that is why the table is our own."""
    inside = [
        "192.0.0.192",
        "168.63.129.16",
        "100.64.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "192.88.99.1",
        "fec0::1",
    ]
    for text in inside:
        assert why_refused(read_address(text)), text
    for number in range(0, 2**32, 65_537 * 3):
        address = ipaddress.IPv4Address(number)
        assert address.is_global or why_refused(address), address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:10.0.0.1", "::ffff:0:0/96"),
        ("2002:a01:808:808::", "2002::/16"),
        ("2001:0:a00:1::f5ff:fffe", "2001::/32"),  # server
        ("2001:0:5db8:d822::f5ff:fffe", "2001::/32"),  # client
        ("64:ff9b:1::10.0.0.1", "64:ff9b:1::/48"),
        ("64:ff9b:1:a00:0:100::", "64:ff9b:1::/48"),
        ("64:ff9b:1:50a:0:1::", "64:ff9b:1::/48"),
        ("64:ff9b:1:5:a:0:100:0", "64:ff9b:1::/48"),
        ("2606:4700::5efe:a00:1", "2606:4700::/32"),
    ],
)
def test_allowing_the_outer_network_does_not_open_the_inner(text, network):
    assert why_refused(read_address(text), [ipaddress.ip_network(network)])


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]
)
def test_credentials_of_clouds_stay_closed_whatever_is_allowed(text):
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    assert why_refused(read_address(text), everything)
    assert why_refused(read_address("10.0.0.1"), everything) is None


# --- redirects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "//127.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://user@media.example:{port}/secret",
        "\\\\127.0.0.1:{port}/secret",
        "/\t/127.0.0.1:{port}/secret",
        "http://media\t.example:{port}/secret",
        "http://media.example:22/secret",
        "file:///etc/passwd",
        "gopher://media.example:{port}/",
        "http://inside.example:{port}/secret",
        "http://[",
    ],
)
async def test_redirects_are_checked_like_new_urls(site, location):
    site.says("/a", b"", "302 Found", location=location.replace("{port}", str(site.port)))
    site.says("/secret")

    async def names(host, port):
        return ["10.0.0.1"] if host == "inside.example" else ["127.0.0.9"]

    only_this = frozenset({ipaddress.ip_network("127.0.0.9/32")})
    async with contextlib.AsyncExitStack() as stack:
        server = await asyncio.start_server(site.serve, "127.0.0.9", site.port)
        stack.callback(server.close)
        await refusal(fetcher_for(site, names, only_this), at(site))
    assert [head.split()[1] for head in site.heads] == ["/a"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_three_redirects_are_followed_and_no_fourth(site, status):
    for number in range(1, 5):
        site.says(f"/{number}", b"", f"{status} Moved", location=f"/{number + 1}")
    site.says("/5")
    assert (await fetcher_for(site).fetch(at(site, "/2"))).data == PNG
    site.heads.clear()
    assert "more than 3" in await refusal(fetcher_for(site), at(site, "/1"))
    assert len(site.heads) == 4


async def test_a_redirect_needs_exactly_one_readable_location(site):
    for head in ("", "location: /b\r\nlocation: /c\r\n", "location: /\xff\r\n"):
        site.sends("/a", f"HTTP/1.1 302 Found\r\n{head}content-length: 0\r\n\r\n".encode("latin-1"))
        await refusal(fetcher_for(site), at(site))
    assert len(site.heads) == 3


async def test_every_redirect_is_looked_up_again(site):
    site.says("/a", b"", "302 Found", location="/b")
    site.says("/b")
    assert "not public" in await refusal(fetcher_for(site, Names(["127.0.0.1"], ["10.0.0.1"])), at(site))
    assert len(site.heads) == 1


# --- bodies -----------------------------------------------------------------------------------------------------


async def endless(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG)
    while True:
        writer.write(bytes(10_000))
        await writer.drain()


async def slow(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
    for _ in range(5000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def slow_head(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(5000):
        writer.write(b"a%d: b\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader, writer):
    await reader.read()


async def interim(reader, writer):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()


async def crumbs(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n" * 1000)
        await writer.drain()


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (endless, "too large"),
        (slow, "not complete"),
        (slow_head, "not complete"),
        (silent, "not complete"),
        (interim, "RemoteProtocolError"),
        (crumbs, "crumbs"),
    ],
)
async def test_answers_without_end(site, play, reason):
    site.plays["/a"] = play
    started = time.monotonic()
    assert reason in await refusal(fetcher_for(site), at(site))
    assert time.monotonic() - started < 2  # the deadline is at 0.5
    await asyncio.wait_for(site.closed.wait(), 2)


async def test_a_slow_resolver_is_inside_the_deadline(site):
    async def never(host, port):
        await asyncio.sleep(60)

    started = time.monotonic()
    assert "not complete" in await refusal(fetcher_for(site, never), at(site))
    assert time.monotonic() - started < 2


BROKEN = {
    "gzip": (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(PNG * 1000), "compressed"),
    "brotli": (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n" + PNG, "compressed"),
    "two encodings": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\n\r\n" + PNG,
        "compressed",
    ),
    "gzip transfer": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n" + PNG, "ProtocolError"),
    "declared too long": (b"HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n" + PNG, "too large"),
    "declared absurdly long": (b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 19 + b"\r\n\r\n" + PNG, "too large"),
    "longer than sent": (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + PNG, "ProtocolError"),
    "cut chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n" + PNG, "ProtocolError"),
    "length twice": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-length: 48\r\n\r\n" + PNG, "ProtocolError"),
    "negative length": (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n" + PNG, "ProtocolError"),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "empty"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "204"),
    "partial": (b"HTTP/1.1 206 Partial\r\ncontent-length: 48\r\n\r\n" + PNG, "206"),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
    "other protocol": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", ""),
    "not found": (b"HTTP/1.1 404 Not Found\r\ncontent-length: 48\r\n\r\n" + PNG, "404"),
    "failed": (b"HTTP/1.1 500 Oops\r\ncontent-length: 48\r\n\r\n" + PNG, "500"),
    "not http": (b"SSH-2.0-OpenSSH_9.9\r\n", "ProtocolError"),
    "closed at once": (b"", "ProtocolError"),
    "head too long": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60_000 + b"\r\n", "ProtocolError"),
    "page": (b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n<!DOCTYPE html><html>", "web page"),
    "declared page": (b"HTTP/1.1 200 OK\r\ncontent-type: Text/HTML; charset=x\r\n\r\n" + PNG, "web page"),
    "unknown bytes": (b"HTTP/1.1 200 OK\r\n\r\n\0\1\2\3", "known media"),
    "declared png, is not": (b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n\0\1\2\3", "known media"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_answers(site, case):
    raw, reason = BROKEN[case]
    site.sends("/a", raw)
    assert reason in await refusal(fetcher_for(site), at(site))


async def test_a_body_of_exactly_the_most_is_taken(site):
    body = PNG + bytes(100_000 - len(PNG))
    site.says("/a", body)
    assert (await fetcher_for(site).fetch(at(site))).data == body
    site.sends("/a", b"HTTP/1.1 200 OK\r\n\r\n" + body + b"x")
    assert "too large" in await refusal(fetcher_for(site), at(site))


async def test_a_body_may_be_longer_than_a_head(site):
    body = PNG + bytes(2_000_000)
    site.says("/a", body)
    assert (await fetcher_for(site, max_bytes=3_000_000, total=5.0).fetch(at(site))).data == body


# --- what goes out ----------------------------------------------------------------------------------------------


async def test_a_fetch_sends_fixed_headers_and_no_cookie_credential_or_proxy(site, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine media.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.says("/a", b"", "302 Found", location="/b", set_cookie="a=b")
    site.says("/b", set_cookie="a=b")
    assert await fetcher_for(site).fetch(at(site)) == Fetched(PNG, "image/png")
    for head, path in zip(site.heads, ("/a", "/b"), strict=True):
        first, *lines = head.rstrip().split("\r\n")
        assert first == f"GET {path} HTTP/1.1"
        sent = dict(line.split(": ", 1) for line in lines)
        assert list(sent) == ["Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"]
        assert (sent["Host"], sent["Accept-Encoding"]) == (f"media.example:{site.port}", "identity")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=DNS:media.example"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=media.example"
    )
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate"), "-addext", names]
    subprocess.run([*command.split(), *files], check=True, capture_output=True, timeout=20)
    return folder


async def test_https_keeps_the_name_for_host_sni_and_certificate(certificate, dialled):
    seen: list[str] = []
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate / "certificate", certificate / "key")
    server.sni_callback = lambda _, name, __: seen.append(name)
    trust = ssl.create_default_context(cafile=certificate / "certificate")
    async with listening(server) as site:
        site.says("/a")
        site.says("/down", b"", "302 Found", location=f"http://media.example:{site.port}/a")
        url = f"https://media.example.:{site.port}/a"
        assert (await fetcher_for(site, trust=trust).fetch(url)).data == PNG
        assert (seen, dialled) == (["media.example"], ["127.0.0.1"])
        assert f"Host: media.example:{site.port}\r\n" in site.heads[0]
        reason = await refusal(fetcher_for(site, trust=trust), url.replace("/a", "/down"))
        assert "https to http" in reason
        heads = len(site.heads)
        await refusal(fetcher_for(site), url)  # a certificate that nobody vouches for
        await refusal(fetcher_for(site, trust=trust), url.replace("media", "other"))
        await refusal(fetcher_for(site, trust=trust), f"https://127.0.0.1:{site.port}/a")
        assert len(site.heads) == heads


# --- nothing to learn -------------------------------------------------------------------------------------------


async def test_a_closed_port_a_forbidden_address_and_an_unknown_name_look_alike(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]

    async def names(host, port):
        if host == "unknown.example":
            raise socket.gaierror(-2, "no such name")
        return ["10.0.0.1"] if host == "forbidden.example" else ["127.0.0.1"]

    site.says("/a", b"no", "403 Forbidden")
    fetcher = fetcher_for(site, names, allowed_ports=(site.port, closed), least_time_to_refuse=0.25)
    urls = [at(site, host=f"{kind}.example") for kind in ("unknown", "forbidden", "open")]
    urls += [f"http://media.example:{closed}/", "http://127.0.0.2/", "http://10.0.0.1/", "file:///etc/passwd"]

    async def timed(url):
        started = time.monotonic()
        await refusal(fetcher, url)
        return time.monotonic() - started

    times = await asyncio.gather(*map(timed, urls))
    assert min(times) > 0.24
    assert max(times) - min(times) < 0.2


# --- cancellation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("play", [silent, slow])
async def test_cancelling_a_fetch_closes_its_socket(scheme, play):
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        await reader.read(1)  # the request's first byte, or the client's hello, which nobody answers
        arrived.set()
        if scheme == "http":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n" if play is slow else b"HTTP/1.1 200")
        with contextlib.suppress(OSError):
            await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    site = Site(server.sockets[0].getsockname()[1])
    fetcher = fetcher_for(site, total=20.0)
    for _ in range(3):
        arrived.clear()
        closed.clear()
        task = asyncio.create_task(fetcher.fetch(at(site).replace("http", scheme)))
        await asyncio.wait_for(arrived.wait(), 2)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 2)
    server.close()


async def test_many_cancelled_fetches_lose_no_slot(site):
    site.plays["/silent"] = silent
    site.says("/a")
    fetcher = fetcher_for(site, at_once=4, total=5.0)
    tasks = [asyncio.create_task(fetcher.fetch(at(site, "/silent"))) for _ in range(40)]
    await asyncio.sleep(0.1)
    assert len(site.heads) == 4
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    results = await asyncio.gather(*(fetcher.fetch(at(site)) for _ in range(12)))
    assert [result.data for result in results] == [PNG] * 12


async def test_the_system_resolver_runs_on_threads_of_its_own():
    fetcher = Fetcher(FetchLimits(least_time_to_refuse=0))
    assert "127.0.0.1" in await fetcher._resolve("localhost", 443)
    fetcher.close()


# --- what it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "declared", "found"),
    [
        (PNG, "image/jpeg", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "", "image/jpeg"),
        (b"GIF89a\1\0", "", "image/gif"),
        (b"RIFF\1\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"%PDF-1.7\n%\xe2", "application/octet-stream", "application/pdf"),
        (b"ID3\4\0\0", "", "audio/mpeg"),
        (b"\xff\xfb\x90\0", "", "audio/mpeg"),
        (b"RIFF\1\0\0\0WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"OggS\0\2" + bytes(22) + b"\1vorbis", "", "audio/ogg"),
        (b"OggS\0\2" + bytes(22) + b"\x80theora", "", "video/ogg"),
        (b"fLaC\0", "", "audio/flac"),
        (b"\0\0\0\x18ftypisom", "", "video/mp4"),
        (b"\0\0\0\x18ftypM4A ", "", "audio/mp4"),
        (b"\0\0\0\x14ftypqt  ", "", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\x82\x84webm", "", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\x82\x88matroska", "", "video/x-matroska"),
        (b"Hello, world\n", "", "text/plain"),
        (b"caf\xe9\n", "application/octet-stream", "text/plain"),
        ("grüße".encode("utf-16"), "", "text/plain"),
        (b"a,b\n1,2\n", "text/csv; charset=utf-8", "text/csv"),
        (b"{}", "application/json", "application/json"),
        (b"text", "image/png", "text/plain"),
        (b"PK\3\4\0", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"\0\1", "image/jxl", "image/jxl"),
    ],
)  # fmt: skip
def test_the_type_is_taken_from_the_bytes(data, declared, found):
    assert media_type(data, declared) == found


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"  \n<HTML>", "image/png"),
        (b"\xef\xbb\xbf<!-- x --><!doctype html>", ""),
        (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC>", ""),
        (b"<script>alert(1)</script>", "text/plain"),
        ("<html><body>".encode("utf-16"), ""),
        (b"plain", "text/html"),
        (b"plain", "application/xhtml+xml"),
        (b"\0\1\2", ""),
        (b"\0\1\2", "application/octet-stream"),
        (b"\0\1\2", "application/pdf"),
        (b"\0\1\2", "image/jpeg"),
        (b"\0\1\2", "image/"),
        (b"\0\1\2", "image/a b"),
        (b"PK\3\4\0", "application/zip"),
        (b"MZ\x90\0", "application/x-msdownload"),
        (b"RIFF\1\0\0\0XXXX", ""),
    ],
)
def test_pages_and_unknown_bytes_are_refused(data, declared):
    with pytest.raises(FetchRefused):
        media_type(data, declared)


# --- requests ---------------------------------------------------------------------------------------------------


class Shelf:
    """A fetcher that knows its answers, and how many were asked for at the same time."""

    def __init__(self, **bodies: Fetched | float) -> None:
        self.limits = FetchLimits()
        self.bodies = bodies
        self.asked: list[str] = []
        self.running = self.most = self.cancelled = 0

    async def fetch(self, url):
        self.asked.append(url)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            body = self.bodies.get(url, Fetched(url.encode(), "image/png"))
            await asyncio.sleep(body if isinstance(body, float) else 0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if isinstance(body, float):
            raise FetchRefused("no")
        return body


def image(url: str, **more) -> Media:
    return Media(MediaKind.IMAGE, Url(url), **more)


def asking(*messages: tuple) -> Request:
    return Request("m", tuple(Message(Role.USER, parts) for parts in messages))


def everything(media: Media) -> bool:
    return True


def held(data: bytes) -> Inline:
    return Inline(base64.b64encode(data).decode())


async def test_only_what_is_needed_is_fetched_and_all_else_stays():
    kept = Media(MediaKind.IMAGE, Url("keep"), detail="low")
    file, inline = Media(MediaKind.DOCUMENT, FileId("f")), Media(MediaKind.IMAGE, held(b"x"))
    wanted = image("a", mime_type="image/jpeg", name="n", detail="high", extra={"d": {"x": 1}})
    result = ToolResult("c", (Text("r"), image("b"), kept))
    request = replace(asking((Text("1"), wanted, kept, file), (inline, result)), user="u")
    shelf = Shelf()
    changed = await inline_media(request, lambda media: media.source != kept.source, shelf)
    assert sorted(shelf.asked) == ["a", "b"]
    assert changed.messages[0].parts == (
        Text("1"),
        replace(wanted, source=held(b"a"), mime_type="image/png"),
        kept,
        file,
    )
    assert changed.messages[1].parts == (
        inline,
        ToolResult("c", (Text("r"), Media(MediaKind.IMAGE, held(b"b"), "image/png"), kept)),
    )
    assert replace(changed, messages=request.messages) == request


async def test_a_request_without_such_media_is_the_same_object():
    request = asking((Text("a"), image("a")))
    shelf = Shelf()
    assert await inline_media(request, lambda media: False, shelf) is request
    assert shelf.asked == []


async def test_fetches_run_at_once_but_not_all_and_each_url_once():
    urls = [f"u{number % 12}" for number in range(24)]
    shelf = Shelf()
    changed = await inline_media(asking(*((image(url),) for url in urls)), everything, shelf)
    assert shelf.most == AT_ONCE == 4
    assert sorted(shelf.asked) == sorted(set(urls))
    assert [message.parts[0].source for message in changed.messages] == [held(url.encode()) for url in urls]


async def test_a_failure_names_the_first_place_of_its_url():
    with pytest.raises(RequestFailed) as caught:
        await inline_media(asking((Text("a"), image("bad")), (image("bad"),)), everything, Shelf(bad=0.0))
    assert caught.value.error.param == "messages[0].parts[1]"


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ((Text("a"), image("bad")), "messages[1].parts[1]"),
        ((ToolResult("c", (Text("a"), Text("b"), image("bad"))),), "messages[1].parts[0].parts[2]"),
    ],
)
async def test_a_failure_names_the_part_ends_the_others_and_says_nothing_more(parts, path, caplog):
    shelf = Shelf(bad=0.0, late=5.0)
    request = asking((image("late"), image("late")), parts)
    with caplog.at_level("INFO", "dragoman"), pytest.raises(RequestFailed) as caught:
        await inline_media(request, everything, shelf)
    error = caught.value.error
    assert (error.kind, error.fault, error.code, error.param) == (
        ErrorKind.INVALID_REQUEST,
        Fault.CLIENT,
        "media_not_fetched",
        path,
    )
    assert (error.message, error.http_status) == (WORDS, 400)
    assert shelf.cancelled == 1
    assert [(record.param, record.reason) for record in caplog.records] == [(path, "no")]


@pytest.mark.parametrize(
    ("kind", "found", "mime_type"),
    [
        (MediaKind.AUDIO, "video/mp4", "audio/mp4"),
        (MediaKind.AUDIO, "video/webm", "audio/webm"),
        (MediaKind.VIDEO, "video/mp4", "video/mp4"),
        (MediaKind.DOCUMENT, "image/png", "image/png"),
        (MediaKind.DOCUMENT, "text/plain", "text/csv"),
        (MediaKind.IMAGE, "application/pdf", None),
        (MediaKind.IMAGE, "text/plain", None),
        (MediaKind.AUDIO, "image/png", None),
    ],
)
async def test_the_type_fits_the_kind(kind, found, mime_type):
    request = asking((Media(kind, Url("a"), "text/csv"),))
    fetch = inline_media(request, everything, Shelf(a=Fetched(b"x", found)))
    if mime_type is None:
        with pytest.raises(RequestFailed) as caught:
            await fetch
        assert (caught.value.error.code, caught.value.error.message) == ("media_not_fetched", WORDS)
    else:
        assert (await fetch).messages[0].parts == (Media(kind, held(b"x"), mime_type),)


async def test_one_request_cannot_fetch_without_end():
    shelf = Shelf()
    shelf.limits = FetchLimits(max_urls=5, max_request_bytes=10)
    with pytest.raises(RequestFailed) as caught:
        await inline_media(asking(tuple(image(f"{number}") for number in range(6))), everything, shelf)
    assert (caught.value.error.code, shelf.asked) == ("too_many_media", [])
    with pytest.raises(RequestFailed) as caught:
        await inline_media(asking(tuple(image(f"{number}" * 3) for number in range(5))), everything, shelf)
    assert (caught.value.error.code, caught.value.error.http_status) == ("media_too_large", 413)


async def test_cancelling_a_request_cancels_its_fetches():
    shelf = Shelf(a=5.0, b=5.0)
    task = asyncio.create_task(inline_media(asking((image("a"), image("b"))), everything, shelf))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (shelf.running, shelf.cancelled) == (0, 2)


async def test_end_to_end_over_a_socket(site):
    site.says("/a.png", content_type="image/jpeg")
    site.plays["/slow"] = slow
    fetcher = fetcher_for(site)
    changed = await inline_media(asking((Text("what is it?"), image(at(site, "/a.png")))), everything, fetcher)
    assert changed.messages[0].parts[1] == Media(MediaKind.IMAGE, held(PNG), "image/png")
    with pytest.raises(RequestFailed) as caught:
        await inline_media(asking((image(at(site, "/a.png")), image(at(site, "/slow")))), everything, fetcher)
    assert caught.value.error.param == "messages[0].parts[1]"
