"""SIP URIs and name-addr values in all their spellings."""

from __future__ import annotations

import pytest

from recorder.sip.grammar import PORT_MAX
from recorder.sip.uri import MalformedAddress, NameAddress, SipUri


@pytest.mark.parametrize(
    "text",
    [
        "sip:atlanta.com",
        "sip:alice@atlanta.com:5080;transport=tcp;lr",
        "sips:+31201234567@[2001:db8::1]:5061;user=phone",
        "sip:alice:secret@atlanta.com?subject=x&priority=urgent",
        "sip:%61lice@atlanta.com",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(SipUri.parse(text)) == text


def test_the_parts_of_a_uri_are_found() -> None:
    uri = SipUri.parse("SIP:a;b@HOST.example:5070;Transport=TCP;lr")
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sip", "a;b", "host.example", 5070)
    assert (uri.parameter("transport"), uri.parameter("lr"), uri.parameter("maddr")) == ("TCP", "", None)


def test_port_max_is_the_highest_port() -> None:
    assert SipUri.parse(f"sip:a@b:{PORT_MAX}").port == PORT_MAX
    with pytest.raises(MalformedAddress):
        SipUri.parse(f"sip:a@b:{PORT_MAX + 1}")


@pytest.mark.parametrize(
    "text", ["", "sip:", "tel:112", "sip:a@b:0", "sip:a@b:65536", "sip:a@b c", "sip:a@[::1", "sip:@@"]
)
def test_what_is_no_sip_uri_is_refused(text: str) -> None:
    with pytest.raises(MalformedAddress):
        SipUri.parse(text)


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ("<sip:a@b>;tag=1", "", "sip:a@b", "1"),
        ("sip:a@b;tag=1", "", "sip:a@b", "1"),
        ("A. G. Bell <sip:a@b>;tag=1", "A. G. Bell", "sip:a@b", "1"),
        ('"Bell, \\"Alex\\" <x>"<sip:a@b;lr>;x=y;TAG=1', 'Bell, "Alex" <x>', "sip:a@b;lr", "1"),
        ('""<sip:a@b>', "", "sip:a@b", ""),
        ("<tel:+31-20-1234567>", "", "tel:+31-20-1234567", ""),
        ("< sip:a@b > ;tag=1", "", "sip:a@b", "1"),
        ("*", "", "*", ""),
    ],
)
def test_an_address_is_read_in_every_form(text: str, name: str, uri: str, tag: str) -> None:
    address = NameAddress.parse(text)
    assert (address.name, address.uri, address.tag) == (name, uri, tag)


@pytest.mark.parametrize(
    "text", ['"open <sip:a@b>;tag=1', "<sip:a@b;tag=1", '"name" sip:a@b', "<>", "", "nothing"]
)
def test_a_broken_address_is_refused_but_still_read(text: str) -> None:
    with pytest.raises(MalformedAddress):
        NameAddress.parse(text)
    address = NameAddress.read(text)
    assert address.tag == ("1" if "tag=1" in text else "")
    assert address.sip_uri is None
