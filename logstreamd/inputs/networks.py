"""Addresses and networks: which addresses an allow-list has in it, and what an address is called.

An IPv4 address has three names on a socket that serves both versions: ``192.0.2.1``, ``::ffff:192.0.2.1``, and either
with the zone of a link (``%eth0``). It is one sender, so it is counted, allowed and stored under the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Networks", "plain_address", "read_network"]

# Answers remembered: as many as senders are (admission.MAX_SOURCES), 150 bytes each. Finding one anew takes 2 us.
_MAX_ANSWERS = 16_384
_MAPPED_BITS = 96  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2


def plain_address(address: str) -> str:
    """Return the one name of an address: without a zone, and IPv4 written as IPv4."""
    if ":" not in address:
        return address
    found = IPv6Address(address.partition("%")[0])
    return str(found.ipv4_mapped or found)


def read_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network in CIDR notation, or one address.

    Raises:
        ValueError: neither, or bits are set behind the prefix.
    """
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


class Networks:
    """A set of networks that is asked often.

    Networks of one length are one set of numbers, so an address is looked up once for each length in use, however many
    networks there are; and what was looked up is remembered.

    Args:
        networks: CIDR notation or single addresses, of either IP version.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for text in networks:
            network = read_network(text)
            shift = network.max_prefixlen - network.prefixlen
            self._prefixes[network.version].setdefault(shift, set()).add(int(network.network_address) >> shift)
        self._remembered = lru_cache(_MAX_ANSWERS)(self._find)

    def __contains__(self, address: str) -> bool:
        return self._remembered(address)

    def _find(self, address: str) -> bool:
        found = ip_address(plain_address(address))
        number = int(found)
        return any(number >> shift in prefixes for shift, prefixes in self._prefixes[found.version].items())
