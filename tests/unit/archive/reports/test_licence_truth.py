"""Used minutes, what is above them by each policy, and the forecast equal a generator's own count over months."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope
from archive.catalogue import directory, minutes, people, policies
from archive.catalogue.engine import Catalogue
from archive.decision import is_above_cap
from archive.model import (
    AboveCap,
    ArchivedRecording,
    CallGroupId,
    Recording,
    RetentionClass,
    Role,
    Tenant,
    UserId,
)
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import Name
from retention.minutes import judge
from tests.counted_calls import day_in_amsterdam
from tests.licensed_calls import CAPS_S, CHECKS, LICENCES, MONTHS, Call, Ledger, calls, licence_at

LATER = datetime.fromisoformat("2026-12-22T09:30:00+00:00")
YEAR = Period(date(2026, 1, 1), date(2026, 12, 22))


class Office:
    """The archive with the people of the generator, as a recorder and a reader of reports meet it."""

    def __init__(
        self, recorder: Catalogue, portal: Catalogue, tenant: Tenant, ids: dict[str, UserId]
    ) -> None:
        self.recorder, self.portal, self.tenant, self.ids = recorder, portal, tenant, ids
        self.auditor = AccessScope(tenant.id, "user:x", Role.AUDITOR, UserId("x"))

    def refuses(self, call: Call) -> bool:
        """Return whether a recorder records nothing of a call that begins, because the minutes are used up."""
        user = people.of_ids(self.portal, self.tenant.id, [self.ids[call.login]])[self.ids[call.login]]
        licence = RetentionClass(licence_at(call.login, call.began))
        return is_above_cap(dataclasses.replace(user, licence=licence), call.began)

    def book(self, recording: Recording) -> tuple[int, bool, str]:
        with self.recorder.transaction(self.tenant.id) as connection:
            booked = minutes.book(connection, recording, judge, now=recording.ended_at)
        assert booked is not None
        return booked.booked_s, booked.above_cap, booked.retention_class.value

    def told(self, period: Period, now: datetime) -> dict[tuple[Any, Any], tuple[Any, ...]]:
        """Return licence, seconds, cap, percent, forecast and day by month and person."""
        rows = make(self.portal, self.auditor, Asked(Name.MINUTES, period), now=now).rows
        return {(row[0], row[1]): row[2:] for row in rows}


@pytest.fixture
def office(recorder: Catalogue, portal: Catalogue, operator: Catalogue, bakery: Tenant) -> Office:
    ids = {}
    for login, periods in LICENCES.items():
        for since, licence in periods:
            held = RetentionClass(licence)
            if login in ids:
                directory.set_user(operator, bakery.id, login, now=since, licence=held)
            else:
                ids[login] = directory.add_user(operator, bakery.id, login, now=since, licence=held).id
    return Office(recorder, portal, bakery, ids)


@pytest.fixture
def recorded(office: Office, make_recording: Callable[..., ArchivedRecording]) -> Callable[[Call], Recording]:
    def make_one(call: Call) -> Recording:
        return make_recording(
            office.tenant.id,
            owner=office.ids[call.login],
            call_group=CallGroupId(call.group),
            started_at=call.began,
            ended_at=call.ended,
            duration_ms=call.length_s * 1000,
            # Parts of a second of stored audio are given away.
            recorded_ms=(call.length_s - call.paused_s) * 1000 + (999 if call.paused_s else 0),
            retention_class=RetentionClass(licence_at(call.login, call.began)),
        ).recording

    return make_one


def shown(ledger: Ledger, month: date, login: str, now: datetime) -> tuple[Any, ...]:
    """Return what a report is to show of a person and month at a moment."""
    began, hours = MONTHS[month]
    licence = licence_at(login, began + timedelta(hours=hours, seconds=-1))
    used_s, cap_s = ledger.used_s[month, login], CAPS_S.get(licence)
    percent = None if cap_s is None else round(used_s * 100 / cap_s, 1)
    runs = month == day_in_amsterdam(now).replace(day=1)
    return licence, used_s, cap_s, percent, *(ledger.forecast(login, now) if runs else (None, None))


@pytest.mark.parametrize("policy", AboveCap)
def test_months_of_calls_leave_the_minutes_the_classes_and_the_forecasts_that_were_counted_by_hand(
    operator: Catalogue, office: Office, recorded: Callable[[Call], Recording], policy: AboveCap
) -> None:
    policies.set_policy(operator, office.tenant.id, above_cap=policy)
    ledger, refused, above, differ = Ledger(policy.value), set[int](), 0, 0
    made = calls(seed=29)
    begins = [(call.began, 0, call.number, call) for call in made]
    ends = [(call.ended, 1, call.number, call) for call in made]
    looks = [(check, 2, n, None) for n, check in enumerate(CHECKS)]
    for moment, kind, number, call in sorted([*begins, *ends, *looks], key=lambda each: each[:3]):
        if call is None:
            told = office.told(Period(*[day_in_amsterdam(moment)] * 2), moment)
            month = day_in_amsterdam(moment).replace(day=1)
            for login in LICENCES:
                if (month, login) in ledger.used_s:
                    assert told[month, login] == shown(ledger, month, login, moment), (moment, login)
                    differ += told[month, login][-1] is not None
        elif kind == 0:
            if policy is AboveCap.STOP:
                used_up = ledger.is_used_up(call.login, call.began)
                assert office.refuses(call) == used_up, call
                refused |= {number} if used_up else set()
        elif number not in refused:
            booked = office.book(recorded(call))
            assert booked == ledger.book(call), call
            above += booked[1]
    assert differ > 5, "days on which minutes end were foretold"
    assert (above if policy is not AboveCap.STOP else len(refused)) > 5, "calls came above the minutes"
    whole = office.told(YEAR, LATER)
    assert {place: row[1] for place, row in whole.items() if row[1]} == {
        place: used_s for place, used_s in ledger.used_s.items() if used_s
    }
    for (month, login), used_s in ledger.used_s.items():
        assert minutes.used(office.portal, office.tenant.id, office.ids[login], month) == used_s
        assert whole[month, login] == shown(ledger, month, login, LATER)
