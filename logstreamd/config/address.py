"""Listen addresses: ``127.0.0.1:5514``, ``[::1]:5514``, ``localhost:5514``, ``*:5514``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from logstreamd.config.problems import shown

__all__ = ["ANY_HOST", "ListenAddress"]

ANY_HOST = "*"
"""Every address of the machine, IPv4 and IPv6."""

_EXPECTED = "must be host:port, such as 127.0.0.1:5514, [::1]:5514 or *:5514"
_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
# RFC 1123 section 2.1: letters, digits and inner hyphens, 63 to a label, 255 in all (253 without the length
# octets).
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_LOOKS_LIKE_IPV4 = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a socket listens.

    ``host`` is an IP address without brackets, a host name, or ``*`` for every address of both families. Port
    0 lets the system choose one.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, value: object) -> ListenAddress:
        """Read an address.

        Args:
            value: ``host:port`` with an IPv6 host in brackets, or an address already read.

        Returns:
            The address, an IP host in its shortest spelling.

        Raises:
            ValueError: not of that form, not a host, or a port above 65535.
        """
        if isinstance(value, ListenAddress):
            return value
        match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"{_EXPECTED} (got {shown(value)}{_hint(value)})")
        host = _read_ipv6(match["bracketed"]) if match["bracketed"] else _read_host(match["plain"])
        port = int(match["port"])
        if port > 65_535:
            raise ValueError(f"the port must be 0..65535 (got {port})")
        return cls(host, port)

    def overlaps(self, other: object) -> bool:
        """Whether one process cannot listen on both with the same protocol."""
        if not isinstance(other, ListenAddress):
            return False
        if self.port != other.port or self.port == 0:
            return False
        if self.host == other.host or ANY_HOST in (self.host, other.host):
            return True
        one, two = _try_ip(self.host), _try_ip(other.host)
        if one is None or two is None or one.version != two.version:
            return False
        return one.is_unspecified or two.is_unspecified

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a model's field of this type be written as text, and write it as text again."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="json")
        )


def _read_ipv6(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError as error:
        raise ValueError(f"the brackets must hold an IPv6 address (got {shown(host)})") from error


def _read_host(host: str) -> str:
    if host == ANY_HOST:
        return host
    if _LOOKS_LIKE_IPV4.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise ValueError(f"the host must be an IPv4 address (got {shown(host)})") from error
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(f"the host must be an IP address, a host name or * (got {shown(host)})")
    return host.lower()


def _try_ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _hint(value: object) -> str:
    """Say what a malformed address was probably meant to be."""
    text = str(value)
    if re.fullmatch(r":?[0-9]{1,5}", text):
        return f"; every address is written *:{text.removeprefix(':')}"
    host, _, port = text.rpartition(":")
    if port.isdigit() and isinstance(_try_ip(host), IPv6Address):
        return f"; an IPv6 address needs brackets: [{host}]:{port}"
    return ""
