"""Networks: which addresses an allow-list has in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from logstreamd.inputs.addresses import peer_address

__all__ = ["Networks"]

# Answers remembered: as many as senders are (admission.MAX_SOURCES), 150 bytes each. Finding one anew takes 4 us.
_MAX_ANSWERS = 16_384


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
            network = ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            self._prefixes[network.version].setdefault(shift, set()).add(int(network.network_address) >> shift)
        self._remembered = lru_cache(_MAX_ANSWERS)(self._find)

    def __contains__(self, address: str) -> bool:
        return self._remembered(address)

    def _find(self, address: str) -> bool:
        try:
            found = ip_address(peer_address(address))
        except ValueError:  # a connection that was gone before it could be asked for its address
            return False
        number = int(found)
        return any(number >> shift in prefixes for shift, prefixes in self._prefixes[found.version].items())
