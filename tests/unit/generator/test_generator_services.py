"""The small services of the scenarios: what they accept, and what they write about it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Response

from generator.http_client import HttpClient
from generator.scenarios.faults.requests import drive
from generator.scenarios.faults.task_api import TaskApi
from generator.scenarios.web_api.log_files import CombinedAccessLogger, LogFiles
from generator.scenarios.web_api.resource import Errors, SimulatedError
from generator.scenarios.web_api.users import MAX_USERS, UserStore, check_user


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"name": "Ada", "email": "ada@example.org"}, []),
        ({"name": " ", "email": "ada@example.org"}, ["name"]),
        ({"name": "A" * 101, "email": "ada"}, ["name", "email"]),
        ({"name": "A\nB", "email": "a b@c.d"}, ["name", "email"]),
        ({"name": "Ada", "email": "ada@example.org", "admin": True}, ["'admin'"]),
        ({}, ["name", "email"]),
        ([], ["body"]),
        (None, ["body"]),
    ],
)
def test_a_user_needs_a_name_and_an_address(document: Any, fields: list[str]) -> None:
    assert [problem.partition(":")[0] for problem in check_user(document)] == fields


def test_users_are_bounded() -> None:
    store = UserStore()
    while store.add("Ada", "ada@example.org") is not None:
        pass
    assert len(store.newest(MAX_USERS + 1)) == MAX_USERS
    assert [user["id"] for user in store.newest(2)] == [MAX_USERS, MAX_USERS - 1]


def test_errors_come_as_often_as_they_should() -> None:
    errors = Errors((0.10, 0.15, 0.20), Random(1))
    counts = dict.fromkeys(("list", "create", "load"), 0)
    for operation in counts:
        for _ in range(10_000):
            try:
                errors.draw(operation, "x")
            except SimulatedError:
                counts[operation] += 1
    assert counts == {
        "list": pytest.approx(1_000, rel=0.1),
        "create": pytest.approx(1_500, rel=0.1),
        "load": pytest.approx(2_000, rel=0.1),
    }


def test_what_a_client_sends_can_not_pretend_to_be_another_field(tmp_path: Path) -> None:
    request = make_mocked_request("GET", "/users?q=%22", headers={"User-Agent": 'a" 200 1 "\x1b[2J\\', "Referer": "r"})
    with LogFiles(tmp_path) as files:
        CombinedAccessLogger(files.access, "").log(request, Response(text="four"), 0.1)
    line = (tmp_path / "access.log").read_text()
    assert line.count("\n") == 1
    assert line.endswith('"GET /users?q=%22 HTTP/1.1" 200 4 "r" "a\\" 200 1 \\"\\x1b[2J\\\\"\n')


def test_the_task_api_answers_and_logs_every_kind_of_fault() -> None:
    lines: list[str] = []
    with TaskApi(lines.append) as api:
        statuses = drive(api.url, 2)
        client = HttpClient(api.url)
        answers = [client.request("POST", "/tasks/9/split", b"{}"), client.request("PUT", "/tasks", b"")]
        client.close()
    assert statuses == {200: 4, 201: 2, 400: 4, 404: 4, 500: 2}
    assert [answer.status for answer in answers] == [404, 501]
    logged = [json.loads(line) for line in lines]
    assert sum(line["status"] == 500 for line in logged) == 2
    for line in logged:
        assert line["level"] == {2: "INFO", 4: "WARNING", 5: "ERROR"}[line["status"] // 100]
        assert line["service"] == "task-api"
    assert any("ZeroDivisionError" in line["message"] for line in logged)
