"""The steps of a request of a data subject, each one transaction with its entry in the audit log.

What the log says of a step is who, when and how many: never a name, a number, or what was
written. The API and the pages do the same things by these.

Rules: for administrators, auditors and keys with the scope data-subjects. Looking for calls
and choosing takes who sees all of the tenant; the package is asked for, and fetched, by an
auditor who signed in (`archive.access.may_take_evidence`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aiohttp import web

from archive.access import AccessScope, may_find_data_subject, may_take_evidence
from archive.approval import NotYours
from archive.audit import AuditEntry, Json
from archive.catalogue import (
    audit_entries,
    data_subject_calls,
    data_subjects,
    exports,
    identities,
    legal_duties,
    policies,
    second_person,
)
from archive.catalogue.data_subject_calls import Absence, Call, Search, Summary
from archive.catalogue.data_subjects import NewRequest, Request
from archive.catalogue.engine import Connection
from archive.catalogue.exports import Export, Order
from archive.catalogue.identities import Account
from archive.data_subject import (
    Bar,
    Ground,
    Identification,
    Outcome,
    SoughtBy,
    Step,
    Treatment,
    after,
    bar_of,
)
from archive.errors import Refused
from archive.model import RecordingId
from playback_portal import exports as evidence
from playback_portal.exports import DAY
from playback_portal.language import language_of, mark
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

EXPORTER_NEEDED = mark("Only an auditor who signed in takes sound out of the archive.")
OTHER_NEEDED = mark(
    "So many recordings leave only when somebody else identified the person: it takes two people."
)
PURPOSE = "request of a data subject"
REFERENCE_CHARS = 12
"""The end of an id, which is random: enough to name a request in a letter."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Found:
    """What is known of the calls of a request; None for who may not look for them."""

    searches: tuple[Search, ...]
    summary: Summary
    absence: Absence | None
    exports: tuple[Export, ...]


def subject_of(request_id: str) -> str:
    """Return what the audit log calls a request."""
    return f"data-subject-request:{request_id}"


def reference_of(request: Request) -> str:
    """Return by what a request is named to its person."""
    return request.id[-REFERENCE_CHARS:]


async def request_of(request: web.Request) -> Request:
    """Return the request the path names; raises Refused, NotFound."""
    services, scope = request.app[SERVICES], request[SCOPE]
    return await asyncio.to_thread(data_subjects.get, services.catalogue, scope, recording_id_of(request))


async def found_of(request: web.Request, found: Request) -> Found:
    """Return what was looked for and found, and what was made of it."""
    services, scope = request.app[SERVICES], request[SCOPE]
    finds = may_find_data_subject(scope)

    def read() -> Found:
        with services.catalogue.transaction(scope.tenant_id) as connection:
            return Found(
                data_subject_calls.searches_of(connection, found) if finds else (),
                data_subject_calls.summary(connection, found),
                data_subject_calls.absence(connection, scope) if finds else None,
                exports.of_request(connection, scope.tenant_id, found.id),
            )

    return await asyncio.to_thread(read)


async def calls_of(
    request: web.Request, request_id: str, limit: int, cursor: str | None
) -> tuple[tuple[Call, ...], str | None]:
    """Return a page of the calls of a request, newest first; raises Refused, NotFound."""
    services, scope = request.app[SERVICES], request[SCOPE]
    page = data_subject_calls.page
    return await asyncio.to_thread(page, services.catalogue, scope, request_id, limit, cursor)


async def history_of(request: web.Request, request_id: str) -> list[AuditEntry]:
    """Return what the audit log says of a request, oldest first."""
    services, scope = request.app[SERVICES], request[SCOPE]
    subject = subject_of(request_id)
    return await asyncio.to_thread(audit_entries.of_object, services.catalogue, scope.tenant_id, subject)


async def bars_of(request: web.Request, calls: Sequence[Call]) -> dict[RecordingId, Bar | None]:
    """Return why each call can't be erased before its term, None when two people may do it."""
    services, scope = request.app[SERVICES], request[SCOPE]
    in_force = await asyncio.to_thread(legal_duties.classes_in_force, services.catalogue, scope.tenant_id)
    return {call.recording.id: bar_of(call.recording, in_force) for call in calls}


async def take_in(request: web.Request, new: NewRequest) -> Request:
    """Write a request down; raises Refused."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()

    def make(connection: Connection) -> Request:
        made = data_subjects.take_in(connection, scope, new, now=now)
        request[SUBJECT] = subject_of(made.id)
        return made

    return await _done(request, make, {"kind": new.kind.value, "receivedOn": new.received_on.isoformat()})


async def identify(request: web.Request, request_id: str, how: Identification, note: str) -> Request:
    """Write down how it was made sure who asks; raises Refused, NotFound, Conflict."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()
    return await _done(
        request,
        lambda connection: data_subjects.identify(connection, scope, request_id, how, note, now=now),
        {"how": how.value},
    )


async def extend(request: web.Request, request_id: str, reason: str) -> Request:
    """Give the answer two months more; raises Refused, NotFound, Conflict."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()
    return await _done(
        request, lambda connection: data_subjects.extend(connection, scope, request_id, reason, now=now), {}
    )


async def search(request: web.Request, request_id: str, by: SoughtBy, text: str) -> Search:
    """Look for the calls of the person; raises Refused, NotFound, Conflict."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()

    def make(connection: Connection) -> Search:
        made = data_subject_calls.search(connection, scope, request_id, by, text, now=now)
        request[DETAILS] = {"by": by.value, "found": made.found}
        return made

    return await _done(request, make, {"by": by.value})


async def choose(
    request: web.Request,
    request_id: str,
    recording_ids: Sequence[RecordingId] | None,
    treatment: Treatment,
    reason: str,
) -> int:
    """Say what becomes of calls, or with no ids mute wherever nothing was decided; return of how many.

    Raises Refused, NotFound, Conflict.
    """
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()

    def make(connection: Connection) -> int:
        if recording_ids is None:
            chosen = data_subject_calls.choose_all(connection, scope, request_id, now=now)
        else:
            chosen = data_subject_calls.choose(
                connection, scope, request_id, recording_ids, treatment, reason=reason, now=now
            )
        request[DETAILS] = {"treatment": treatment.value, "recordings": chosen}
        return chosen

    return await _done(request, make, {"treatment": treatment.value})


async def export(request: web.Request, request_id: str) -> Export:
    """Ask for the package of what is given; a worker makes it. Raises Refused, NotFound, Conflict."""
    scope = request[SCOPE]
    user_id, now = scope.user_id, request.app[SERVICES].clock.now()
    if not may_take_evidence(scope) or user_id is None:
        raise Refused(EXPORTER_NEEDED)

    def make(connection: Connection) -> Export:
        found = data_subjects.locked(connection, scope, request_id)
        after(found.state, Step.EXPORT)
        kept = data_subject_calls.to_export(connection, scope, found)
        alone_max = policies.policy_within(connection, scope.tenant_id).exports_alone_max
        taken = exports.taken_for_requests(connection, scope.tenant_id, user_id, since=now - DAY)
        if taken + len(kept) > alone_max:
            _require_other(connection, scope, found, now)
        made = exports.add(
            connection,
            scope.tenant_id,
            user_id,
            Order(
                tuple(kept),
                reference_of(found),
                PURPOSE,
                language=language_of(request).value,
                mail_to=identities.email_of(connection, Account(scope.tenant_id, user_id)),
                request_id=found.id,
                kept=kept,
            ),
            now=now,
        )
        whole = sum(each is None for each in kept.values())
        told: dict[str, Json] = {"export": made.id, "recordings": len(kept), "whole": whole}
        request[DETAILS] = told
        return made

    made = await _done(request, make, {})
    await evidence.hand_over(request, made)
    return made


def _require_other(connection: Connection, scope: AccessScope, found: Request, now: datetime) -> None:
    """Raise Refused unless a second person, who is there still, said how this one was identified."""
    by, at = found.identified_by or "", found.identified_at or now
    if by == scope.actor or by not in second_person.roles_of(connection, scope.tenant_id, {by}):
        raise Refused(OTHER_NEEDED)
    try:
        second_person.require_own_hand(connection, scope, by, at, now)
    except NotYours as error:
        raise Refused(OTHER_NEEDED) from error


async def answer(
    request: web.Request, request_id: str, outcome: Outcome, ground: Ground | None, text: str
) -> Request:
    """Write down what was answered; raises Refused, NotFound, Conflict."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()

    def make(connection: Connection) -> Request:
        return data_subjects.answer(connection, scope, request_id, outcome, ground=ground, text=text, now=now)

    told: dict[str, Json] = {"outcome": outcome.value, "ground": None if ground is None else ground.value}
    return await _done(request, make, told)


async def close(request: web.Request, request_id: str, note: str) -> Request:
    """Close a request that was answered or withdrawn; raises Refused, NotFound, Conflict."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()
    return await _done(
        request, lambda connection: data_subjects.close(connection, scope, request_id, note, now=now), {}
    )


async def _done(request: web.Request, make: Callable[[Connection], _T], details: Mapping[str, Json]) -> _T:
    """Do something in the transaction of its audit entry, or not at all."""
    request[DETAILS] = details

    def run() -> _T:
        with request[ENTRY].transaction() as connection:
            return make(connection)

    return await asyncio.to_thread(run)
