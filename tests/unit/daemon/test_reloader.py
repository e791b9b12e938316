from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from logstreamd.config import ConfigError, load_config
from logstreamd.config.effects import EFFECTS, changed_settings, effect_of
from logstreamd.config.problems import path_text
from logstreamd.config.schema import settings
from logstreamd.daemon import reload as reload_module
from logstreamd.daemon.material import Material, read_material
from logstreamd.daemon.reload import Change, Reloader
from logstreamd.metrics import Metrics

REFERENCE = Path(__file__).parents[3] / "docs" / "configuration.md"


class Reloading:
    """A reloader, its file, and what its parts did."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.write_text("")
        self.metrics = Metrics(version="test", wire="python")
        self.done: list[str] = []
        self.reloader = Reloader(
            self.read(),
            self.read,
            self.metrics,
            on_begin=lambda: self.done.append("begin"),
            on_end=lambda: self.done.append("end"),
        )

    def read(self) -> Material:
        return read_material(self.file, {})

    def part(self, name: str, prepare: Callable[[Change], object] = lambda change: None) -> None:
        """Add a part that writes down what it does."""

        async def run(change: Change) -> None:
            async def commit() -> None:
                self.done.append(f"commit {name}")

            async def undo() -> None:
                self.done.append(f"undo {name}")

            change.at_commit(commit)
            change.at_refusal(undo)
            prepare(change)

        self.reloader.add(run)

    async def reload(self, text: str) -> None:
        """Reload a file that says ``text``."""
        self.file.write_text(text)
        self.done.clear()
        await self.reloader.reload()

    @property
    def problems(self) -> list[str]:
        """Why the last reload was refused, without the file's name."""
        problems = self.reloader.status()["last_reload"]["problems"]
        return [problem.removeprefix(f"{self.file}:").strip() for problem in problems]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"logstreamd_config_{name}", labels)


@pytest.fixture
async def reloading(tmp_path: Path) -> Reloading:
    return Reloading(tmp_path / "logstreamd.yaml")


def name_of(path: tuple[str | int, ...]) -> str:
    return ".".join(key for key in path if isinstance(key, str))


LEAVES = [path for path in settings() if not any(other[: len(path)] == path != other for other in settings())]


@pytest.mark.parametrize("path", LEAVES, ids=path_text)
def test_every_setting_takes_effect_at_a_reload_or_at_a_restart(path: tuple[str | int, ...]) -> None:
    name = name_of(path)
    deciding = [known for known in EFFECTS if name == known or name.startswith(f"{known}.")]
    assert len(deciding) == 1, f"say in config/effects.py and docs/configuration.md when {name} takes effect"
    assert effect_of(path) == EFFECTS[deciding[0]]


def test_every_entry_of_the_table_is_a_setting_or_a_section() -> None:
    assert set(EFFECTS) <= set(map(name_of, settings()))


def test_the_reference_says_the_same() -> None:
    rows = re.findall(r"^\| (at a reload|only at a restart) \| (.*) \|$", REFERENCE.read_text(), re.MULTILINE)
    documented = {when.split()[-1]: re.findall(r"`([a-z_.]+)`", names) for when, names in rows}
    assert documented == {effect: [name for name in EFFECTS if EFFECTS[name] == effect] for effect in documented}
    assert set(documented) == set(EFFECTS.values())


def test_the_differences_are_named_by_their_paths_and_inputs_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(
        "retention: {days: 8}\nwriter: {batch_max_rows: 7}\ninputs: []\n"
        "alerts: {notifiers: {a: {type: log}, b: {type: log, max_age: 2h}}}\n"
    )
    new = load_config(file, {"LOGSTREAMD_ALERTS__NOTIFIERS": "{b: {max_age: 3h}}"})
    old = load_config(None, {"LOGSTREAMD_ALERTS__NOTIFIERS": "{b: {type: log}}"})
    assert [path_text(path) for path in changed_settings(old, new)] == [
        "writer.batch_max_rows",
        "retention.days",
        "alerts.notifiers.b",
        "alerts.notifiers.a",
    ]
    assert changed_settings(new, new) == []


async def test_what_was_prepared_is_committed_in_order_and_undone_by_nobody(reloading: Reloading) -> None:
    reloading.part("a")
    reloading.part("b")
    with structlog.testing.capture_logs() as logs:
        await reloading.reload("retention: {days: 8}")
    assert reloading.done == ["begin", "commit a", "commit b", "end"]
    (line,) = logs
    assert (line["event"], line["generation"], line["changed"]) == ("configuration reloaded", 2, ["retention.days"])
    status = reloading.reloader.status()
    assert (status["generation"], status["file"]) == (2, str(reloading.file))
    assert (status["last_reload"]["outcome"], status["last_reload"]["problems"]) == ("applied", [])


async def test_with_one_problem_everything_is_undone_the_last_first_and_all_problems_are_told(
    reloading: Reloading,
) -> None:
    def missing(change: Change) -> None:
        raise FileNotFoundError(2, "No such file or directory", "key.pem")

    reloading.part("a", lambda change: change.refuse(("retention", "days"), "not on a Sunday"))
    reloading.part("b", missing)
    reloading.part("c")
    with structlog.testing.capture_logs() as logs:
        await reloading.reload("spool: {max_bytes: 1GiB}\nretention:\n  days: 8\nstate_dir: /tmp/other")
    assert reloading.done == ["begin", "undo c", "undo b", "undo a", "end"]
    assert reloading.problems == [
        "4:12: state_dir: takes effect only at a restart",
        "1:20: spool.max_bytes: takes effect only at a restart",
        "3:9: retention.days: not on a Sunday",
        "[Errno 2] No such file or directory: 'key.pem'",
    ]
    (line,) = logs
    assert line["log_level"] == "error"
    assert line["problems"] == reloading.reloader.status()["last_reload"]["problems"]


async def test_a_file_that_cannot_be_read_prepares_nothing(reloading: Reloading) -> None:
    reloading.part("a")
    await reloading.reload("retention: {days: 0}\nretentoin: 1\n")
    assert reloading.done == ["begin", "end"]
    assert [problem.partition(" ")[0] for problem in reloading.problems] == ["1:19:", "2:1:"]


async def test_a_setting_that_is_gone_from_the_file_is_named_all_the_same(reloading: Reloading) -> None:
    reloading.file.write_text("spool: {max_bytes: 1GiB}")
    reloading.reloader = Reloader(reloading.read(), reloading.read, reloading.metrics)
    await reloading.reload("log: {level: debug}")
    assert reloading.problems == ["spool.max_bytes: takes effect only at a restart"]


async def test_the_metrics_show_how_it_went(reloading: Reloading) -> None:
    assert reloading.metric("last_reload_successful") == 1
    started_at = reloading.metric("last_reload_success_timestamp_seconds")
    assert started_at is not None
    await reloading.reload("no: 1")
    assert reloading.metric("last_reload_successful") == 0
    assert reloading.metric("last_reload_success_timestamp_seconds") == started_at
    await reloading.reload("")
    assert reloading.metric("last_reload_successful") == 1
    assert (reloading.metric("last_reload_success_timestamp_seconds") or 0) > started_at
    assert reloading.metric("reloads_total", outcome="applied") == 1
    assert reloading.metric("reloads_total", outcome="refused") == 1


async def test_of_many_problems_the_first_are_shown(reloading: Reloading) -> None:
    await reloading.reload("".join(f"unknown{number}: 1\n" for number in range(100)))
    assert len(reloading.problems) == 21
    assert reloading.problems[-1] == "and 80 more: logstreamd check-config shows all of them"


async def test_what_cannot_be_prepared_in_time_is_refused(
    reloading: Reloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload_module, "_PREPARE_SECONDS", 0.01)

    async def hang(change: Change) -> None:
        await asyncio.Event().wait()

    reloading.part("a")
    reloading.reloader.add(hang)
    await reloading.reload("")
    assert reloading.done == ["begin", "undo a", "end"]
    assert reloading.problems == ["could not be read and prepared within 0.01 seconds"]


async def test_requests_that_come_while_a_reload_runs_become_one(reloading: Reloading) -> None:
    preparing, go_on = asyncio.Queue[None](), asyncio.Event()

    async def wait(change: Change) -> None:
        preparing.put_nowait(None)
        await go_on.wait()

    reloading.reloader.add(wait)
    running = asyncio.create_task(reloading.reloader.run())
    reloading.reloader.ask()
    await preparing.get()
    for _ in range(5):
        reloading.reloader.ask()
    go_on.set()
    await preparing.get()
    await reloading.reloader.stop()
    assert reloading.reloader.status()["generation"] == 3
    running.cancel()


async def test_a_stop_waits_for_a_commit_that_runs_and_for_no_other_reload(reloading: Reloading) -> None:
    committing, go_on = asyncio.Event(), asyncio.Event()

    async def commit() -> None:
        committing.set()
        await go_on.wait()

    reloading.part("a", lambda change: change.at_commit(commit))
    running = asyncio.create_task(reloading.reloader.run())
    reloading.reloader.ask()
    await committing.wait()
    stopping = asyncio.create_task(reloading.reloader.stop())
    await asyncio.sleep(0)
    reloading.reloader.ask()
    assert not stopping.done()
    go_on.set()
    await stopping
    await asyncio.sleep(0)
    assert reloading.reloader.status()["generation"] == 2
    running.cancel()


async def test_a_stop_that_comes_while_it_is_prepared_leaves_everything_as_it_was(reloading: Reloading) -> None:
    preparing, go_on = asyncio.Event(), asyncio.Event()

    async def wait(change: Change) -> None:
        preparing.set()
        await go_on.wait()

    reloading.part("a")
    reloading.reloader.add(wait)
    running = asyncio.create_task(reloading.reloader.run())
    reloading.reloader.ask()
    await preparing.wait()
    stopping = asyncio.create_task(reloading.reloader.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert reloading.done == ["begin", "undo a", "end"]
    assert reloading.problems == ["the daemon is about to stop"]
    running.cancel()


async def test_a_defect_in_a_part_is_not_taken_for_a_refusal(reloading: Reloading) -> None:
    def divide(change: Change) -> None:
        raise ZeroDivisionError

    reloading.part("a")
    reloading.part("b", divide)
    with pytest.raises(ZeroDivisionError):
        await reloading.reload("")
    assert reloading.done == ["begin", "undo b", "undo a", "end"]


def test_the_problems_of_a_part_are_all_kept(reloading: Reloading) -> None:
    material = reloading.read()
    change = Change(material, material)
    change.refuse(("http", "tls"), "one")
    change.refuse((), "two")
    assert [str(one) for one in ConfigError(change.problems).problems] == [
        f"{reloading.file}: http.tls: one",
        f"{reloading.file}: two",
    ]
