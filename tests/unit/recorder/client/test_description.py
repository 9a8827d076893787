"""The offer and the metadata are what the RFCs and BroadWorks write."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from xml.etree import ElementTree as ET

import pytest

from recorder.client.call import CallPlan, Dialect, PauseBy, StreamPlan
from recorder.client.description import Offered, address_of, body, metadata, offer
from recorder.sdp.codecs import payload_types
from recorder.sdp.description import SessionDescription
from recorder.sip.multipart import split

NOW = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
PLAN = CallPlan(
    "127.0.0.1",
    5060,
    "+31201234567",
    "+31612345678",
    StreamPlan(b""),
    StreamPlan(b""),
    caller_name='J. "Jan" & Zn',
)
OFFERED = Offered("192.0.2.1", (4000, 4002), 77)
RFC = "{urn:ietf:params:xml:ns:recording:1}"
DRAFT = "{urn:ietf:params:xml:ns:siprec}"
VENDOR = "{http://schema.broadsoft.com/broadworksCallRecording}"


def document(plan: CallPlan, streams: int = 2) -> ET.Element:
    numbers = count(1)
    return ET.fromstring(metadata(plan, streams, NOW, lambda: uuid.UUID(int=next(numbers))))


def test_an_offer_has_a_labelled_sendonly_stream_a_party() -> None:
    description = SessionDescription.parse(offer(PLAN, OFFERED, 3))
    assert description.origin_version == "77 3"
    assert [media.port for media in description.media] == [4000, 4002]
    assert [media.attribute("label") for media in description.media] == ["1", "2"]
    assert all(
        media.formats == ("8", "101") and media.own_direction == "sendonly" for media in description.media
    )


def test_a_pause_is_inactive_by_the_rfcs_and_an_address_of_zero_by_broadworks() -> None:
    plain = SessionDescription.parse(offer(PLAN, OFFERED, 4, active=False))
    assert all(media.own_direction == "inactive" for media in plain.media)
    vendor = SessionDescription.parse(
        offer(replace(PLAN, dialect=Dialect.BROADWORKS), OFFERED, 4, active=False)
    )
    assert vendor.connection is not None
    assert vendor.connection.on_hold
    assert all(media.own_direction is None for media in vendor.media)


def test_an_offer_names_the_formats_as_a_server_reads_them() -> None:
    (first, _) = SessionDescription.parse(offer(PLAN, OFFERED, 3)).media
    assert payload_types(first) == {8: "PCMA/8000", 101: "telephone-event/8000"}
    assert first.attribute("fmtp") == "101 0-15"


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_pause_is_said_the_way_the_plan_has_it(dialect: Dialect, address: str) -> None:
    offered = Offered(address, (4000, 4002), 77)

    def paused(pause_by: PauseBy) -> SessionDescription:
        plan = replace(PLAN, dialect=dialect, pause_by=pause_by)
        return SessionDescription.parse(offer(plan, offered, 4, active=False))

    by_direction, by_address = paused(PauseBy.INACTIVE), paused(PauseBy.ZERO_ADDRESS)
    assert [media.own_direction for media in by_direction.media] == ["inactive"] * 2
    assert by_direction.connection is not None
    assert by_direction.connection.address == address
    assert [media.own_direction for media in by_address.media] == [None, None]
    assert by_address.connection is not None
    assert by_address.connection.on_hold


def test_a_plan_may_bring_its_own_metadata() -> None:
    assert metadata(replace(PLAN, metadata=b"<mine/>"), 2, NOW, uuid.uuid4) == b"<mine/>"


def test_an_offer_over_ipv6_says_so() -> None:
    description = SessionDescription.parse(offer(PLAN, Offered("2001:db8::1", (4000,), 1), 1))
    assert description.connection is not None
    assert (description.connection.address_type, description.connection.address) == ("IP6", "2001:db8::1")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_body_holds_sdp_and_metadata(dialect: Dialect) -> None:
    content_type, content = body(replace(PLAN, dialect=dialect), b"sdp here", b"<xml/>")
    parts = split(content_type, content)
    assert [part.content_type for part in parts] == ["application/sdp", "application/rs-metadata+xml"]
    assert [part.body for part in parts] == [b"sdp here", b"<xml/>"]
    assert parts[1].disposition == "recording-session"


def test_rfc7865_metadata_says_who_sends_which_stream() -> None:
    root = document(PLAN)
    assert root.tag == f"{RFC}recording"
    assert root.findtext(f"{RFC}datamode") == "complete"
    names = {
        item.get("participant_id"): item.find(f"{RFC}nameID").get("aor")
        for item in root.iter(f"{RFC}participant")
    }
    labels = {item.get("stream_id"): item.findtext(f"{RFC}label") for item in root.iter(f"{RFC}stream")}
    sends = {
        names[item.get("participant_id")]: labels[item.findtext(f"{RFC}send")]
        for item in root.iter(f"{RFC}participantstreamassoc")
    }
    assert sends == {"sip:+31201234567@exchange.example": "1", "sip:+31612345678@exchange.example": "2"}


def test_rfc7865_metadata_has_every_element_of_the_model() -> None:
    root = document(PLAN)
    expected = {"datamode": 1, "group": 1, "session": 1, "participant": 2, "stream": 2, "sessionrecordingassoc": 1,
                "participantsessionassoc": 2, "participantstreamassoc": 2}  # fmt: skip
    assert {name: len(root.findall(RFC + name)) for name in expected} == expected
    session = root.find(f"{RFC}session")
    assert len(base64.b64decode(session.get("session_id"), validate=True)) == 16
    assert session.findtext(f"{RFC}start-time") == "2026-11-22T10:00:00.123Z"
    assert root.find(f".//{RFC}name").text == 'J. "Jan" & Zn'


@pytest.mark.parametrize(("recorded", "half"), [("caller", "origCall"), ("callee", "termCall")])
def test_broadworks_names_the_recorded_user_and_the_half_of_the_call(recorded: str, half: str) -> None:
    root = document(
        replace(PLAN, dialect=Dialect.BROADWORKS, recorded=recorded, broadworks_id="jan@zaak.example")
    )
    extension = root.find(f".//{VENDOR}broadWorksRecordingMetadata")
    assert extension.findtext(f"{VENDOR}userID") == "jan@zaak.example"
    numbers = extension.find(f"{VENDOR}callType/{VENDOR}{half}")
    assert numbers.findtext(f"{VENDOR}callingPartyNumber") == "sip:+31201234567@exchange.example"
    assert numbers.findtext(f"{VENDOR}calledPartyNumber") == "sip:+31612345678@exchange.example"
    assert root.findtext(f"{DRAFT}group/{DRAFT}initiator").startswith(
        "sip:+31201234567@" if recorded == "caller" else "sip:+31612345678@"
    )


@pytest.mark.parametrize(("streams", "mode"), [(2, "separate"), (1, "mixed")])
def test_broadworks_parties_point_at_their_stream_or_share_one(streams: int, mode: str) -> None:
    root = document(replace(PLAN, dialect=Dialect.BROADWORKS), streams)
    assert [item.findtext(f"{DRAFT}mode") for item in root.iter(f"{DRAFT}stream")] == [mode] * streams
    ids = [item.get("id") for item in root.iter(f"{DRAFT}stream")]
    sends = [item.findtext(f"{DRAFT}send/{DRAFT}id") for item in root.iter(f"{DRAFT}participant")]
    assert sends == [ids[0], ids[-1]]


def test_a_uri_is_taken_as_it_is() -> None:
    assert address_of("tel:112", "x") == "tel:112"
    assert address_of("112", "x.example") == "sip:112@x.example"
