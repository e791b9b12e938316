"""The Dockerfile, as far as it can be read; tests/acceptance/test_image.py carries its steps out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from logstreamd import __version__
from logstreamd.config import load_config
from tests.dockerfile import Instruction, ignored, instructions

ROOT = Path(__file__).parents[3]
STEPS = instructions(ROOT / "Dockerfile")
BUILD = STEPS[: [step.keyword for step in STEPS].index("FROM", 1)]
FINAL = STEPS[len(BUILD) :]


def of(keyword: str, steps: list[Instruction] = FINAL) -> list[Instruction]:
    return [step for step in steps if step.keyword == keyword]


def test_both_stages_begin_with_the_same_named_version() -> None:
    first, second = of("FROM", STEPS)
    assert first.text.removesuffix(" AS build") == second.text
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", second.text)


@pytest.mark.parametrize("step", of("COPY", BUILD) + of("COPY", FINAL), ids=lambda step: step.text)
def test_what_is_copied_exists_and_reaches_the_builder(step: Instruction) -> None:
    if step.text.startswith("--from=build "):
        return
    *sources, _ = step.words
    for source in sources:
        assert (ROOT / source).exists()
        assert not ignored(source, ROOT / ".dockerignore")


@pytest.mark.parametrize(
    "path", [".git", "config/compose/secrets/postgres_password", "logstreamd/wire/_encode.so", "tests", "build"]
)
def test_what_is_none_of_its_business_does_not_reach_the_builder(path: str) -> None:
    assert ignored(path, ROOT / ".dockerignore")


def test_it_runs_as_a_user_with_a_number_and_no_rights() -> None:
    (user,) = of("USER")
    assert re.fullmatch(
        r"[1-9]\d{3,}:[1-9]\d{3,}", user.text
    )  # a number, so that a runtime can see that it is not root
    last_as_root = max(FINAL.index(step) for step in FINAL if step.keyword in ("RUN", "COPY"))
    assert FINAL.index(user) > last_as_root


def test_no_compiler_gets_into_the_image() -> None:
    assert any("gcc" in step.text for step in of("RUN", BUILD))
    assert not any("apt-get" in step.text for step in of("RUN"))


def test_it_is_started_without_a_shell_and_ended_by_a_signal() -> None:
    assert [step.document() for step in of("ENTRYPOINT") + of("CMD")] == [["logstreamd"], ["run"]]
    assert [step.text for step in of("STOPSIGNAL")] == ["SIGTERM"]
    (check,) = of("HEALTHCHECK")
    assert re.search(r' CMD \["python", "-I", "-c", ', check.text)


def test_what_must_not_get_lost_lies_in_a_volume() -> None:
    (volume,) = of("VOLUME")
    assert any(f"LOGSTREAMD_STATE_DIR={volume.text}" in step.text for step in of("ENV"))


def test_it_says_what_it_is() -> None:
    (label,) = of("LABEL")
    for name in ("title", "description", "version", "licenses", "base.name"):
        assert f"org.opencontainers.image.{name}=" in label.text
    assert f'org.opencontainers.image.version="{__version__}"' in label.text


def test_its_configuration_listens_where_it_says() -> None:
    config = load_config(ROOT / "config" / "container.yaml", {})
    listening = {f"{one.listen.port}/{one.type}" for one in config.inputs} | {f"{config.http.listen.port}/tcp"}
    (expose,) = of("EXPOSE")
    assert set(expose.words) == listening
