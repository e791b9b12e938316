"""What docker-compose.yml tells PostgreSQL, told to a real one."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import yaml

SERVICE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())["services"]["postgres"]


async def test_its_settings_exist_and_have_room_for_the_daemons(connection: asyncpg.Connection) -> None:
    program, *options = SERVICE["command"]
    assert program == "postgres"
    settings = dict(option.removeprefix("-c").split("=") for option in options)
    known = {row["name"] for row in await connection.fetch("SELECT name FROM pg_settings")}
    assert set(settings) <= known
    # Of each daemon: 2 writers, keeper, 10 of searches, 2 of tails, 2 + 4 of alerts; of Grafana 10, of PostgreSQL 3.
    assert int(settings["max_connections"]) >= 2 * 21 + 10 + 3
