"""The people of a tenant: their numbers, modes, licences and minutes, for its administrators.

A change is a merge patch (RFC 7396): what is not named stays, null empties. What is
wrong in it is told at once; who changed what from what to what stands in the audit log,
but for numbers and names.

Rules: nobody changes their own role. No key makes or unmakes an administrator or auditor:
who found one would else be such a person of their own making; two people who signed in a
short while ago do, and so does the operator. A change is durable together with its audit
entry. Not here: teams, and what people set for themselves (`playback_portal.me`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from archive import roster
from archive.allowance import cap_s, end_of, month_of
from archive.approval import Kind, Proposal, Wanted, grants_power
from archive.audit import Json
from archive.catalogue import directory, licences, minutes, people
from archive.catalogue.directory import NAME_CHARS_MAX, NUMBERS_PER_USER_MAX, UserFields
from archive.catalogue.engine import Connection
from archive.catalogue.licences import LicencePreview
from archive.errors import Refused
from archive.model import RecordingMode, RetentionClass, Role, Tenant, User, UserId
from archive.roll import BY_KEY, OWN_ROLE, TOLD_FIELDS, changes, changes_power, login_within, particulars
from playback_portal import documents
from playback_portal.entity_tag import ChangedMeanwhile, form_tag, require_match, tagged_response
from playback_portal.parameters import (
    Body,
    Parameters,
    bounded_text,
    json_customer_role,
    json_word_of,
    limit,
    read_body,
    search_text,
)
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.proposal import propose, waiting_response
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES, Services, recording_id_of

PROFILE = ("role", "access", "site", "broadworksId", "ownModes")
"""What the form of a person's page holds, all of it at once, as it was when the page was made."""

NUMBER_CHARS_MAX = 256
"""A range of two E.164 numbers has 33; an address of record may be longer."""

_T = TypeVar("_T")


async def list_users(request: web.Request) -> web.StreamResponse:
    """Answer with a page of people, by login."""
    parameters = Parameters(request.query)
    text = parameters.read("q", search_text, None)
    size, after = limit(parameters), parameters.read("cursor", _cursor, None)
    parameters.check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def read() -> tuple[people.PeoplePage, Tenant]:
        page = people.page(catalogue, tenant_id, text=text, limit=size, cursor=after)
        return page, people.tenant_of(catalogue, tenant_id)

    page, tenant = await asyncio.to_thread(read)
    return documents.list_response(request, (user_document(each, tenant) for each in page.items), page.next)


async def post_user(request: web.Request) -> web.StreamResponse:
    """Add a person and answer with them."""
    Parameters(request.query).check()
    body = await read_body(request)
    login = body.need("login", bounded_text(2 * NAME_CHARS_MAX, chars_min=1), "")
    fields = read_fields(body)
    body.check()
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    check_role(request, Role.USER, fields)

    def add() -> dict[str, Json]:
        tenant = people.tenant_of(services.catalogue, tenant_id)
        return user_document(add_user(request, login_within(tenant, login), tenant, fields), tenant)

    document = await asyncio.to_thread(as_fault, add)
    response = tagged_response(document)
    response.set_status(201)
    response.headers["Location"] = f"/v1/users/{document['id']}"
    return response


async def get_user(request: web.Request) -> web.StreamResponse:
    """Answer with one person."""
    Parameters(request.query).check()
    user, tenant = await _person(request)
    return tagged_response(user_document(user, tenant))


async def patch_user(request: web.Request) -> web.StreamResponse:
    """Change a person by a merge patch and answer with them."""
    Parameters(request.query).check()
    body = await read_body(request)
    fields = read_fields(body)
    body.check()
    user, tenant = await _person(request)
    made = await asyncio.to_thread(as_fault, lambda: change_user(request, user.id, tenant, fields))
    if isinstance(made, Proposal):
        return waiting_response(made)
    return tagged_response(user_document(made, tenant))


def profile_tag(user: User) -> str:
    """Return the tag of what the form of a person's page holds, as long as nobody changes any of it."""
    return form_tag(particulars(user), PROFILE)


def add_user(request: web.Request, login: str, tenant: Tenant, fields: UserFields) -> User:
    """Add a person with their entry in the log; a role of power is proposed beside. Blocks."""
    services, now = request.app[SERVICES], request.app[SERVICES].clock.now()
    role = fields.get("role", Role.USER)
    powerful = grants_power(Role.USER, role)
    with request[ENTRY].transaction() as connection:
        own: UserFields = {**fields, "role": Role.USER} if powerful else fields
        user = directory.insert_user(connection, tenant.id, login, now=now, **own)
        document = user_document(user, tenant)
        told: dict[str, Json] = {"set": {name: document[name] for name in TOLD_FIELDS}}
        if powerful:
            _record(services, request, connection, "user.added", user, told)
            propose(request, connection, _role_for(user, role))
        else:
            request[SUBJECT], request[DETAILS] = f"user:{user.id}", told
    return user


def change_user(
    request: web.Request, user_id: UserId, tenant: Tenant, fields: UserFields, seen: str | None = None
) -> User | Proposal:
    """Change a person with their entry in the log; a role of power is proposed, the rest is done. Blocks.

    `seen` is the tag of the profile a form was made of. Raises the 412 Problem when the request wants to
    change them as they were before, ChangedMeanwhile when the form does, the 403 Problem for one's
    own role and for a role no key changes, ProposedAlready, and as `directory.update_user`.
    """
    services, now = request.app[SERVICES], request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        # Compared behind the lock: what somebody else is changing at this moment counts.
        before = directory.lock_user(connection, tenant.id, user_id, fields)
        known = user_document(before, tenant)
        require_match(request.headers.get("If-Match"), known)
        if seen is not None and seen != profile_tag(before):
            raise ChangedMeanwhile("Somebody else changed this person meanwhile.")
        role = fields.get("role", before.role)
        if user_id == request[SCOPE].user_id and role is not before.role:
            raise Problem(HTTPStatus.FORBIDDEN, "own-role", OWN_ROLE)
        check_role(request, before.role, fields)
        own: UserFields = {**fields}
        if grants_power(before.role, role):
            del own["role"]
        user = directory.update_user(connection, tenant.id, before.login, now=now, **own)
        changed = changes(known, user_document(user, tenant))
        if not grants_power(before.role, role):
            request[DETAILS] = {"changed": changed}
            return user
        if changed:
            _record(services, request, connection, "user.changed", user, {"changed": changed})
        return propose(request, connection, _role_for(user, role))


async def list_licences(request: web.Request) -> web.StreamResponse:
    """Answer with the licences of a person from the first to the one in force, with their dates."""
    Parameters(request.query).check()
    user, _ = await _person(request)
    periods = await asyncio.to_thread(
        licences.history, request.app[SERVICES].catalogue, user.tenant_id, user.id
    )
    items: list[Json] = [
        {
            "licence": licence_word(each.licence),
            "validFrom": documents.time_of(each.valid_from),
            "validUntil": None if each.valid_until is None else documents.time_of(each.valid_until),
        }
        for each in periods
    ]
    return documents.list_response(request, items, None)


async def get_licence_preview(request: web.Request) -> web.StreamResponse:
    """Answer with what another licence would change for a person; nothing is changed."""
    parameters = Parameters(request.query)
    wanted = parameters.read("licence", _licence, None)
    if "licence" not in request.query:
        parameters.fault("licence", "It is missing.")
    parameters.check()
    services = request.app[SERVICES]
    user, _ = await _person(request)

    def preview() -> LicencePreview:
        now = services.clock.now()
        return licences.preview(services.catalogue, user.tenant_id, user.id, wanted, now=now)

    return documents.json_response(preview_document(user, await asyncio.to_thread(preview)))


async def get_minutes(request: web.Request) -> web.StreamResponse:
    """Answer with the recorded time of a person in a month, and what their licence allows."""
    services = request.app[SERVICES]
    now = services.clock.now()
    parameters = Parameters(request.query)
    month = parameters.read("month", _month, month_of(now))
    parameters.check()
    user, tenant = await _person(request)

    def read() -> tuple[int, RetentionClass | None]:
        used_s = minutes.used(services.catalogue, user.tenant_id, user.id, month)
        told_at = min(now, end_of(month))
        return used_s, directory.licence_at(services.catalogue, user.tenant_id, user.id, told_at)

    used_s, licence = await asyncio.to_thread(read)
    allowed_s = cap_s(licence)
    return documents.json_response(
        {
            "userId": user.id,
            "month": month.strftime("%Y-%m"),
            "licence": licence_word(licence),
            "usedSeconds": used_s,
            "capSeconds": allowed_s,
            "percent": None if allowed_s is None else used_s * 100 // allowed_s,
            "aboveCap": tenant.policy.above_cap.value,
        }
    )


def user_document(user: User, tenant: Tenant) -> dict[str, Json]:
    """Return a person as the API shows them."""
    return {
        "id": user.id,
        "login": f"{user.login}@{tenant.domain}",
        **particulars(user),
        "leftAt": None if user.left_at is None else documents.time_of(user.left_at),
    }


def preview_document(user: User, preview: LicencePreview) -> dict[str, Json]:
    """Return what another licence would change, as the API shows it."""
    kept: list[Json] = [
        {
            "retentionClass": each.retention_class.value,
            "count": each.count,
            "retainUntil": documents.time_of(each.retain_until),
        }
        for each in preview.kept
    ]
    return {
        "userId": user.id,
        "before": licence_word(preview.before),
        "after": licence_word(preview.after),
        "countsFrom": documents.time_of(preview.counts_from),
        "kept": kept,
        "usedSeconds": preview.used_s,
        "capSeconds": preview.cap_s,
        "aboveCap": preview.above_cap,
        "obstacle": preview.obstacle,
    }


def licence_word(licence: RetentionClass | None) -> str | None:
    """Return the word of a licence, None for none."""
    return None if licence is None else licence.value


def read_fields(body: Body) -> UserFields:
    """Return the fields a body names; what is wrong is noted in it."""
    fields: UserFields = {}
    if "numbers" in body.names:
        fields["numbers"] = body.read("numbers", _texts, [])
    if "ownModes" in body.names:
        fields["own_modes"] = body.read("ownModes", lambda value: _modes(_texts(value)), ())
    if "broadworksId" in body.names:
        fields["broadworks_id"] = body.read("broadworksId", _name, None)
    if "site" in body.names:
        fields["site"] = body.read("site", _name, None)
    if "role" in body.names:
        fields["role"] = body.read("role", json_customer_role, Role.USER)
    if "access" in body.names:
        fields["access"] = body.read("access", _access, "none")
    if "mode" in body.names:
        fields["mode"] = body.read("mode", json_word_of(RecordingMode), RecordingMode.NEVER)
    if "licence" in body.names:
        fields["licence"] = body.read("licence", _licence, None)
    return fields


def check_role(request: web.Request, before: Role, fields: UserFields) -> None:
    """Raise the 403 Problem of a request whose key may not give or take such a role."""
    after = fields.get("role", before)
    if "Authorization" in request.headers and changes_power(before, after):
        raise Problem(HTTPStatus.FORBIDDEN, "role-by-key", BY_KEY)


def as_fault(change: Callable[[], _T]) -> _T:
    """Return what `change` returns; a rule it breaks is a fault of the request (400)."""
    try:
        return change()
    except Refused as error:
        raise wrong_parameters(ParameterFault("/", str(error))) from error


def _role_for(user: User, role: Role) -> Wanted:
    return Wanted(Kind.ROLE_GRANT, f"user:{user.id}", {"role": role.value})


def _record(  # noqa: PLR0917 - the words of one audit entry
    services: Services,
    request: web.Request,
    connection: Connection,
    action: str,
    user: User,
    told: dict[str, Json],
) -> None:
    """Write down what was done beside what was proposed."""
    services.audit.append(
        connection,
        tenant_id=user.tenant_id,
        actor=request[SCOPE].actor,
        action=action,
        object=f"user:{user.id}",
        body=told,
        at=services.clock.now(),
    )


async def _person(request: web.Request) -> tuple[User, Tenant]:
    """Return the person the path names and their tenant; raises NotFound."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    user_id = UserId(recording_id_of(request))

    def read() -> tuple[User, Tenant]:
        user = directory.user_by_id(catalogue, tenant_id, user_id)
        return user, people.tenant_of(catalogue, tenant_id)

    return await asyncio.to_thread(read)


def _texts(value: Json) -> list[str]:
    """Read a list of texts; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > NUMBERS_PER_USER_MAX:
        raise ValueError(f"It is a list of at most {NUMBERS_PER_USER_MAX} texts.")
    return [bounded_text(NUMBER_CHARS_MAX, chars_min=1)(each) for each in value]


def _modes(words: list[str]) -> tuple[RecordingMode, ...]:
    return tuple(json_word_of(RecordingMode)(word) for word in dict.fromkeys(words))


def _name(value: Json) -> str | None:
    """Read a name; null and nothing are none."""
    return None if value is None else bounded_text(NAME_CHARS_MAX)(value) or None


def _access(value: Json) -> str:
    if value not in ("none", "own"):
        raise ValueError("It is none or own.")
    return str(value)


def _licence(value: Json) -> RetentionClass | None:
    """Read a licence; null and `none` are none."""
    return None if value in (None, roster.NONE) else json_word_of(RetentionClass)(value)


def _cursor(text: str) -> str:
    try:
        people.decode_cursor(text)
    except Refused as error:
        raise ValueError(str(error)) from None
    return text


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError("It is a month such as 2026-11.") from None
