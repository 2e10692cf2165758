"""Which IP addresses a client-supplied URL may lead to.

The table is our own because the flags of ``ipaddress`` are no filter: ``is_global`` is true for 64:ff9b::a9fe:a9fe,
2002:7f00:1:: and 168.63.129.16, ``is_private`` is false for 100.64.0.0/10 (reliability.md, section 0, item 9).
Its rows are the IANA special-purpose registries of October 2026, plus what the clouds add.
"""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def read_address(text: str) -> Address:
    """The address in its one canonical spelling. Raises ``ValueError`` for every other, zone ids included."""
    if ":" not in text:
        return IPv4Address(text)  # refuses octal, hex and short forms
    if "%" in text:
        raise ValueError("an IPv6 zone id")
    return IPv6Address(text)


def why_refused(address: Address, allow: Collection[Network] = ()) -> str | None:
    """Why nobody may be sent to this address, in words for the log; ``None`` if it is public or in ``allow``.

    An IPv4 address inside an IPv6 one is judged as well. Where clouds keep credentials, ``allow`` does not count.
    """
    for layer in (address, *_inside(address)):
        reason = _found(layer, _CREDENTIALS)
        if reason is None and not any(layer in network for network in allow):
            reason = _found(layer, _SPECIAL) or _outside_unicast(layer)
        if reason is not None:
            return reason
    return None


def _found(address: Address, table: dict[Network, str]) -> str | None:
    return next((reason for network, reason in table.items() if address in network), None)


def _outside_unicast(address: Address) -> str | None:
    if isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST or address in _NAT64:
        return None
    return "outside 2000::/3, the only global unicast space (RFC 3587)"


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a packet to this IPv6 address may end up at."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if any(address in network for network in _LAST_32_BITS):
        yield IPv4Address(number & 0xFFFFFFFF)
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)  # the server
        yield IPv4Address(~number & 0xFFFFFFFF)  # the client, each bit turned round (RFC 4380, section 4)
    elif address in _LOCAL_NAT64:
        # The operator's prefix may have any of these lengths (RFC 6052, section 2.2). A form that comes out in
        # 0.0.0.0/8 is not the one in use; the last one is judged whatever it says.
        forms = (
            (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF,  # /48
            (number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF,  # /56
            number >> 24 & 0xFFFFFFFF,  # /64
        )
        yield from (IPv4Address(form) for form in forms if form >> 24)
        yield IPv4Address(number & 0xFFFFFFFF)  # /96
    if number >> 32 & 0xFCFFFFFF == 0x5EFE:  # ISATAP, any prefix (RFC 5214, section 6.1)
        yield IPv4Address(number & 0xFFFFFFFF)


_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: how DNS64 spells public IPv4 hosts, so it is judged by its inside
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_LAST_32_BITS = (
    _NAT64,
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("::/96"),
)

_CREDENTIALS: dict[Network, str] = {
    IPv4Network("169.254.0.0/16"): "link-local and cloud metadata (RFC 3927)",  # AWS, GCP, Azure .169.254; ECS .170.2
    IPv4Network("168.63.129.16/32"): "the wire server of Microsoft's cloud",
    IPv4Network("100.100.100.200/32"): "Alibaba Cloud's metadata",
    IPv4Network("192.0.0.192/32"): "Oracle Cloud's metadata",
    IPv6Network("fd00:ec2::/32"): "AWS's metadata (::254) and EKS credentials (::23)",
    IPv6Network("fd20:ce::254/128"): "Google Cloud's metadata",
    IPv6Network("fe80::/10"): "link-local (RFC 4291)",
}

_SPECIAL: dict[Network, str] = {
    IPv4Network("0.0.0.0/8"): "this network (RFC 791, RFC 1122)",
    IPv4Network("10.0.0.0/8"): "private use (RFC 1918)",
    IPv4Network("100.64.0.0/10"): "shared address space behind carriers' NAT (RFC 6598)",
    IPv4Network("127.0.0.0/8"): "loopback (RFC 1122)",
    IPv4Network("172.16.0.0/12"): "private use (RFC 1918)",
    # RFC 6890; holds DS-Lite (RFC 7335), the dummy address (RFC 7600), PCP (RFC 7723), TURN (RFC 8155), NAT64
    # discovery (RFC 7050).
    IPv4Network("192.0.0.0/24"): "IETF protocol assignments (RFC 6890)",
    IPv4Network("192.0.2.0/24"): "documentation, TEST-NET-1 (RFC 5737)",
    IPv4Network("192.31.196.0/24"): "AS112 (RFC 7535)",
    IPv4Network("192.52.193.0/24"): "multicast tunnels, AMT (RFC 7450)",
    IPv4Network("192.88.99.0/24"): "6to4 relays, deprecated (RFC 7526)",
    IPv4Network("192.168.0.0/16"): "private use (RFC 1918)",
    IPv4Network("192.175.48.0/24"): "AS112 (RFC 7534)",
    IPv4Network("198.18.0.0/15"): "benchmarking (RFC 2544)",
    IPv4Network("198.51.100.0/24"): "documentation, TEST-NET-2 (RFC 5737)",
    IPv4Network("203.0.113.0/24"): "documentation, TEST-NET-3 (RFC 5737)",
    IPv4Network("224.0.0.0/4"): "multicast (RFC 5771)",
    IPv4Network("240.0.0.0/4"): "reserved, and limited broadcast (RFC 1112, RFC 919)",
    IPv6Network("::1/128"): "loopback (RFC 4291)",
    IPv6Network("::/96"): "unspecified, or IPv4-compatible, deprecated (RFC 4291)",
    # Nobody has these in DNS or links; a client that spells an IPv4 address so wants past a filter.
    IPv6Network("::ffff:0:0/96"): "IPv4-mapped (RFC 4291)",
    IPv6Network("::ffff:0:0:0/96"): "IPv4-translated (RFC 2765)",
    _LOCAL_NAT64: "local-use IPv4/IPv6 translation (RFC 8215)",
    IPv6Network("100::/64"): "discard only (RFC 6666)",
    IPv6Network("100:0:0:1::/64"): "dummy prefix (RFC 9780)",
    _TEREDO: "Teredo (RFC 4380)",
    # RFC 2928; holds PCP (RFC 7723), TURN (RFC 8155), benchmarking (RFC 5180), AMT (RFC 7450), AS112 (RFC 7535),
    # ORCHID (RFC 4843), ORCHIDv2 (RFC 7343), drone ids (RFC 9374).
    IPv6Network("2001::/23"): "IETF protocol assignments (RFC 2928)",
    IPv6Network("2001:db8::/32"): "documentation (RFC 3849)",
    _SIX_TO_FOUR: "6to4 (RFC 3056), deprecated (RFC 7526)",
    IPv6Network("2620:4f:8000::/48"): "AS112 (RFC 7534)",
    IPv6Network("3ffe::/16"): "6bone, given back (RFC 3701)",
    IPv6Network("3fff::/20"): "documentation (RFC 9637)",
    IPv6Network("5f00::/16"): "segment routing ids (RFC 9602)",
    IPv6Network("fc00::/7"): "unique local (RFC 4193)",
    IPv6Network("fec0::/10"): "site-local, deprecated (RFC 3879)",
    IPv6Network("ff00::/8"): "multicast (RFC 4291)",
}
