"""112 and 113 are never recorded, and nothing of such a call exists anywhere but a count of the day."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from recorder.sip.message import Response
from tests import at_rest, exempt_spellings
from tests.acceptance.test_what_was_said_is_what_is_heard import decoded, heard
from tests.at_rest import Needle
from tests.conftest import ANNA, NINA, OLGA
from tests.exempt_spellings import BOB, DOCUMENTS, HEADERS, LATE_POSITIONS, POSITIONS, Dialog, Said
from tests.raw_peer import METADATA, SDP, RawPeer, offer, parties
from tests.running_service import RunningService, eventually

CALLEE = "+31612345678"
SPELLINGS, LOOK_ALIKES = exempt_spellings.spellings(), exempt_spellings.look_alikes()
LATE_METHODS = ("UPDATE", "INVITE", "INFO", "BYE", "ACK")
ORDINARY = Said()
# BroadWorks names a user by an id, who would be unknown here.
ORDINARY_PLACES = [
    name for name, place in {**HEADERS, **DOCUMENTS}.items() if b"anna@bw" not in (place("x").metadata or b"")
]
KEPT_EACH = 8
"""Each eighth look-alike goes all the way to the archive; the others are captured and not kept."""


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


def settled(service: RunningService) -> tuple[int, ...]:
    """Return how many rows tell of calls, once no call is under way and nothing is told any more."""
    tables = ("live_calls", "sessions", "commands", "call_events", "recordings")
    statement = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    seen: list[tuple[int, ...]] = []

    def look() -> bool:
        seen.append(tuple(int(str(count)) for count in at_rest.query(service, statement)[0]))
        return seen[-1][0] == 0 and len(seen) > 3 and len(set(seen[-4:])) == 1

    eventually(look, "no call is under way")
    return seen[-1]


class Exchange(RawPeer):
    """A peer that says things in the words of `tests.exempt_spellings`, under names found nowhere else."""

    def begin(self, mark: str, disguise: dict[str, str]) -> None:
        """Begin the dialog; `mark` begins its Call-ID, and `disguise` says what is written in place of what."""
        port = int(self.socket.getsockname()[1])
        caller = f'"Merel" <sip:{ANNA}@pbx.example>'
        self.dialog = Dialog(f"{mark}-{self.call_id}", "127.0.0.1", port, from_=caller)
        self.disguise = disguise

    def offer(self, *, acknowledged: bool = True) -> None:
        """Offer one stream and say nothing of who is on the call: it is received."""
        answer = self.say("INVITE", Said(metadata=b" ", kind="text/plain"), offer(self.ports[0]))
        assert answer is not None
        assert b"a=recvonly" in answer.body
        if acknowledged:
            self.say("ACK", ORDINARY, bare=True)

    def tell(self, method: str, said: Said) -> None:
        """Say something in the dialog, be answered 200, and hang up if that was no BYE."""
        sdp = offer(self.ports[0], version=2) if method == "INVITE" else b""
        answer = self.say(method, said, sdp)
        assert answer is None or answer.status == 200
        if method == "INVITE":
            assert answer is not None
            assert b"a=recvonly" not in answer.body
        if method not in ("ACK", "BYE"):
            self.say("ACK", ORDINARY, bare=True)
        if method != "BYE":
            assert self.say("BYE", ORDINARY, bare=True) is not None

    def say(self, method: str, said: Said, sdp: bytes = b"", *, bare: bool = False) -> Response | None:
        """Send a request and return its final answer; an ACK has none."""
        request = self.dialog.request(method, said, sdp, bare=bare)
        for name, written in self.disguise.items():
            request = request.replace(name.encode(), written.encode())
        self.send(request)
        answer = None if method == "ACK" else self._answer_to(method)
        if answer is not None and answer.status == 200 and not self.dialog.to_tag:
            self.dialog.to_tag = (answer.headers.first("To") or "").partition(";tag=")[2]
            self.answer_sdp = answer.body
        return answer

    def _answer_to(self, method: str) -> Response:
        while True:
            answer = self.final()
            # A 200 that was not acknowledged yet comes again and again.
            if (answer.cseq.number, answer.cseq.method) == (self.dialog.cseq, method):
                return answer


def disguises(mark: str, but: str = "") -> dict[str, str]:
    """Return what is written in place of names and numbers of other calls; as long, so that lengths stay."""
    number = f"+3120{int(mark, 16) % 10**7:07}"
    written = {
        "sbc.example": f"{mark}.sb",
        "pbx.example": f"{mark}.pb",
        "bw.example": f"{mark}.b",
        ANNA: number,
    }
    return {name: text for name, text in written.items() if name != but}


def needles_of(mark: str) -> list[Needle]:
    """Return what may be found nowhere."""
    return at_rest.text(mark, disguises(mark)[ANNA])


def leaves_nothing(service: RunningService, mark: str, before: tuple[int, ...]) -> None:
    """See that no row and no octet tells of the calls of a mark."""
    assert settled(service) == before
    assert at_rest.hits(at_rest.everything(service), needles_of(mark)) == []


def test_every_spelling_and_every_place_is_answered_inactive(service: RunningService) -> None:
    """200, no stream received, no socket bound, nobody refused; each counts once and leaves nothing."""
    mark, before, bound = secrets.token_hex(4), settled(service), at_rest.rtp_ports(service)
    count = count_of_today(service)
    cases = list(zip(SPELLINGS, itertools.cycle(POSITIONS), strict=False))
    for address, place in cases:
        with Exchange(service.sip_port) as peer:
            peer.begin(mark, disguises(mark))
            answer = peer.say("INVITE", POSITIONS[place](address), offer(*peer.ports))
            assert answer is not None
            assert answer.status == 200, (place, ascii(address))
            assert answer.body.count(b"a=inactive") == 2, (place, ascii(address))
            peer.say("ACK", ORDINARY, bare=True)
            peer.say("BYE", ORDINARY, bare=True)
    assert not at_rest.rtp_ports(service) - bound
    expect_count(service, count + len(cases))
    leaves_nothing(service, mark, before)
    eventually(lambda: told_today(service) == count + len(cases), "the count is in the database")


def test_every_spelling_that_comes_a_moment_later_leaves_nothing(service: RunningService) -> None:
    """By every request of a dialog, in every place; neither is anybody hung up on."""
    mark, before, bound = secrets.token_hex(4), settled(service), at_rest.rtp_ports(service)
    count = count_of_today(service)
    cases = list(
        zip(itertools.product(LATE_METHODS, LATE_POSITIONS), itertools.cycle(SPELLINGS), strict=False)
    )
    for (method, place), address in cases:
        with Exchange(service.sip_port) as peer:
            peer.begin(mark, disguises(mark, but=ANNA))
            peer.offer(acknowledged=method != "ACK")
            peer.tell(method, LATE_POSITIONS[place](address))
    expect_count(service, count + len(cases))
    eventually(lambda: not at_rest.rtp_ports(service) - bound, "the sockets are closed")
    leaves_nothing(service, mark, before)


def test_every_place_that_is_told_after_the_recording_began_leaves_nothing(service: RunningService) -> None:
    """The journal has audio of them by then."""
    mark, before, bound = secrets.token_hex(4), settled(service), at_rest.rtp_ports(service)
    count = count_of_today(service)
    cases = list(zip(LATE_POSITIONS, itertools.cycle(LATE_METHODS), itertools.cycle(SPELLINGS), strict=False))
    with contextlib.ExitStack() as peers:
        calls = [peers.enter_context(Exchange(service.sip_port)) for _ in cases]
        for peer, (_, method, _) in zip(calls, cases, strict=True):
            peer.begin(mark, disguises(mark, but=ANNA))
            peer.offer(acknowledged=method != "ACK")
        for turn in range(26):
            for peer in calls:
                peer.turn = turn * 5
                peer.packet(peer.rtp[0], peer.destinations()[0], noise(7))
            time.sleep(0.1)
        for peer, (place, method, address) in zip(calls, cases, strict=True):
            peer.tell(method, LATE_POSITIONS[place](address))
    expect_count(service, count + len(cases))
    eventually(lambda: not at_rest.rtp_ports(service) - bound, "the sockets are closed")
    leaves_nothing(service, mark, before)


def test_every_look_alike_is_recorded(service: RunningService) -> None:
    """Only whole numbers count, wherever they stand; of a user on demand each ends as a call nobody kept."""
    count, mark, kept_mark = count_of_today(service), secrets.token_hex(4), secrets.token_hex(4)
    cases = list(zip(LOOK_ALIKES, itertools.cycle(ORDINARY_PLACES), strict=False))
    for number, (address, place) in enumerate(cases):
        with Exchange(service.sip_port) as peer:
            kept = number % KEPT_EACH == 0
            peer.begin(*((kept_mark, {}) if kept else (mark, {ANNA: OLGA})))
            answer = peer.say("INVITE", POSITIONS[place](address), offer(peer.ports[0]))
            assert answer is not None
            assert b"a=recvonly" in answer.body, (place, ascii(address))
            peer.say("ACK", ORDINARY, bare=True)
            peer.packet(peer.rtp[0], peer.destinations()[0], noise(8))
            peer.say("BYE", ORDINARY, bare=True)

    def outcomes() -> list[tuple[object, ...]]:
        return at_rest.query(
            service,
            f"SELECT substr(call_id, 1, 8), kind, count(*) FROM sessions"
            f" WHERE call_id ~ '^({mark}|{kept_mark})-' GROUP BY 1, 2",
        )

    kept_count = len(LOOK_ALIKES[::KEPT_EACH])
    expected = {(mark, "not kept", len(LOOK_ALIKES) - kept_count), (kept_mark, "recorded", kept_count)}
    eventually(lambda: set(outcomes()) == expected, "all of them have their outcome")
    assert count_of_today(service) == count


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


def test_a_call_nobody_kept_yet_that_becomes_one_leaves_nothing(service: RunningService) -> None:
    """Though it was seen under way, by the one who might have kept it."""
    mark, before = secrets.token_hex(4), settled(service)
    count = count_of_today(service)
    with Exchange(service.sip_port) as peer:
        peer.begin(mark, {ANNA: OLGA, BOB: disguises(mark)[ANNA], **disguises(mark, but=ANNA)})
        answer = peer.say("INVITE", ORDINARY, offer(*peer.ports))
        assert answer is not None
        assert answer.body.count(b"a=recvonly") == 2
        peer.say("ACK", ORDINARY, bare=True)
        eventually(lambda: at_rest.query(service, "SELECT 1 FROM live_calls"), "the call is seen")
        peer.talk([noise(9)], 0.5)
        peer.tell("UPDATE", DOCUMENTS["transferTo"]("113"))
    expect_count(service, count + 1)
    leaves_nothing(service, mark, before)


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
