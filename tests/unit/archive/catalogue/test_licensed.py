"""People by their licences: counted, found, and given a licence and mode all at once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from archive.catalogue import directory, licensed, recordings, tables
from archive.catalogue.engine import Catalogue
from archive.catalogue.licences import KeptClass
from archive.errors import NotFound, Refused
from archive.licensing import Assignment
from archive.model import ArchivedRecording, RecordingMode, RetentionClass, Tenant, User, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAYS_90, DAYS_365 = RetentionClass.DAYS_90, RetentionClass.DAYS_365
YEARS = RetentionClass.YEARS_7_1000
ALWAYS, ON_DEMAND, NEVER = RecordingMode.ALWAYS, RecordingMode.ON_DEMAND, RecordingMode.NEVER


@pytest.fixture
def people(operator: Catalogue, bakery: Tenant) -> dict[str, User]:
    """Three people: recorded for 365 days, with minutes, and without a licence."""
    return {
        login: directory.add_user(operator, bakery.id, login, now=NOW, licence=licence, mode=mode)
        for login, licence, mode in (
            ("anna", DAYS_365, ON_DEMAND),
            ("bert", YEARS, ALWAYS),
            ("carla", None, NEVER),
        )
    }


def found(portal: Catalogue, tenant: Tenant, *licences: RetentionClass | None, text: str = "") -> list[str]:
    page = licensed.page(portal, tenant.id, text=text or None, licences=licences)
    return [user.login for user in page.items]


def test_people_are_counted_and_found_by_the_licence_they_have_now(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, people: dict[str, User]
) -> None:
    assert licensed.counts(portal, bakery.id) == {DAYS_365: 1, YEARS: 1, None: 1}
    assert licensed.counts(portal, florist.id) == {}
    assert found(portal, bakery) == ["anna", "bert", "carla"]
    assert found(portal, bakery, DAYS_365) == ["anna"]
    assert found(portal, bakery, None) == ["carla"]
    assert found(portal, bakery, None, YEARS) == ["bert", "carla"]
    assert found(portal, bakery, YEARS, text="ann") == []
    later = NOW + timedelta(days=1)
    directory.set_user(operator, bakery.id, "anna", now=later, licence=None, mode=NEVER)
    assert licensed.counts(portal, bakery.id) == {YEARS: 1, None: 2}
    assert found(portal, bakery, None) == ["anna", "carla"]
    assert len(people) == 3


def test_the_preview_tells_what_keeps_its_term_and_changes_nothing(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    people: dict[str, User],
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    made = [
        make_recording(
            bakery.id, owner=people["anna"].id, retain_until=NOW + timedelta(days=days), minutes=days
        )
        for days in (1, 5, 9)
    ]
    made.append(make_recording(bakery.id, owner=people["bert"].id))
    with recorder.transaction(bakery.id) as connection:
        for archived in made:
            recordings.insert_recording(connection, archived)
    held = tables.recordings.c.id == made[0].recording.id
    with portal.transaction(bakery.id) as connection:
        connection.execute(update(tables.recordings).where(held).values(on_hold=True))
    row = {"tenant_id": bakery.id, "user_id": people["anna"].id, "month": date(2026, 11, 1)}
    with operator.transaction(bakery.id) as connection:
        connection.execute(insert(tables.minute_months), {**row, "booked_s": 60_000})
    everybody = [user.id for user in people.values()]
    told = licensed.preview(portal, bakery.id, everybody, Assignment(YEARS), now=NOW)
    assert (told.people, told.licences, told.modes) == (3, {DAYS_365: 1, None: 1}, {(NEVER, ALWAYS): 1})
    # The first of them is held. Bert has this licence already: what exists of him is not spoken of.
    assert told.kept == (KeptClass(DAYS_90, 3, NOW + timedelta(days=9), NOW + timedelta(days=5)),)
    assert (told.above_cap, told.obstacles) == (("anna",), ())
    assert licensed.counts(portal, bakery.id) == {DAYS_365: 1, YEARS: 1, None: 1}


def test_many_are_changed_at_once_and_what_exists_is_not_touched(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    people: dict[str, User],
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    archived = make_recording(bakery.id, owner=people["bert"].id, retention_class=YEARS)
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, archived)
    everybody = [user.id for user in people.values()]
    later = NOW + timedelta(hours=1)
    with portal.transaction(bakery.id) as connection:
        changed = licensed.assign(connection, bakery.id, everybody, Assignment(DAYS_90), now=later)
        again = licensed.assign(connection, bakery.id, everybody, Assignment(DAYS_90), now=later)
    assert {each.after.login: (each.after.licence, each.after.mode) for each in changed} == {
        "anna": (DAYS_90, ON_DEMAND),
        "bert": (DAYS_90, ALWAYS),
        "carla": (DAYS_90, ALWAYS),
    }
    assert again == []
    with recorder.transaction(bakery.id) as connection:
        columns = tables.recordings.c
        kept = connection.execute(tables.recordings.select().where(columns.id == archived.recording.id)).one()
    assert (kept.retention_class, kept.retain_until) == (YEARS, archived.recording.retain_until)


def test_everybody_is_changed_or_nobody(portal: Catalogue, bakery: Tenant, people: dict[str, User]) -> None:
    everybody = [user.id for user in people.values()]
    only_mode = Assignment(keeps_licence=True, mode=ALWAYS)
    assert licensed.preview(portal, bakery.id, everybody, only_mode, now=NOW).obstacles == ("carla",)
    with pytest.raises(Refused, match="carla"), portal.transaction(bakery.id) as connection:
        licensed.assign(connection, bakery.id, everybody, only_mode, now=NOW)
    stranger = [*everybody, UserId("nobody")]
    with pytest.raises(NotFound), portal.transaction(bakery.id) as connection:
        licensed.assign(connection, bakery.id, stranger, Assignment(DAYS_90), now=NOW)
    assert directory.user_by_id(portal, bakery.id, people["anna"].id).mode is ON_DEMAND


def test_nobody_of_another_tenant_is_changed(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, people: dict[str, User]
) -> None:
    theirs = directory.add_user(operator, florist.id, "fleur", now=NOW)
    for ids in ([theirs.id], [people["anna"].id, theirs.id]):
        with pytest.raises(NotFound):
            licensed.preview(portal, bakery.id, ids, Assignment(DAYS_90), now=NOW)
        with pytest.raises(NotFound), portal.transaction(bakery.id) as connection:
            licensed.assign(connection, bakery.id, ids, Assignment(DAYS_90), now=NOW)


def test_as_many_as_a_page_shows_are_changed_and_no_more(portal: Catalogue, bakery: Tenant) -> None:
    at_most = [UserId(f"{number}") for number in range(licensed.PEOPLE_COUNT_MAX)]
    with pytest.raises(NotFound):
        licensed.preview(portal, bakery.id, at_most, Assignment(DAYS_90), now=NOW)
    with pytest.raises(Refused, match="at most 200"):
        licensed.preview(portal, bakery.id, [*at_most, UserId("one more")], Assignment(DAYS_90), now=NOW)
