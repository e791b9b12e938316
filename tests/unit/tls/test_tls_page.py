"""What docs/tls.md tells to type works."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from certificates import Files

from logstreamd.tls import FAILURE_REASONS, load_server_tls

PAGE = (Path(__file__).parents[3] / "docs" / "tls.md").read_text()


def test_the_commands_make_certificates_that_work(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True, capture_output=True)
    for name in ("server", "web-1"):
        strict = [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            "ca.pem",
            f"{name}.pem",
        ]  # as clients of Python 3.13 do
        subprocess.run(strict, cwd=tmp_path, check=True, capture_output=True)
        files = Files(tmp_path / f"{name}.pem", tmp_path / f"{name}.key", client_ca=tmp_path / "ca.pem")
        assert load_server_tls(files).warnings == ()
    assert load_server_tls(files).subject == "CN=web-1"


def test_every_reason_of_the_metric_is_explained() -> None:
    assert {reason for reason in FAILURE_REASONS if f"| `{reason}` |" in PAGE} == set(FAILURE_REASONS)
