"""What pydantic says about a refused value → problems in the operator's words, at the place of the value."""

from __future__ import annotations

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from logstreamd.config.consistency import ContradictionError
from logstreamd.config.document import Document
from logstreamd.config.problems import KeyPath, Place, Problem, did_you_mean, shown
from logstreamd.config.schema import INPUT_MODELS, NOTIFIER_MODELS, keys_at

__all__ = ["DEFAULTS", "explain"]

DEFAULTS = Place("defaults")
"""The place of a value that nobody wrote."""


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Turn the model's refusal of a document's values into problems, those of unreadable values left out."""
    found = []
    for details in error.errors(include_url=False):
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            # A notifier does not know its name: its paths begin at itself.
            base = _path(details) if details["loc"][:2] == ("alerts", "notifiers") else ()
            paths = ((tuple((*base, *path) for path in one.paths), one.message) for one in cause.found)
            found += [_contradiction(*one, document) for one in paths]
        elif not document.is_unreadable(path := _path(details)):
            found.append(_refusal(path, details, document))
    return found


def _path(details: ErrorDetails) -> KeyPath:
    """Return where the value lies; pydantic has the element's type in between, ``("inputs", 0, "udp", …)``."""
    match details["loc"]:
        case ("inputs", int() as index, _, *inside):
            return ("inputs", index, *inside)
        case ("alerts", "notifiers", str() as name, _, *inside):
            return ("alerts", "notifiers", name, *inside)
        case path:
            return path


def _contradiction(paths: tuple[KeyPath, ...], message: str, document: Document) -> Problem:
    path = next((one for one in paths if one in document.places), paths[0])
    return (document.place_of(path) or DEFAULTS).problem(path, message)


def _refusal(path: KeyPath, details: ErrorDetails, document: Document) -> Problem:
    if details["loc"][-1:] == ("[key]",):
        return document.keys.get(path, DEFAULTS).problem(path, _message(details))
    if details["type"] == "extra_forbidden":
        return document.keys.get(path, DEFAULTS).problem(path, _unknown_key(path, details))
    if details["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path = (*path, "type")
    return (document.place_of(path) or DEFAULTS).problem(path, _message(details))


def _unknown_key(path: KeyPath, details: ErrorDetails) -> str:
    key = str(path[-1])
    known, of = keys_at(path[:-1]), ""
    match details["loc"]:
        case ("inputs", int(), str() as input_type, _):
            if key in known:
                return f"unknown key for input type '{input_type}'"
            known, of = set(INPUT_MODELS[input_type].model_fields), f" for input type '{input_type}'"
        case ("alerts", "notifiers", str(), str() as notifier_type, _):
            known, of = set(NOTIFIER_MODELS[notifier_type].model_fields), f" for notifier type '{notifier_type}'"
    meant = did_you_mean(key, known)
    return f"unknown key{of}" + (f" (did you mean '{meant}'?)" if meant else "")


def _message(details: ErrorDetails) -> str:
    written, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return str(context["error"])
        case "union_tag_not_found":
            return f"is required (one of {', '.join(_models(details))})"
        case "union_tag_invalid":
            return _not_one_of(_models(details), written["type"])
        case "missing":
            return "is required"
        case "literal_error":
            return _not_one_of(re.findall(r"'([^']*)'", context["expected"]), written)
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a mapping (got {shown(written)})"
        case "tuple_type":
            return f"must be a list (got {shown(written)})"
        case "too_short":
            return "must not be empty"  # no list has another least length
        case "too_long":
            return f"must have at most {context['max_length']} elements (got {context['actual_length']})"
        case _:  # a kind of refusal that no field has today
            return details["msg"]


def _models(details: ErrorDetails) -> list[str]:
    """Return the types that the element at fault may have."""
    return list(INPUT_MODELS if details["loc"][0] == "inputs" else NOTIFIER_MODELS)


def _not_one_of(choices: list[str], written: object) -> str:
    meant = did_you_mean(written, choices) if isinstance(written, str) else None
    hint = f"; did you mean '{meant}'?" if meant else ""
    return f"must be one of {', '.join(choices)} (got {shown(written)}{hint})"
