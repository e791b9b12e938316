"""The annotated file, the reference page and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic.fields import FieldInfo

from logstreamd.config import EMBEDDED, Config, ConfigError, duration_text, load_config, size_text
from logstreamd.config.schema import INPUT_MODELS, settings
from logstreamd.config.units import Duration, Size, WholeNumber
from logstreamd.spool.limits import MIN_MAX_BYTES, DiskLimits

ROOT = Path(__file__).parents[3]
ANNOTATED = ROOT / "config" / "logstreamd.yaml"
ANNOTATED_TEXT = re.sub(r"^  #\+ ", "  ", ANNOTATED.read_text(), flags=re.MULTILINE)  # with the example of a file input
REFERENCE = (ROOT / "docs" / "configuration.md").read_text()

MODELS: dict[str, Any] = {name: field.annotation for name, field in Config.model_fields.items()}
SECTIONS = {name: model for name, model in MODELS.items() if name not in ("state_dir", "inputs")}


def fields() -> dict[str, FieldInfo]:
    """Every setting by its path in the reference: ``writer.connections``, ``inputs[].zone``."""
    found = {"state_dir": Config.model_fields["state_dir"]}
    for model in INPUT_MODELS.values():
        found |= {f"inputs[].{name}": field for name, field in model.model_fields.items()}
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            found[f"{section}.{name}"] = field
    return found


FIELDS = fields()


def quantity_of(field: FieldInfo) -> WholeNumber | Duration | Size | None:
    return next((one for one in field.metadata if isinstance(one, (WholeNumber, Duration, Size))), None)


BOUNDED = {path: quantity for path, field in FIELDS.items() if (quantity := quantity_of(field)) is not None}


def default_text(field: FieldInfo) -> str:
    match quantity_of(field), field.default:
        case Size(), int() as size_bytes:
            return size_text(size_bytes)
        case Duration(), float() as seconds:
            return duration_text(seconds)
        case _, bool() as value:
            return str(value).lower()
        case _, value:
            return "required" if field.is_required() else {None: "null", (): "[]"}.get(value, str(value))


def test_the_annotated_file_is_the_built_in_default() -> None:
    assert load_config(ANNOTATED, {}) == load_config(None, {}) == Config()


def test_every_setting_is_in_the_annotated_file() -> None:
    written = yaml.safe_load(ANNOTATED_TEXT)
    for one in written["inputs"]:
        assert set(one) == set(INPUT_MODELS[one["type"]].model_fields)
    assert {one["type"] for one in written["inputs"]} == set(INPUT_MODELS)
    assert set(written) == set(Config.model_fields)
    for section, model in SECTIONS.items():
        assert set(written[section]) == set(model.model_fields)


@pytest.mark.parametrize("path", BOUNDED)
def test_the_annotated_file_names_the_bounds(path: str) -> None:
    key = re.escape(path.rpartition(".")[2])
    # The comment on the key's own line, or the lines of comment right above it.
    annotated = re.findall(rf"((?:^ *#.*\n)*)^[ -]*{key}:.*?(#.*)?$", ANNOTATED_TEXT, re.MULTILINE)
    assert any(BOUNDED[path].bounds in above + beside for above, beside in annotated), BOUNDED[path].bounds


def row_of(path: str) -> list[str]:
    rows = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{path}`")]
    assert len(rows) == 1, f"one row about {path}"
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


@pytest.mark.parametrize("path", FIELDS)
def test_every_setting_is_in_the_reference(path: str) -> None:
    assert len(row_of(path)) == 4


@pytest.mark.parametrize("path", [path for path in FIELDS if not re.search(r"\.(type|listen|name|zone)$", path)])
def test_the_reference_names_the_default(path: str) -> None:
    text = "{}" if path == "alerts.notifiers" else default_text(FIELDS[path])
    assert row_of(path)[1] == f"`{text}`"


@pytest.mark.parametrize("path", BOUNDED)
def test_the_reference_names_the_bounds(path: str) -> None:
    assert row_of(path)[2] == BOUNDED[path].bounds


@pytest.mark.parametrize("path", [path for path in FIELDS if path.startswith(("spool.sync", "log."))])
def test_the_reference_names_the_choices(path: str) -> None:
    assert row_of(path)[2] == ", ".join(get_args(FIELDS[path].annotation))


def test_every_setting_has_a_variable() -> None:
    generic = {re.sub(r"\[\]", "", path) for path in FIELDS}
    assert generic <= {".".join(key for key in path if isinstance(key, str)) for path in settings()}


def test_the_minimal_file_loads() -> None:
    config = load_config(ROOT / "config" / "minimal.yaml", {})
    assert config.database.dsn != EMBEDDED
    assert [str(one.listen) for one in config.inputs] == ["*:5514", "*:5514"]


@pytest.mark.parametrize("path", BOUNDED)
def test_a_value_on_its_bounds_is_read_and_one_beyond_is_refused(path: str) -> None:
    quantity = BOUNDED[path]
    step: Any = 0.0001 if isinstance(quantity, Duration) else 1
    unit = (lambda value: f"{value * 1000:.6f}ms") if isinstance(quantity, Duration) else (lambda value: value)
    assert quantity.read(unit(quantity.lowest)) == quantity.lowest
    assert quantity.read(unit(quantity.highest)) == quantity.highest
    for beyond in (quantity.highest + step, quantity.lowest - step):
        with pytest.raises(ValueError, match="must be"):
            quantity.read(unit(beyond))


def test_the_smallest_spool_that_is_accepted_takes_a_full_batch(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    batch = "writer: {connections: 1, batch_max_rows: 65535, batch_max_bytes: 16MiB}\n"
    path.write_text(batch + "spool: {max_bytes: 32MiB, window_bytes: 32MiB}")
    with pytest.raises(ConfigError, match="full batches") as refusal:
        load_config(path, {})
    needed = re.findall(r"at least (\w+): 6", str(refusal.value))[0]
    path.write_text(batch + f"spool: {{max_bytes: {needed}, window_bytes: 32MiB}}")
    spool = load_config(path, {}).spool
    full_batch = (16 << 20) + (64 << 10) + 15 * 65_535
    assert DiskLimits.of(spool.max_bytes).batch_bytes >= full_batch


def test_the_smallest_spool_is_the_smallest_the_spool_takes() -> None:
    assert BOUNDED["spool.max_bytes"].lowest == MIN_MAX_BYTES
