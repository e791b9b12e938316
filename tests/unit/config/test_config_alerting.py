"""The notifiers' settings: read, described where people look, and never shown with their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from logstreamd.config import Config, duration_text, load_config
from logstreamd.config.schema import NOTIFIER_MODELS
from logstreamd.config.units import Duration, WholeNumber

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLE = "\n".join(
    line.replace("#~ ", "", 1).replace("#~", "", 1)
    for line in (ROOT / "config" / "logstreamd.yaml").read_text().splitlines()
    if line.startswith("  #~")
)

FIELDS: list[tuple[str, str, FieldInfo]] = [
    (kind, name, field) for kind, model in NOTIFIER_MODELS.items() for name, field in model.model_fields.items()
]
BOUNDED = [
    (kind, name, quantity)
    for kind, name, field in FIELDS
    for quantity in field.metadata
    if isinstance(quantity, (Duration, WholeNumber))
]


def rows_of(name: str) -> list[list[str]]:
    rows = [line for line in REFERENCE.splitlines() if line.startswith(f"| `alerts.notifiers.NAME.{name}`")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def load(tmp_path: Path, **notifiers: dict[str, Any]) -> Config:
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump({"alerts": {"notifiers": notifiers}}))
    return load_config(path, {})


def test_the_example_in_the_annotated_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(f"alerts:\n{EXAMPLE}\n")
    notifiers = load_config(path, {}).alerts.notifiers
    assert sorted(one.type for one in notifiers.values()) == sorted(NOTIFIER_MODELS)


@pytest.mark.parametrize("name", sorted({name for _, name, _ in FIELDS}))
def test_every_setting_is_in_the_example(name: str) -> None:
    assert re.search(rf"\b{name}\b", EXAMPLE)


@pytest.mark.parametrize("name", sorted({name for _, name, _ in FIELDS}))
def test_every_setting_is_in_the_reference(name: str) -> None:
    assert rows_of(name)
    assert all(len(row) == 4 for row in rows_of(name))


@pytest.mark.parametrize(("kind", "name", "quantity"), BOUNDED)
def test_bounds_and_default_are_in_the_reference(kind: str, name: str, quantity: Duration | WholeNumber) -> None:
    default = NOTIFIER_MODELS[kind].model_fields[name].default
    text = duration_text(default) if isinstance(quantity, Duration) else str(default)
    assert [f"`{text}`", quantity.bounds] in [row[1:3] for row in rows_of(name)]


@pytest.mark.parametrize(("kind", "name", "quantity"), BOUNDED)
def test_bounds_are_in_the_example(kind: str, name: str, quantity: Duration | WholeNumber) -> None:
    # Beside the setting, or in the comment right above it.
    annotated = re.findall(rf"^(.*)\n *{name}:(.*)$", EXAMPLE, re.MULTILINE)
    assert any(quantity.bounds in above + beside for above, beside in annotated)


def test_no_way_of_printing_shows_a_secret_url(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        ops={"type": "webhook", "url": "https://hooks.example.org:8443/hunter2?key=hunter2"},
        chat={"type": "slack", "url": "https://hooks.slack.example/services/hunter2"},
        am={"type": "alertmanager", "urls": ["https://am.example.org/hunter2"]},
    )
    ops = config.alerts.notifiers["ops"]
    assert ops.url.text.endswith("hunter2")  # type: ignore[union-attr]
    for text in (repr(config), str(config), str(config.redacted()), f"{config.alerts}"):
        assert "hunter2" not in text
    assert config.redacted()["alerts"]["notifiers"]["ops"]["url"] == "https://hooks.example.org:8443/***"
    assert config.redacted()["alerts"]["notifiers"]["am"]["urls"] == ["https://am.example.org/***"]


def test_the_scheme_may_be_written_in_capitals(tmp_path: Path) -> None:
    config = load(tmp_path, ops={"type": "webhook", "url": "HTTPS://hooks.example.org"})
    assert str(config.alerts.notifiers["ops"].url) == "https://hooks.example.org"  # type: ignore[union-attr]


def test_an_http_url_is_read_where_private_addresses_are_allowed(tmp_path: Path) -> None:
    config = load(tmp_path, ops={"type": "webhook", "url": "http://127.0.0.1:8080/x", "allow_private": True})
    assert config.alerts.notifiers["ops"].url.origin == "http://127.0.0.1:8080"  # type: ignore[union-attr]


def test_a_variable_adds_notifiers_to_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text("alerts: {notifiers: {journal: {type: log}}}")
    config = load_config(path, {"LOGSTREAMD_ALERTS__NOTIFIERS": "{chat: {type: slack, url_env: SLACK_URL}}"})
    assert sorted(config.alerts.notifiers) == ["chat", "journal"]


def test_the_home_directory_is_expanded_in_the_path_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    config = load(tmp_path, ops={"type": "webhook", "url": "https://a.example", "secret_file": "~/key"})
    assert config.alerts.notifiers["ops"].secret_file == Path("/home/ana/key")  # type: ignore[union-attr]


def test_one_notifier_too_many_is_refused(tmp_path: Path) -> None:
    assert len(load(tmp_path, **{f"n{n}": {"type": "log"} for n in range(16)}).alerts.notifiers) == 16
    with pytest.raises(Exception, match="must have at most 16 elements"):
        load(tmp_path, **{f"n{n}": {"type": "log"} for n in range(17)})
