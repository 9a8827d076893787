"""Documents follow their recordings: found by what was said of them, at once and never by others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from archive.access import AccessScope, Hearing
from archive.catalogue import directory, listing, recordings, search, tables, waveforms
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.lexemes import Annotations, Facet
from archive.catalogue.recordings import RecordingQuery, Sort
from archive.errors import NotFound
from archive.model import (
    ArchivedRecording,
    Direction,
    Party,
    Recording,
    RecordingId,
    RecordingMode,
    Role,
    Tenant,
    TenantId,
    UserId,
)
from archive.waveform import POINTS, Waveform

Archive = Callable[..., Recording]


def auditor(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant.id, "user:auditor", Role.AUDITOR)


@pytest.fixture
def archive(recorder: Catalogue, make_recording: Callable[..., ArchivedRecording]) -> Archive:
    """Return a function that archives a recording of a tenant."""

    def commit(tenant_id: TenantId, **changes: object) -> Recording:
        archived = make_recording(tenant_id, **changes)
        with recorder.transaction(tenant_id) as connection:
            recordings.insert_recording(connection, archived)
        return archived.recording

    return commit


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[RecordingId, Annotations]:
    """Return what is written on recordings, in the place of comments, notes and labels."""
    found: dict[RecordingId, Annotations] = {}

    def source(_: Connection, recording_id: RecordingId) -> Annotations:
        return found.get(recording_id, Annotations())

    monkeypatch.setattr(search, "SOURCES", (source,))
    return found


def found(portal: Catalogue, tenant: Tenant, **fields: object) -> list[RecordingId]:
    query = RecordingQuery(**fields)  # type: ignore[arg-type]
    return [recording.id for recording in recordings.find(portal, auditor(tenant), query).items]


@pytest.mark.parametrize(
    "text", ["José", "jose", "ruiz", "0201234567", "020 123", "4567", "1234", "+31 (0)20-123", "Ruiz 4567"]
)
def test_a_recording_is_found_as_soon_as_it_is_archived(
    archive: Archive, portal: Catalogue, bakery: Tenant, text: str
) -> None:
    wanted = archive(bakery.id, parties=(Party("a", "+31201234567", "José Ruiz"),))
    archive(bakery.id, minutes=1, parties=(Party("a", "+31887654321", "de Vries"),))
    assert found(portal, bakery, text=text) == [wanted.id]


def test_a_recording_is_found_by_each_of_its_ids_whole(
    archive: Archive, portal: Catalogue, bakery: Tenant
) -> None:
    wanted = archive(bakery.id, call_id="A84b4C76e66710@pc33.example.com")
    archive(bakery.id, minutes=1, call_id="other@pc33.example.com")
    for text in (wanted.id, wanted.session_id, wanted.call_id, wanted.call_id.lower(), f" {wanted.id} "):
        assert found(portal, bakery, text=text) == [wanted.id], text
    assert found(portal, bakery, text=wanted.id[:20]) == []


@pytest.mark.parametrize("text", ["has", "mode", "id", "owner", "direction", "always", "#mode", "has:pause"])
def test_no_word_finds_what_documents_hold_beside_words(
    archive: Archive, portal: Catalogue, bakery: Tenant, text: str
) -> None:
    archive(bakery.id, owner="anna")
    assert found(portal, bakery, text=text) == []


def test_what_is_written_is_found_in_any_inflection_once_it_is_refreshed(
    archive: Archive, portal: Catalogue, bakery: Tenant, written: dict[RecordingId, Annotations]
) -> None:
    wanted, other = archive(bakery.id), archive(bakery.id, minutes=1)
    written[wanted.id] = Annotations(("Hij vroeg om twee offertes",), facets=frozenset({Facet.NOTE}))
    assert found(portal, bakery, text="offerte") == []
    with portal.transaction(bakery.id) as connection:
        search.refresh(connection, wanted.id)
        search.refresh(connection, other.id)
    for text in ("offerte", "offertes", "offer", "twee offerte", "vroeg jansen"):
        assert found(portal, bakery, text=text) == [wanted.id], text
    assert found(portal, bakery, has=frozenset({Facet.NOTE})) == [wanted.id]
    del written[wanted.id]
    with portal.transaction(bakery.id) as connection:
        search.refresh(connection, wanted.id)
    assert found(portal, bakery, text="offerte") == []
    assert found(portal, bakery, text="jansen") == [other.id, wanted.id]


def test_a_change_that_is_not_committed_is_not_found(
    archive: Archive, portal: Catalogue, bakery: Tenant, written: dict[RecordingId, Annotations]
) -> None:
    wanted = archive(bakery.id)
    written[wanted.id] = Annotations(("dakgoot",))

    def change_and_fail() -> None:
        with portal.transaction(bakery.id) as connection:
            search.refresh(connection, wanted.id)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert found(portal, bakery, text="dakgoot") == []


def test_several_sources_are_put_together() -> None:
    one = Annotations(("a",), ("l1",), (UserId("u1"),), frozenset({Facet.NOTE}))
    two = Annotations(("b",), ("l2",), (UserId("u2"),), frozenset({Facet.SHARE}))
    assert search.together([one, two]) == Annotations(
        ("a", "b"), ("l1", "l2"), (UserId("u1"), UserId("u2")), frozenset({Facet.NOTE, Facet.SHARE})
    )


def test_a_recording_of_another_tenant_can_be_neither_found_nor_refreshed(
    archive: Archive, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    theirs = archive(florist.id)
    assert found(portal, bakery, text="jansen") == []
    with portal.transaction(bakery.id) as connection, pytest.raises(NotFound):
        search.refresh(connection, theirs.id)


def test_labels_favourites_mode_direction_and_hold_narrow(
    archive: Archive, portal: Catalogue, bakery: Tenant, written: dict[RecordingId, Annotations]
) -> None:
    plain = archive(bakery.id, spans=())
    marked = archive(
        bakery.id, minutes=1, on_hold=True, direction=Direction.OUT, mode=RecordingMode.ON_DEMAND
    )
    written[marked.id] = Annotations((), ("l1",), (UserId("anna"),), frozenset({Facet.LABEL}))
    with portal.transaction(bakery.id) as connection:
        search.refresh(connection, marked.id)
    assert found(portal, bakery, label="l1") == [marked.id]
    assert found(portal, bakery, label="l2") == []
    assert found(portal, bakery, unlabelled=True) == [plain.id]
    assert found(portal, bakery, favourite_of=UserId("anna")) == [marked.id]
    assert found(portal, bakery, favourite_of=UserId("bert")) == []
    assert found(portal, bakery, on_hold=True) == [marked.id]
    assert found(portal, bakery, has=frozenset({Facet.PAUSE})) == [marked.id]
    assert found(portal, bakery, direction=Direction.IN) == [plain.id]
    assert found(portal, bakery, mode=RecordingMode.ON_DEMAND, text="jansen") == [marked.id]


def test_a_recording_that_gets_its_owner_later_is_found_among_theirs(
    archive: Archive, portal: Catalogue, worker: Catalogue, bakery: Tenant
) -> None:
    table = tables.recordings
    wanted = archive(bakery.id)
    anna = AccessScope(bakery.id, "user:anna", Role.USER, UserId("anna"), "own")
    query = RecordingQuery(text="jansen")
    for owner, seen in ((None, 0), ("anna", 1), ("bert", 0), ("anna", 1), (None, 0)):
        with worker.transaction(bakery.id) as connection:
            connection.execute(update(table).where(table.c.id == wanted.id).values(owner=owner))
        assert len(recordings.find(portal, anna, query).items) == seen, owner


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("text", [None, "jansen"])
def test_pages_of_every_order_go_by_key_and_leave_nothing_out(
    archive: Archive, portal: Catalogue, bakery: Tenant, sort: Sort, text: str | None
) -> None:
    made = [archive(bakery.id, minutes=n // 3, duration_ms=1000 * (n // 4)) for n in range(11)]
    by_duration = sort in {Sort.LONGEST, Sort.SHORTEST}
    expected = sorted(
        made,
        key=lambda each: (each.duration_ms if by_duration else each.started_at, each.id),
        reverse=sort.descends,
    )
    seen, cursor = [], None
    for _ in range(5):
        page = recordings.find(portal, auditor(bakery), RecordingQuery(text=text, sort=sort), 3, cursor)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert seen == expected


def test_a_page_comes_with_waveforms_facets_and_logins(
    archive: Archive, portal: Catalogue, recorder: Catalogue, operator: Catalogue, bakery: Tenant
) -> None:
    anna = directory.add_user(operator, bakery.id, "anna", now=archive(bakery.id).started_at)
    drawn, silent = archive(bakery.id, owner=anna.id, minutes=2), archive(bakery.id, spans=(), minutes=1)
    waveform = Waveform((bytes(range(POINTS)), bytes(POINTS)))
    with recorder.transaction(bakery.id) as connection:
        waveforms.keep(connection, bakery.id, drawn.id, waveform)
        waveforms.keep(connection, bakery.id, drawn.id, None)
        waveforms.keep(connection, bakery.id, silent.id, None)
    listed = listing.page(portal, auditor(bakery), RecordingQuery(), now=datetime.now(UTC))
    first, second, third = (listed.beside[recording.id] for recording in listed.page.items)
    assert (first.waveform, first.drawn, first.facets) == (waveform, True, {Facet.PAUSE})
    assert (second.waveform, second.drawn, second.facets) == (None, True, set())
    assert (third.waveform, third.drawn) == (None, False)
    assert listed.logins == {anna.id: "anna"}


@pytest.mark.parametrize("limit", [3, 4])
def test_recordings_are_counted_up_to_a_limit_and_estimated_above(
    archive: Archive, portal: Catalogue, bakery: Tenant, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for n in range(4):
        archive(bakery.id, minutes=n)
    monkeypatch.setattr(listing, "COUNTED_ROWS_MAX", limit)
    for text in (None, "jansen"):
        counted = listing.count(portal, auditor(bakery), RecordingQuery(text=text))
        assert counted.exact == (limit == 4)
        assert counted.rows >= 4


def test_who_may_be_chosen_from_is_who_is_heard(
    portal: Catalogue, operator: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    now = make_recording(bakery.id).recording.started_at
    anna, bert = (directory.add_user(operator, bakery.id, name, now=now) for name in ("anna", "bert"))
    assert listing.people(portal, auditor(bakery)) == [(anna.id, "anna"), (bert.id, "bert")]
    own = AccessScope(bakery.id, "user:anna", Role.USER, anna.id, "own")
    assert listing.people(portal, own) == [(anna.id, "anna")]
    hears = AccessScope(bakery.id, "user:x", Role.USER, UserId("x"), heard=frozenset({Hearing(bert.id)}))
    assert listing.people(portal, hears) == [(bert.id, "bert")]
