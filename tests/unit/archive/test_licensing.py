"""A licence and a mode for many: what each of them gets of what was chosen for all."""

from __future__ import annotations

import pytest

from archive.licensing import Assignment
from archive.model import RecordingMode, RetentionClass, TenantId, User, UserId

DAYS_365, YEARS = RetentionClass.DAYS_365, RetentionClass.YEARS_7_1000
ALWAYS, ON_DEMAND, NEVER = RecordingMode.ALWAYS, RecordingMode.ON_DEMAND, RecordingMode.NEVER


def user(licence: RetentionClass | None, mode: RecordingMode) -> User:
    return User(UserId("anna"), TenantId("t"), "anna", licence=licence, mode=mode)


@pytest.mark.parametrize(
    ("has", "chosen", "gets"),
    [
        # A mode that was not chosen fits the licence.
        ((None, NEVER), Assignment(YEARS), (YEARS, ALWAYS)),
        ((DAYS_365, ON_DEMAND), Assignment(YEARS), (YEARS, ON_DEMAND)),
        ((DAYS_365, NEVER), Assignment(YEARS), (YEARS, NEVER)),
        ((DAYS_365, ON_DEMAND), Assignment(None), (None, NEVER)),
        # One that was chosen is everybody's.
        ((None, NEVER), Assignment(YEARS, mode=ON_DEMAND), (YEARS, ON_DEMAND)),
        ((DAYS_365, ALWAYS), Assignment(YEARS, mode=NEVER), (YEARS, NEVER)),
        # And alone it leaves the licence.
        ((DAYS_365, ALWAYS), Assignment(keeps_licence=True, mode=ON_DEMAND), (DAYS_365, ON_DEMAND)),
    ],
)
def test_everybody_gets_what_was_chosen_and_a_mode_that_fits(
    has: tuple[RetentionClass | None, RecordingMode],
    chosen: Assignment,
    gets: tuple[RetentionClass | None, RecordingMode],
) -> None:
    outcome = chosen.of(user(*has))
    assert (outcome.licence, outcome.mode) == gets
    assert outcome.changes == (has != gets)
    assert not outcome.lacks_licence


def test_a_mode_that_records_needs_a_licence() -> None:
    without = user(None, NEVER)
    assert Assignment(keeps_licence=True, mode=ALWAYS).of(without).lacks_licence
    assert Assignment(None, mode=ALWAYS).of(user(YEARS, ALWAYS)).lacks_licence
    assert not Assignment(keeps_licence=True, mode=NEVER).of(without).changes
