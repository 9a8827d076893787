"""Links from mails: to begin, and to choose a new password when the old one is forgotten.

Rules: who asks for a new password learns nothing of who exists, neither from the answer
nor from its time: the answer leaves before anything is looked up. Opening a link changes
nothing, for mail servers open links too; the form behind it does, once. A link that went
there by mail proves an address; a second factor is asked all the same.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog
from aiohttp import web

from archive import throttle
from archive.catalogue import identities, invitations, passwords, sign_in_attempts
from archive.catalogue.engine import Connection
from archive.catalogue.identities import Particulars
from archive.catalogue.invitations import Invitation, Kind
from archive.catalogue.portal_sessions import Proof
from archive.errors import ArchiveError
from archive.post import Letter
from playback_portal import admission, browser_session, outbox
from playback_portal.branding import look_as
from playback_portal.language import Language, language_of, mark
from playback_portal.page import render
from playback_portal.pages.sign_in import fields_of
from playback_portal.person import LOOK
from playback_portal.route import Route
from playback_portal.services import SERVICES, Services

LENGTH = mark("A password has 12 to 256 characters. A few words in a row are easy to keep.")
GUESSABLE = mark("This password is easy to guess. A few words in a row are better.")
DIFFERENT = mark("The two passwords are not the same.")

ERRANDS = web.AppKey("ERRANDS", set[asyncio.Task[None]])
"""Mails being written down; the portal waits for them before it stops."""

_log = structlog.get_logger()


async def get_forgotten(request: web.Request) -> web.StreamResponse:
    """Ask whose password is forgotten."""
    return render(request, "sign_in/forgotten.html", asked=False, error="")


async def post_forgotten(request: web.Request) -> web.StreamResponse:
    """Have a link sent, if there is somebody to send it to; the answer is the same for everybody."""
    browser_session.require_own_site(request)
    typed = (await fields_of(request)).get("login", "")
    services, language = request.app[SERVICES], language_of(request)
    subjects = throttle.reset_subjects(typed, admission.address_of(request))
    now = services.clock.now()
    wait_s = await asyncio.to_thread(sign_in_attempts.begin, services.catalogue, subjects, now)
    if wait_s <= 0:
        errand = asyncio.create_task(_send(request, services, typed, language))
        request.app[ERRANDS].add(errand)
        errand.add_done_callback(request.app[ERRANDS].discard)
    return render(request, "sign_in/forgotten.html", asked=True, error="")


async def get_invitation(request: web.Request) -> web.StreamResponse:
    """Show the form behind a link that works."""
    found = await _found(request)
    return _form(request, *found) if found is not None else _over(request)


async def post_invitation(request: web.Request) -> web.StreamResponse:
    """Take a password, use the link up, and let its reader on."""
    browser_session.require_own_site(request)
    found = await _found(request)
    if found is None:
        return _over(request)
    invitation, person = found
    form, services = await fields_of(request), request.app[SERVICES]
    password = form.get("password", "")
    error = fault_of(password, form.get("again", ""), person)
    if error:
        return _form(request, invitation, person, error, HTTPStatus.BAD_REQUEST)
    async with services.hashes:
        password_hash = await asyncio.to_thread(passwords.hashed, password)
    if not await asyncio.to_thread(_accept, request, invitation, password_hash):
        return _over(request)
    names = (f"{person.login}@{person.domain}", person.email or "")
    address = admission.address_of(request)
    waiting = [each for name in names for each in throttle.password_subjects(name, address)[:2]]
    await asyncio.to_thread(sign_in_attempts.forgive, services.catalogue, waiting)
    return await admission.admit(request, invitation.account, {Proof.MAIL}, "/")


def fault_of(password: str, again: str, person: Particulars) -> str:
    """Return what is wrong with a new password, '' for nothing."""
    if not passwords.PASSWORD_CHARS_MIN <= len(password) <= passwords.PASSWORD_CHARS_MAX:
        return LENGTH
    local_part = (person.email or "").partition("@")[0]
    if passwords.is_guessable(password, person.login, person.domain, person.tenant_name, local_part):
        return GUESSABLE
    return "" if password == again else DIFFERENT


async def finish_errands(app: web.Application) -> None:
    """Wait for the mails that are being written down."""
    await asyncio.gather(*app[ERRANDS], return_exceptions=True)


def _accept(request: web.Request, invitation: Invitation, password_hash: str) -> bool:
    """Use the link up and set the password, with the audit entry of it; a mailed one proves the address."""
    services, account = request.app[SERVICES], invitation.account
    now = services.clock.now()
    with services.audit.transaction(account.tenant_id) as connection:
        if not invitations.use(connection, invitation, now=now):
            return False
        passwords.store(connection, account.tenant_id, account.user_id, password_hash)
        if invitation.mailed:
            identities.prove_email(connection, account, now=now)
        services.audit.append(
            connection,
            tenant_id=account.tenant_id,
            actor=f"user:{account.user_id}",
            action=f"{invitation.kind.value}.used",
            object=f"user:{account.user_id}",
            at=now,
            body={"address": admission.address_of(request)},
        )
    return True


async def _send(request: web.Request, services: Services, typed: str, language: Language) -> None:
    """Look for the account and have the link sent to its proved address."""
    try:
        account = await asyncio.to_thread(identities.find, services.catalogue, typed)
        person = None
        if account is not None:
            person = await asyncio.to_thread(identities.particulars, services.catalogue, account)
        if person is None or person.email is None or not person.email_verified:
            return
        address = admission.address_of(request)
        mail_id = await asyncio.to_thread(_write_down, services, person, language, address)
        await outbox.hand_over(services, person.account.tenant_id, mail_id)
    except ArchiveError as error:
        _log.warning("a link for a new password was not sent", reason=type(error).__name__)


def _write_down(services: Services, person: Particulars, language: Language, address: str) -> str:
    """Write the letter and its entry down in one transaction; return the letter's id."""
    account, now = person.account, services.clock.now()
    with services.audit.transaction(account.tenant_id) as connection:
        mail_id = queue_link(services, connection, person, Kind.RESET, language)
        services.audit.append(
            connection,
            tenant_id=account.tenant_id,
            actor="unknown",
            action="reset.asked",
            object=f"user:{account.user_id}",
            at=now,
            body={"address": address},
        )
    return mail_id


def queue_link(
    services: Services, connection: Connection, person: Particulars, kind: Kind, language: Language
) -> str:
    """Make a link and the letter that carries it, in the caller's transaction; return the letter's id.

    The person has an address. The caller hands the letter over once its transaction is durable.
    """
    token = invitations.make(connection, person.account, kind, now=services.clock.now())
    fields = {
        "link": f"{services.url}/invitation/{token}",
        "login": f"{person.login}@{person.domain}",
        "organisation": person.tenant_name,
    }
    letter = Letter(person.account.tenant_id, kind.value, person.email or "", language.value, fields)
    return services.post.queue(connection, letter)


async def _found(request: web.Request) -> tuple[Invitation, Particulars] | None:
    services, token = request.app[SERVICES], request.match_info["token"]
    now = services.clock.now()
    invitation = await asyncio.to_thread(invitations.find, services.catalogue, token, now=now)
    if invitation is None:
        return None
    await look_as(request, invitation.account.tenant_id)
    person = await asyncio.to_thread(identities.particulars, services.catalogue, invitation.account)
    return None if person is None else (invitation, person)


def _over(request: web.Request) -> web.Response:
    return render(request, "sign_in/link-over.html", status=HTTPStatus.NOT_FOUND)


def _form(
    request: web.Request,
    invitation: Invitation,
    person: Particulars,
    error: str = "",
    status: int = HTTPStatus.OK,
) -> web.Response:
    return render(
        request,
        "sign_in/new-password.html",
        status=status,
        person=person,
        organisation=(request[LOOK].name if LOOK in request else "") or person.tenant_name,
        begins=invitation.kind is Kind.INVITATION,
        error=error,
    )


INVITATION_ROUTES = (
    Route("GET", "/sign-in/forgotten", get_forgotten, None, None, page=True),
    Route("POST", "/sign-in/forgotten", post_forgotten, None, None, page=True),
    Route("GET", "/invitation/{token}", get_invitation, None, None, page=True),
    Route("POST", "/invitation/{token}", post_invitation, None, None, page=True),
)
