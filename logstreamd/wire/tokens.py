"""Text → tokens: what a word is, for the filter language, for the bloom filters of ``blocks`` and for the live tail.

A token is a maximal run of token characters, lower-cased character by character and cut to :data:`MAX_TOKEN_CHARS`:

============================ ====================================================================
character                    what it is
============================ ====================================================================
ASCII letters, digits, ``_`` token
other ASCII                  separator
beyond ASCII                 token, unless it is in :data:`SEPARATORS` (blanks, punctuation,
                             symbols, emoji, private use)
============================ ====================================================================

Bloom filters outlive the program that wrote them, so the table is fixed here instead of asking the Unicode tables of
this Python or of that PostgreSQL, which differ from version to version. Combining marks are token characters and
nothing is normalised: a decomposed ``e´`` is not the composed ``é``.

For a fast twin: a run of ASCII needs only the first two rows of the table; a text with a byte above 127 goes through
this module.
"""

from __future__ import annotations

import re

__all__ = ["MAX_TOKEN_CHARS", "SEPARATORS", "fold", "is_token_char", "tokens"]

MAX_TOKEN_CHARS = 64
"""What is longer (base64, minified code) counts by its beginning; 64 is a SHA-256 in hexadecimal."""

_ASCII_SEPARATORS = ((0x00, 0x2F), (0x3A, 0x40), (0x5B, 0x5E), (0x60, 0x60), (0x7B, 0x7F))

SEPARATORS: tuple[tuple[int, int], ...] = (
    *_ASCII_SEPARATORS,
    (0x80, 0xA9), (0xAB, 0xB1), (0xB4, 0xB4), (0xB6, 0xB8), (0xBB, 0xBB), (0xBF, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7),
    (0x2C2, 0x2C5), (0x2D2, 0x2DF), (0x37E, 0x37E), (0x387, 0x387), (0x55A, 0x55F), (0x589, 0x58A), (0x5BE, 0x5BE),
    (0x5C0, 0x5C0), (0x5C3, 0x5C3), (0x5C6, 0x5C6), (0x5F3, 0x5F4), (0x606, 0x60F), (0x61B, 0x61F), (0x66A, 0x66D),
    (0x6D4, 0x6D4), (0x700, 0x70D), (0x964, 0x965), (0xE5A, 0xE5B), (0xF04, 0xF14), (0x104A, 0x104F), (0x10FB, 0x10FB),
    (0x1360, 0x1368), (0x1400, 0x1400), (0x166D, 0x166E), (0x1680, 0x1680), (0x16EB, 0x16ED), (0x17D4, 0x17D6),
    (0x17D8, 0x17DB), (0x1800, 0x180A), (0x2000, 0x206F), (0x207A, 0x207E), (0x208A, 0x208E), (0x20A0, 0x20CF),
    (0x2116, 0x2118), (0x211E, 0x2123), (0x2190, 0x245F), (0x2500, 0x2775), (0x2794, 0x2BFF), (0x2E00, 0x2E7F),
    (0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030), (0x303D, 0x303F), (0x30A0, 0x30A0), (0x30FB, 0x30FB),
    (0xD800, 0xF8FF), (0xFE10, 0xFE19), (0xFE30, 0xFE6F), (0xFEFF, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65), (0xFFE0, 0xFFFF), (0x1F000, 0x1FAFF), (0xE0000, 0xE007F), (0xF0000, 0x10FFFF),
)  # fmt: skip
"""The characters between tokens, as ascending ranges of code points, both ends included."""

_separators = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in SEPARATORS)
_find_tokens = re.compile(f"[^{_separators}]+").findall
_token_char = re.compile(f"[^{_separators}]")


def fold(text: str) -> str:
    """Lower-case a text character by character, so that its length stays what it is.

    This is the simple mapping of ``UnicodeData.txt``, which PostgreSQL's ``lower()`` uses under ``C.UTF-8``.
    ``str.lower`` alone would make two characters of ``İ``, and ``ς`` of a ``Σ`` at the end of a word.
    """
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u03a3", "\u03c3")
    return text.lower()


def is_token_char(char: str) -> bool:
    """Tell whether one character belongs to tokens."""
    return _token_char.match(char) is not None


def tokens(text: str) -> list[str]:
    """Return the tokens of a text in their order, repeated ones repeatedly."""
    return [token[:MAX_TOKEN_CHARS] for token in _find_tokens(fold(text))]
