"""Texts with values in them: the part of Prometheus' templates that needs no queries.

::

    text       = { characters | "{{" pipeline "}}" }
    pipeline   = command { "|" command }          each result is the last argument of the next command
    command    = argument | function { argument }
    argument   = "$labels." name | "$value" | string

A template is checked when it is read (labels, functions, kinds of arguments, formats): filling it in can't fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from logstreamd.alerts.condition import number_text
from logstreamd.alerts.mistake import MistakeError
from logstreamd.alerts.template_functions import FUNCTIONS, Kind, read_format
from logstreamd.config.problems import did_you_mean

__all__ = ["FILLED_MAX_CHARS", "TEMPLATE_MAX_CHARS", "Template", "read_template"]

TEMPLATE_MAX_CHARS = 4_096
"""An annotation is a paragraph; a runbook has an address."""
FILLED_MAX_CHARS = 8_192
"""Twice the longest template: label values are bounded, but a template may repeat one."""

_Values: TypeAlias = tuple[Mapping[str, str], float]
_Evaluate: TypeAlias = Callable[[_Values], str | float]

_TOKEN = re.compile(
    r"""\s*(?: (?P<end>\}\}) | (?P<pipe>\|) | (?P<string>"(?:\\.|[^"\\])*" | `[^`]*`)
      | (?P<variable>\$\w*(?:\.\w*)*) | (?P<name>[a-zA-Z_.][\w.]*) | (?P<other>\S) | (?P<nothing>\Z) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}
_OTHER_SPELLING = re.compile(r"[.$]?(value|labels)\b(.*)", re.IGNORECASE)
_CONTROL = ("if", "else", "end", "range", "with", "define", "template", "block", "query", "first")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places to fill in.

    Attributes:
        text: as it was written.
        parts: the characters between the places, and what is filled in there.
    """

    text: str
    parts: tuple[str | _Evaluate, ...] = field(compare=False, repr=False)

    def fill(self, labels: Mapping[str, str], value: float = 0.0) -> str:
        """Return the text for an alert, at most :data:`FILLED_MAX_CHARS` of it; a label that is not there is empty."""
        values = (labels, value)
        filled = "".join(part if isinstance(part, str) else _shown(part(values)) for part in self.parts)
        return filled if len(filled) <= FILLED_MAX_CHARS else filled[: FILLED_MAX_CHARS - 1] + "…"


def read_template(text: str, labels: Collection[str], no_value: str | None = None) -> Template:
    """Read a template.

    Args:
        text: the template.
        labels: the labels that an alert can have.
        no_value: why ``$value`` may not stand in it; None: it may.

    Raises:
        MistakeError: it can't be filled in for every alert.
    """
    if len(text) > TEMPLATE_MAX_CHARS:
        raise MistakeError(TEMPLATE_MAX_CHARS, f"must have at most {TEMPLATE_MAX_CHARS} characters (got {len(text)})")
    parts: list[str | _Evaluate] = []
    offset = 0
    while (opening := text.find("{{", offset)) >= 0:
        pipeline = _Pipeline(text, opening + 2, labels, no_value)
        parts += [text[offset:opening], pipeline.read()]
        offset = pipeline.end
    return Template(text, tuple(part for part in (*parts, text[offset:]) if part != ""))


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else number_text(value)


@dataclass(frozen=True, slots=True)
class _Argument:
    kind: Kind | Literal["literal"]
    evaluate: _Evaluate
    offset: int
    literal: str = ""

    def is_a(self, wanted: Kind) -> bool:
        return self.kind == wanted or (wanted == "text" and self.kind == "literal")


class _Pipeline:
    """One ``{{ … }}``, from behind its opening to behind its end."""

    def __init__(self, text: str, offset: int, labels: Collection[str], no_value: str | None) -> None:
        self._text = text
        self._labels = labels
        self._no_value = no_value
        self._opening = offset - 2
        self.end = offset
        self._tokens = self._scan()
        self._kind, self._token, self._offset = next(self._tokens)

    def read(self) -> _Evaluate:
        result = self._command(())
        while self._kind == "pipe":
            self._next()
            result = self._command((result,))
        if self._kind != "end":
            raise MistakeError(self._offset, f"expected '|' or '}}}}' (got {self._token!r})")
        return result.evaluate

    def _scan(self) -> Iterator[tuple[str, str, int]]:
        while found := _TOKEN.match(self._text, self.end):
            kind = str(found.lastgroup)
            if kind == "nothing":
                raise MistakeError(self._opening, "'{{' has no '}}' behind it")
            self.end = found.end()
            yield kind, found[kind], found.start(kind)

    def _next(self) -> None:
        self._kind, self._token, self._offset = next(self._tokens)

    def _command(self, piped: tuple[_Argument, ...]) -> _Argument:
        if self._kind != "name" or _OTHER_SPELLING.fullmatch(self._token):
            argument = self._argument()
            if piped:
                raise MistakeError(argument.offset, "expected a function behind '|'")
            return argument
        name, offset = self._token, self._offset
        if name not in FUNCTIONS:
            raise MistakeError(offset, _no_function(name))
        self._next()
        arguments = []
        while self._kind not in ("pipe", "end"):
            arguments.append(self._argument())
        return _call(name, offset, (*arguments, *piped))

    def _argument(self) -> _Argument:
        token, offset = self._token, self._offset
        match self._kind:
            case "string":
                literal = token[1:-1]
                if token[0] == '"':
                    literal = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), literal)
                argument = _Argument("literal", lambda _: literal, offset, literal)
            case "variable" if token == "$value":  # noqa: S105
                if self._no_value is not None:
                    raise MistakeError(offset, self._no_value)
                argument = _Argument("number", lambda values: values[1], offset)
            case "variable" if token.startswith("$labels."):
                argument = self._label(token.removeprefix("$labels."), offset)
            case _:
                raise MistakeError(offset, _no_argument(token))
        self._next()
        return argument

    def _label(self, name: str, offset: int) -> _Argument:
        if name not in self._labels:
            near = did_you_mean(name, self._labels)
            known = f"did you mean '{near}'?" if near else f"there are {', '.join(sorted(self._labels)) or 'none'}"
            raise MistakeError(offset, f"no label '{name}' here ({known})")
        return _Argument("text", lambda values: values[0].get(name, ""), offset)


def _call(name: str, offset: int, arguments: tuple[_Argument, ...]) -> _Argument:
    """Return the call of a function, its arguments checked."""
    evaluates = [argument.evaluate for argument in arguments]
    if name == "printf":
        if not arguments or arguments[0].kind != "literal":
            raise MistakeError(offset, 'printf needs a format first, such as printf "%.2f" $value')
        kinds = tuple("number" if argument.kind == "number" else "text" for argument in arguments[1:])
        function = read_format(arguments[0].literal, kinds, arguments[0].offset)
        del evaluates[0]
    else:
        takes, function = FUNCTIONS[name]
        if len(arguments) != len(takes):
            raise MistakeError(
                offset, f"{name} takes {len(takes)} argument{'s'[: len(takes) > 1]} (got {len(arguments)})"
            )
        for argument, kind in zip(arguments, takes, strict=True):
            if not argument.is_a(kind):
                only = "a number, and only $value is one" if kind == "number" else "a text, and $value is a number"
                raise MistakeError(argument.offset, f"{name} takes {only}")
    return _Argument("text", lambda values: function(*(evaluate(values) for evaluate in evaluates)), offset)


def _no_function(name: str) -> str:
    if name in _CONTROL:
        return f"'{name}' is not supported: templates only fill in $labels.NAME and $value"
    near = did_you_mean(name, FUNCTIONS)
    return f"no function '{name}' ({f'did you mean {near}?' if near else 'there are ' + ', '.join(FUNCTIONS)})"


def _no_argument(token: str) -> str:
    other = _OTHER_SPELLING.fullmatch(token)
    meant = f"${other[1].lower()}{other[2]}" if other else token
    hint = f" (did you mean {meant}?)" if meant not in (token, "$labels") else ""
    return f'expected $labels.NAME, $value or a "text" (got {token!r}){hint}'
