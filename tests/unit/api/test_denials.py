"""What is said about requests that were turned away: not more than one line a minute for each peer."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from aiohttp.test_utils import make_mocked_request

from logstreamd.api import denials
from logstreamd.api.denials import Denials
from logstreamd.metrics import Metrics


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(clock: Clock) -> Denials:
    return Denials(Metrics(version="test", wire="python"), clock)


def request_of(peer: str, path: str = "/api/v1/logs") -> Any:
    return make_mocked_request("GET", path).clone(remote=peer)


def test_a_peer_is_in_the_log_again_after_a_minute_with_how_often_it_came(told: Denials, clock: Clock) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            told.tell(request_of("192.0.2.1"), "token_missing")
            clock.now += 14
        told.tell(request_of("192.0.2.1"), "token_unknown")
    assert [(line["reason"], line["denied_before"]) for line in logs] == [("token_missing", 0), ("token_unknown", 4)]


def test_peers_do_not_hide_each_other(told: Denials) -> None:
    with structlog.testing.capture_logs() as logs:
        for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            told.tell(request_of(peer), "token_missing")
    assert [line["peer"] for line in logs] == ["192.0.2.1", "192.0.2.2"]


def test_only_so_many_peers_are_remembered(told: Denials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "_MAX_PEERS", 2)
    for peer in ("a", "b", "c"):
        told.tell(request_of(peer), "host")
    assert list(told._peers) == ["b", "c"]


def test_a_path_is_cut(told: Denials) -> None:
    with structlog.testing.capture_logs() as logs:
        told.tell(request_of("a", "/" + "x" * 1_000), "token_missing")
    assert len(logs[0]["path"]) == 200
