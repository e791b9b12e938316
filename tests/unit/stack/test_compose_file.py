"""docker-compose.yml: a valid file whose parts fit together, closed where it can be."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.scenarios import app, web_api
from logstreamd.config import load_config
from logstreamd.config.http import HttpConfig
from logstreamd.config.token_file import configured_tokens
from logstreamd.tokens import SCOPES
from tests.acceptance.senders import program

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
STACK: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, Any] = STACK["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("logstreamd:")]
DAEMONS = ["logstreamd", "web-api-logs"]
CONFIGURED = [ROOT / "config" / "compose" / name / "logstreamd.yaml" for name in DAEMONS]


def networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", ()))


def compose_config(*options: str, **variables: str) -> dict[str, Any]:
    """What compose makes of the file."""
    command = [program("docker-compose", "docker-compose"), "-f", str(COMPOSE), "config", *options]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


def test_compose_takes_the_file_and_publishes_on_the_loopback_address() -> None:
    published = [port for service in compose_config()["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_only_logs_can_be_published_elsewhere() -> None:
    services = compose_config(BIND_ADDRESS="192.0.2.10")["services"]
    elsewhere = [
        port for one in services.values() for port in one.get("ports", ()) if not port.startswith("127.0.0.1:")
    ]
    assert sorted(elsewhere) == ["192.0.2.10:5514:5514/tcp", "192.0.2.10:5514:5514/udp"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_limits_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "logging"} <= set(service)
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+[\w.-]*", service["image"]), "the tag names a version"


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "postgres"])
def test_all_but_the_database_have_no_rights_and_write_to_their_volumes_only(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_secrets_and_networks_exist(name: str) -> None:
    service = SERVICES[name]
    assert networks(name) <= set(STACK["networks"])
    assert set(service.get("secrets", ())) <= set(STACK["secrets"])
    for volume in service.get("volumes", ()):
        source, target, *mode = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).is_dir(), "a directory: a file that an editor replaces would stay the old one inside"
            assert mode == ["ro"]
        else:
            assert source in STACK["volumes"]
        assert target.startswith("/")


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_health_waits_for_a_service_that_tells(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other] or other in DAEMONS  # the image brings its own
        assert SERVICES[other].get("healthcheck") != {"disable": True}


def test_secrets_come_from_files_only() -> None:
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert not re.search("PASSWORD|TOKEN|SECRET", variable) or variable.endswith("_FILE")


@pytest.mark.parametrize("path", CONFIGURED, ids=DAEMONS)
def test_the_daemons_configurations_name_hosts_secrets_and_files_of_the_stack(path: Path) -> None:
    service = SERVICES[path.parent.name]
    config = load_config(path, {})
    assert f"./{path.parent.relative_to(ROOT)}:/etc/logstreamd:ro" in service["volumes"]
    for secret in (config.database.password_file, config.http.tokens_file):
        assert str(secret).removeprefix("/run/secrets/") in service["secrets"]
    assert "@postgres/" in config.database.dsn
    assert networks(path.parent.name) & networks("postgres")
    assert path.parent.name in config.http.allowed_hosts


def test_the_rules_of_the_daemon_are_the_ones_mounted() -> None:
    config = load_config(CONFIGURED[0], {})
    assert "./config/alerts:/alerts:ro" in SERVICES["logstreamd"]["volumes"]
    assert config.alerts.rules == ("/alerts/*.yaml",)


def test_prometheus_scrapes_every_daemon_of_the_stack() -> None:
    config = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())
    jobs = {one["job_name"]: one["static_configs"][0]["targets"] for one in config["scrape_configs"]}
    assert jobs["logstreamd"] == [f"{name}:8514" for name in DAEMONS]
    token = config["scrape_configs"][0]["authorization"]["credentials_file"]
    assert token.removeprefix("/run/secrets/") in SERVICES["prometheus"]["secrets"]
    for target in jobs["logstreamd"] + config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]:
        assert networks(target.partition(":")[0]) & networks("prometheus")


def test_the_database_is_on_a_network_that_leads_nowhere() -> None:
    assert networks("postgres") == {"database"}
    assert STACK["networks"]["database"] == {"internal": True}


@pytest.mark.parametrize(("name", "scenario"), [("generator", app), ("web-api", web_api)])
def test_the_sources_get_settings_that_they_know(name: str, scenario: Any) -> None:
    known = {option.variable: option for option in scenario.OPTIONS}
    for variable, value in SERVICES[name]["environment"].items():
        known[variable].read(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value))


def test_the_web_service_and_its_sidecar_share_a_volume_that_the_sidecar_only_reads() -> None:
    assert "web-api-files:/logs" in SERVICES["web-api"]["volumes"]
    assert "web-api-files:/logs:ro" in SERVICES["web-api-logs"]["volumes"]


def test_what_grew_is_renamed_and_the_rest_left_alone(tmp_path: Path) -> None:
    (loop,) = SERVICES["web-api-rotate"]["command"]
    once = re.fullmatch(r"while sleep 60; do (find .*); done", loop)
    assert once
    (tmp_path / "access.log").write_bytes(b"." * (17 << 20))
    (tmp_path / "error.log").write_bytes(b".")
    subprocess.run(["sh", "-c", once[1].replace("/logs", str(tmp_path))], check=True, timeout=30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["access.log.1", "error.log"]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The directory of secrets after the script has run twice."""
    directory = tmp_path / "compose"
    shutil.copytree(ROOT / "config" / "compose", directory, ignore=shutil.ignore_patterns("*_*"))
    made: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run([directory / "make-secrets"], check=True, capture_output=True, timeout=30)
        made.append({path.name: path.read_text() for path in (directory / "secrets").iterdir()})
    assert made[0] == made[1]
    return directory / "secrets"


def test_secrets_are_random_and_closed_to_others(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    random = {path.name: path.read_text() for path in secrets.glob("*_*") if path.name != "http_tokens"}
    assert len(set(random.values())) == len(random)
    assert all(re.fullmatch("[0-9a-f]{48}|lsd_[0-9a-f]{64}", value) for value in random.values())
    # The administrator's token is for nobody inside.
    assert set(random) | {"http_tokens"} == set(STACK["secrets"]) | {"admin_token"}
    assert all(one["file"] == f"./config/compose/secrets/{name}" for name, one in STACK["secrets"].items())


def test_the_daemon_knows_the_tokens_and_what_they_are_good_for(secrets: Path) -> None:
    tokens = configured_tokens(HttpConfig(tokens_file=secrets / "http_tokens"), {})
    for name, scopes in (("admin", set(SCOPES)), ("prometheus", {"metrics"})):
        found = tokens.find((secrets / f"{name}_token").read_text())
        assert found is not None
        assert (found.name, found.scopes) == (name, scopes)


def test_passwords_are_never_committed() -> None:
    assert (ROOT / "config" / "compose" / "secrets" / ".gitignore").read_text().splitlines() == ["*", "!.gitignore"]
