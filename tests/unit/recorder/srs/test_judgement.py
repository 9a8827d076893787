"""Who of a session is recorded, and to which call it belongs."""

from __future__ import annotations

import dataclasses

from archive.catalogue.snapshot import BroadWorksGroup, DoNotRecord, ExemptNumber, NumberRange
from archive.model import PeerId, RecordingMode, TenantId
from recorder.client.call import Dialect
from recorder.srs import effects as do
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BOB,
    CARL,
    DIRECTORY,
    METADATA,
    PEER,
    TENANT,
    UDP,
    Client,
    Recorder,
    call_body,
    document,
    offer,
    with_document,
)
from tests.unit.recorder.srs.test_control import edges, recorder_of


def test_two_sessions_of_one_call_are_of_one_group_on_every_recorder() -> None:
    """The exchange names the call alike; another call is of another group."""
    body = call_body(dialect=Dialect.BROADWORKS)
    groups = []
    for number in range(2):
        recorder = recorder_of(RecordingMode.ALWAYS)
        Client(recorder, call_id=f"one-{number}@src").invite(*body)
        groups.append(recorder.state.call_group)
    other = recorder_of(RecordingMode.ALWAYS)
    Client(other).call(dialect=Dialect.BROADWORKS)
    assert groups[0] == groups[1] != other.state.call_group


def test_an_unknown_user_of_the_exchange_is_recorded_for_the_quarantine() -> None:
    """Nobody owns it until an administrator says who does."""
    recorder = recorder_of(RecordingMode.ALWAYS)
    xml = call_body(CARL, BOB, Dialect.BROADWORKS)
    body = xml[1].replace(b"<userID>", b"<userID>unknown.")
    Client(recorder).invite(xml[0], body)
    assert (recorder.state.quarantined, recorder.state.owner, recorder.state.kept) == (True, None, True)


def test_a_call_is_recorded_when_who_must_not_be_heard_has_left_it() -> None:
    """Whom it was made to says nothing of who is on it now."""
    recorder = recorder_of(RecordingMode.ALWAYS)
    lawyer = DoNotRecord(TENANT.id, NumberRange.parse(CARL), "lawyer")
    recorder.server.directory = dataclasses.replace(recorder.server.directory, do_not_record=(lawyer,))
    client = Client(recorder)
    client.call(callee=CARL)
    assert not recorder.of(do.OpenRecording)
    client.invite(*with_document(offer("sendonly", "sendonly", version=2), document(ANNA, BOB)))
    assert edges(recorder) == [("start", None)]


def test_keep_my_next_call_keeps_one_call_on_demand() -> None:
    """From its first packet; the promise is spent at once, whatever the directory still says."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, keep_next=True)
    Client(recorder).call()
    assert (recorder.state.kept, edges(recorder)) == (True, [("start", None), ("keep", "keep next")])
    assert recorder.one(do.ConsumeKeepNext).user_id == "user-anna"
    Client(recorder, call_id="call-2@src").call()
    assert [state.kept for state in recorder.states] == [True, False]
    assert len(recorder.of(do.ConsumeKeepNext)) == 1


def test_a_name_that_a_call_gets_later_leads_to_its_other_sessions(recorder: Recorder) -> None:
    """The exchange names it anew at a transfer, and opens another session under that name."""
    client = Client(recorder)
    client.call()
    renamed = document(ANNA, CARL)
    client.send("UPDATE", METADATA, renamed)
    Client(recorder, call_id="call-2@src").invite(*with_document(offer("sendonly", "sendonly"), renamed))
    first, second = recorder.states
    assert first.call_group == second.call_group


def test_a_name_means_nothing_to_another_peer(recorder: Recorder) -> None:
    """Two exchanges may call two calls alike."""
    other = dataclasses.replace(PEER, id=PeerId("peer-2"), addresses=("192.0.2.20/32",))
    recorder.server.directory = dataclasses.replace(DIRECTORY, peers=(PEER, other))
    body = call_body()
    Client(recorder).invite(*body)
    flow = UDP._replace(remote=("192.0.2.20", 5070))
    Client(recorder, flow, call_id="call-2@src").invite(*body)
    first, second = recorder.states
    assert first.call_group != second.call_group


def test_the_numbers_a_tenant_added_are_exempt_on_a_peer_of_many_tenants() -> None:
    """The description says whose call it is; those of another tenant are recorded."""
    added = "+31880001113"
    for tenant_id, recorded in ((TENANT.id, 0), (TenantId("another"), 1)):
        kind, body = call_body(callee=added, dialect=Dialect.BROADWORKS)
        provider = body.partition(b"<serviceProviderID>")[2].partition(b"<")[0].decode()
        directory = dataclasses.replace(
            DIRECTORY,
            peers=(dataclasses.replace(PEER, tenant_id=None),),
            broadworks_groups=(BroadWorksGroup(provider, None, TENANT.id),),
            exempt_numbers=(ExemptNumber(tenant_id, added),),
        )
        recorder = Recorder(directory=directory)
        Client(recorder).invite(kind, body)
        assert len(recorder.of(do.OpenRecording)) == recorded
