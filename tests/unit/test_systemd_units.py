"""The shipped units: systemd understands them, they are closed, and they fit the configuration they run with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from logstreamd.config import Config, load_config
from logstreamd.config.units import parse_duration, parse_size

UNITS = Path(__file__).parents[2] / "systemd"
SYSTEM_UNITS = Path("/lib/systemd/system")
MAX_EXPOSURE = 15  # tenths, on systemd's scale from 0 (closed) to 100


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    path = shutil.which("systemd-analyze")
    if path is None or not SYSTEM_UNITS.is_dir():
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return path


@pytest.fixture(scope="module")
def config() -> Config:
    """What the service would run with."""
    return load_config(UNITS / "logstreamd.yaml", {"STATE_DIRECTORY": "/var/lib/logstreamd"})


def values(unit: str, section: str, key: str) -> list[str]:
    """Return what a unit says for a key, which may be there several times."""
    found, inside = [], False
    for line in (UNITS / unit).read_text().splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and line.startswith(f"{key}="):
            found.append(line.partition("=")[2])
    return found


def test_systemd_finds_nothing_to_complain_of(systemd_analyze: str, tmp_path: Path) -> None:
    program = tmp_path / "opt/logstreamd/bin/logstreamd"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/kill", tmp_path / "bin")
    shutil.copytree(SYSTEM_UNITS, tmp_path / "lib/systemd/system", symlinks=True)
    installed = tmp_path / "etc/systemd/system"
    installed.mkdir(parents=True)
    units = [unit.name for unit in UNITS.iterdir() if unit.suffix in (".service", ".socket")]
    for unit in units:
        shutil.copy(UNITS / unit, installed)
    shutil.copytree(UNITS / "logstreamd.service.d", installed / "logstreamd.service.d")
    command = [systemd_analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", *units]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert len(units) == 3


def test_the_service_is_closed(systemd_analyze: str) -> None:
    unit = str(UNITS / "logstreamd.service")
    command = [systemd_analyze, "security", "--no-pager", "--offline=yes", f"--threshold={MAX_EXPOSURE}", unit]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout


def test_every_socket_has_an_input_and_every_input_a_socket(config: Config) -> None:
    opened = {
        (kind, address)
        for kind, key in (("udp", "ListenDatagram"), ("tcp", "ListenStream"))
        for address in values("logstreamd.socket", "Socket", key)
    }
    wanted = {
        (one.type, f"{host}:{one.listen.port}")
        for one in config.inputs
        for host in ("0.0.0.0", "[::]")
        if one.type in ("udp", "tcp") and one.listen.host == "*"
    }
    assert opened == wanted
    assert len(config.inputs) == 2


def test_the_units_limits_have_room_for_what_the_configuration_allows(config: Config) -> None:
    stop_seconds = parse_duration(values("logstreamd.service", "Service", "TimeoutStopSec")[0])
    assert stop_seconds >= config.writer.drain_timeout_seconds + 25
    (udp,) = (one for one in config.inputs if one.type == "udp")
    granted = parse_size(values("logstreamd.socket", "Socket", "ReceiveBuffer")[0].replace("M", "MiB"))
    assert granted >= udp.receive_buffer_bytes
    assert values("logstreamd.service", "Service", "LimitNOFILE") == ["65536"]  # max_connections: up to 65000
    assert config.state_dir == Path("/var/lib") / values("logstreamd.service", "Service", "StateDirectory")[0]
