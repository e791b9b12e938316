"""An alert comes back from its bytes as it was, and is cut to a size before that."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from alerting import firing, resolved, sample
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.alert_codec import (
    MAX_ANNOTATION_CHARS,
    MAX_SAMPLE_CHARS,
    MAX_SAMPLES_BYTES,
    bounded,
    from_bytes,
    to_bytes,
)

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("alert", [firing(service="a"), resolved(), replace(firing(), samples=(sample("x"),))])
def test_an_alert_comes_back_as_it_was(alert: Alert) -> None:
    assert from_bytes(to_bytes(alert)) == alert


@given(labels=st.dictionaries(texts, texts, max_size=3), attrs=st.dictionaries(texts, json_values, max_size=3))
def test_any_labels_and_any_sample_come_back(labels: dict[str, str], attrs: dict[str, Any]) -> None:
    alert = replace(firing(), labels=labels, samples=({"attrs": attrs},))
    assert from_bytes(to_bytes(alert)) == alert


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.1])
def test_any_value_comes_back(value: float) -> None:
    assert repr(from_bytes(to_bytes(replace(firing(), value=value))).value) == repr(value)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"status": "firing"}'])
def test_other_bytes_are_no_alert(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_bytes(data)


def test_long_texts_are_cut() -> None:
    alert = replace(
        firing(),
        annotations={"summary": "a" * (MAX_ANNOTATION_CHARS + 1), "exact": "b" * MAX_ANNOTATION_CHARS},
        samples=(sample("m" * (MAX_SAMPLE_CHARS + 1), attrs={"stack": ["t" * 5_000]}),),
    )
    cut = bounded(alert)
    assert len(cut.annotations["summary"]) == MAX_ANNOTATION_CHARS
    assert cut.annotations["exact"] == "b" * MAX_ANNOTATION_CHARS
    assert cut.samples[0]["message"] == "m" * (MAX_SAMPLE_CHARS - 1) + "…"
    assert len(cut.samples[0]["attrs"]["stack"][0]) == MAX_SAMPLE_CHARS
    assert cut.fingerprint == alert.fingerprint


def test_as_many_samples_are_kept_as_have_room() -> None:
    alert = replace(firing(), samples=tuple(sample("m" * 900) for _ in range(100)))
    kept = bounded(alert).samples
    assert 10 < len(kept) < 20
    assert len(to_bytes(replace(firing(), samples=kept))) < MAX_SAMPLES_BYTES + 1_000


def test_the_first_sample_is_kept_in_any_case_without_its_attributes_if_need_be() -> None:
    alert = replace(firing(), samples=(sample("the proof", attrs={f"k{n}": "v" * 900 for n in range(50)}),))
    assert bounded(alert).samples == (
        {
            "ts": "2026-11-22T10:00:00Z",
            "level": "error",
            "host": "web-1",
            "service": "checkout",
            "message": "the proof",
        },
    )
