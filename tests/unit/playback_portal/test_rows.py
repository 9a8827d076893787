"""What a row of the list shows: with whom, whose, how long yet, and what may be done."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Right
from archive.catalogue.lexemes import Facet
from archive.catalogue.listing import Beside
from archive.model import (
    CallGroupId,
    Direction,
    Layout,
    Party,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionId,
    Span,
    SpanKind,
    TenantId,
    UserId,
)
from archive.waveform import POINTS, Waveform
from playback_portal.rows import Remaining, Row, by_day, other_parties, remaining, row

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ANNA, BERT = UserId("anna"), UserId("bert")
TENANT = TenantId("t")
BESIDE = Beside(frozenset(), Waveform((bytes(POINTS),)), drawn=True)
OWN = AccessScope(TENANT, "user:anna", Role.USER, ANNA, "own")


def recording(**changes: Any) -> Recording:
    made = Recording(
        id=RecordingId("r"),
        tenant_id=TENANT,
        session_id=SessionId("s"),
        call_id="c",
        call_group=CallGroupId("g"),
        state=RecordingState.AVAILABLE,
        mode=RecordingMode.ALWAYS,
        owner=ANNA,
        peer_id=None,
        direction=Direction.IN,
        layout=Layout.TWO_PARTY,
        started_at=NOW,
        ended_at=NOW + timedelta(minutes=1),
        duration_ms=60_000,
        recorded_ms=60_000,
        parties=(),
        retention_class=RetentionClass.DAYS_90,
        retain_until=NOW + timedelta(days=90),
    )
    return dataclasses.replace(made, **changes)


CALLER, CALLEE = Party("a", "+31612345678", "Jansen"), Party("b", "+31201230001", "Anna", ANNA)


@pytest.mark.parametrize(
    ("direction", "parties", "other"),
    [
        (Direction.IN, (CALLER, CALLEE), CALLER),
        (
            Direction.OUT,
            (dataclasses.replace(CALLEE, channel="a"), dataclasses.replace(CALLER, channel="b")),
            "+31612345678",
        ),
        # Nobody is named as the recorded user: the side of the direction tells.
        (Direction.IN, (Party("a", "1"), Party("b", "2")), "1"),
        (Direction.OUT, (Party("a", "1"), Party("b", "2")), "2"),
        (Direction.INTERNAL, (Party("a", "1", "", ANNA), Party("b", "2", "", BERT)), "2"),
        (Direction.INTERNAL, (Party("a", "1", "", BERT), Party("b", "2", "", ANNA)), "1"),
        (Direction.IN, (Party("mixed", "1"), Party("mixed", "2", "", ANNA)), "1"),
    ],
)
def test_the_other_party_is_whom_the_recorded_user_spoke_with(
    direction: Direction, parties: tuple[Party, ...], other: Any
) -> None:
    found = other_parties(recording(direction=direction, parties=parties))
    assert other in (found[0], found[0].number)
    assert len(found) == 1


def test_of_a_conference_everybody_else_is_told_once() -> None:
    parties = (CALLER, CALLEE, Party("c", "3"), Party("c", "3"), Party("c", "4"))
    shown = row(recording(parties=parties), OWN, BESIDE, {}, NOW)
    assert shown.party == CALLER
    assert shown.others == 2


def test_nobody_known_is_nobody() -> None:
    assert row(recording(), OWN, BESIDE, {}, NOW).party is None


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=-5), Remaining(0, 0)),
        (timedelta(), Remaining(0, 0)),
        (timedelta(seconds=1), Remaining(0, 1)),
        (timedelta(days=89, hours=3), Remaining(0, 90)),
        (timedelta(days=730), Remaining(0, 730)),
        (timedelta(days=731), Remaining(2, 1)),
        (timedelta(days=2555), Remaining(7, 0)),
    ],
)
def test_how_long_it_is_kept_yet_is_days_or_years_and_days(left: timedelta, told: Remaining) -> None:
    assert remaining(NOW + left, NOW) == told


def test_rows_are_grouped_by_the_days_of_the_wall_clock() -> None:
    moments = [NOW, NOW - timedelta(hours=10), NOW - timedelta(hours=10, minutes=31), NOW - timedelta(days=3)]
    shown = [row(recording(started_at=moment), OWN, BESIDE, {}, NOW) for moment in moments]
    days = by_day(shown, None)
    # 23:30 the day before in UTC is half past midnight in Amsterdam.
    assert [(day.day, len(day.rows)) for day in days] == [
        (date(2026, 11, 22), 2),
        (date(2026, 11, 21), 1),
        (date(2026, 11, 19), 1),
    ]
    assert [day.heads for day in days] == [True] * 3
    assert [day.heads for day in by_day(shown, date(2026, 11, 22))] == [False, True, True]


def shown(scope: AccessScope = OWN, **changes: Any) -> Row:
    return row(recording(**changes), scope, BESIDE, {ANNA: "anna"}, NOW)


def test_what_may_be_done_with_a_row_is_asked_of_the_rules() -> None:
    assert (shown().plays, shown().downloads, shown().asks_purpose) == (True, False, False)
    allowed = dataclasses.replace(OWN, granted=frozenset({Right.DOWNLOAD}))
    assert shown(allowed).downloads
    auditor = AccessScope(TENANT, "user:x", Role.AUDITOR, UserId("x"), asks_purpose=True)
    assert (shown(auditor).plays, shown(auditor).asks_purpose, shown(auditor).downloads) == (
        True,
        True,
        False,
    )


def test_the_picture_takes_the_right_to_play() -> None:
    assert shown().drawing is not None
    assert shown(state=RecordingState.PROCESSING).drawing is None
    reader = AccessScope(TENANT, "api-client:1", scopes=frozenset({"recordings:read"}))
    assert shown(reader).drawing is None


def test_marks_come_from_the_sound_and_from_what_was_written() -> None:
    spans = (Span(SpanKind.PAUSE, "both", 0, 10), Span(SpanKind.LOSS, "a", 0, 500))
    beside = Beside(frozenset({Facet.NOTE, Facet.COMMENT}), None, drawn=False)
    marks = row(recording(spans=spans, on_hold=True), OWN, beside, {}, NOW).marks
    # One badge says that something was written.
    assert marks == {"pause", "gap", "comment", "hold"}


def test_a_row_says_whose_it_is_as_far_as_they_are_still_there() -> None:
    assert shown().owner == "anna"
    assert (shown(owner=BERT).owner, shown(owner=None).owner) == ("", "")
