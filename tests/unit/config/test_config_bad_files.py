"""Each file in ``bad/`` is one mistake; its ``# expect:`` lines are the problems it must be reported with."""

from __future__ import annotations

from pathlib import Path

import pytest

from logstreamd.config import ConfigError, load_config
from logstreamd.config.yaml_source import MAX_DEPTH, MAX_FILE_BYTES

BAD_FILES = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        load_config(path, {})
    return [str(problem) for problem in refusal.value.problems]


@pytest.mark.parametrize("path", BAD_FILES, ids=lambda path: path.stem)
def test_the_mistake_is_reported_at_its_place(path: Path) -> None:
    lines = path.read_text().splitlines()
    expected = [f"{path}:{line.removeprefix('# expect: ')}" for line in lines if line.startswith("# expect: ")]
    assert expected, "a bad file says what it expects"
    assert problems_of(path) == expected


@pytest.mark.parametrize("path", BAD_FILES, ids=lambda path: path.stem)
def test_no_message_repeats_a_password(path: Path) -> None:
    assert "hunter2" not in "".join(problems_of(path))


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert problems_of(path) == [f"{path}: cannot be read: No such file or directory"]


def test_a_directory_is_a_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_text_that_is_not_utf8_is_reported_with_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin1.yaml"
    path.write_bytes("log:\n  # für alle\n  level: info\n".encode("latin-1"))
    assert problems_of(path) == [f"{path}:2:6: is not UTF-8: byte 0xfc"]


def test_a_control_character_is_reported_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "control.yaml"
    path.write_text("log:\n  level: in\x00fo\n")
    assert problems_of(path) == [f"{path}:2:12: not valid YAML: the control character #x0000"]


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * MAX_FILE_BYTES)
    load_config(path, {})
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert problems_of(path) == [f"{path}: is larger than 256 KiB: this is no configuration"]


def test_the_deepest_nesting_is_read_and_one_level_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    levels = MAX_DEPTH - 1  # the mapping around them is the first one
    path.write_text("x: " + "[" * levels + "]" * levels)
    assert problems_of(path) == [f"{path}:1:1: x: unknown key"]
    path.write_text("x: " + "[" * (levels + 1) + "]" * (levels + 1))
    assert problems_of(path) == [f"{path}:1:{4 + levels}: not valid YAML: nested deeper than {MAX_DEPTH}"]


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "a: [", "!x ", "&a "])
def test_a_file_of_nothing_but_openings_is_refused(tmp_path: Path, opening: str) -> None:
    path = tmp_path / "openings.yaml"
    path.write_text(opening * (MAX_FILE_BYTES // len(opening)))
    assert len(problems_of(path)) == 1


def test_one_input_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs.yaml"
    elements = [f'  - {{type: udp, listen: "*:{port}"}}\n' for port in range(1, 66)]
    path.write_text("inputs:\n" + "".join(elements[:64]))
    assert len(load_config(path, {}).inputs) == 64
    path.write_text("inputs:\n" + "".join(elements))
    assert problems_of(path) == [f"{path}:2:3: inputs: must have at most 64 elements (got 65)"]


def test_a_problem_of_the_file_does_not_hide_one_of_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("log: {level: 'info}\n")
    with pytest.raises(ConfigError) as refusal:
        load_config(path, {"LOGSTREAMD_WRITER__CONNECTIONS": "17", "LOGSTREAMD_NONSENSE": "1"})
    assert [str(problem) for problem in refusal.value.problems] == [
        f"{path}:2:1: not valid YAML: found unexpected end of stream",
        "environment: LOGSTREAMD_NONSENSE: unknown variable",
        "environment: LOGSTREAMD_WRITER__CONNECTIONS: must be 1..16 (got 17)",
    ]


def test_the_error_carries_no_refused_values_in_its_chain(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("database: {dsn: 'mysql://app:hunter2@db', port: 1}\n")
    with pytest.raises(ConfigError) as refusal:
        load_config(path, {})
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
