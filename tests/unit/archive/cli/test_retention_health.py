"""What the doctor says of retention: whether what expired goes, and holds and keys follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import retention_figures
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_figures import COUNTED_WITHIN, SWEPT_WITHIN, Figure, Reading
from archive.cli.finding import Finding, Verdict
from archive.cli.retention_health import (
    CLOCK,
    HOLDS,
    HOLDS_WAIT_MAX,
    KEYS,
    LATE_S_MAX,
    OVERDUE,
    RESTORED,
    STUCK,
    SWEEP,
    retention_findings,
    retention_health,
)
from archive.settings import Settings

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WELL = {figure: Reading(0, NOW, None) for figure in Figure}


def found(check: str, figures: dict[Figure, Reading], now: datetime = NOW) -> Finding:
    (finding,) = [each for each in retention_findings(figures, now) if each.check == check]
    assert bool(finding.advice) == (finding.verdict is not Verdict.FINE)
    return finding


def test_an_archive_that_is_well_has_six_good_findings() -> None:
    findings = list(retention_findings(WELL, NOW))
    assert {each.check for each in findings} == {CLOCK, SWEEP, OVERDUE, HOLDS, STUCK, KEYS}
    assert {each.verdict for each in findings} == {Verdict.FINE}


@pytest.mark.parametrize(
    ("check", "changes", "age", "verdict", "word"),
    [
        (
            CLOCK,
            {Figure.CLOCK_DISBELIEVED: Reading(1, NOW, NOW)},
            SECOND,
            Verdict.WRONG,
            "nothing is deleted",
        ),
        (CLOCK, {Figure.CLOCK_LATE_S: Reading(LATE_S_MAX, NOW, NOW)}, SECOND, Verdict.FINE, "believed"),
        (CLOCK, {Figure.CLOCK_LATE_S: Reading(LATE_S_MAX + 1, NOW, NOW)}, SECOND, Verdict.WRONG, "6 h late"),
        (SWEEP, {}, SWEPT_WITHIN, Verdict.FINE, "began"),
        (
            SWEEP,
            {Figure.COUNTED: Reading(0, NOW + SECOND, None)},
            SWEPT_WITHIN + SECOND,
            Verdict.WRONG,
            "began",
        ),
        (SWEEP, {}, COUNTED_WITHIN + SECOND, Verdict.WRONG, "last counted"),
        (
            OVERDUE,
            {Figure.OVERDUE: Reading(2, NOW, NOW)},
            SECOND,
            Verdict.WRONG,
            "2 are there more than 24 hours",
        ),
        (HOLDS, {Figure.HOLDS_WAITING: Reading(3, NOW, NOW)}, SECOND, Verdict.NOTE, "of 3 recordings"),
        (
            HOLDS,
            {Figure.HOLDS_WAITING: Reading(3, NOW, NOW)},
            HOLDS_WAIT_MAX,
            Verdict.NOTE,
            "of 3 recordings",
        ),
        (
            HOLDS,
            {
                Figure.HOLDS_WAITING: Reading(3, NOW, NOW - SECOND),
            },
            HOLDS_WAIT_MAX,
            Verdict.WRONG,
            "of 3 recordings",
        ),
        (STUCK, {Figure.STUCK: Reading(1, NOW, NOW)}, SECOND, Verdict.WRONG, "1 can't be destroyed"),
        (KEYS, {Figure.IDLE_KEYS_STUCK: Reading(1, NOW, NOW)}, SECOND, Verdict.WRONG, "1 can't be ended"),
    ],
)
def test_each_figure_is_judged_at_its_limit_and_above(
    check: str, changes: dict[Figure, Reading], age: timedelta, verdict: Verdict, word: str
) -> None:
    finding = found(check, {**WELL, **changes}, NOW + age)
    assert finding.verdict is verdict
    assert word in finding.found


def test_what_was_never_counted_is_worth_knowing_and_a_sweep_that_never_began_is_wrong() -> None:
    (finding,) = retention_findings({}, NOW)
    assert (finding.verdict, finding.found) == (Verdict.NOTE, "never counted")
    assert found(SWEEP, {Figure.COUNTED: Reading(0, NOW, None)}).verdict is Verdict.WRONG


def test_the_doctor_reads_what_the_worker_counted(database: Any, worker: Catalogue) -> None:
    settings = Settings(database_url=database.url("earwitness_operator"))
    now = datetime.now(UTC)
    retention_figures.keep(worker, {Figure.COUNTED: 0, Figure.STUCK: 9}, now)
    (finding,) = [each for each in retention_health(settings) if each.check == STUCK]
    assert (finding.verdict, finding.found[:2]) == (Verdict.WRONG, "9 ")


def test_the_doctor_says_that_a_restored_database_was_not_rebuilt(database: Any) -> None:
    """Whatever else is counted; nothing is deleted until then."""
    settings = Settings(database_url=database.url("earwitness_operator"))
    assert all(each.check != RESTORED for each in retention_health(settings))
    database.connect().execute("INSERT INTO restores VALUES (now(), '2026-11-22 10:00+00', NULL)")
    finding, *_ = retention_health(settings)
    assert (finding.check, finding.verdict) == (RESTORED, Verdict.WRONG)
    assert "the backup of 2026-11-22 10:00 UTC" in finding.found
