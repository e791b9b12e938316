"""Trees of a regex → a matcher that runs in linear time, for the live tail.

Python's own ``re`` may take exponential time (``(a+)+$``), and a tail runs in the event loop. This is the textbook way
without back-tracking: the tree becomes a program for a machine that is in many places at once (Thompson), and each set
of places that is reached becomes a state whose successors are remembered (a DFA, built as the text asks for it).

A text of n characters takes at most n steps, each at most :data:`MAX_INSTRUCTIONS` wide, mostly one look-up.
Source: K. Thompson, Regular Expression Search Algorithm, 1968; R. Cox, Regular Expression Matching Can Be
Simple And Fast, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from logstreamd.query.filter.charset import TOKEN_CHARS, Ranges, contains
from logstreamd.query.filter.regex_tree import Alternatives, Boundary, Chars, RegexNode, Repeat, Sequence

__all__ = ["MAX_INSTRUCTIONS", "Automaton", "TooLargeError"]

MAX_INSTRUCTIONS = 300
"""A step looks at no more than these: some 50 µs when all are reached and nothing is remembered, 0.04 µs usually.
``[0-9a-f]{64}`` is 65 of them."""
_MAX_REMEMBERED = 8_192  # places and successors kept, under 1 MiB; then they are forgotten and found anew


class TooLargeError(ValueError):
    """A regex expands to more than :data:`MAX_INSTRUCTIONS`."""


@dataclass(frozen=True, slots=True)
class _Take:
    """Go on behind a character of the set."""

    ranges: Ranges
    following: int


@dataclass(slots=True)
class _Split:
    """Go on at all of these at once."""

    following: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Check:
    """Go on when the place is one of these."""

    boundary: Boundary
    following: int


@dataclass(frozen=True, slots=True)
class _Matched:
    """The end of the program."""


_Instruction: TypeAlias = _Take | _Split | _Check | _Matched


@dataclass(eq=False, slots=True)
class _State:
    """A set of places, entered behind a character (``before``: was it of a token; None at the start of the text)."""

    places: frozenset[int]
    before: bool | None
    successors: dict[str, _State] = field(default_factory=dict)


_MATCHED = _State(frozenset(), None)


class Automaton:
    """Searches texts for a regex.

    Args:
        tree: the regex.

    Raises:
        TooLargeError: its repetitions expand to too much.
    """

    def __init__(self, tree: RegexNode) -> None:
        self._program: list[_Instruction] = [_Matched()]
        self._entry = self._compile(tree, following=0)
        self._forget()

    def search(self, text: str) -> bool:
        """Tell whether the regex matches anywhere in the text."""
        state = self._start
        for char in text:
            state = state.successors.get(char) or self._successor(state, char)
            if state is _MATCHED:
                return True
        return self._successor(state, "") is _MATCHED

    def _forget(self) -> None:
        self._remembered = 0
        self._states: dict[tuple[frozenset[int], bool | None], _State] = {}
        self._start = self._state(frozenset(), None)

    def _state(self, places: frozenset[int], before: bool | None) -> _State:
        return self._states.setdefault((places, before), _State(places, before))

    def _successor(self, state: _State, char: str) -> _State:
        """Return the state behind a character, or ``_MATCHED`` in front of it; the end of the text is the empty one."""
        after = contains(TOKEN_CHARS, char) if char else None
        places, matched = self._reach(state, after)
        if self._remembered >= _MAX_REMEMBERED:
            self._forget()
        self._remembered += 1 + len(places)
        if matched or not char:
            successor = _MATCHED if matched else state
        else:
            taken = (self._program[place] for place in places)
            following = (step.following for step in taken if isinstance(step, _Take) and contains(step.ranges, char))
            successor = self._state(frozenset(following), after)
        state.successors[char] = successor
        return successor

    def _reach(self, state: _State, after: bool | None) -> tuple[set[int], bool]:
        """Return all places that are reached without taking a character, and whether the end is one of them."""
        pending = [self._entry, *state.places]
        places: set[int] = set()
        while pending:
            place = pending.pop()
            if place in places:
                continue
            places.add(place)
            match self._program[place]:
                case _Split(following):
                    pending.extend(following)
                case _Check(boundary, following) if _holds(boundary, state.before, after):
                    pending.append(following)
                case _Matched():
                    return places, True
        return places, False

    def _compile(self, tree: RegexNode, following: int) -> int:
        """Add the program of a tree that goes on at ``following``; return where it starts."""
        match tree:
            case Chars(ranges):
                return self._add(_Take(ranges, following))
            case Boundary():
                return self._add(_Check(tree, following))
            case Sequence(()):
                return self._add(_Split((following,)))
            case Sequence(items):
                for item in reversed(items):
                    following = self._compile(item, following)
                return following
            case Alternatives(branches):
                return self._add(_Split(tuple(self._compile(branch, following) for branch in branches)))
            case Repeat():
                return self._repeat(tree, following)

    def _repeat(self, tree: Repeat, following: int) -> int:
        if tree.high == 0:
            return self._add(_Split((following,)))  # so that whatever is repeated counts
        if tree.high is None:
            loop = _Split(())
            start = self._add(loop)
            loop.following = (self._compile(tree.item, start), following)
        else:
            start = following
            for _ in range(tree.high - tree.low):
                start = self._add(_Split((self._compile(tree.item, start), following)))
        for _ in range(tree.low):
            start = self._compile(tree.item, start)
        return start

    def _add(self, instruction: _Instruction) -> int:
        if len(self._program) == MAX_INSTRUCTIONS:
            raise TooLargeError(f"more than {MAX_INSTRUCTIONS} instructions")
        self._program.append(instruction)
        return len(self._program) - 1


def _holds(boundary: Boundary, before: bool | None, after: bool | None) -> bool:
    match boundary:
        case Boundary.START:
            return before is None
        case Boundary.END:
            return after is None
        case Boundary.EDGE:
            return bool(before) != bool(after)
        case Boundary.NOT_EDGE:
            return bool(before) == bool(after)
