"""Which addresses a notifier does not connect to: those of the own machine and the own network.

A URL in the configuration is trusted, the name in it is not: whoever answers for it may point it at the metadata
service of a cloud or at a database. So it is the address that is judged, right before the connection is made to it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

__all__ = ["refusal"]

# RFC 6052 section 2.1 and RFC 3056 section 2: IPv6 addresses that lead to the IPv4 address in them.
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
# RFC 4291 section 2.5.5.1: "IPv4-compatible", deprecated; some systems still route it.
_COMPATIBLE = IPv6Network("::/96")


def refusal(address: str) -> str | None:
    """Return what kind of address it is when it must not be connected to, None when it is a public one.

    Args:
        address: as the resolver gave it; an IPv6 address may carry its zone (``fe80::1%eth0``).
    """
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    return _kind(_meant(ip))


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in _6TO4:
        return IPv4Address(int(ip) >> 80 & 0xFFFFFFFF)
    if ip in _TEREDO and ip.teredo is not None:
        return ip.teredo[1]
    return ip


def _kind(ip: IPv4Address | IPv6Address) -> str | None:
    kinds = (
        ("an unspecified", ip.is_unspecified),
        ("a loopback", ip.is_loopback),
        ("a link-local", ip.is_link_local),
        ("a multicast", ip.is_multicast),
        ("a private", ip.is_private or (isinstance(ip, IPv6Address) and ip.is_site_local)),
        ("a reserved", ip.is_reserved or not ip.is_global),
    )
    return next((f"{kind} address" for kind, it_is in kinds if it_is), None)
