from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from certificates import Authority

from logstreamd.config import ConfigError
from logstreamd.daemon.material import Material, page_url, read_material


def read(tmp_path: Path, text: str, **environ: str) -> Material:
    file = tmp_path / "logstreamd.yaml"
    file.write_text(text)
    return read_material(file, environ)


def test_what_the_configuration_names_is_read_with_it(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue("localhost")
    rule = {"alert": "A", "query": "level>=error", "condition": "count > 1", "over": "5m"}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    tls = f"{{certificate: {files.certificate}, key: {files.key}}}"
    material = read(
        tmp_path,
        f"""
inputs: [{{type: tls, name: safe, listen: 127.0.0.1:6514, tls: {tls}}}]
http: {{tls: {tls}}}
alerts: {{rules: ["{tmp_path}/rules.yaml"], notifiers: {{ops: {{type: log}}}}}}
""",
    )
    assert [rule.alert for group in material.rules for rule in group.rules] == ["A"]
    assert set(material.tls) == {"safe", "http"}
    assert set(material.channels) == {"ops"}
    assert len(material.tokens) == 0


def test_the_problems_of_all_files_are_told_at_once_with_the_places_that_name_them(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("groups: none")
    (tmp_path / "tokens").write_text("nothing")
    text = f"""
inputs:
  - type: tls
    listen: 127.0.0.1:6514
    tls:
      certificate: {tmp_path}/missing.pem
      key: {tmp_path}/missing.key
http:
  tokens_file: {tmp_path}/tokens
alerts:
  rules: ["{tmp_path}/rules.yaml"]
  notifiers:
    ops: {{type: webhook, url_file: {tmp_path}/missing-url}}
"""
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, text)
    told = [str(problem).removeprefix(f"{tmp_path}/").partition(": ")[::2] for problem in refusal.value.problems]
    assert [(where, what.partition(":")[0]) for where, what in told] == [
        ("rules.yaml:1:9", "groups"),
        ("tokens:1:1", "must be a line such as"),
        ("logstreamd.yaml:13:10", "alerts.notifiers.ops"),
        ("logstreamd.yaml:6:20", "inputs[0].tls.certificate"),
    ]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:8514"),
        ('http: {listen: "[::1]:80"}', "http://[::1]:80"),
        ("alerts: {external_url: https://logs.example.org}", "https://logs.example.org"),
    ],
)
def test_the_page_is_where_the_configuration_says(tmp_path: Path, text: str, url: str) -> None:
    assert page_url(read(tmp_path, text).config) == url
