"""How a person signs in, as administrators see and help it: a link by mail, second factors, sessions.

Rules: for administrators who signed in a short while ago, and of others; one's own stand at
`security`. Nobody chooses or sees a password of somebody else here: links go to the
person's address and nowhere else. An address that changed has to be proved anew, and the
one before is told. Who decides for others is helped by one person, and everybody else who
decides is told at once by mail, as whoever lost a second step is. Each change is durable
together with its audit entry and its mails, or not made.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from archive.approval import POWERFUL
from archive.catalogue import identities, passwords, portal_sessions, second_factors, second_person
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import Account, Particulars
from archive.catalogue.invitations import Kind
from archive.catalogue.portal_sessions import SECOND_FACTOR_ROLES
from archive.catalogue.second_factors import Factors
from archive.errors import Conflict, Refused
from archive.model import UserId
from archive.post import Letter, NoPost, address_changed
from playback_portal import outbox
from playback_portal.browser_session import SESSION
from playback_portal.language import language_of, mark
from playback_portal.page import is_htmx, partial, see_other
from playback_portal.pages.invitation import queue_link
from playback_portal.pages.teams import row
from playback_portal.person import ME
from playback_portal.problems import Problem, not_found
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

NOT_AN_ADDRESS = mark("That is not an e-mail address, for instance anna@bakery.example.")
TAKEN = mark("Somebody else of your organisation has this address.")
NO_MAIL = mark("No mail goes out from here yet. The operator can make a link with the command user invite.")
INVITED = mark("A link is on its way to %(address)s.")
RESET = mark("The second step of %(login)s is taken away; they are signed out.")
ENDED = mark("%(login)s is signed out everywhere.")
NO_SESSION = "This is for people who signed in, not for keys."
OWN = mark("Your own password and second step stand at My settings.")


@dataclass(frozen=True)
class Credentials:
    """What somebody signs in with, and how many browsers are signed in."""

    person: Particulars
    has_password: bool
    factors: Factors
    sessions: int

    @property
    def must_have_second_factor(self) -> bool:
        """Whether the role of the person asks for a second factor."""
        return self.person.role in SECOND_FACTOR_ROLES


def credentials_of(catalogue: Catalogue, account: Account, now: datetime) -> Credentials:
    """Return what a person signs in with; raises the 404 Problem when they are gone."""
    person = identities.particulars(catalogue, account)
    if person is None:
        raise not_found()
    return Credentials(
        person=person,
        has_password=passwords.exists(catalogue, account),
        factors=second_factors.of_account(catalogue, account),
        sessions=len(portal_sessions.of_user(catalogue, account.tenant_id, account.user_id, now=now)),
    )


async def post_invitation(request: web.Request) -> web.StreamResponse:
    """Send a person a link by which they choose a password."""
    services, account = request.app[SERVICES], _account(request)
    typed, language = str((await request.post()).get("email", "")), language_of(request)

    def send() -> tuple[str, list[str]]:
        now = services.clock.now()
        known = credentials_of(services.catalogue, account, now)
        kind = Kind.RESET if known.has_password else Kind.INVITATION
        with request[ENTRY].transaction() as connection:
            before = identities.email_of(connection, account)
            address = identities.set_email(connection, account, typed)
            person = dataclasses.replace(known.person, email=address)
            queued = [queue_link(services, connection, person, kind, language)]
            if before != address:
                request[DETAILS] = {"changed": {"email": "changed"}}
            if before not in {None, address}:
                told = {"login": _name(person), "organisation": person.tenant_name, "by": request[ME].login}
                letter = address_changed(account.tenant_id, str(before), language.value, told)
                queued.append(services.post.queue(connection, letter))
            queued += _tell_others(request, connection, person, "helped-by-link")
        return address, queued

    try:
        identities.checked_email(typed)
    except Refused:
        return await _refused(request, account, typed, NOT_AN_ADDRESS, HTTPStatus.BAD_REQUEST)
    try:
        address, queued = await asyncio.to_thread(send)
    except Conflict:
        return await _refused(request, account, typed, TAKEN, HTTPStatus.CONFLICT)
    except Refused:
        return await _refused(request, account, typed, NO_MAIL, HTTPStatus.CONFLICT)
    for mail_id in queued:
        await outbox.hand_over(services, account.tenant_id, mail_id)
    return await _done(request, account, INVITED, address=address)


async def post_reset(request: web.Request) -> web.StreamResponse:
    """Take every second factor of a person away who lost them, and end their sessions."""
    account = _account(request)
    services = request.app[SERVICES]

    def reset(connection: Connection, person: Particulars) -> list[str]:
        second_factors.reset(connection, account)
        queued = _tell_others(request, connection, person, "helped-by-reset")
        if person.email is not None and not isinstance(services.post, NoPost):
            letter = _letter(request, person, "second-step-reset", person.email)
            queued.append(services.post.queue(connection, letter))
        return queued

    await _change(request, account, reset)
    return await _done(request, account, RESET)


async def post_ends(request: web.Request) -> web.StreamResponse:
    """Sign a person out everywhere."""
    account = _account(request)

    def end(connection: Connection, _: Particulars) -> list[str]:
        portal_sessions.end_all(connection, account.tenant_id, account.user_id)
        return []

    await _change(request, account, end)
    return await _done(request, account, ENDED)


async def _change(
    request: web.Request, account: Account, work: Callable[[Connection, Particulars], list[str]]
) -> None:
    """Do some work with its entry, and hand over the mails it queued."""
    services = request.app[SERVICES]

    def change() -> list[str]:
        person = credentials_of(services.catalogue, account, services.clock.now()).person
        with request[ENTRY].transaction() as connection:
            return work(connection, person)

    for mail_id in await asyncio.to_thread(change):
        await outbox.hand_over(services, account.tenant_id, mail_id)


def _tell_others(request: web.Request, connection: Connection, person: Particulars, kind: str) -> list[str]:
    """Queue a mail to everybody else who decides, when somebody who does is helped; return the mails' ids.

    Where no mail goes out the audit log alone tells it.
    """
    services, account = request.app[SERVICES], person.account
    if person.role not in POWERFUL or isinstance(services.post, NoPost):
        return []
    but = (account.user_id, str(request[SCOPE].user_id))
    told = second_person.witnesses(connection, account.tenant_id, but)
    return [services.post.queue(connection, _letter(request, person, kind, each)) for each in told]


def _letter(request: web.Request, person: Particulars, kind: str, to: str) -> Letter:
    told = {"login": _name(person), "organisation": person.tenant_name, "by": request[ME].login}
    return Letter(person.account.tenant_id, kind, to, language_of(request).value, told)


def _account(request: web.Request) -> Account:
    """Return the person the path names; raises the 403 Problem for oneself and for a key.

    A key that may administer could else become anybody: by their address, a link and no second step.
    """
    if "Authorization" in request.headers or SESSION not in request:
        raise Problem(HTTPStatus.FORBIDDEN, "no-session", NO_SESSION)
    scope = request[SCOPE]
    user_id = UserId(recording_id_of(request))
    if user_id == scope.user_id:
        raise Problem(HTTPStatus.FORBIDDEN, "own-credentials", OWN)
    return Account(scope.tenant_id, user_id)


async def _refused(
    request: web.Request, account: Account, typed: str, error: str, status: HTTPStatus
) -> web.StreamResponse:
    await request[ENTRY].make("refused")
    if not is_htmx(request):
        raise Problem(status, "not-invited", error)
    return await _panel(
        request, account, status=status, fault=error, typed=typed[: identities.EMAIL_CHARS_MAX]
    )


async def _done(request: web.Request, account: Account, told: str, **words: str) -> web.StreamResponse:
    if not is_htmx(request):
        return see_other(request, f"/admin/users/{account.user_id}#credentials")
    return await _panel(request, account, told=told, words=words)


async def _panel(
    request: web.Request, account: Account, *, status: int = HTTPStatus.OK, **context: object
) -> web.StreamResponse:
    services = request.app[SERVICES]
    found = await asyncio.to_thread(credentials_of, services.catalogue, account, services.clock.now())
    return partial(request, "credentials/changed.html", status=status, credentials=found, **context)


def _name(person: Particulars) -> str:
    return f"{person.login}@{person.domain}"


CREDENTIAL_ROUTES = (
    row("POST", "/admin/users/{id}/invitations", post_invitation, "user.invited", "user"),
    row("POST", "/admin/users/{id}/second-factor/resets", post_reset, "second-factor.reset", "user"),
    row("POST", "/admin/users/{id}/sessions/ends", post_ends, "sessions.ended", "user"),
)
