from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from logstreamd import faults


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    yield
    faults.disarm()


def test_nothing_happens_while_nothing_is_armed() -> None:
    for point in faults.POINTS:
        faults.hit(point)


def test_a_fault_acts_on_its_hit_only() -> None:
    faults.arm("pg.begin:2:raise:EIO")
    faults.hit("pg.begin")
    with pytest.raises(OSError, match="armed") as raised:
        faults.hit("pg.begin")
    assert raised.value.errno == errno.EIO
    faults.hit("pg.begin")
    faults.hit("pg.marker")


def test_a_plus_makes_a_fault_last() -> None:
    faults.arm("pg.begin:2+:raise:ENOSPC")
    faults.hit("pg.begin")
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            faults.hit("pg.begin")


def test_several_faults_are_separated_by_commas() -> None:
    faults.arm("pg.begin:1:sleep:0, pg.marker:1:raise:EDQUOT")
    faults.hit("pg.begin")
    with pytest.raises(OSError, match="quota"):
        faults.hit("pg.marker")


def test_kill_is_a_real_sigkill() -> None:
    code = "from logstreamd import faults; faults.arm('pg.begin:1:kill'); faults.hit('pg.begin')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("pg.nowhere:1:kill", "unknown point 'pg.nowhere'"),
        ("pg.begin", "expected a count"),
        ("pg.begin:0:kill", "expected a count"),
        ("pg.begin:-1:kill", "expected a count"),
        ("pg.begin:x:kill", "expected a count"),
        ("pg.begin:1:explode", "expected kill, raise"),
        ("pg.begin:1:kill:now", "expected kill, raise"),
        ("pg.begin:1:raise:ENOTHING", "expected kill, raise"),
        ("pg.begin:1:raise:errorcode", "expected kill, raise"),
        ("pg.begin:1:sleep:inf", "expected kill, raise"),
        ("pg.begin:1:sleep:soon", "expected kill, raise"),
    ],
)
def test_a_plan_that_is_not_one_is_refused_as_a_whole(plan: str, message: str) -> None:
    with pytest.raises(faults.FaultSpecError, match=message):
        faults.arm(f"pg.marker:1:kill,{plan}")
    assert faults.hit is faults._off
