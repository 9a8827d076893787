"""What audit entries say in detail goes when its term is over, on a real PostgreSQL; the log still verifies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import procrastinate
import pytest
from procrastinate.testing import InMemoryConnector

from archive.access import AccessScope
from archive.audit import AuditWriter, verify_bodies, verify_log
from archive.catalogue import audit_bodies, audit_entries, data_subjects
from archive.catalogue.data_subjects import NewRequest
from archive.data_subject import RequestKind
from archive.errors import ChainBroken, Refused
from archive.model import Role, Tenant, UserId
from retention.audit_bodies import (
    BODIES_SWEEP,
    BODY_DAYS_MIN,
    AuditBodies,
    Batch,
    add_audit_bodies,
    ids_in,
)
from retention.due_time import ClockDisbelieved
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import hold, release

KEPT_DAYS = 500


def tell(ageing: Ageing, tenant: Tenant | None, object_: str, **body: Any) -> int:
    """Write an entry as the portal, or as a worker when it is of no tenant; return its number."""
    tenant_id = None if tenant is None else tenant.id
    audit = AuditWriter(ageing.worker, "worker/two") if tenant is None else writer(ageing)
    with audit.transaction(tenant_id) as connection:
        entry = audit.append(
            connection,
            tenant_id=tenant_id,
            actor="user:anna",
            action="recording.played",
            object=object_,
            at=ageing.house.clock.now(),
            body={"address": "192.0.2.7", **body},
        )
    return entry.sequence


def writer(ageing: Ageing) -> AuditWriter:
    return AuditWriter(ageing.portal, "portal/one")


def erasing(ageing: Ageing, kept_days: int = KEPT_DAYS) -> AuditBodies:
    audit = AuditWriter(ageing.worker, "worker/one")
    return AuditBodies(audit, ageing.house.clock, ageing.timekeeper().due_time, kept_days)


def sweep(ageing: Ageing, tenant: Tenant | None) -> int:
    """Make a whole pass; return how many bodies it erased."""
    bodies, cursor, erased = erasing(ageing), None, 0
    while True:
        done = bodies.batch(None if tenant is None else tenant.id, cursor)
        erased, cursor = erased + done.erased, done.next_cursor
        if cursor is None:
            return erased


def live(ageing: Ageing, days: float) -> None:
    """Let days go by with a worker that looks at the clock."""
    ageing.live(days=days)
    ageing.timekeeper().due_time()


def left(ageing: Ageing, tenant: Tenant) -> dict[int, Mapping[str, object] | None]:
    """Return what the portal's entries say in detail, by their numbers."""
    return {
        each.sequence: each.body
        for each in audit_entries.of_tenant(ageing.portal, tenant.id)
        if each.writer == "portal/one"
    }


def test_what_tells_of_a_recording_goes_with_it_and_not_within_a_year(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery, 400)
    played = tell(ageing, bakery, f"recording:{archived.recording.id}", purpose="a complaint")
    named = tell(ageing, bakery, "search", recordings=[archived.recording.id])
    live(ageing, BODY_DAYS_MIN + 1)
    assert sweep(ageing, bakery) == 0, "the recording is there"
    live(ageing, 40)
    ageing.sweep().batch(bakery.id)
    late = tell(ageing, bakery, f"recording:{archived.recording.id}")
    archived_entry = 1
    assert sweep(ageing, bakery) == 2 + archived_entry
    found = left(ageing, bakery)
    assert (found[played], found[named]) == (None, None)
    assert found[late] == {"address": "192.0.2.7"}, "written less than a year ago"


def test_what_tells_of_no_recording_goes_after_the_days_of_the_setting(
    ageing: Ageing, bakery: Tenant
) -> None:
    first = tell(ageing, bakery, "search", q="0612345678")
    live(ageing, KEPT_DAYS - 1)
    second = tell(ageing, bakery, "search", q="0687654321")
    assert sweep(ageing, bakery) == 0
    live(ageing, 1)
    assert sweep(ageing, bakery) == 1
    assert left(ageing, bakery) == {first: None, second: {"address": "192.0.2.7", "q": "0687654321"}}
    assert erasing(ageing, kept_days=3).batch(bakery.id, None).erased == 0, "a year at least"


def test_what_tells_of_a_recording_on_hold_or_an_open_case_stays(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery, 90)
    tell(ageing, bakery, f"recording:{archived.recording.id}", purpose="a claim")
    case_id = hold(ageing, bakery, archived)
    tell(ageing, bakery, f"case:{case_id}", name="Claim 12")
    live(ageing, 3000)
    ageing.sweep().batch(bakery.id)
    assert sweep(ageing, bakery) == 0
    release(ageing, bakery, case_id)
    assert sweep(ageing, bakery) == 1, "the recording is there still, the case is over"
    ageing.sweep().batch(bakery.id)
    sweep(ageing, bakery)
    assert set(left(ageing, bakery).values()) == {None}


def test_what_tells_of_an_open_privacy_request_or_of_calls_that_went_meanwhile_stays(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery, 90)
    scope = AccessScope(bakery.id, "user:boss", Role.ADMINISTRATOR, UserId("boss"))
    now = ageing.house.clock.now()
    with ageing.portal.transaction(bakery.id) as connection:
        new = NewRequest(RequestKind.ACCESS, "A. Jansen", "Dorpsstraat 1", now.date())
        request = data_subjects.take_in(connection, scope, new, now=now)
    tell(ageing, bakery, f"recording:{archived.recording.id}")
    tell(ageing, bakery, f"data-subject-request:{request.id}", found=1)
    live(ageing, 3000)
    ageing.sweep().batch(bakery.id)
    assert sweep(ageing, bakery) == 0
    with ageing.portal.transaction(bakery.id) as connection:
        data_subjects.close(connection, scope, request.id, "withdrawn", now=ageing.house.clock.now())
    sweep(ageing, bakery)
    assert set(left(ageing, bakery).values()) == {None}


def test_a7_a_log_with_erased_bodies_verifies_and_says_how_many_there_are(
    ageing: Ageing, bakery: Tenant, operator: Any
) -> None:
    for number in range(5):
        tell(ageing, bakery, "search", q=str(number))
    tell(ageing, None, "node:one")
    live(ageing, KEPT_DAYS)
    assert (sweep(ageing, bakery), sweep(ageing, None)) == (5, 1)
    assert sweep(ageing, bakery) == 0
    assert verify_log(operator)["portal/one"].sequence == 5
    assert verify_bodies(operator, [bakery.id]) == {"portal/one": 5, "worker/two": 1}
    (told,) = audit_entries.erasures(ageing.portal, bakery.id)
    assert (told.actor, told.body) == ("service:worker", {"count": 5, "entries": {"portal/one": [[1, 5]]}})
    live(ageing, 10 * KEPT_DAYS)
    assert sweep(ageing, bakery) == 0, "what names erased bodies is never erased itself"


def test_a_body_that_is_gone_and_that_no_entry_names_was_removed(
    ageing: Ageing, bakery: Tenant, database: Any
) -> None:
    """Whoever has every right over the database takes no purpose away unseen."""
    for number in range(4):
        tell(ageing, bakery, "search", q=str(number))
    live(ageing, KEPT_DAYS - 1)
    tell(ageing, bakery, "search", q="young")
    live(ageing, 1)
    assert sweep(ageing, bakery) == 4
    verify_bodies(ageing.worker, [bakery.id])
    database.connect().execute("DELETE FROM audit_bodies WHERE writer = 'portal/one' AND sequence = 5")
    with pytest.raises(ChainBroken, match="was removed") as broken:
        verify_bodies(ageing.worker, [bakery.id])
    assert (broken.value.writer, broken.value.position) == ("portal/one", 5)


def test_bodies_go_in_bounded_batches_and_it_is_told_how_far_it_is(
    ageing: Ageing, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_bodies, "PAGE_ROWS_MAX", 3)
    for number in range(7):
        tell(ageing, bakery, "search", q=str(number))
    begun = ageing.house.clock.now()
    live(ageing, KEPT_DAYS)
    bodies = erasing(ageing)
    first = bodies.batch(bakery.id, None)
    assert (first.looked_at, first.erased) == (3, 3)
    progress = audit_bodies.progress_of(ageing.portal, bakery.id)
    assert (progress.erased, progress.looked_at, progress.until) == (3, 3, begun)
    assert progress.finished_at is None
    second = bodies.batch(bakery.id, first.next_cursor)
    third = bodies.batch(bakery.id, second.next_cursor)
    assert (third.looked_at, third.erased, third.next_cursor) == (1, 1, None)
    done = audit_bodies.progress_of(ageing.portal, bakery.id)
    assert (done.erased, done.looked_at, done.finished_at) == (7, 7, ageing.house.clock.now())
    bodies.batch(bakery.id, None)
    assert audit_bodies.progress_of(ageing.portal, bakery.id).erased == 7
    with pytest.raises(Refused, match="none of ours"):
        bodies.batch(bakery.id, "[1]")


def test_r3_by_a_clock_eight_years_ahead_nothing_is_erased(ageing: Ageing, bakery: Tenant) -> None:
    tell(ageing, bakery, "search", q="0612345678")
    ageing.set_clock(days=8 * 365)
    with pytest.raises(ClockDisbelieved):
        erasing(ageing).batch(bakery.id, None)
    assert None not in left(ageing, bakery).values()


def test_bodies_of_one_tenant_go_without_those_of_another(
    ageing: Ageing, bakery: Tenant, florist: Tenant
) -> None:
    tell(ageing, bakery, "search", q="1")
    tell(ageing, florist, "search", q="2")
    live(ageing, KEPT_DAYS)
    assert sweep(ageing, bakery) == 1
    assert list(left(ageing, florist).values()) == [{"address": "192.0.2.7", "q": "2"}]
    assert verify_bodies(ageing.worker, [bakery.id, florist.id]) == {"portal/one": 1}


def test_every_id_that_stands_in_an_entry_counts(ageing: Ageing, bakery: Tenant) -> None:
    one, two = "0190a1b2-0000-7000-8000-000000000001", "0190a1b2-0000-7000-8000-000000000002"
    tell(ageing, bakery, f"case:{one}", deeper={"list": ["x", {"of": f"recording:{two}"}]})
    (entry,) = audit_entries.of_tenant(ageing.portal, bakery.id)
    assert ids_in(entry) == {one, two}


def test_the_job_hands_on_until_all_was_looked_at() -> None:
    """Of every tenant and of the instance itself."""
    app = procrastinate.App(connector=InMemoryConnector())
    asked: list[tuple[str | None, str | None]] = []

    def batch(tenant_id: str | None, cursor: str | None) -> Batch:
        asked.append((tenant_id, cursor))
        return Batch(2, 1, "further" if cursor is None else None)

    add_audit_bodies(app, lambda: ["bakery"], batch)  # type: ignore[list-item]

    async def run() -> None:
        async with app.open_async():
            await app.configure_task(BODIES_SWEEP).defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)

    asyncio.run(run())
    assert set(asked) == {(None, None), (None, "further"), ("bakery", None), ("bakery", "further")}
    assert len(asked) == 4
