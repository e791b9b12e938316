from __future__ import annotations

from typing import Any

from logstreamd.config import Config
from logstreamd.inputs.build import InputConfig
from logstreamd.inputs.pairing import Pairing, pair_inputs


def inputs(*sections: dict[str, Any]) -> tuple[InputConfig, ...]:
    return Config.model_validate({"inputs": sections}).inputs


def udp(port: int, name: str = "udp", **settings: Any) -> dict[str, Any]:
    return {"type": "udp", "name": name, "listen": f"127.0.0.1:{port}", **settings}


def tcp(port: int, name: str = "tcp", **settings: Any) -> dict[str, Any]:
    return {"type": "tcp", "name": name, "listen": f"127.0.0.1:{port}", **settings}


def file(path: str, name: str = "file", **settings: Any) -> dict[str, Any]:
    return {"type": "file", "name": name, "paths": [path], **settings}


def test_inputs_that_do_not_change_stay_open_in_whatever_order() -> None:
    old = inputs(udp(1), tcp(1), file("/a"))
    pairing = pair_inputs(old, old[::-1])
    assert set(pairing.kept) == {(one, one) for one in old}
    assert (pairing.opened, pairing.closed) == ((), ())


def test_one_with_the_same_type_name_and_address_gets_its_new_settings_while_it_is_open() -> None:
    old, new = inputs(udp(1), tcp(1)), inputs(udp(1, zone="Europe/Berlin"), tcp(1, max_connections=5))
    assert pair_inputs(old, new) == Pairing(tuple(zip(old, new, strict=True)), (), ())


def test_what_is_new_is_opened_and_what_is_gone_is_closed() -> None:
    old, new = inputs(udp(1), tcp(1)), inputs(udp(1), tcp(2, "other"))
    assert pair_inputs(old, new) == Pairing(((old[0], new[0]),), ((new[1], None),), (old[1],))


def test_one_that_moves_is_closed_and_opened() -> None:
    old, new = inputs(udp(1)), inputs(udp(2))
    assert pair_inputs(old, new) == Pairing((), ((new[0], None),), old)


def test_one_with_another_name_takes_over_the_address() -> None:
    old, new = inputs(udp(1, "a"), tcp(1)), inputs(udp(1, "b"), tcp(1))
    assert pair_inputs(old, new) == Pairing(((old[1], new[1]),), ((new[0], old[0]),), (old[0],))


def test_two_that_change_places_take_over_each_others_address() -> None:
    old, new = inputs(udp(1, "a"), udp(2, "b")), inputs(udp(2, "a"), udp(1, "b"))
    assert pair_inputs(old, new) == Pairing((), ((new[0], old[1]), (new[1], old[0])), old)


def test_a_datagram_address_is_none_for_connections() -> None:
    old, new = inputs(udp(1, "a")), inputs(tcp(1, "a"))
    assert pair_inputs(old, new) == Pairing((), ((new[0], None),), old)


def test_a_port_that_the_kernel_chooses_is_no_address_to_take_over() -> None:
    old, new = inputs(udp(0, "a")), inputs(udp(0, "b"))
    assert pair_inputs(old, new) == Pairing((), ((new[0], None),), old)


def test_files_with_other_settings_are_opened_anew() -> None:
    old, new = inputs(file("/a"), file("/b", "other")), inputs(file("/a", zone="Asia/Tokyo"), file("/b", "other"))
    assert pair_inputs(old, new) == Pairing(((old[1], new[1]),), ((new[0], None),), (old[0],))


def test_files_do_not_take_over_from_others() -> None:
    old, new = inputs(file("/a", "a")), inputs(file("/a", "b"))
    assert pair_inputs(old, new) == Pairing((), ((new[0], None),), old)
