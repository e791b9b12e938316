"""Lines as real devices send them: priority, a sane time, and host, tag and message where a person would see them."""

from __future__ import annotations

import pytest
from storable import assert_storable
from vectors import ARRIVAL_US, WIDE, Vector, load_devices

from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

SAMPLES = load_devices()
YEAR_US = 366 * 86_400 * 1_000_000


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_device_sample_is_read_as_a_person_would(sample: Vector) -> None:
    record = parse_frame(sample.raw, ARRIVAL_US, Policy())
    expected = sample.entry
    assert (record.facility, record.severity) == (expected["facility"], expected["severity"])
    assert ARRIVAL_US - 7 * 86_400_000_000 <= record.ts <= ARRIVAL_US + 600_000_000
    columns = {"hostname": record.host, "appname": record.service, "procid": record.proc_id}
    for name, found in columns.items():
        if name in expected:
            assert found == expected[name]
    if "message" in expected:
        assert record.message == (expected["message"] or "")
    assert_storable(record)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_device_stamp_without_year_gets_the_one_nearest_to_its_arrival(sample: Vector) -> None:
    record = parse_frame(sample.raw, ARRIVAL_US, WIDE)
    if b"Oct 11 22:14:15" in sample.raw[:24]:
        assert abs(record.ts - ARRIVAL_US) < YEAR_US / 2
        assert record.ts // 1_000_000 % 86_400 == 22 * 3600 + 14 * 60 + 15


def test_every_prefix_of_every_sample_becomes_one_record() -> None:
    for sample in SAMPLES:
        for end in range(len(sample.raw)):
            assert_storable(parse_frame(sample.raw[:end], ARRIVAL_US, Policy()))
