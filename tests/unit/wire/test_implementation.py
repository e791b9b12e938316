"""Which twins an installation runs: the compiled ones where all of them load, else the plain ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import logstreamd
from logstreamd.wire import implementation

PACKAGE = Path(logstreamd.__file__).parent
NAMES = """from logstreamd.wire.implementation import *
print(IMPLEMENTATION, *(one.__module__ for one in (encode, Framer, read_body, survey_rows)))"""
PLAIN = ["python", *(f"logstreamd.wire.{name}" for name in ("copy_binary", "framing", "ingest_body", "copy_rows"))]
COMPILED = ("_encode", "_split", "_ingest_body", "_survey")


def _names(root: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", NAMES], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package without anything compiled, as an installation without a compiler has it."""
    shutil.copytree(PACKAGE, tmp_path / "logstreamd", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tmp_path


def test_without_compiled_modules_the_plain_twins_run(copy: Path) -> None:
    assert _names(copy) == PLAIN


@pytest.mark.parametrize("name", COMPILED)
def test_with_a_broken_compiled_module_the_plain_twins_run(copy: Path, name: str) -> None:
    for built in PACKAGE.glob("wire/*.so"):
        shutil.copy(built, copy / "logstreamd" / "wire")
    (copy / "logstreamd" / "wire" / (name + sysconfig.get_config_var("EXT_SUFFIX"))).write_bytes(b"\x7fELF cut short")
    assert _names(copy) == PLAIN


def test_with_all_compiled_modules_the_compiled_twins_run() -> None:
    for name in COMPILED:
        pytest.importorskip(f"logstreamd.wire.{name}", reason="the compiled twins are not built", exc_type=ImportError)
    assert implementation.IMPLEMENTATION == "compiled"
    assert implementation.encode.__module__ == "logstreamd.wire._encode"
