"""What waits in the outbox is told when the catalogue is there, and forgotten only when it is safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from archive.errors import CatalogueUnavailable, Conflict
from archive.model import SessionOutcome, TenantId
from recorder.delivery import deliver
from recorder.outbox import Outbox
from tests.unit.recorder.shell import outcome

DAYS = (date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 24))


class Database:
    """Stands in for catalogue and audit: holds what was committed, and is away when told to."""

    def __init__(self) -> None:
        self.outcomes: dict[str, tuple[TenantId | None, SessionOutcome]] = {}
        self.exempt: dict[date, int] = {}
        self.away_for: set[object] = set()
        self.away_at_commit = False
        self.refused: set[str] = set()
        self.told = 0
        self._tenant_id: TenantId | None = None
        self._pending: list[SessionOutcome] = []

    @contextmanager
    def transaction(self, tenant_id: TenantId | None) -> Iterator[Database]:
        self._tenant_id, self._pending = tenant_id, []
        yield self
        if self.away_at_commit:
            raise CatalogueUnavailable("The connection was lost.")
        self.outcomes |= {item.session_id: (self._tenant_id, item) for item in self._pending}

    def insert_outcome(self, connection: Database, told: SessionOutcome) -> None:
        assert connection is self
        self._need(told.session_id)
        if told.session_id in self.refused:
            raise Conflict("A session of another tenant has this id.")
        self.told += 1
        self._pending.append(told)

    def count_exempt(self, catalogue: Database, day: date, count: int) -> None:
        assert catalogue is self
        self._need(day)
        self.exempt[day] = self.exempt.get(day, 0) + count

    def _need(self, what: object) -> None:
        if what in self.away_for:
            raise CatalogueUnavailable("PostgreSQL does not answer.")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr("recorder.delivery.sessions.insert_outcome", made.insert_outcome)
    monkeypatch.setattr("recorder.delivery.sessions.count_exempt", made.count_exempt)
    return made


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox", bytes(32))


def tell(outbox: Outbox, database: Database) -> int:
    return deliver(outbox, database, database)  # type: ignore[arg-type]


def fill(outbox: Outbox, count: int = 3) -> list[SessionOutcome]:
    made = [outcome() for _ in range(count)]
    for item in made:
        outbox.put(item)
    return made


def test_everything_that_waits_is_told_once(outbox: Outbox, database: Database, tmp_path: Path) -> None:
    """Each outcome in a transaction of its tenant; nothing is left on the disk."""
    made = fill(outbox)
    for day in (DAYS[0], DAYS[0], DAYS[1]):
        outbox.count_exempt(day)
    assert tell(outbox, database) == 6
    assert database.outcomes == {item.session_id: (item.tenant_id, item) for item in made}
    assert database.exempt == {DAYS[0]: 2, DAYS[1]: 1}
    assert list((tmp_path / "outbox").iterdir()) == []
    assert tell(outbox, database) == 0


def test_the_outcome_of_a_session_of_no_tenant_is_told_too(outbox: Outbox, database: Database) -> None:
    """Nobody knew for whom the call was."""
    lost = outcome(tenant_id=None)
    outbox.put(lost)
    tell(outbox, database)
    assert database.outcomes[lost.session_id] == (None, lost)


def test_a_session_that_runs_is_not_told(outbox: Outbox, database: Database) -> None:
    """Its last word comes at its end."""
    outbox.put(outcome(), final=False)
    assert tell(outbox, database) == 0


def test_what_could_not_be_told_waits_for_the_next_time(outbox: Outbox, database: Database) -> None:
    """The database went away after the first one."""
    made = sorted(fill(outbox), key=lambda item: item.session_id)
    outbox.count_exempt(DAYS[0])
    database.away_for = {made[1].session_id}
    with pytest.raises(CatalogueUnavailable):
        tell(outbox, database)
    assert set(database.outcomes) == {made[0].session_id}
    database.away_for = set()
    assert tell(outbox, database) == 3
    assert len(database.outcomes) == 3
    assert database.told == 3


def test_an_outcome_whose_commit_is_uncertain_is_told_again(outbox: Outbox, database: Database) -> None:
    """Telling twice changes nothing; not telling loses it."""
    [made] = fill(outbox, 1)
    database.away_at_commit = True
    with pytest.raises(CatalogueUnavailable):
        tell(outbox, database)
    database.away_at_commit = False
    assert tell(outbox, database) == 1
    assert database.outcomes[made.session_id] == (made.tenant_id, made)


def test_a_crash_between_commit_and_forgetting_tells_again(
    outbox: Outbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start finds the file and tells the same."""
    [made] = fill(outbox, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "delivered", _killed)
        with pytest.raises(KeyboardInterrupt):
            tell(outbox, database)
    assert tell(outbox, database) == 1
    assert (database.told, list(database.outcomes)) == (2, [made.session_id])


def test_an_outcome_the_database_does_not_accept_holds_up_no_other(
    outbox: Outbox, database: Database
) -> None:
    """It stays for whoever repairs it, and is said after all the rest was told."""
    made = fill(outbox)
    outbox.count_exempt(DAYS[0])
    bad = min(item.session_id for item in made)
    database.refused = {bad}
    with pytest.raises(Conflict):
        tell(outbox, database)
    assert set(database.outcomes) == {item.session_id for item in made} - {bad}
    assert database.exempt == {DAYS[0]: 1}
    assert [item.session_id for _, item in outbox.waiting()] == [bad]


def test_no_day_s_count_is_lost_while_the_database_is_away(outbox: Outbox, database: Database) -> None:
    """It went away at the second of three days: that one is put back, and the third was not touched."""
    for number, day in enumerate(DAYS, 1):
        outbox.put_back_exempt(day, number)
    database.away_for = {DAYS[1]}
    with pytest.raises(CatalogueUnavailable):
        tell(outbox, database)
    outbox.count_exempt(DAYS[1])
    database.away_for = set()
    assert tell(outbox, database) == 6
    assert database.exempt == dict(zip(DAYS, (1, 3, 3), strict=True))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
