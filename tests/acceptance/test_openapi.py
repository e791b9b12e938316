"""The OpenAPI document says what the daemon does: requests made up from it get the answers it promises, never a 500."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from logstreamd import __version__, api
from logstreamd.api.openapi import describe_api
from logstreamd.api.permissions import PERMISSIONS
from logstreamd.tokens import SCOPES, digest_of, new_token
from tests.acceptance.daemon_process import PROJECT, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import send_stream
from tests.stored_lines import random_line

TOKEN = new_token()
TOKENS = [{"name": "everything", "sha256": digest_of(TOKEN).hex(), "scopes": list(SCOPES)}]
HTTP = {"listen": "127.0.0.1:0", "max_rows": 50, "max_export_rows": 200, "tokens": TOKENS}
ROWS = 300


def document() -> dict[str, Any]:
    """Return the document of a daemon that is configured as :data:`HTTP` says."""
    return describe_api(version=__version__, max_rows=50, max_export_rows=200)


def closed(schema: Any) -> Any:
    """Let no object have a property that is not described, unless it says that it may."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "object" in schema.get("type", ()):
        result.setdefault("additionalProperties", False)
    return result


@pytest.fixture(scope="module")
def described(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with lines of all kinds."""
    state_dir = tmp_path_factory.mktemp("described") / "state"
    process = DaemonProcess(state_dir, dsn=make_database(), settings={"http": HTTP})
    process.token = TOKEN
    try:
        process.start()
        random = Random(20261122)
        send_stream(process.address("tcp"), [random_line(random).encode() + b"\n" for _ in range(ROWS)])
        with Database(process.psql) as database:
            wait_for("the rows", lambda: database.fetch("SELECT count(*) FROM logs") == [(ROWS,)])
        yield process
        process.stop()
    finally:
        process.dispose()


def run_schemathesis(daemon: DaemonProcess, directory: Path, *options: str) -> None:
    """Make requests up from the document that the daemon serves, and check the answers."""
    (directory / "openapi.json").write_text(json.dumps(closed(daemon.get("/api/v1/openapi.json").json())))
    command = (
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(Path(__file__).with_name("schemathesis.toml")),
        ),
        *("run", "openapi.json", "--url", daemon.url, "--no-color", *options),
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--exclude-path", "/errors/stats"),  # the handler of another path
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


TAGS = [tag["name"] for tag in document()["tags"]]


@pytest.mark.parametrize("tag", TAGS)
def test_requests_are_answered_as_described(described: DaemonProcess, tmp_path: Path, tag: str) -> None:
    run_schemathesis(described, tmp_path, "--include-tag", tag, "--phases", "examples,fuzzing", "--max-examples", "20")


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("tag", TAGS)
def test_many_requests_and_all_edges_of_the_schemas_are_answered_as_described(
    described: DaemonProcess, tmp_path: Path, tag: str
) -> None:
    run_schemathesis(described, tmp_path, "--include-tag", tag, "--max-examples", "500")


def resources() -> Iterator[type]:
    """Yield the classes of the API that have routes."""
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.endswith("Resource") and name != "Resource" and value.__module__ == module.name:
                yield value


def test_every_route_is_described_and_decided_on_and_nothing_else_is() -> None:
    application = web.Application()
    for resource in resources():
        # It names its handlers only, so it needs no parts to say where it is found.
        application.add_routes(resource.__new__(resource).routes())
    routes = {(route.resource.canonical, route.method) for route in application.router.routes() if route.resource}
    paths = {(path, method.upper()) for path, item in document()["paths"].items() for method in item}
    assert {(path, method) for path, method in routes if method != "HEAD"} == paths
    assert {(path, method) for method, path in PERMISSIONS} == paths


def test_the_daemon_serves_the_document_with_its_own_bounds(described: DaemonProcess) -> None:
    served = described.get("/api/v1/openapi.json").json()
    assert served == document()
    parameters = served["components"]["parameters"]
    assert (parameters["limit"]["schema"]["maximum"], parameters["last"]["schema"]["maximum"]) == (200, 50)
    assert served["openapi"].startswith("3.1.")


def test_everything_in_the_document_says_what_it_is_for() -> None:
    whole = document()
    shared = whole["components"]["parameters"]
    operations = [operation for item in whole["paths"].values() for operation in item.values()]
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    assert all(parameter["description"] for parameter in shared.values())
    own = [parameter for operation in operations for parameter in operation.get("parameters", ())]
    assert all("$ref" in parameter or parameter["description"] for parameter in own)
