from __future__ import annotations

import pytest

from logstreamd.wire.batch import Batch
from logstreamd.wire.sender import Known, address_of, sender_entry, split_sender


@pytest.mark.parametrize(
    ("address", "known", "entry"),
    [
        ("192.0.2.1", {}, "192.0.2.1"),
        ("", {}, ""),
        ("192.0.2.1", {"tls_subject": "CN=web-1"}, '192.0.2.1 "tls_subject":"CN=web-1"'),
        ("", {"peer_pid": 812, "peer_uid": 0}, ' "peer_pid":812,"peer_uid":0'),
        ("::1", {"tls_subject": 'O="a b" \\, {}'}, '::1 "tls_subject":"O=\\"a b\\" \\\\, {}"'),
    ],
)
def test_an_entry_is_an_address_and_what_else_is_known(address: str, known: Known, entry: str) -> None:
    assert sender_entry(address, known) == entry
    assert split_sender(entry) == (address, known)
    assert address_of(entry) == (address or None)


def test_what_postgresql_does_not_store_is_made_visible() -> None:
    assert split_sender(sender_entry("", {"tls_subject": "a\0b\udcffc"})) == ("", {"tls_subject": "a\\x00b\\udcffc"})


def test_a_text_is_cut_after_512_characters() -> None:
    assert split_sender(sender_entry("", {"tls_subject": "é" * 600})) == ("", {"tls_subject": "é" * 512})


@pytest.mark.parametrize("entry", ["no address", '::1 "a"', '::1 "a":1.5', '::1 "a":[1]', '::1 "a":1} {', " {"])
def test_anything_else_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="not what is known of a sender"):
        split_sender(entry)


def test_a_batch_tells_the_address_alone() -> None:
    batch = Batch("tls")
    for entry in ('192.0.2.1 "tls_subject":"CN=web-1"', ' "peer_pid":812', ""):
        batch.append(b"x", 0, batch.peer_id(entry))
    assert [batch.address(index) for index in range(3)] == ["192.0.2.1", None, None]
