"""Cases and legal holds over the API: opened, filled, released by two people; certificates of what went.

A hold is acknowledged by the response of the transaction that made it. What is on its way
out answers 409 with the time at which its destruction began. The store's own holds follow
by a job, and the case tells how far they are.

Rules: for administrators, auditors and keys with the scope holds; asking for a release and
granting it are for two people who signed in. Not here: the pages (`playback_portal.pages.cases`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import web

from archive import jobs
from archive.access import Scope
from archive.audit import Json
from archive.catalogue import case_people, cases, destructions
from archive.catalogue.case_search import Added
from archive.catalogue.cases import NAME_CHARS_MAX, REASON_CHARS_MAX, Case, Member
from archive.catalogue.engine import Connection
from archive.catalogue.recordings import RecordingQuery
from archive.catalogue.saved_searches import QUERY_CHARS_MAX
from archive.errors import CatalogueUnavailable
from archive.model import RecordingId, UserId
from playback_portal import documents, filters
from playback_portal.documents import time_of
from playback_portal.parameters import Body, Parameters, bounded_text, cursor, limit, read_body
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS, SUBJECT, Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id, recording_id_of

IDS_COUNT_MAX = 1000
"""Recordings named one by one; more are named by a search."""

NUMBER_CHARS_MAX = 254


async def list_cases(request: web.Request) -> web.StreamResponse:
    """Answer with a page of cases, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found, following = await asyncio.to_thread(cases.page, catalogue, scope, size, after)
    return documents.list_response(request, map(document, found), following)


async def get_case(request: web.Request) -> web.StreamResponse:
    """Answer with one case."""
    Parameters(request.query).check()
    return documents.json_response(document(await case_of(request)))


async def list_case_recordings(request: web.Request) -> web.StreamResponse:
    """Answer with a page of what a case holds, newest call first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    catalogue, scope, case_id = request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)
    found, following = await asyncio.to_thread(cases.members, catalogue, scope, case_id, size, after)
    return documents.list_response(request, map(_member, found), following)


async def post_case(request: web.Request) -> web.StreamResponse:
    """Open a case, with the recordings it is to hold."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.need("name", bounded_text(NAME_CHARS_MAX, chars_min=1), "")
    reason = body.need("reason", bounded_text(REASON_CHARS_MAX, chars_min=1), "")
    ids, query = _wanted(request, body)
    body.check()
    case, added = await open_case(request, name, reason, ids, query)
    return _made({**document(case), "added": _added(added)}, case.id)


async def post_case_recordings(request: web.Request) -> web.StreamResponse:
    """Put recordings into a case, named or found by a search."""
    Parameters(request.query).check()
    body = await read_body(request)
    ids, query = _wanted(request, body)
    body.check()
    if not ids and query is None:
        raise wrong_parameters(ParameterFault("/recordingIds", "Name recordings, or a search."))
    added = await fill(request, recording_id_of(request), ids, query)
    return _made({"added": _added(added)}, recording_id_of(request))


async def post_case_rule(request: web.Request) -> web.StreamResponse:
    """Let later calls come into a case: of a person, or with a number."""
    Parameters(request.query).check()
    body = await read_body(request)
    user_id = body.read("userId", lambda value: UserId(bounded_text(36, chars_min=36)(value)), None)
    number = body.read("number", bounded_text(NUMBER_CHARS_MAX, chars_min=1), None)
    body.check()
    if (user_id is None) == (number is None):
        raise wrong_parameters(ParameterFault("/number", "Name a number or a user, one of the two."))
    case = await add_rule(request, recording_id_of(request), user_id, number)
    return _made(document(case), case.id)


async def delete_case_rule(request: web.Request) -> web.StreamResponse:
    """End a rule of a case."""
    Parameters(request.query).check()
    await end_rule(request, recording_id_of(request), request.match_info["rule"])
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_case_person(request: web.Request) -> web.StreamResponse:
    """Admit a person to what a case holds."""
    Parameters(request.query).check()
    body = await read_body(request)
    user_id = body.need("userId", lambda value: UserId(bounded_text(36, chars_min=36)(value)), UserId(""))
    body.check()
    case = await admit(request, recording_id_of(request), user_id)
    return _made(document(case), case.id)


async def delete_case_person(request: web.Request) -> web.StreamResponse:
    """Take a person off a case."""
    Parameters(request.query).check()
    await take_off(request, recording_id_of(request), UserId(request.match_info["user"]))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_case_release(request: web.Request) -> web.StreamResponse:
    """Ask for the release of a case."""
    Parameters(request.query).check()
    body = await read_body(request)
    reason = body.need("reason", bounded_text(REASON_CHARS_MAX, chars_min=1), "")
    body.check()
    case = await ask_release(request, recording_id_of(request), reason)
    return _made(document(case), case.id)


async def delete_case_release(request: web.Request) -> web.StreamResponse:
    """Take back or refuse what was asked; the hold stays."""
    Parameters(request.query).check()
    await refuse_release(request, recording_id_of(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_case_approval(request: web.Request) -> web.StreamResponse:
    """Grant the release another person asked for."""
    Parameters(request.query).check()
    case = await grant_release(request, recording_id_of(request))
    return _made(document(case), case.id)


async def list_holds(request: web.Request) -> web.StreamResponse:
    """Answer with the cases a recording is in."""
    Parameters(request.query).check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(cases.of_recording, catalogue, scope, recording_id_of(request))
    return documents.list_response(request, map(document, found), None)


async def post_hold(request: web.Request) -> web.StreamResponse:
    """Put one recording under hold: into a case, or into a new one without a name."""
    Parameters(request.query).check()
    body = await read_body(request)
    case_id = body.read("caseId", bounded_text(36, chars_min=36), None)
    text = bounded_text(REASON_CHARS_MAX, chars_min=1)
    reason = body.need("reason", text, "") if case_id is None else body.read("reason", text, "")
    body.check()
    case = await hold_one(request, recording_id_of(request), case_id, reason)
    return _made(document(case), case.id)


async def get_certificate(request: web.Request) -> web.StreamResponse:
    """Answer with the certificate of a destroyed recording, its signature, or what verifies it."""
    parameters = Parameters(request.query)
    form = parameters.read("format", _form, "json")
    parameters.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    _, signed = await asyncio.to_thread(
        destructions.certificate_of, services.catalogue, scope, recording_id_of(request)
    )
    name = f"{recording_id_of(request)}.certificate"
    if form == "json":
        return web.Response(body=signed.statement, content_type="application/json")
    return web.Response(
        body=signed.signature,
        content_type="application/pkcs7-signature",
        headers={"Content-Disposition": f'attachment; filename="{name}.p7s"'},
    )


async def case_of(request: web.Request) -> Case:
    """Return the case the path names."""
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return await asyncio.to_thread(cases.get, catalogue, scope, recording_id_of(request))


async def open_case(
    request: web.Request, name: str, reason: str, ids: Sequence[RecordingId], query: RecordingQuery | None
) -> tuple[Case, Added]:
    """Open a case and put into it what is named or found, in one transaction with its audit entry."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> tuple[Case, Added]:
        now = services.clock.now()
        with request[ENTRY].transaction() as connection:
            case_id = cases.open_case(connection, scope, name, reason, now=now)
            added = fill_within(request, connection, case_id, ids, query)
            request[SUBJECT] = f"case:{case_id}"
            return cases.read(connection, scope, case_id), added

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def fill(
    request: web.Request, case_id: str, ids: Sequence[RecordingId], query: RecordingQuery | None
) -> Added:
    """Put into a case what is named or found."""

    def make() -> Added:
        with request[ENTRY].transaction() as connection:
            return fill_within(request, connection, case_id, ids, query)

    added = await asyncio.to_thread(make)
    await follow(request)
    return added


async def hold_one(request: web.Request, recording_id: RecordingId, case_id: str | None, reason: str) -> Case:
    """Put one recording under hold; raises BeingDestroyed when it is too late."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> Case:
        now = services.clock.now()
        with request[ENTRY].transaction() as connection:
            into = case_id or cases.open_case(connection, scope, "", reason, now=now)
            cases.add_one(connection, scope, into, recording_id, now=now)
            request[SUBJECT], request[DETAILS] = f"recording:{recording_id}", {"case": into}
            return cases.read(connection, scope, into)

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def add_rule(request: web.Request, case_id: str, user_id: UserId | None, number: str | None) -> Case:
    """Let later calls come into a case."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> Case:
        with request[ENTRY].transaction() as connection:
            now = services.clock.now()
            rule = cases.add_rule(connection, scope, case_id, user_id, number, now=now)
            request[DETAILS] = {"rule": rule.id, "by": "number" if user_id is None else "user"}
            return cases.read(connection, scope, case_id)

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def end_rule(request: web.Request, case_id: str, rule_id: str) -> None:
    """Let no later calls come into a case by a rule; what it holds stays."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> None:
        with request[ENTRY].transaction() as connection:
            rule = cases.end_rule(connection, scope, case_id, rule_id, now=services.clock.now())
            request[DETAILS] = {"rule": rule.id, "by": "number" if rule.user_id is None else "user"}

    await asyncio.to_thread(make)


async def admit(request: web.Request, case_id: str, user_id: UserId) -> Case:
    """Let a person hear what a case holds."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> Case:
        with request[ENTRY].transaction() as connection:
            case_people.admit(connection, scope, case_id, user_id, now=services.clock.now())
            request[DETAILS] = {"user": user_id}
            return cases.read(connection, scope, case_id)

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def take_off(request: web.Request, case_id: str, user_id: UserId) -> None:
    """End what a person hears by a case."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> None:
        with request[ENTRY].transaction() as connection:
            case_people.take_off(connection, scope, case_id, user_id, now=services.clock.now())
            request[DETAILS] = {"user": user_id}

    await asyncio.to_thread(make)
    await follow(request)


async def ask_release(request: web.Request, case_id: str, reason: str) -> Case:
    """Ask for the release of a case."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> Case:
        with request[ENTRY].transaction() as connection:
            cases.ask_release(connection, scope, case_id, reason, now=services.clock.now())
            return cases.read(connection, scope, case_id)

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def refuse_release(request: web.Request, case_id: str) -> None:
    """Take back or refuse what was asked."""
    scope = request[SCOPE]

    def make() -> None:
        with request[ENTRY].transaction() as connection:
            cases.refuse_release(connection, scope, case_id)

    await asyncio.to_thread(make)
    await follow(request)


async def grant_release(request: web.Request, case_id: str) -> Case:
    """Grant the release another person asked for; a job lets its recordings go."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def make() -> Case:
        with request[ENTRY].transaction() as connection:
            cases.grant_release(connection, scope, case_id, now=services.clock.now())
            released = cases.read(connection, scope, case_id)
            request[DETAILS] = {"recordings": released.recordings}
            return released

    made = await asyncio.to_thread(make)
    await follow(request)
    return made


async def follow(request: web.Request) -> None:
    """Have the bucket follow the cases: their copies, and the store's own holds.

    What can't be handed over now is found by the workers' clock.
    """
    url, tenant_id = request.app[SERVICES].database_url, request[SCOPE].tenant_id
    with contextlib.suppress(CatalogueUnavailable):
        await asyncio.to_thread(jobs.defer, url, jobs.STORE_HOLDS, tenant_id=tenant_id)


def searched(request: web.Request, text: str) -> RecordingQuery:
    """Return the search a query string means; raises ValueError."""
    parameters = Parameters(dict(parse_qsl(text.removeprefix("?"))))
    scope = request[SCOPE]
    now = request.app[SERVICES].clock.now()
    query = filters.read(parameters, now=now, user_id=scope.user_id)
    parameters.check()
    return query


def document(case: Case) -> dict[str, Json]:
    """Return a case as the API shows it."""
    release: dict[str, Json] | None = None
    if case.release_asked_at is not None:
        release = {
            "reason": case.release_reason,
            "askedBy": case.release_asked_by,
            "askedAt": time_of(case.release_asked_at),
        }
    return {
        "id": case.id,
        "name": case.name,
        "reason": case.reason,
        "state": case.state,
        "openedBy": case.opened_by,
        "openedAt": time_of(case.opened_at),
        "recordings": case.recordings,
        "heldByStore": case.held_by_store,
        "rules": [{"id": rule.id, "userId": rule.user_id, "number": rule.number} for rule in case.rules],
        "people": [
            {"userId": each.user_id, "addedBy": each.added_by, "addedAt": time_of(each.added_at)}
            for each in case.people
        ],
        "release": release,
        "releasedBy": case.released_by,
        "releasedAt": None if case.released_at is None else time_of(case.released_at),
    }


def fill_within(
    request: web.Request,
    connection: Connection,
    case_id: str,
    ids: Sequence[RecordingId],
    query: RecordingQuery | None,
) -> Added:
    """Put into a case what is named or found, in the transaction of the request's entry."""
    scope, now = request[SCOPE], request.app[SERVICES].clock.now()
    added = cases.add(connection, scope, case_id, ids, now=now)
    if query is not None:
        added += cases.add_search(connection, scope, case_id, query, now=now)
    told: dict[str, Json] = {
        "recordings": added.held,
        "first": list(added.first),
        "going": len(added.going),
    }
    request[DETAILS] = told
    return added


def _wanted(request: web.Request, body: Body) -> tuple[tuple[RecordingId, ...], RecordingQuery | None]:
    """Read the recordings a body names, and the search."""
    none: tuple[RecordingId, ...] = ()
    ids = body.read("recordingIds", _ids, none)

    def query(value: Json) -> RecordingQuery:
        return searched(request, bounded_text(QUERY_CHARS_MAX)(value))

    return ids, body.read("search", query, None)


def _ids(value: Json) -> tuple[RecordingId, ...]:
    if not isinstance(value, list) or len(value) > IDS_COUNT_MAX:
        raise ValueError(f"It is a list of at most {IDS_COUNT_MAX} ids of recordings.")
    texts = [bounded_text(36)(each) for each in value]
    if not all(map(is_recording_id, texts)):
        raise ValueError("It is a list of ids of recordings.")
    return tuple(map(RecordingId, texts))


def _form(text: str) -> str:
    if text not in {"json", "p7s"}:
        raise ValueError("It is json or p7s.")
    return text


def _member(member: Member) -> dict[str, Json]:
    return {
        "recordingId": member.recording_id,
        "state": member.state.value,
        "startedAt": time_of(member.started_at),
        "durationMs": member.duration_ms,
        "heldByStore": member.held_by_store,
        "addedBy": member.added_by,
        "addedAt": time_of(member.added_at),
        "retainUntil": time_of(member.retain_until),
    }


def _added(added: Added) -> dict[str, Json]:
    return {"held": added.held, "beingDestroyed": list(added.going)}


def _made(told: dict[str, Json], case_id: str) -> web.Response:
    response = documents.json_response(told)
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/cases/{case_id}"
    return response


def _row(
    method: str, path: str, handler: Handler, audit: str, subject: str = "recording", *, fresh: bool = False
) -> Route:
    return Route(method, path, handler, Scope.HOLDS, audit, subject, fresh=fresh)


CASE_ROUTES = (
    _row("GET", "/v1/cases", list_cases, "cases.listed"),
    _row("POST", "/v1/cases", post_case, "case.opened"),
    _row("GET", "/v1/cases/{id}", get_case, "case.viewed", "case"),
    _row("GET", "/v1/cases/{id}/recordings", list_case_recordings, "case.contents-viewed", "case"),
    _row("POST", "/v1/cases/{id}/recordings", post_case_recordings, "case.filled", "case"),
    _row("POST", "/v1/cases/{id}/rules", post_case_rule, "case.rule-added", "case"),
    _row("DELETE", "/v1/cases/{id}/rules/{rule}", delete_case_rule, "case.rule-ended", "case"),
    _row("POST", "/v1/cases/{id}/people", post_case_person, "case.person-admitted", "case"),
    _row("DELETE", "/v1/cases/{id}/people/{user}", delete_case_person, "case.person-removed", "case"),
    _row("POST", "/v1/cases/{id}/releases", post_case_release, "case.release-asked", "case"),
    _row("DELETE", "/v1/cases/{id}/releases", delete_case_release, "case.release-refused", "case"),
    _row("POST", "/v1/cases/{id}/approvals", post_case_approval, "case.released", "case", fresh=True),
    _row("GET", "/v1/recordings/{id}/holds", list_holds, "holds.viewed"),
    _row("POST", "/v1/recordings/{id}/holds", post_hold, "recording.held"),
    Route(
        "GET", "/v1/recordings/{id}/certificate", get_certificate, Scope.SESSIONS_READ, "certificate.viewed"
    ),
)
