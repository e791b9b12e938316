from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field

import msgspec
import pytest
import structlog
from spooling import make_batch

from logstreamd.daemon.report import Report, announce
from logstreamd.metrics import Metrics
from logstreamd.spool import MemorySpool
from logstreamd.storage.session import Health


@dataclass
class Socket:
    name: str
    congested: bool = False
    endpoints: list[str] = field(default_factory=lambda: ["127.0.0.1:5514"])


class Parts:
    def __init__(self) -> None:
        self.metrics = Metrics(version="test", wire="python")
        self.health = Health(self.metrics)
        self.spool = MemorySpool(window_bytes=1000)
        self.inputs = [Socket("udp"), Socket("tcp")]
        self.report = Report(self.metrics, self.health, self.spool, self.inputs, lambda: ["writer 1"])

    async def exchange(self, problem: OSError | None) -> None:
        """Have the database answer, or not."""

        async def answer() -> None:
            if problem:
                raise problem

        with contextlib.suppress(OSError):
            await self.health.attempt(answer)


@pytest.fixture
async def parts() -> Parts:
    """All of them well."""
    one = Parts()
    await one.exchange(None)
    return one


def test_when_all_is_well_there_is_no_problem(parts: Parts) -> None:
    assert parts.report.problems() == []


async def test_every_part_that_cannot_work_is_named(parts: Parts) -> None:
    await parts.exchange(ConnectionRefusedError("nobody there"))
    parts.inputs[1].congested = True
    while parts.spool.has_room:
        parts.spool.append(make_batch("x"))
    used = parts.spool.stats().bytes
    assert parts.report.problems() == [
        "database: ConnectionRefusedError: nobody there",
        f"spool: full ({used} of 1000 bytes)",
        "input tcp: waits for the spool",
    ]


async def test_the_status_shows_every_part_and_can_be_sent_as_json(parts: Parts) -> None:
    parts.metrics.watch_input("udp", in_flight=lambda: 0, spooled=lambda: 0)
    while not parts.health.breaker_open:
        await parts.exchange(ConnectionRefusedError("nobody there"))
    parts.spool.append(make_batch("x"))
    status = json.loads(msgspec.json.encode(parts.report.status()))
    assert status["inputs"] == {
        "udp": {"listen": ["127.0.0.1:5514"], "waiting_for_spool": False},
        "tcp": {"listen": ["127.0.0.1:5514"], "waiting_for_spool": False},
    }
    assert status["ledger"]["udp"]["imbalance"] == 0
    assert status["spool"]["id"] == str(parts.spool.id)
    assert status["spool"]["frames"] == 3
    problem = "ConnectionRefusedError: nobody there"
    assert status["database"] == {"up": False, "problem": problem, "breaker_open": True}
    assert status["tasks"] == ["writer 1"]
    assert status["uptime_seconds"] >= 0


def test_the_announcement_tells_a_person_where_to_send_and_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    announce(
        listening=["udp 127.0.0.1:5514", "tcp [::1]:5514"],
        http="https://127.0.0.1:8514",
        psql="postgresql://host/db",
        data=["/var/lib/logstreamd"],
        problem=None,
        as_json=False,
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "is ready" in err
    for text in (
        "udp 127.0.0.1:5514, tcp [::1]:5514",
        "https://127.0.0.1:8514/",
        "psql 'postgresql://host/db'",
        "/var/",
    ):
        assert text in err


def test_the_announcement_tells_a_program_the_same() -> None:
    with structlog.testing.capture_logs() as logs:
        announce(listening=["udp x"], http="http://h:1", psql="p", data=["d"], problem=None, as_json=True)
    (entry,) = logs
    assert (entry["send_to"], entry["look_at"], entry["psql"], entry["data"]) == (["udp x"], "http://h:1", "p", ["d"])


@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_database_it_does_not_claim_to_be_ready(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as logs:
        announce(listening=[], http="http://h:1", psql="p", data=[], problem="nobody there", as_json=as_json)
    said = str(logs) + capsys.readouterr().err
    assert "ready" not in said
    assert "the database is away" in said
    assert "nobody there" in said
