"""Caller, callee and recorded party are found in every dialect, with metadata or without."""

from __future__ import annotations

import pytest

from archive.decision import CallFacts
from recorder.metadata.document import parse
from recorder.metadata.model import RecordingMetadata
from recorder.metadata.snapshot import apply
from recorder.sip.headers import Headers
from recorder.sip.message import Request
from recorder.srs.facts import facts_of
from tests.unit.recorder.metadata import test_document as dialects

ANNA, BOB = "+31201234567", "+31612345678"


def facts(text: str, request: Request | None = None, known: CallFacts | None = None) -> CallFacts:
    """Return the facts of one document."""
    return facts_of(apply(RecordingMetadata(), parse(text.encode())), request, known or CallFacts())


def invite(*headers: tuple[str, str]) -> Request:
    """Return an INVITE with these header fields."""
    return Request("INVITE", "sip:srs@192.0.2.1", Headers(headers))


@pytest.mark.parametrize(
    ("text", "caller_labels", "mixed"),
    [
        (dialects.STANDARD, ("2",), False),
        (dialects.DUAL, ("1",), False),
        (dialects.MIXED, ("1",), True),
        (dialects.METASWITCH, ("1",), False),
        (dialects.SONUS, ("2",), False),
    ],
    ids=["standard", "broadworks dual", "broadworks mixed", "metaswitch", "sonus"],
)
def test_both_ends_are_found(text: str, caller_labels: tuple[str, ...], mixed: bool) -> None:
    """And the streams of the caller, by who sends them and never by the order of labels."""
    found = facts(text)
    assert (found.caller, found.callee) == (ANNA, BOB)
    assert (found.caller_labels, found.mixed) == (caller_labels, mixed)
    assert found.named


@pytest.mark.parametrize("text", [dialects.AVAYA, dialects.ORACLE, dialects.AUDIOCODES])
def test_one_end_is_enough(text: str) -> None:
    """A placeholder is nobody."""
    found = facts(text)
    assert (found.caller, found.callee) == (ANNA, "")


def test_broadworks_names_its_user_and_the_direction() -> None:
    """The call is found again by every name it ever had."""
    found = facts(dialects.DUAL)
    assert (found.recorded_id, found.recorded_is_caller) == ("anna@bw.example", True)
    assert (found.service_provider_id, found.group_id) == ("ent1", "grp1")
    assert "tracking:8028549:1" in found.links
    incoming = facts(dialects.DUAL.replace("origCall>", "termCall>"), known=CallFacts(links=("first",)))
    assert (incoming.recorded_is_caller, incoming.links[0]) == (False, "first")


def test_webex_addresses_are_opaque_and_from_tells_the_number() -> None:
    """The other end stands in the extension."""
    text = dialects.DUAL.replace("<callingPartyNumber>+31201234567</callingPartyNumber>", "")
    found = facts(text, invite(("From", f'"Anna"<sip:{ANNA}@webex;user=phone>;tag=1')))
    assert (found.caller, found.callee) == (ANNA, BOB)


def test_metaswitch_says_for_whom_the_session_is() -> None:
    """It opens a session for each recorded party."""
    assert facts(dialects.METASWITCH).recorded_is_caller is True
    other = dialects.METASWITCH.replace(
        "<recordedParty>0201234567</recordedParty>", "<recordedParty>0612345678</recordedParty>"
    )
    assert facts(other).recorded_is_caller is False
    assert facts(dialects.STANDARD).recorded_is_caller is None


def test_ribbon_keeps_the_from_of_the_call() -> None:
    """Whoever is listed first."""
    turned = dialects.SONUS.replace("sip:0201234567@h&gt;", "sip:0612345678@h&gt;")
    found = facts(turned)
    assert (found.caller, found.callee, found.caller_labels) == (BOB, ANNA, ("1",))


def test_who_called_stays_the_caller() -> None:
    """A complete update names the parties in any order."""
    known = facts(dialects.STANDARD)
    turned = (
        dialects.STANDARD.replace("+31201234567", "@")
        .replace("0612345678", "+31201234567")
        .replace("@@", "0612345678@")
    )
    assert facts(turned, known=known).caller == ANNA


def test_a_party_that_left_is_not_on_the_call() -> None:
    """Its association has ended."""
    left = dialects.STANDARD.replace(
        '<participantsessionassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="/>',
        '<participantsessionassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==" session_id="hVpd7YQgRW2nD22h7q60JQ==">'
        "<disassociate-time>2026-11-02T10:01:00Z</disassociate-time></participantsessionassoc>",
    )
    assert [item.number for item in facts(left).participants] == [ANNA]


@pytest.mark.parametrize(
    ("headers", "caller", "callee"),
    [
        (
            (
                ("X-Cisco-Recording-Participant", f'sip:{ANNA}@10.0.0.1;media-index="0"'),
                ("X-Cisco-Recording-Participant", 'sip:0612345678@10.0.0.1;media-index="1"'),
            ),
            ANNA,
            BOB,
        ),
        (
            (("From", f"<sip:{ANNA}@cucm;x-nearend;x-nearendaddr={ANNA};x-farendaddr=0612345678>;tag=1"),),
            ANNA,
            BOB,
        ),
        ((("From", f'"Anna" <sip:{ANNA}@h>;tag=1'),), ANNA, ""),
        ((("From", "<sip:recorder@h>;tag=1"),), "", ""),
        ((), "", ""),
    ],
    ids=["cube", "cucm", "from", "a name", "nothing"],
)
def test_dialects_without_metadata_are_read_from_headers(
    headers: tuple[tuple[str, str], ...], caller: str, callee: str
) -> None:
    """From is the last resort, and only when it holds a number."""
    found = facts_of(RecordingMetadata(), invite(*headers), CallFacts())
    assert (found.caller, found.callee) == (caller, callee)
    assert found.named == bool(caller)


def test_what_was_known_stands_when_nothing_new_is_said() -> None:
    """An update without parties changes none."""
    known = CallFacts(caller=ANNA)
    assert facts_of(RecordingMetadata(), None, known) is known
