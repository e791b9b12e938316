"""``GET /api/v1/openapi.json``: the API for programs, in OpenAPI 3.1.

It is written by hand beside this module, one YAML file for each resource and one for what they share, and put together
here with the table of permissions. That it says what the daemon does is tested: each route is in it, and generated
requests are answered as it says.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property
from importlib import resources
from typing import Any

import yaml
from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.api.permissions import scopes_of
from logstreamd.tokens import Scope

__all__ = ["OpenApiResource", "describe_api"]

_SHARED = "shared.yaml"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where it is built: 10 ms for all files instead of 150


class OpenApiResource:
    """Describes the API.

    Args:
        version: the daemon's.
        max_rows: the most rows of an answer in one document.
        max_export_rows: the most rows of an answer line by line.
    """

    def __init__(self, *, version: str, max_rows: int, max_export_rows: int) -> None:
        self._version = version
        self._max_rows = max_rows
        self._max_export_rows = max_export_rows

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/openapi.json", self.document)]

    async def document(self, _request: web.Request) -> web.Response:
        """Answer with the document."""
        return json_answer(self._document)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return describe_api(version=self._version, max_rows=self._max_rows, max_export_rows=self._max_export_rows)


def describe_api(*, version: str, max_rows: int, max_export_rows: int) -> dict[str, Any]:
    """Put the document together.

    Args:
        version: the daemon's.
        max_rows: the most rows of an answer in one document.
        max_export_rows: the most rows of an answer line by line.
    """
    document: dict[str, Any] = {}
    # What they share comes first, for people who read the document from its beginning.
    for file in sorted(resources.files(__name__).iterdir(), key=lambda file: (file.name != _SHARED, file.name)):
        if file.name.endswith(".yaml"):
            _merge(document, yaml.load(file.read_text(encoding="utf-8"), _Loader))  # noqa: S506  # it is a safe one
    document["info"]["version"] = version
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _say_who_may(operation, scopes_of(method.upper(), path))
    parameters = document["components"]["parameters"]
    parameters["limit"]["schema"]["maximum"] = max(max_rows, max_export_rows)
    parameters["last"]["schema"]["maximum"] = max_rows
    return document


def _say_who_may(operation: dict[str, Any], scopes: Set[Scope]) -> None:
    """Add to an operation what the table of permissions says, and the answers to those who may not ask."""
    schemes = ("token", "password")
    # One of them suffices. A scheme that is not OAuth lists roles here (OpenAPI 3.1, "Security Requirement Object").
    operation["security"] = [{scheme: [scope]} for scope in sorted(scopes) for scheme in schemes]
    refusals = {"403": "NotAllowed", "421": "WrongHost"} | ({"401": "TokenRequired"} if scopes else {})
    for status, name in refusals.items():
        operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _merge(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Add a part; a name that both have must be one that holds others."""
    for name, value in part.items():
        if name not in whole:
            whole[name] = value
        elif isinstance(value, list):
            whole[name] += value
        else:
            _merge(whole[name], value)
