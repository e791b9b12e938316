"""Grafana's dashboards: what Grafana needs of a file, and that panels ask data sources and variables that exist.

What they ask is run in tests/acceptance/test_monitoring.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "config" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BUILT_IN = {
    "__interval",
    "__rate_interval",
    "__range",
    "__all",
    "__timeFilter",
    "__timeGroup",
    "__timeFrom",
    "__timeTo",
}

Panel = dict[str, Any]


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def panels(path: Path) -> list[Panel]:
    return list(load(path)["panels"])


def sources() -> dict[str, str]:
    """The provisioned data sources: uid → type."""
    document = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "logstreamd.yaml").read_text())
    return {one["uid"]: one["type"] for one in document["datasources"]}


def asked(path: Path) -> Iterator[dict[str, str]]:
    """Everything of a dashboard that names a data source."""
    dashboard = load(path)
    yield from (variable["datasource"] for variable in dashboard["templating"]["list"])
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel["datasource"]
            yield from (target["datasource"] for target in panel["targets"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or above)


def test_there_are_the_four_dashboards() -> None:
    assert [path.stem for path in FILES] == ["alerts", "errors-by-service", "ingest-and-ledger", "postgresql"]
    uids = [load(path)["uid"] for path in FILES]
    assert uids == [f"logstreamd-{path.stem}" for path in FILES]
    assert all(len(uid) <= 40 for uid in uids)  # Grafana's limit


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_is_one_that_can_be_provisioned(path: Path) -> None:
    dashboard = load(path)
    assert "id" not in dashboard, "Grafana gives it a number of its own"
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["title"]
    assert dashboard["description"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_a_title_and_a_place_of_their_own(path: Path) -> None:
    for panel in panels(path):
        place = panel["gridPos"]
        assert panel["title"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations(panels(path), 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_and_variables_ask_provisioned_data_sources(path: Path) -> None:
    known = sources()
    for source in asked(path):
        assert known[source["uid"]] == source["type"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_use_variables_that_the_dashboard_has(path: Path) -> None:
    dashboard = load(path)
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    texts = [target.get("expr") or target["rawSql"] for panel in panels(path) for target in panel.get("targets", ())]
    used = {name for text in texts for name in re.findall(r"\$\{?(\w+)", text)}
    assert used - BUILT_IN == declared


def test_the_provider_and_compose_read_the_same_directory() -> None:
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "logstreamd.yaml").read_text())
    directory = provider["providers"][0]["options"]["path"]
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert f"./config/grafana/dashboards:{directory}:ro" in grafana["volumes"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == Path(directory)
    assert home.name in [path.name for path in FILES]
