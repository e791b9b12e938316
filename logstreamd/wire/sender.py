"""Who sent a frame: one entry of a batch's ``peers``.

An entry is an address and, after one blank, what else is known of the sender, as the members of a JSON object:

============================================= ==================================
entry                                         sender
============================================= ==================================
``192.0.2.1``                                 an address
``192.0.2.1 "tls_subject":"CN=web-1"``        one that showed a certificate
`` "peer_pid":812,"peer_uid":0``              a process of this machine
(empty)                                       one of whom nothing is known
============================================= ==================================

The members become attributes of each of its rows, and belong to us: a sender that uses such a name finds what it said
under ``attrs.logstreamd``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from logstreamd.record import Record
from logstreamd.wire.text import MAX_COLUMN_CHARS, dump_json, note

__all__ = ["Known", "add_known", "address_of", "members", "sender_entry", "split_sender"]

Known: TypeAlias = Mapping[str, str | int]
"""What is known of a sender beside its address."""

_decode = msgspec.json.Decoder(dict[str, str | int]).decode


def sender_entry(address: str, known: Known) -> str:
    """Build the entry of a sender.

    Args:
        address: its IP address; empty for a sender without one.
        known: what else is known; a text is cut after 512 characters, like a column, and made storable.

    Returns:
        The entry, for :meth:`.batch.Batch.peer_id`.
    """
    if not known:
        return address
    storable = {name: _storable(value) if isinstance(value, str) else value for name, value in known.items()}
    return f"{address} {members(storable).decode()}"


def members(known: Known) -> bytes:
    """Write what is known of a sender as the members of a JSON object, without its braces."""
    return dump_json(dict(known))[1:-1]


def split_sender(entry: str) -> tuple[str, Known]:
    """Take an entry apart.

    Returns:
        The address (empty for a sender without one), and what else is known.

    Raises:
        ValueError: what follows the blank are not the members of a JSON object, each a text or a whole number.
    """
    address, blank, rest = entry.partition(" ")
    if not blank:
        return address, {}
    try:
        return address, _decode(f"{{{rest}}}")
    except msgspec.MsgspecError as problem:
        raise ValueError(f"not what is known of a sender: {rest!r} ({problem})") from problem


def address_of(entry: str) -> str | None:
    """Return the address of an entry; None for a sender without one."""
    return entry.partition(" ")[0] or None


def add_known(record: Record, known: Known) -> None:
    """Add what is known of its sender to a record."""
    for name, value in known.items():
        if name in record.attrs:
            note(record, name, record.attrs.pop(name))
        record.attrs[name] = value


def _storable(text: str) -> str:
    """Cut a text, and make visible what PostgreSQL does not store: NUL and lone surrogates."""
    cut = text[:MAX_COLUMN_CHARS].replace("\0", "\\x00")
    return cut.encode("utf-8", "backslashreplace").decode()
