"""112 and 113 are never recorded, and nothing of such a call exists anywhere but a count of the day."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests import at_rest
from tests.acceptance.test_what_was_said_is_what_is_heard import decoded, heard
from tests.at_rest import Needle
from tests.conftest import ANNA, NINA
from tests.raw_peer import METADATA, SDP, RawPeer, offer, parties, together
from tests.running_service import RunningService, eventually

CALLEE = "+31612345678"
Shape = Callable[[RawPeer, str], bytes]

SPELLINGS = [
    "112", "113", "+31112", "0031113", "0112", "0113", "0-112", "*31*112", "#31#113", "tel:112", "tel:+31113",
    "sips:112@h", "sip:112@h;user=phone", "sip:1%31%32@h", "08000113", "0800-0113", "+318000113", "09000113",
    "urn:service:sos", "urn:service:sos.police", "urn:service:counseling.suicide",
]  # fmt: skip
LOOK_ALIKES = ["1120", "0113-123456", "+31112345678"]


def count_of_today(service: RunningService) -> int:
    """Return the count of the day, which is all there is, told already or still waiting."""
    seen = [told_today(service) + waiting(service)]
    while len(seen) < 3 or len(set(seen[-3:])) > 1:
        # What waits goes a moment before its row is there.
        at_rest.query(service, "SELECT pg_sleep(0.1)")
        seen.append(told_today(service) + waiting(service))
    return seen[-1]


def told_today(service: RunningService) -> int:
    """Return the count of the day in the database."""
    rows = at_rest.query(service, f"SELECT count FROM exempt_days WHERE day = '{datetime.now(UTC).date()}'")
    return int(str(rows[0][0])) if rows else 0


def waiting(service: RunningService) -> int:
    """Return the counts that were not told yet: a number in a file of the day, and nothing else."""
    files = (service.directory / "journal" / "outbox").glob("*.exempt")
    with contextlib.suppress(FileNotFoundError):
        return sum(int(path.read_text()) for path in files)
    return 0


def expect_count(service: RunningService, count: int) -> None:
    """See that the day has this count, no more and no less."""
    assert count_of_today(service) == count


def in_metadata(peer: RawPeer, address: str) -> bytes:
    return peer.request("INVITE", *together(offer(*peer.ports), parties(ANNA, address)))


def as_caller(peer: RawPeer, address: str) -> bytes:
    return peer.request("INVITE", *together(offer(*peer.ports), parties(address, ANNA)))


def in_header(name: str) -> Shape:
    def shape(peer: RawPeer, address: str) -> bytes:
        uri = address if ":" in address else f"sip:{address}@h"
        body = together(offer(*peer.ports), parties(ANNA, CALLEE))
        return peer.request("INVITE", *body, (name, f"<{uri}>"))

    return shape


def in_request_uri(peer: RawPeer, address: str) -> bytes:
    uri = address if ":" in address else f"sip:{address}@srs"
    return peer.request("INVITE", SDP, offer(*peer.ports), uri=uri.replace(" ", ""))


def in_broken_metadata(peer: RawPeer, address: str) -> bytes:
    return peer.request("INVITE", *together(offer(*peer.ports), parties(ANNA, address)[:-40]))


def beside_a_broken_description(peer: RawPeer, address: str) -> bytes:
    return peer.request("INVITE", *together(b"no description", parties(ANNA, address)))


SHAPES: list[Shape] = [
    in_metadata,
    as_caller,
    in_header("P-Asserted-Identity"),
    in_header("Diversion"),
    in_header("History-Info"),
    in_request_uri,
    in_broken_metadata,
    beside_a_broken_description,
]


def test_every_spelling_in_every_place_is_answered_inactive(service: RunningService) -> None:
    """200, no stream received, no socket bound, nobody refused; each counts once."""
    before, bound = count_of_today(service), at_rest.rtp_ports(service)
    cases = [(text, SHAPES[0]) for text in SPELLINGS]
    cases += [(SPELLINGS[number % 4], shape) for number, shape in enumerate(SHAPES[1:])]
    for address, shape in cases:
        with RawPeer(service.sip_port) as peer:
            peer.send(shape(peer, address))
            answer = peer.final()
            case = f"{address} by {shape.__qualname__}"
            assert answer.status == 200, case
            assert "a=inactive" in answer.body.decode(), case
            assert "a=recvonly" not in answer.body.decode(), case
            assert not at_rest.rtp_ports(service) - bound, case
            peer.to_tag = (answer.headers.first("To") or "").partition(";tag=")[2]
            peer.send(peer.request("ACK", cseq=peer.cseq))
            assert peer.ask("BYE").status == 200, case
    expect_count(service, before + len(cases))
    eventually(lambda: told_today(service) == before + len(cases), "the count is in the database")


@pytest.mark.parametrize("number", LOOK_ALIKES)
def test_a_number_that_only_looks_like_one_is_recorded(service: RunningService, number: str) -> None:
    """Only whole numbers count."""
    before = count_of_today(service)
    with RawPeer(service.sip_port) as peer:
        answer = peer.call(ANNA, number)
        assert "a=recvonly" in answer.body.decode()
        peer.ask("BYE")
    service.recording_of(peer.call_id)
    assert count_of_today(service) == before


def test_of_an_emergency_call_nothing_is_found_anywhere(service: RunningService) -> None:
    """No number, name, Call-ID or address in any file, in the database or in the bucket."""
    mark = secrets.token_hex(6)
    words = (f"Zwaluw{mark}", f"{mark}.exempt.example", f"callid-{mark}", f"+31209{int(mark, 16) % 10**6:06}")
    before, outcomes = count_of_today(service), len(service.sessions())
    bound = at_rest.rtp_ports(service)
    for caller, callee in ((ANNA, "112"), (words[3], "113"), ("0800-0113", ANNA)):
        with RawPeer(service.sip_port, call_id=f"{words[2]}-{callee}") as peer:
            peer.caller = f'"{words[0]}" <sip:{caller}@{words[1]}>'
            answer = peer.call(caller, callee, name=words[0], domain=words[1])
            assert answer.status == 200
            # A client that does not understand inactive sends all the same.
            peer.talk([bytes(160)], 0.1)
            assert not at_rest.rtp_ports(service) - bound
            assert peer.ask("BYE").status == 200
    expect_count(service, before + 3)
    assert at_rest.hits(at_rest.everything(service), at_rest.text(*words)) == []
    assert len(service.sessions()) == outcomes


def noise(seed: int) -> bytes:
    """Return A-law octets of a packet that no other packet has."""
    return np.random.default_rng(seed).integers(0, 256, 160, np.uint8).tobytes()


def pcm(octets: bytes) -> bytes:
    """Return the samples of A-law octets as they would stand in a WAV."""
    return decoded(octets).tobytes()


@pytest.mark.parametrize("said", ["joining time", "no time", "broken metadata"])
def test_a_transfer_to_a_help_line_cuts_the_audio(service: RunningService, said: str) -> None:
    """What was said before stays; what came after the joining is nowhere, and nothing tells why."""
    before_count = count_of_today(service)
    early, late = [noise(1), noise(2)], [noise(3), noise(4)]
    with RawPeer(service.sip_port) as peer:
        assert peer.call(ANNA, CALLEE).status == 200
        peer.talk(early, 4.0)
        joined = datetime.now(UTC).isoformat() if said == "joining time" else ""
        peer.talk(late, 0.8)
        body = parties(ANNA, "113", joined=joined)
        answer = peer.ask("UPDATE", METADATA, body[:-40] if said == "broken metadata" else body)
        assert (answer.status, answer.body) == (200, b"")
        peer.talk(late, 1.0)
        held = peer.ask("INVITE", SDP, offer(*peer.ports, version=2))
        assert held.status == 200
        assert "a=recvonly" not in held.body.decode()
        assert peer.ask("BYE").status == 200
    recording = service.recording_of(peer.call_id)
    sound = heard(service, recording["id"])[:, 0].tobytes()
    assert pcm(early[0]) in sound
    for octets in late:
        assert pcm(octets)[:64] not in sound
    # Back to the joining, or two seconds where nobody says when that was, whichever is more.
    assert 2000 <= recording["durationMs"] <= 3200
    assert [party["number"] for party in recording["parties"]] == [ANNA, CALLEE]
    assert "metadata-error" not in recording["flags"]
    documents = b"".join(
        service.get(f"/v1/recordings/{recording['id']}/{what}").body for what in ("metadata", "timeline")
    )
    assert at_rest.hits([("documents", documents)], [Needle("113", b"sip:113@raw.example")]) == []
    assert service.outcome_of(peer.call_id)["outcome"] == "recorded"
    expect_count(service, before_count + 1)


@pytest.mark.parametrize("late_s", [0.8, 3.0])
def test_a_call_that_turns_out_to_be_one_leaves_nothing(service: RunningService, late_s: float) -> None:
    """Its metadata comes late, before or after the first two seconds; then all of it goes."""
    mark = secrets.token_hex(6)
    before, known = count_of_today(service), len(service.recordings())
    bound = at_rest.rtp_ports(service)
    with RawPeer(service.sip_port, call_id=f"late-{mark}") as peer:
        peer.caller = f'"Merel{mark}" <sip:{ANNA}@{mark}.late.example>'
        assert peer.ask("INVITE", SDP, offer(*peer.ports)).status == 200
        peer.talk([noise(5)], late_s)
        body = parties(ANNA, "112", name=f"Merel{mark}", domain=f"{mark}.late.example")
        assert peer.ask("UPDATE", METADATA, body).status == 200
        peer.talk([noise(6)], 0.5)
        assert peer.ask("BYE").status == 200
    expect_count(service, before + 1)
    eventually(lambda: not at_rest.rtp_ports(service) - bound, "the sockets are closed")
    needles = [*at_rest.text(f"Merel{mark}", f"{mark}.late.example", f"late-{mark}")]
    assert at_rest.hits(at_rest.everything(service), needles) == []
    assert len(service.recordings()) == known
    assert not [item for item in service.sessions() if mark in item["callId"]]


def test_a_user_who_is_never_recorded_costs_no_socket(service: RunningService) -> None:
    """Answered inactive, and told with its reason when the call is over."""
    bound = at_rest.rtp_ports(service)
    with RawPeer(service.sip_port) as peer:
        answer = peer.call(NINA, CALLEE)
        assert answer.status == 200
        assert answer.body.count(b"a=inactive") == 2
        assert not at_rest.rtp_ports(service) - bound
        assert not [item for item in service.sessions() if item["callId"] == peer.call_id]
        assert peer.ask("BYE").status == 200
    outcome = service.outcome_of(peer.call_id)
    assert (outcome["outcome"], outcome["reason"]) == ("mode never", "the mode of the user is never")
    assert outcome["endedAt"] >= outcome["startedAt"]


def test_a_never_call_that_becomes_an_emergency_call_has_no_outcome(service: RunningService) -> None:
    """What was noted of it in case of a crash is destroyed."""
    mark = secrets.token_hex(6)
    before = count_of_today(service)
    with RawPeer(service.sip_port, call_id=f"never-{mark}") as peer:
        assert peer.call(NINA, CALLEE).status == 200
        assert list((service.directory / "journal" / "outbox").glob("*.open"))
        assert peer.ask("UPDATE", METADATA, parties(NINA, "113")).status == 200
        assert peer.ask("BYE").status == 200
    expect_count(service, before + 1)
    assert not list((service.directory / "journal" / "outbox").glob("*.open"))
    assert at_rest.hits(at_rest.everything(service), at_rest.text(f"never-{mark}")) == []


def test_no_process_of_the_recorder_leaves_its_memory_on_a_disk(service: RunningService) -> None:
    """A core dump would hold what no file may."""
    recorder = service.role("recorder")
    for process in (recorder, *recorder.children(recursive=True)):
        if "resource_tracker" in " ".join(process.cmdline()):
            continue
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        line = next(item for item in limits.splitlines() if item.startswith("Max core file size"))
        assert line.split()[4] == "0", (process.pid, process.cmdline(), line)
