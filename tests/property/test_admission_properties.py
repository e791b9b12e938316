from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from math import isclose

from hypothesis import given
from hypothesis import strategies as st
from set_clock import SetClock

from logstreamd.inputs.admission import Admission
from logstreamd.inputs.networks import Networks
from logstreamd.metrics import Metrics

METRICS = Metrics(version="test", wire="python")
# Seconds between two datagrams, in steps that add up exactly.
PAUSES = st.integers(0, 4_096).map(lambda ticks: ticks / 1_024)
DATAGRAMS = st.lists(st.tuples(PAUSES, st.integers(1, 3_000)), max_size=200)


def limited(records: int, nbytes: int) -> tuple[Admission, SetClock]:
    clock = SetClock(0.0)
    return Admission("in", METRICS, max_records_per_second=records, max_bytes_per_second=nbytes, clock=clock), clock


@given(DATAGRAMS, st.integers(0, 50), st.integers(0, 20_000))
def test_no_stretch_of_time_brings_more_than_its_rate_and_one_second_more(
    datagrams: list[tuple[float, int]], records: int, nbytes: int
) -> None:
    admission, clock = limited(records, nbytes)
    taken: list[tuple[float, int]] = []
    for pause, size in datagrams:
        clock.now += pause
        if admission.gate("192.0.2.1").try_take(size):
            taken.append((clock.now, size))
    for first in range(len(taken)):
        stretch = taken[first:]
        for rate, amount in ((records, [1.0] * len(stretch)), (nbytes, [float(size) for _, size in stretch])):
            brought = 0.0
            for (at, _), one in zip(stretch, amount, strict=True):
                brought += one
                assert not rate or brought <= rate * (at - stretch[0][0] + 1) * (1 + 1e-9)


@given(DATAGRAMS, st.integers(1, 50))
def test_what_is_below_the_rate_is_never_cut(datagrams: list[tuple[float, int]], records: int) -> None:
    admission, clock = limited(records, 0)
    for _, size in datagrams:
        clock.now += 1 / records + 1e-9
        assert admission.gate("192.0.2.1").try_take(size)


@given(st.lists(st.tuples(PAUSES, st.integers(0, 30), st.integers(0, 5_000)), max_size=50), st.integers(1, 50))
def test_a_stream_that_waits_as_it_is_told_brings_its_rate(reads: list[tuple[float, int, int]], records: int) -> None:
    admission, clock = limited(records, 10_000)
    source = admission.source("192.0.2.1")
    assert source is not None
    brought_records = brought_bytes = 0
    for pause, more_records, more_bytes in reads:
        clock.now += pause
        brought_records += more_records
        brought_bytes += more_bytes
        owed = source.owed_seconds(more_records, more_bytes)
        clock.now += owed
        assert source.owed_seconds(0, 0) < 1e-6  # the debt is paid when it said so
        for rate, brought in ((records, brought_records), (10_000, brought_bytes)):
            within = rate * (clock.now + 1)
            assert brought <= within or isclose(brought, within, abs_tol=1e-3)


@given(
    st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 32)), max_size=8),
    st.lists(st.tuples(st.integers(0, (1 << 128) - 1), st.integers(0, 128)), max_size=8),
    st.one_of(
        st.integers(0, (1 << 32) - 1).map(IPv4Address), st.integers(0, (1 << 128) - 1).map(IPv6Address), st.none()
    ),
)
def test_an_allow_list_says_what_the_networks_say(
    four: list[tuple[int, int]], six: list[tuple[int, int]], address: IPv4Address | IPv6Address | None
) -> None:
    networks = [IPv4Network(one, strict=False) for one in four] + [IPv6Network(one, strict=False) for one in six]
    if address is None:  # a hit would be rare by chance
        address = ip_address(networks[-1].network_address) if networks else IPv4Address(1)
    plain = getattr(address, "ipv4_mapped", None) or address
    expected = any(plain.version == one.version and plain in one for one in networks)
    assert (str(address) in Networks(map(str, networks))) == expected
