"""Who may send, and how much: the settings that listeners have in common."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, PlainValidator

from logstreamd.config.problems import shown
from logstreamd.config.section import Section
from logstreamd.config.units import GIB, KIB, Size, WholeNumber

__all__ = ["AdmissionSection", "LimitsSection", "read_network"]

_MAPPED_BITS = 96  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2
# Upper bound: a list that a person still reviews. What it costs to look up does not grow with it.
_MAX_NETWORKS = 1_000


def read_network(value: object) -> str:
    """Return the network in CIDR notation, an address as itself; raise ValueError when it is neither."""
    if not isinstance(value, str):
        raise ValueError(f"must be a network such as 10.0.0.0/8, or an address (got {shown(value)})")
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ValueError(_what_is_wrong(value)) from error
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:  # an IPv4 sender has its own address everywhere
        network = IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _what_is_wrong(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"must be a network such as 10.0.0.0/8, or an address (got {shown(text)})"
    return f"has bits set behind its prefix (got {shown(text)}; did you mean {meant}?)"


class LimitsSection(Section):
    """How much each sender may send."""

    # 0 for no limit. Upper bound: more than any input takes.
    max_records_per_second: Annotated[int, WholeNumber(0, 10_000_000)] = 0
    # Lower bound: a bucket holds a second's worth, and must hold the largest datagram.
    max_bytes_per_second: Annotated[int, Size(64 * KIB, 16 * GIB, zero_means="no limit")] = 0


class AdmissionSection(LimitsSection):
    """And who may send at all."""

    allow: Annotated[tuple[Annotated[str, PlainValidator(read_network)], ...], Field(max_length=_MAX_NETWORKS)] = ()
    """Networks and addresses; empty: everybody."""
