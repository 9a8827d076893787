"""Peer, tenant, user, licence and mode decide, and the trace says how."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from archive.catalogue.snapshot import BroadWorksGroup, Directory, DoNotRecord, NumberRange
from archive.decision import NO_GROUNDS, CallFacts, CallParticipant, RecordedUser, decide, is_of
from archive.model import (
    AboveCap,
    Direction,
    OutcomeKind,
    RecordingMode,
    RetentionClass,
    Tenant,
    TenantId,
    TenantPolicy,
    UserId,
)
from tests.unit.recorder.srs.conftest import ANNA, BEN, BOB, DIRECTORY, NINA, PEER, TENANT, user

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
OTHER = Tenant(TenantId("tenant-2"), "Other", "other.nl")
RANGED = user("range", "+31203000000-099", mode=RecordingMode.ALWAYS)


def who(recorded: RecordedUser) -> str:
    """Return the id of the user a recording is of."""
    return recorded.user.id if recorded.user else "nobody in particular"


def owners(facts: CallFacts, directory: Directory = DIRECTORY) -> list[str]:
    """Return who is recorded."""
    return [who(item) for item in decide(directory, PEER, facts, AT).recorded]


def test_the_exchange_naming_a_user_is_enough() -> None:
    """In any case of letters; numbers are not looked at then."""
    facts = CallFacts(recorded_id="ANNA@bw.example", caller=BEN, recorded_is_caller=False)
    decision = decide(DIRECTORY, PEER, facts, AT)
    assert [(who(item), item.direction) for item in decision.recorded] == [("user-anna", Direction.IN)]
    assert decision.kind is OutcomeKind.RECORDED


def test_an_unknown_user_of_the_exchange_is_looked_for_by_number() -> None:
    """Only on the side the exchange records."""
    assert owners(CallFacts(recorded_id="x@y", caller=ANNA, callee=BEN, recorded_is_caller=True)) == [
        "user-anna"
    ]
    decision = decide(DIRECTORY, PEER, CallFacts(recorded_id="x@y", caller=BOB), AT)
    (unknown,) = decision.recorded
    assert (unknown.user, unknown.quarantined, unknown.mode) == (None, True, RecordingMode.ALWAYS)
    assert any("quarantine" in line for line in decision.trace)


def test_everyone_named_counts_once() -> None:
    """As an end or as a participant of a conference."""
    people = tuple(CallParticipant(number, "", ()) for number in (BEN, ANNA, ANNA, BOB))
    facts = CallFacts(participants=people, caller=ANNA, callee=BEN)
    assert owners(facts) == ["user-anna", "user-ben"]


def test_a_user_of_mode_never_beside_one_who_is_recorded() -> None:
    """The other one is recorded all the same, as an internal call."""
    decision = decide(DIRECTORY, PEER, CallFacts(caller=NINA, callee=ANNA), AT)
    assert [(who(item), item.direction) for item in decision.recorded] == [("user-anna", Direction.INTERNAL)]
    assert any("mode never" in line for line in decision.trace)


@pytest.mark.parametrize(("caller", "direction"), [("+31203000050", "out"), (BOB, "in")])
def test_a_number_inside_a_range_is_the_users_own(caller: str, direction: str) -> None:
    """Also for telling the direction."""
    directory = dataclasses.replace(DIRECTORY, users=(RANGED,))
    facts = CallFacts(caller=caller, callee="+31203000051")
    (recorded,) = decide(directory, PEER, facts, AT).recorded
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
    assert [who(item) for item in decide(directory, shared, facts, AT).recorded] == ["theirs"]
    assert decide(directory, shared, CallFacts(caller=ANNA), AT).tenant_id is None


def test_a_description_nobody_can_read_is_no_reason_not_to_record() -> None:
    """The tenant's call is recorded, of nobody in particular; a known user goes before."""
    (unknown,) = decide(DIRECTORY, PEER, CallFacts(), AT, undescribed=True).recorded
    assert (unknown.user, unknown.mode, unknown.tenant_id) == (None, RecordingMode.ALWAYS, TENANT.id)
    assert [
        who(item) for item in decide(DIRECTORY, PEER, CallFacts(caller=ANNA), AT, undescribed=True).recorded
    ] == ["user-anna"]
    assert not decide(DIRECTORY, PEER, CallFacts(caller=NINA), AT, undescribed=True).recorded


UNASKED = ((CallFacts(recorded_id="x@y", caller=BOB), False), (CallFacts(), True))
"""Calls that are recorded though no user of them is known: of an unknown name, and undescribed."""


@pytest.mark.parametrize(("facts", "undescribed"), UNASKED, ids=["unknown name", "undescribed"])
def test_a_customer_that_wrote_nothing_down_and_records_nobody_has_no_call_recorded_unasked(
    facts: CallFacts, *, undescribed: bool
) -> None:
    """The trace says why, and the session ends as one of nobody who is recorded."""
    nina = next(each for each in DIRECTORY.users if each.mode is RecordingMode.NEVER)
    directory = dataclasses.replace(DIRECTORY, users=(nina,), without_grounds=(OTHER.id, TENANT.id))
    decision = decide(directory, PEER, facts, AT, undescribed=undescribed)
    assert (decision.recorded, decision.kind) == ((), OutcomeKind.NOBODY_RECORDED)
    assert (decision.reason, decision.trace[-1]) == (NO_GROUNDS, NO_GROUNDS)
    stranger = decide(directory, PEER, CallFacts(caller=BOB), AT)
    assert stranger.reason == "nobody named is recorded"


@given(
    some.builds(
        CallFacts,
        caller=some.sampled_from([ANNA, BEN, NINA, BOB, ""]),
        callee=some.sampled_from([ANNA, NINA, BOB, ""]),
        recorded_id=some.sampled_from([None, "anna@bw.example", "x@y"]),
        recorded_is_caller=some.sampled_from([None, False, True]),
    ),
    some.booleans(),
    some.sampled_from(RecordingMode),
    some.booleans(),
)
def test_who_wrote_it_down_or_has_somebody_recorded_is_decided_as_before(
    facts: CallFacts, undescribed: bool, mode: RecordingMode, written: bool
) -> None:
    """Whatever the call and whoever is on it; what another customer has not written counts for nobody else."""
    anna = dataclasses.replace(DIRECTORY.users[0], mode=mode)
    nina = next(each for each in DIRECTORY.users if each.mode is RecordingMode.NEVER)
    before = dataclasses.replace(DIRECTORY, users=(anna, nina))
    lacking = (OTHER.id,) if written else (OTHER.id, TENANT.id)
    after = dataclasses.replace(before, without_grounds=lacking)
    decided, was = (decide(each, PEER, facts, AT, undescribed=undescribed) for each in (after, before))
    if written or mode is not RecordingMode.NEVER or was.kind is not OutcomeKind.RECORDED:
        assert (decided.recorded, decided.kind) == (was.recorded, was.kind)
    if written or mode is not RecordingMode.NEVER:
        assert decided == was
    else:
        assert not decided.recorded


def test_whoever_is_on_the_do_not_record_list_is_heard_by_nobody() -> None:
    """In any spelling and anywhere in the call; the outcome says why, and who was on the call."""
    lawyer = DoNotRecord(TENANT.id, NumberRange.parse("+31201110000-099"), "lawyer")
    directory = dataclasses.replace(DIRECTORY, do_not_record=(lawyer,))
    third = CallParticipant("0201110042", "", ())
    for facts in (
        CallFacts(caller=ANNA, callee="+31201110000"),
        CallFacts(caller="020-1110099", callee=ANNA),
        CallFacts(participants=(third,), caller=ANNA, callee=BOB),
    ):
        decision = decide(directory, PEER, facts, AT)
        assert (decision.recorded, decision.kind, decision.barred) == ((), OutcomeKind.NOBODY_RECORDED, True)
        assert "lawyer" in decision.reason
        assert "111" not in decision.reason
        assert any(line.startswith("parties: ") for line in decision.trace)
    assert owners(CallFacts(caller=ANNA, callee="+31201110100"), directory) == ["user-anna"]


def test_a_number_that_one_person_excluded_is_recorded_with_everybody_else() -> None:
    """And of a call they are on, for nobody: who is on it hears the same sound."""
    number = "+31201110000"
    own = DoNotRecord(TENANT.id, NumberRange.parse(number), "doctor", UserId("user-anna"))
    directory = dataclasses.replace(DIRECTORY, do_not_record=(own,))
    decision = decide(directory, PEER, CallFacts(caller=ANNA, callee="020-1110000"), AT)
    assert (decision.recorded, decision.kind, decision.barred) == ((), OutcomeKind.NOBODY_RECORDED, True)
    assert decision.reason == "a party is on the do-not-record list: doctor"
    assert "user user-anna: a party is on their do-not-record list: doctor" in decision.trace
    assert owners(CallFacts(caller=BEN, callee=number), directory) == ["user-ben"]
    assert owners(CallFacts(caller=ANNA, callee=BOB), directory) == ["user-anna"]
    three = tuple(CallParticipant(each, "", ()) for each in (ANNA, BEN, number))
    assert owners(CallFacts(participants=three, caller=BEN, callee=ANNA), directory) == []


@pytest.mark.parametrize(
    ("policy", "licence", "month", "booked_s", "recorded"),
    [
        (AboveCap.STOP, RetentionClass.YEARS_7_1000, date(2026, 11, 1), 60_000, False),
        (AboveCap.STOP, RetentionClass.YEARS_7_1000, date(2026, 11, 1), 59_999, True),
        (AboveCap.STOP, RetentionClass.YEARS_7_1000, date(2026, 10, 1), 60_000, True),
        (AboveCap.STOP, RetentionClass.YEARS_7_3500, date(2026, 11, 1), 60_000, True),
        (AboveCap.STOP, RetentionClass.DAYS_365, date(2026, 11, 1), 999_999, True),
        (AboveCap.KEEP, RetentionClass.YEARS_7_1000, date(2026, 11, 1), 60_000, True),
    ],
)
def test_above_the_minutes_of_the_month_recording_stops_only_by_policy(
    policy: AboveCap, licence: RetentionClass, month: date, booked_s: int, *, recorded: bool
) -> None:
    """Minutes count in the month in which they were booked, and only a 7-year licence has a cap."""
    tenant = dataclasses.replace(TENANT, policy=TenantPolicy(above_cap=policy))
    anna = dataclasses.replace(DIRECTORY.users[0], licence=licence, booked_month=month, booked_s=booked_s)
    directory = dataclasses.replace(DIRECTORY, tenants=(tenant,), users=(anna,))
    decision = decide(directory, PEER, CallFacts(caller=ANNA, callee=BOB), AT)
    assert bool(decision.recorded) is recorded
    assert recorded or "minutes of the month" in decision.reason


def test_a_month_begins_in_amsterdam() -> None:
    """At 23:30 UTC of the last of October it is November there already."""
    tenant = dataclasses.replace(TENANT, policy=TenantPolicy(above_cap=AboveCap.STOP))
    anna = dataclasses.replace(
        DIRECTORY.users[0],
        licence=RetentionClass.YEARS_7_1000,
        booked_month=date(2026, 10, 1),
        booked_s=60_000,
    )
    directory = dataclasses.replace(DIRECTORY, tenants=(tenant,), users=(anna,))
    facts = CallFacts(caller=ANNA, callee=BOB)
    assert not decide(directory, PEER, facts, datetime(2026, 10, 31, 22, 59, tzinfo=UTC)).recorded
    assert decide(directory, PEER, facts, datetime(2026, 10, 31, 23, 0, tzinfo=UTC)).recorded


def test_grace_and_the_promise_to_keep_are_for_calls_on_demand() -> None:
    """The promise holds until its moment."""
    tenant = dataclasses.replace(TENANT, policy=TenantPolicy(keep_grace_h=24))
    until = AT + timedelta(minutes=5)
    for mode, expected in ((RecordingMode.ON_DEMAND, (24, until)), (RecordingMode.ALWAYS_PAUSE, (0, None))):
        anna = dataclasses.replace(DIRECTORY.users[0], mode=mode, keep_next_until=until)
        directory = dataclasses.replace(DIRECTORY, tenants=(tenant,), users=(anna,))
        (item,) = decide(directory, PEER, CallFacts(caller=ANNA, callee=BOB), AT).recorded
        assert (item.keep_grace_h, item.keep_next_until) == expected
        (late,) = decide(directory, PEER, CallFacts(caller=ANNA, callee=BOB), until).recorded
        assert late.keep_next_until is None
