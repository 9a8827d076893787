"""However a number is written and wherever it stands: exempt calls leave nothing, look-alikes are recorded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from archive.catalogue.snapshot import Directory, ExemptNumber
from archive.model import TenantId
from recorder.sip import user_agent
from recorder.sip.capability import Identity, Leniency
from recorder.sip.message import Flow, Response
from recorder.sip.user_agent import UserAgentServer
from recorder.srs import effects as do
from recorder.srs.effects import Limits
from recorder.srs.session import Phase
from tests import exempt_spellings
from tests.exempt_spellings import LATE_POSITIONS, POSITIONS, Dialog, Position, Said
from tests.unit.recorder.srs.conftest import (
    DIRECTORY,
    PEER,
    STRANGER,
    TENANT,
    TWO_STREAMS,
    UDP,
    Recorder,
    directions,
)

SPELLINGS, LOOK_ALIKES = exempt_spellings.spellings(), exempt_spellings.look_alikes()
ORDINARY = Said()
LATE_METHODS = ("UPDATE", "INVITE", "INFO", "BYE", "ACK")


def recorder_of_many(directory: Directory = DIRECTORY) -> Recorder:
    """Return a recorder with room for every call of a list."""
    recorder = Recorder(Limits(sessions_max=10_000, dialogs_max=10_000), directory)
    recorder.ports_left = 100_000
    return recorder


def asked(
    recorder: Recorder, dialog: Dialog, method: str, said: Said, sdp: bytes = b"", flow: Flow = UDP
) -> Response | None:
    """Send a request and return its final answer, remembering the tag of a 200."""
    sent = recorder.receive(dialog.request(method, said, sdp), flow)
    finals = [item for item in sent if isinstance(item, Response) and item.status >= 200]
    if finals and finals[-1].status == 200 and not dialog.to_tag:
        dialog.to_tag = (finals[-1].headers.first("To") or "").partition(";tag=")[2]
    return finals[-1] if finals else None


def invited(recorder: Recorder, said: Said, call_id: str = "call", sdp: bytes = TWO_STREAMS) -> Response:
    """Send an INVITE in a dialog of its own and return its final answer."""
    answer = asked(recorder, Dialog(call_id), "INVITE", said, sdp)
    assert answer is not None
    return answer


def is_inactive(answer: Response | None) -> bool:
    """Tell whether an answer takes the call and receives nothing."""
    return answer is not None and answer.status == 200 and set(directions(answer.body)) == {"inactive"}


def test_there_are_some_two_hundred_of_either_kind() -> None:
    """The size of both lists is part of the promise, and nothing is in both."""
    assert len(SPELLINGS) == len(set(SPELLINGS)) >= 200
    assert len(LOOK_ALIKES) == len(set(LOOK_ALIKES)) >= 200
    assert not set(SPELLINGS) & set(LOOK_ALIKES)


@pytest.mark.parametrize("place", POSITIONS)
def test_every_spelling_in_every_place_is_answered_inactive(place: str) -> None:
    """No socket, no session, nothing kept but a count."""
    # Of a place that is but a variant of another one, each fourth spelling is enough.
    recorder, addresses = recorder_of_many(), SPELLINGS[::4] if "," in place else SPELLINGS
    for number, address in enumerate(addresses):
        answer = invited(recorder, POSITIONS[place](address), f"call-{number}")
        assert is_inactive(answer), ascii(address)
    assert {type(effect) for effect in recorder.effects} == {do.Respond, do.CountExempt}
    assert len(recorder.of(do.CountExempt)) == len(addresses)
    assert not recorder.server.sessions


@pytest.mark.parametrize("turn", range(8))
def test_every_look_alike_is_recorded_wherever_it_stands(turn: int) -> None:
    """At the latest when nobody could say any more who it is; each in several places, all places have many."""
    places = list(POSITIONS)
    recorder = recorder_of_many()
    for number, address in enumerate(LOOK_ALIKES):
        place = places[(number + turn * len(places) // 8) % len(places)]
        answer = invited(recorder, POSITIONS[place](address), f"call-{number}")
        case = (place, ascii(address))
        assert (answer.status, set(directions(answer.body))) == (200, {"recvonly"}), case
    recorder.advance(3.0, step_s=3.0)
    assert not recorder.of(do.CountExempt)
    opened = {effect.state.session_id for effect in recorder.of(do.OpenRecording)}
    assert len(opened) == len(recorder.server.sessions) == len(LOOK_ALIKES)


def late_cases(addresses: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """Yield method, position and address so that each address, and each method in each position, has a turn."""
    pairs = list(itertools.product(LATE_METHODS, LATE_POSITIONS))
    every = list(addresses)
    for (method, position), address in itertools.islice(
        zip(itertools.cycle(pairs), itertools.cycle(every), strict=False), max(len(pairs), len(every))
    ):
        yield method, position, address


def told_later(recorder: Recorder, number: int, method: str, said: Said) -> Dialog:
    """Place an ordinary call, let ten seconds go by, and say something in it; returns its dialog."""
    dialog = Dialog(f"call-{number}")
    assert not is_inactive(asked(recorder, dialog, "INVITE", ORDINARY, TWO_STREAMS))
    if method != "ACK":
        recorder.receive(dialog.request("ACK", ORDINARY, bare=True))
    recorder.advance(10, step_s=10.0)
    sdp = TWO_STREAMS.replace(b"src 7 1 ", b"src 7 2 ") if method == "INVITE" else b""
    answer = asked(recorder, dialog, method, said, sdp)
    # A body of an unknown kind is refused, which changes nothing either.
    assert method == "ACK" or (answer is not None and answer.status in {200, 415})
    return dialog


@pytest.mark.parametrize("method", LATE_METHODS)
def test_every_spelling_that_comes_later_cuts_the_recording(method: str) -> None:
    """By any request and in any place; nobody is hung up on."""
    for number, (by, position, address) in enumerate(late_cases(SPELLINGS)):
        if by != method:
            continue
        recorder, case = Recorder(), (position, ascii(address))
        told_later(recorder, number, method, LATE_POSITIONS[position](address))
        assert len(recorder.of(do.CutRecording)) + len(recorder.of(do.DestroyRecording)) == 1, case
        assert len(recorder.of(do.CountExempt)) == 1, case
        assert not recorder.of(do.HangUp), case
        assert not recorder.of(do.FinishRecording), case
        assert all(session.phase is Phase.EXEMPT for session in recorder.server.sessions), case
        assert len(recorder.server.sessions) == (0 if method == "BYE" else 1), case


@pytest.mark.parametrize("method", LATE_METHODS)
def test_every_look_alike_that_comes_later_changes_nothing(method: str) -> None:
    """The recording goes on, or ends as any other."""
    for number, (by, position, address) in enumerate(late_cases(LOOK_ALIKES)):
        if by != method:
            continue
        recorder, case = Recorder(), (position, ascii(address))
        told_later(recorder, number, method, LATE_POSITIONS[position](address))
        assert not recorder.of(do.CutRecording), case
        assert not recorder.of(do.DestroyRecording), case
        assert not recorder.of(do.CountExempt), case
        assert len(recorder.of(do.FinishRecording)) == (1 if method == "BYE" else 0), case
        assert [session.phase for session in recorder.server.sessions] == [Phase.RUNNING] * (
            method != "BYE"
        ), case


# Before every refusal.

Hindrance = Callable[[pytest.MonkeyPatch], Recorder]


def draining(_: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    recorder.server.admission.draining = True
    return recorder


def full(_: pytest.MonkeyPatch) -> Recorder:
    return Recorder(Limits(sessions_max=0, dialogs_max=0))


def flooded_with_dialogs(patch: pytest.MonkeyPatch) -> Recorder:
    patch.setattr(user_agent, "DIALOG_COUNT_MAX", 0)
    return Recorder()


def flooded_with_requests(patch: pytest.MonkeyPatch) -> Recorder:
    patch.setattr("recorder.sip.transaction_layer.TRANSACTION_COUNT_MAX", 0)
    return Recorder()


def unable_to_store(_: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    recorder.server.admission.unable_reason = "the disk of the journal is full"
    recorder.storage_trouble = "the disk of the journal is full"
    return recorder


def out_of_ports(_: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    recorder.ports_left = 0
    return recorder


def without_a_directory(_: pytest.MonkeyPatch) -> Recorder:
    return Recorder(directory=Directory())


def of_strangers(_: pytest.MonkeyPatch) -> Recorder:
    other = replace(PEER, addresses=("203.0.113.0/24",))
    return Recorder(directory=replace(DIRECTORY, peers=(other,)))


def strict(_: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    recorder.agent = UserAgentServer(Identity(), bytes, lambda _: Leniency(siprec_required=True))
    return recorder


def in_order(_: pytest.MonkeyPatch) -> Recorder:
    return Recorder()


Spoiled = Callable[[Dialog, Said], bytes]


def with_field(line: bytes) -> Spoiled:
    return edited(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\n" + line + b"\r\n")


def at_the_end(line: bytes) -> Spoiled:
    return edited(b"Content-Length: ", line + b"\r\nContent-Length: ")


def edited(old: bytes, new: bytes) -> Spoiled:
    return lambda dialog, said: dialog.request("INVITE", said, TWO_STREAMS).replace(old, new, 1)


def offering(sdp: bytes) -> Spoiled:
    return lambda dialog, said: dialog.request("INVITE", said, sdp)


def demanding(dialog: Dialog, said: Said) -> bytes:
    """Demand that a part of an unknown kind is understood."""
    request = dialog.request("INVITE", said, TWO_STREAMS)
    return request.replace(b"rs-metadata+xml\r", b"xx-metadata+xml\r").replace(b"=optional", b"=required")


HINDRANCES: list[Hindrance] = [
    draining,
    full,
    flooded_with_dialogs,
    flooded_with_requests,
    unable_to_store,
    out_of_ports,
    without_a_directory,
    of_strangers,
]
OBJECTIONS: dict[str, Spoiled] = {
    "an unknown extension": with_field(b"Require: siprec, foo"),
    "an encoded body": with_field(b"Content-Encoding: gzip"),
    "a session interval too small": with_field(b"Supported: timer\r\nSession-Expires: 30"),
    "an absurd Max-Forwards": edited(b"Max-Forwards: 70", b"Max-Forwards: many"),
    "a line that is no field": with_field(b"no field at all"),
    "a field far too long": with_field(b"X-Long: " + b"x" * 9000),
    "too many fields": at_the_end(b"\r\n".join([b"X-Many: 1"] * 300)),
    "another version of SIP": edited(b" SIP/2.0\r\nVia", b" SIP/3.0\r\nVia"),
    "a request line with blanks": edited(b" SIP/2.0\r\nVia", b"   SIP/2.0\r\nVia"),
    "no CSeq to speak of": edited(b" INVITE\r\n", b" UPDATE\r\n"),
    "no Call-ID": edited(b"Call-ID", b"X-Call-ID"),
    "a body that lost its end": edited(b"Content-Length: ", b"Content-Length: 9"),
    "a body that can't be divided": edited(b"boundary=", b"boundary=" + b"x" * 80),
    "a body of an unknown kind": edited(b"multipart/mixed", b"application/unknown"),
    "a part that must be understood": demanding,
    "a description that is none": offering(b"no description at all"),
    "only video": offering(TWO_STREAMS.replace(b"m=audio", b"m=video")),
    "only secure streams": offering(TWO_STREAMS.replace(b"RTP/AVP", b"RTP/SAVP")),
}
TAKEN_ALL_THE_SAME = {"only video"}
"""An ordinary call of these is no error either: it has nothing to record."""

EXEMPT: dict[str, Said] = {
    f"{address} in {place}": POSITIONS[place](address)
    for address, place in (
        ("112", "nameID aor"),
        ("+31113", "Request-URI"),
        ("0800-0113", "P-Asserted-Identity"),
        ("113", "redirectedToPartynumber"),
        ("urn:service:sos.fire", "To"),
        ("*31*112", "History-Info"),
    )
}


def status_of(recorder: Recorder, request: bytes, flow: Flow = UDP) -> Response:
    """Send an INVITE as it is and return its final answer."""
    sent = recorder.receive(request, flow)
    return [item for item in sent if isinstance(item, Response) and item.status >= 200][-1]


@pytest.mark.parametrize("said", EXEMPT.values(), ids=EXEMPT)
@pytest.mark.parametrize("hinder", HINDRANCES, ids=lambda item: item.__name__)
def test_no_state_of_the_recorder_refuses_an_exempt_call(
    monkeypatch: pytest.MonkeyPatch, hinder: Hindrance, said: Said
) -> None:
    """While an ordinary call is refused."""
    recorder = hinder(monkeypatch)
    assert is_inactive(invited(recorder, said))
    assert [type(effect) for effect in recorder.effects] == [do.Respond, do.CountExempt]
    assert invited(recorder, ORDINARY, "another").status in {403, 503}


@pytest.mark.parametrize("objection", OBJECTIONS)
@pytest.mark.parametrize(
    "hinder", [in_order, draining, full, unable_to_store, without_a_directory, of_strangers]
)
def test_nothing_wrong_with_a_request_refuses_an_exempt_call(
    monkeypatch: pytest.MonkeyPatch, hinder: Hindrance, objection: str
) -> None:
    """Whatever else is wrong at the same time; an ordinary call is refused."""
    spoiled = OBJECTIONS[objection]
    for case, said in EXEMPT.items():
        recorder = hinder(monkeypatch)
        answer = status_of(recorder, spoiled(Dialog("call"), said))
        assert is_inactive(answer), (case, answer.status, answer.body)
        assert [type(effect) for effect in recorder.effects] == [do.Respond, do.CountExempt], case
    ordinary = status_of(hinder(monkeypatch), spoiled(Dialog("another"), ORDINARY))
    assert ordinary.status >= 400 or objection in TAKEN_ALL_THE_SAME


def test_a_strict_recorder_takes_an_exempt_call_that_is_no_recording_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that shows no sign of SIPREC is answered 421, unless somebody needs help."""
    recorder = strict(monkeypatch)
    plain = edited(b";+sip.src", b"")
    for said in EXEMPT.values():
        assert is_inactive(status_of(recorder, plain(Dialog("call"), said)))
    assert status_of(recorder, plain(Dialog("another"), ORDINARY)).status == 421


def test_a_request_that_comes_by_two_ways_is_answered_on_both(recorder: Recorder) -> None:
    """482 would be a refusal."""
    said = EXEMPT["112 in nameID aor"]
    first = Dialog("call").request("INVITE", said, TWO_STREAMS)
    assert is_inactive(status_of(recorder, first))
    assert is_inactive(status_of(recorder, first.replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")))


@pytest.mark.parametrize("said", EXEMPT.values(), ids=EXEMPT)
def test_a_stranger_is_answered_and_an_unknown_tenant_too(said: Said) -> None:
    """Nobody has to be entered before they may call for help."""
    recorder = Recorder()
    assert is_inactive(asked(recorder, Dialog("call"), "INVITE", said, TWO_STREAMS, STRANGER))
    recorder = Recorder(directory=replace(DIRECTORY, peers=(replace(PEER, tenant_id=None),)))
    assert is_inactive(invited(recorder, said))
    assert [type(effect) for effect in recorder.effects] == [do.Respond, do.CountExempt]


@pytest.mark.parametrize(
    "objection", [name for name in OBJECTIONS if name not in {"no Call-ID", "no CSeq to speak of"}]
)
def test_late_knowledge_comes_before_a_refusal_too(objection: str) -> None:
    """A re-INVITE that would be refused still cuts the recording."""
    recorder, dialog = Recorder(), Dialog("call")
    asked(recorder, dialog, "INVITE", ORDINARY, TWO_STREAMS)
    recorder.receive(dialog.request("ACK", ORDINARY, bare=True))
    recorder.advance(10, step_s=10.0)
    assert is_inactive(
        status_of(recorder, OBJECTIONS[objection](dialog, POSITIONS["calledPartyNumber"]("113")))
    )
    assert recorder.one(do.CountExempt)
    assert recorder.one(do.CutRecording)


# What operator and tenant added.

ADDED = (
    ("0800-0432", "+318000432"),
    ("+31 (0)800 0432", "+318000432"),
    ("116117", "116117"),
    ("0116 117", "116117"),
    ("tel:0031-116117", "116117"),
    ("*31*0201234567", "+31201234567"),
    ("tel:201234567;phone-context=+31", "+31201234567"),
    ("0049 30 123456", "+4930123456"),
    ("sip:%2B4930123456@sbc.example", "+4930123456"),
)
NOT_ADDED = (
    "0800-04321",
    "1161170",
    "0116-117000",
    "+201234567",
    "020-12345678",
    "+49301234567",
    "030-123456",
)


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS)
def test_additions_are_found_in_every_place(position: Position) -> None:
    """Of the operator for everybody, of a tenant for its own calls."""
    numbers = sorted({number for _, number in ADDED})
    owners = itertools.cycle((None, TENANT.id))
    added = tuple(ExemptNumber(owner, number) for owner, number in zip(owners, numbers, strict=False))
    recorder = recorder_of_many(replace(DIRECTORY, exempt_numbers=added))
    for number, (address, _) in enumerate(ADDED):
        assert is_inactive(invited(recorder, position(address), f"call-{number}")), ascii(address)
    assert {type(effect) for effect in recorder.effects} == {do.Respond, do.CountExempt}
    for number, address in enumerate(NOT_ADDED):
        assert not is_inactive(invited(recorder, position(address), f"like-{number}")), ascii(address)


def test_what_another_tenant_added_counts_for_that_one_only() -> None:
    """Its list is its own."""
    other = ExemptNumber(TenantId("tenant-2"), "+318000432")
    recorder = Recorder(directory=replace(DIRECTORY, exempt_numbers=(other,)))
    assert not is_inactive(invited(recorder, POSITIONS["nameID aor"]("0800-0432")))
    recorder.advance(3)
    assert recorder.one(do.OpenRecording)


@pytest.mark.parametrize("method", LATE_METHODS)
def test_additions_that_come_later_cut_the_recording(method: str) -> None:
    """As the floor list does."""
    added = (ExemptNumber(TENANT.id, "+318000432"),)
    recorder = Recorder(directory=replace(DIRECTORY, exempt_numbers=added))
    told_later(recorder, 1, method, POSITIONS["redirectedToPartynumber"]("0800-0432"))
    assert recorder.one(do.CountExempt)
    assert recorder.one(do.CutRecording)
