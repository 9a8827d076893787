"""What the server says of itself."""

from __future__ import annotations

import pytest

from recorder.sip.capability import Identity, Objection, crowded
from recorder.sip.message import Flow


@pytest.mark.parametrize(
    ("identity", "flow", "contact"),
    [
        (Identity(), Flow("udp", ("10.0.0.1", 5060), ("h", 1)), "<sip:srs@10.0.0.1:5060>;+sip.srs"),
        (Identity(), Flow("tcp", ("::1", 5060), ("h", 1), 1), "<sip:srs@[::1]:5060;transport=tcp>;+sip.srs"),
        (
            Identity(user="rec", host="rec.example", port=5070),
            Flow("tls", ("10.0.0.1", 5061), ("h", 1), 1),
            "<sip:rec@rec.example:5070;transport=tls>;+sip.srs",
        ),
    ],
)
def test_contact_names_where_the_server_is_reached(identity: Identity, flow: Flow, contact: str) -> None:
    assert identity.contact(flow) == contact


def test_contact_of_a_secure_dialog_is_sips_where_tls_brought_it() -> None:
    """RFC 3261 section 12.1.1; by another transport a SIPS URI would lead nowhere."""
    tls, tcp = (Flow(transport, ("10.0.0.1", 5061), ("h", 1), 1) for transport in ("tls", "tcp"))
    assert Identity().contact(tls, secure=True) == "<sips:srs@10.0.0.1:5061>;+sip.srs"
    assert Identity().contact(tcp, secure=True) == "<sip:srs@10.0.0.1:5061;transport=tcp>;+sip.srs"


def test_a_refusal_has_the_reason_phrase_of_its_status() -> None:
    assert crowded().reason == "Service Unavailable"
    assert Objection(499, "of our own").reason == "Refused"
