"""Peer, tenant, user, licence and mode decide, and the trace says how."""

from __future__ import annotations

import dataclasses

import pytest

from archive.catalogue.snapshot import BroadWorksGroup, Directory
from archive.model import Direction, OutcomeKind, RecordingMode, Tenant, TenantId, UserId
from recorder.srs.decision import CallFacts, CallParticipant, RecordedUser, decide, is_of
from tests.unit.recorder.srs.conftest import ANNA, BEN, BOB, DIRECTORY, NINA, PEER, TENANT, user

OTHER = Tenant(TenantId("tenant-2"), "Other", "other.nl")
RANGED = user("range", "+31203000000-099", mode=RecordingMode.ALWAYS)


def who(recorded: RecordedUser) -> str:
    """Return the id of the user a recording is of."""
    return recorded.user.id if recorded.user else "nobody in particular"


def owners(facts: CallFacts, directory: Directory = DIRECTORY) -> list[str]:
    """Return who is recorded."""
    return [who(item) for item in decide(directory, PEER, facts).recorded]


def test_the_exchange_naming_a_user_is_enough() -> None:
    """In any case of letters; numbers are not looked at then."""
    facts = CallFacts(recorded_id="ANNA@bw.example", caller=BEN, recorded_is_caller=False)
    decision = decide(DIRECTORY, PEER, facts)
    assert [(who(item), item.direction) for item in decision.recorded] == [("user-anna", Direction.IN)]
    assert decision.kind is OutcomeKind.RECORDED


def test_an_unknown_user_of_the_exchange_is_looked_for_by_number() -> None:
    """Only on the side the exchange records."""
    assert owners(CallFacts(recorded_id="x@y", caller=ANNA, callee=BEN, recorded_is_caller=True)) == [
        "user-anna"
    ]
    decision = decide(DIRECTORY, PEER, CallFacts(recorded_id="x@y", caller=BOB))
    assert decision.reason == "the exchange named a user who is unknown here"


def test_everyone_named_counts_once() -> None:
    """As an end or as a participant of a conference."""
    people = tuple(CallParticipant(number, "", ()) for number in (BEN, ANNA, ANNA, BOB))
    facts = CallFacts(participants=people, caller=ANNA, callee=BEN)
    assert owners(facts) == ["user-anna", "user-ben"]


def test_a_user_of_mode_never_beside_one_who_is_recorded() -> None:
    """The other one is recorded all the same, as an internal call."""
    decision = decide(DIRECTORY, PEER, CallFacts(caller=NINA, callee=ANNA))
    assert [(who(item), item.direction) for item in decision.recorded] == [("user-anna", Direction.INTERNAL)]
    assert any("mode never" in line for line in decision.trace)


@pytest.mark.parametrize(("caller", "direction"), [("+31203000050", "out"), (BOB, "in")])
def test_a_number_inside_a_range_is_the_users_own(caller: str, direction: str) -> None:
    """Also for telling the direction."""
    directory = dataclasses.replace(DIRECTORY, users=(RANGED,))
    facts = CallFacts(caller=caller, callee="+31203000051")
    (recorded,) = decide(directory, PEER, facts).recorded
    assert (who(recorded), recorded.direction) == ("user-range", direction)
    assert is_of(RANGED, "020-3000050")
    assert not is_of(RANGED, "+31203000100")
    assert not is_of(RANGED, "")


def test_no_tenant_is_reached_but_the_peers_own() -> None:
    """Whatever the metadata says; a peer without one goes by the group of the exchange."""
    directory = dataclasses.replace(
        DIRECTORY,
        tenants=(TENANT, OTHER),
        broadworks_groups=(BroadWorksGroup("ent1", None, OTHER.id),),
        users=(
            *DIRECTORY.users,
            dataclasses.replace(DIRECTORY.users[0], id=UserId("theirs"), tenant_id=OTHER.id),
        ),
    )
    facts = CallFacts(caller=ANNA, service_provider_id="ent1")
    assert owners(facts, directory) == ["user-anna"]
    shared = dataclasses.replace(PEER, tenant_id=None)
    assert [who(item) for item in decide(directory, shared, facts).recorded] == ["theirs"]
    assert decide(directory, shared, CallFacts(caller=ANNA)).tenant_id is None


def test_a_description_nobody_can_read_is_no_reason_not_to_record() -> None:
    """The tenant's call is recorded, of nobody in particular; a known user goes before."""
    (unknown,) = decide(DIRECTORY, PEER, CallFacts(), undescribed=True).recorded
    assert (unknown.user, unknown.mode, unknown.tenant_id) == (None, RecordingMode.ALWAYS, TENANT.id)
    assert [
        who(item) for item in decide(DIRECTORY, PEER, CallFacts(caller=ANNA), undescribed=True).recorded
    ] == ["user-anna"]
    assert not decide(DIRECTORY, PEER, CallFacts(caller=NINA), undescribed=True).recorded
