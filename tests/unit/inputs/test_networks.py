from __future__ import annotations

import pytest

from logstreamd.inputs import networks as networks_module
from logstreamd.inputs.networks import Networks

SOME = Networks(["10.0.0.0/8", "192.0.2.7", "192.0.2.128/25", "2001:db8::/32", "::1", "0.0.0.0/32"])


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.0",
        "10.255.255.255",
        "192.0.2.7",
        "192.0.2.128",
        "192.0.2.255",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "::1",
        "::ffff:10.1.2.3",
        "0.0.0.0",
    ],
)
def test_an_address_of_one_of_the_networks_is_in_it(address: str) -> None:
    assert address in SOME


@pytest.mark.parametrize(
    "address",
    [
        "9.255.255.255",
        "11.0.0.0",
        "192.0.2.6",
        "192.0.2.127",
        "192.0.3.0",
        "2001:db9::",
        "::2",
        "::ffff:11.0.0.1",
        "::a00:1",  # the number of 10.0.0.1, and another address
        "fe80::1%eth0",
        "",
        "nobody",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert address not in SOME


def test_everything_of_one_version_is_not_everything_of_the_other() -> None:
    assert "203.0.113.9" in Networks(["0.0.0.0/0"])
    assert "2001:db8::1" not in Networks(["0.0.0.0/0"])
    assert "2001:db8::1" in Networks(["::/0"])
    assert "203.0.113.9" not in Networks(["::/0"])


def test_none_has_nobody() -> None:
    assert "127.0.0.1" not in Networks([])


def test_a_link_local_network_has_its_addresses_whatever_the_link() -> None:
    assert "fe80::1%eth0" in Networks(["fe80::/10"])


def test_answers_are_remembered_up_to_a_bound_and_stay_right() -> None:
    networks = Networks(["10.0.0.0/9"])
    for _ in range(2):
        for number in range(0, 1 << 24, 997):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            assert (address in networks) == (number < 1 << 23)
    assert networks._remembered.cache_info().currsize == networks_module._MAX_ANSWERS
