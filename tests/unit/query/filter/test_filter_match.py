from __future__ import annotations

from typing import Any

import pytest

from logstreamd.query.filter import matches, parse_filter

ROW: dict[str, Any] = {
    "level": "error",
    "severity": 3,
    "facility": 16,
    "host": "web-1",
    "service": "checkout",
    "proc_id": "8710",
    "msg_id": None,
    "trace_id": "4bf92f3577b34da6",
    "message": 'Payment for user-42 timed out: "Größe" 10.0.0.1',
    "attrs": {
        "user_id": 42,
        "name": "Zoë",
        "ratio": 0.5,
        "duration": "750",
        "ok": True,
        "gone": None,
        "http.status": 503,
        "http": {"method": "GET"},
        "tags": {"env": "prod", "zones": ["a", "b", ["c"]]},
        "sd@1": {"k": ["x", "y"]},
        "none": [],
    },
    "input": "udp",
    "peer": "10.1.2.3",
    "format": "json",
}

TAKEN = """
payment | PAYMENT | größe | GRÖSSE* OR größe | user-42 | "user-42 timed" | "out:" | ": \\"gr"* | 10.0.0.1 | pay*
"42 tim"*
checkout | web-1 | web | 4bf92f3577b34da6 | zoë | 42 | prod | 0.5 | true | get | x y | c
-paymen | -ayment | -user-4 | -"timed  out" | -10.0.0.10 | -0.0.0.1* OR 0.0.0.1 | -nowhere | -8710 | -env
-null
/^Payment/ | /tim.d\\b/ | /^payment/i | -/^payment/ | /^checkout$/ | /^Zoë$/ | message:/out/ | -message:checkout
message:payment
service:checkout | -service:Checkout | -service:check | service:check* | service:a,checkout | service:(a OR c*)
service!=a
host:/^web-\\d+$/ | -host:/^web$/ | host:* | -msg_id:* | -msg_id:x | msg_id!=x | -msg_id:x* | -msg_id:/x/
proc_id:8710
level:error | level>=error | level>=warn | -level>error | level<=error | -level<error | level>info | level<crit
level!=info
facility:local0 | facility:16 | -facility:user | peer:10.0.0.0/8 | peer:10.1.2.3 | -peer:10.1.2.4 | -peer:::/0
peer:* | input:udp
attrs.user_id:42 | attrs.user_id:42.0 | attrs.user_id:4.2e1 | -attrs.user_id:4 | attrs.user_id:4*
attrs.user_id:/^42$/
attrs.user_id>41 | attrs.user_id>=42 | -attrs.user_id>42 | attrs.user_id<42.5 | attrs.ratio:0.50 | attrs.ratio<1
attrs.duration:750 | -attrs.duration:750.0 | attrs.duration>500 | attrs.duration<1e3 | -attrs.name>5
-attrs.name<5 | -attrs.missing<5
attrs.ok:true | -attrs.ok:false | attrs.ok:t* | attrs.gone:null | -attrs.missing:null | -attrs.gone:*
attrs.http:* | attrs.none:*
attrs.http.status:503 | attrs."http.status":503 | attrs.http.method:GET | -attrs.http.method:get
-attrs.http:GET | attrs.http.status>=500
tag.env:prod | attrs.tags.zones:a | attrs.tags.zones:b | -attrs.tags.zones:c | attrs.tags.zones.1:b
attrs.tags.zones.-1:c
attrs.sd@1.k:y | attrs.sd@1.k:y* | attrs.sd@1.k:/y/ | -attrs.sd@1.k:z | -attrs.tags.zones.9:a
-attrs.tags.zones.x:a | -attrs.missing:*
payment checkout | payment OR nowhere | -(payment nowhere) | NOT nowhere AND payment
"""


@pytest.mark.parametrize("text", [term.strip() for term in TAKEN.replace("\n", " | ").split(" | ") if term.strip()])
def test_a_row_is_taken_by_a_filter_that_is_true_of_it(text: str) -> None:
    tree = parse_filter(text)
    assert matches(tree, ROW)
    assert not matches(parse_filter(f"-({text})"), ROW)


def test_a_filter_of_nothing_takes_everything() -> None:
    assert matches(parse_filter(""), ROW)


def test_a_row_without_anything_is_taken_by_what_asks_for_nothing() -> None:
    row: dict[str, Any] = dict.fromkeys(ROW) | {
        "severity": 6,
        "facility": 1,
        "message": "",
        "input": "udp",
        "format": "raw",
    }
    for term in ("a", "/a/", "service:a", "peer:::/0", "attrs.a:*", "attrs.a:null", "attrs.a<1", "tag.a:x*", "host:*"):
        assert matches(parse_filter(f"-{term}"), row)
        assert not matches(parse_filter(term), row)
