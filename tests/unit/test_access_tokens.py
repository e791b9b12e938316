"""Tokens: made at random, kept as hashes, told apart in constant time."""

from __future__ import annotations

import hmac

import pytest

from logstreamd import tokens
from logstreamd.tokens import MAX_TOKENS, Token, TokenSet, digest_of, new_token


def token(text: str, *, name: str = "one") -> Token:
    return Token(name, digest_of(text), frozenset({"query"}))


def test_a_token_is_256_random_bits_that_need_no_quoting() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        assert one.startswith("lsd_")
        assert len(one) == len("lsd_") + 43  # 32 bytes in base64
        assert one.replace("_", "").replace("-", "").isalnum()


def test_a_token_is_found_by_its_text_alone() -> None:
    known = TokenSet([token("first"), token("second", name="two")])
    found = known.find("second")
    assert found is not None
    assert found.name == "two"
    for wrong in ("", "Second", "second ", "secon", digest_of("second").hex(), "naïve", "\udcff"):
        assert known.find(wrong) is None


def test_a_right_and_a_wrong_token_take_the_same_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Recorder:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(tokens, "hmac", Recorder)
    known = TokenSet([token(str(number), name=str(number)) for number in range(MAX_TOKENS)])
    for text in ("0", str(MAX_TOKENS - 1), "none"):
        compared.clear()
        known.find(text)
        assert len(compared) == MAX_TOKENS
        assert all(len(one) == len(other) == 32 for one, other in compared)


def test_printing_a_token_shows_no_hash() -> None:
    one = token("secret")
    assert repr(one) == "Token(name='one', scopes=frozenset({'query'}))"
    assert one.digest.hex() not in str(one)
