"""Header fields: one name in many spellings, Via and CSeq."""

from __future__ import annotations

import pytest

from recorder.sip.headers import SPELLING_COUNT_MAX, CSeq, Headers, MalformedField, Via, canonical


def test_names_compare_without_case_and_compact_forms_are_the_long_ones() -> None:
    headers = Headers([("v", "1"), ("VIA", "2"), ("call-id", "x"), ("X-Foo", "y")])
    assert headers.all("Via") == ("1", "2")
    assert headers.first("i") == "x"
    assert "x-fOO" in headers
    assert [name for name, _ in headers] == ["Via", "Via", "Call-ID", "X-Foo"]
    assert len(headers) == 4
    assert "x-foo" in repr(headers).lower()


@pytest.mark.parametrize(
    ("compact", "name"),
    [
        ("c", "Content-Type"), ("e", "Content-Encoding"), ("f", "From"), ("i", "Call-ID"), ("k", "Supported"),
        ("l", "Content-Length"), ("m", "Contact"), ("s", "Subject"), ("t", "To"), ("v", "Via"),
        ("x", "Session-Expires"), ("min-se", "Min-SE"), ("cseq", "CSeq"),
    ],
)  # fmt: skip
def test_every_compact_form_of_the_rfc_is_known(compact: str, name: str) -> None:
    assert canonical(compact) == name
    assert canonical(compact.upper()) == name


def test_spelling_count_max_bounds_what_is_remembered_of_names() -> None:
    for number in range(2 * SPELLING_COUNT_MAX):
        assert canonical(f"x-name-{number}") == f"X-Name-{number}"
    assert canonical.cache_info().currsize <= SPELLING_COUNT_MAX


def test_values_of_repeated_and_joined_fields_are_one_list() -> None:
    headers = Headers([("Require", "a, b"), ("Supported", "x"), ("require", "c")])
    assert headers.values("Require") == ("a", "b", "c")
    assert headers.values("Allow") == ()
    assert headers.first("Allow") is None


def test_replacing_leaves_one_field_at_the_first_place() -> None:
    headers = Headers([("a-b", "1"), ("X", "2"), ("A-B", "3")])
    headers.replace("a-b", "4")
    headers.replace("new", "5")
    assert list(headers) == [("A-B", "4"), ("Session-Expires", "2"), ("New", "5")]
    assert headers.all("a-b") == ("4",)


@pytest.mark.parametrize(
    ("text", "sent_by", "branch"),
    [
        ("SIP/2.0/UDP host:5060;branch=z9hG4bKx", "host:5060", "z9hG4bKx"),
        ("SIP / 2.0 / TCP  [2001:DB8::1]:5060 ; branch = z9hG4bKy", "2001:db8::1:5060", "z9hG4bKy"),
        ("SIP/2.0/UDP 10.0.0.1", "10.0.0.1:", ""),
        ("SIP/2.0/TLS Host.Example : 5061;rport;branch=z9hG4bKz", "host.example:5061", "z9hG4bKz"),
    ],
)
def test_a_via_is_read(text: str, sent_by: str, branch: str) -> None:
    via = Via.parse(text)
    assert (via.sent_by, via.branch) == (sent_by, branch)


@pytest.mark.parametrize(
    "text", ["", "UDP host", "SIP/2.0/UDP", "SIP/2.0/UDP host:99999", "SIP/2.0/UDP a b;c"]
)
def test_an_unreadable_via_is_refused(text: str) -> None:
    with pytest.raises(MalformedField):
        Via.parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SIP/2.0/UDP a:1;branch=b", "SIP/2.0/UDP a:1;branch=b;received=127.0.0.1"),
        ("SIP/2.0/UDP 127.0.0.1:1;branch=b", "SIP/2.0/UDP 127.0.0.1:1;branch=b"),
        ("SIP/2.0/UDP a;rport;branch=b", "SIP/2.0/UDP a;branch=b;received=127.0.0.1;rport=9"),
        ("SIP/2.0/UDP a;received=6.6.6.6", "SIP/2.0/UDP a;received=127.0.0.1"),
    ],
)
def test_a_via_learns_where_it_really_came_from(text: str, written: str) -> None:
    assert str(Via.parse(text).received_from(("127.0.0.1", 9))) == written


def test_a_cseq_is_a_number_below_two_to_the_31_and_a_method() -> None:
    assert CSeq.parse("0009 \t INVITE") == CSeq(9, "INVITE")
    assert str(CSeq.parse("2147483647 ACK")) == "2147483647 ACK"
    for text in ("2147483648 ACK", "-1 ACK", "1", "x ACK", "36893488147419103232 REGISTER"):
        with pytest.raises(MalformedField):
            CSeq.parse(text)
