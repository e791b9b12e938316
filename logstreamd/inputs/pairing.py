"""Inputs that are open and inputs that shall be → what becomes of each: pure, nothing is opened or closed.

=====================  ==================================================================
the new one has        what happens
=====================  ==================================================================
type, name, address    it is the same one, and gets its new settings while it is open
address                it takes over the sockets of the old one: nothing on the way is lost
none of an old one's   it is opened
=====================  ==================================================================

An old one that is not the same as a new one is closed. Log files have no address: an input of type ``file`` with other
settings is closed, then opened anew where the old one stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from logstreamd.config import ListenAddress
from logstreamd.inputs.build import InputConfig

__all__ = ["TRANSPORTS", "Pairing", "pair_inputs"]

TRANSPORTS = {"udp": "datagram", "unix": "path", "tcp": "stream", "tls": "stream"}
"""By what the type of an input is reached; two of the same kind cannot share an address."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What becomes of the inputs.

    Attributes:
        kept: before and after, of those that stay open.
        opened: those that begin, each with the old one whose sockets it takes over, if there is one.
        closed: those that end.
    """

    kept: tuple[tuple[InputConfig, InputConfig], ...]
    opened: tuple[tuple[InputConfig, InputConfig | None], ...]
    closed: tuple[InputConfig, ...]


def pair_inputs(old: Sequence[InputConfig], new: Sequence[InputConfig]) -> Pairing:
    """Find out what becomes of the inputs.

    Args:
        old: that are open.
        new: that shall be.
    """
    ending = {_identity(one): one for one in old}
    kept, beginning = [], []
    for one in new:
        same = ending.get(_identity(one))
        if same is None or (one.type == "file" and same != one):
            beginning.append(one)
        else:
            kept.append((ending.pop(_identity(one)), one))
    by_address: dict[tuple[str, str] | None, InputConfig] = {_address(one): one for one in ending.values()}
    by_address.pop(None, None)
    opened = tuple((one, by_address.pop(_address(one), None)) for one in beginning)
    return Pairing(tuple(kept), opened, tuple(ending.values()))


def _identity(one: InputConfig) -> tuple[str, str, str]:
    """Return by what an input is known again; a file input by its name, which its positions are kept under."""
    return one.type, one.name, "" if one.type == "file" else str(one.listen)


def _address(one: InputConfig) -> tuple[str, str] | None:
    """Return what an input can hand over to another one; None: it has no address, or the kernel chooses it."""
    if one.type == "file" or (isinstance(one.listen, ListenAddress) and one.listen.port == 0):
        return None
    return TRANSPORTS[one.type], str(one.listen)
