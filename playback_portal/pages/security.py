"""How somebody proves who they are, as they see and change it: password, second factors, sessions.

Rules: by a session alone, never by a key that acts as a person; and only shortly after
signing in, so that a browser left open gives nothing away for good. Who must have a
second factor keeps one. Every change ends the person's other sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from archive import throttle
from archive.access import Scope
from archive.catalogue import identities, passkeys, passwords, portal_sessions, second_factors
from archive.catalogue.engine import Connection
from archive.catalogue.identities import Account
from archive.catalogue.portal_sessions import SECOND_FACTOR_ROLES, Visit
from archive.catalogue.second_factors import Factors
from playback_portal import admission, browser_session
from playback_portal.admission import account_of
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages import enrolment
from playback_portal.pages.enrolment import change, enrolment_of, keep_passkey, keep_totp, with_codes
from playback_portal.pages.invitation import fault_of
from playback_portal.pages.passkeys import answer_of, refused, told
from playback_portal.pages.sign_in import WRONG_CODE, fields_of
from playback_portal.problems import Problem, not_found
from playback_portal.route import Route
from playback_portal.services import ENTRY, SERVICES, recording_id_of

Remover = Callable[[Connection, Visit], bool]

HERE = "/me/security"
WRONG_NOW = mark("That is not your password of now.")
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What browsers and people call them; the first that fits counts, for all claim to be others."""

SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
LAST_FACTOR = mark("Your role needs a second step. Add another before you take this one away.")


async def get_security(request: web.Request) -> web.StreamResponse:
    """Show what somebody proves themselves by, and where they are signed in."""
    return await _page(request, await _visit(request))


async def post_password(request: web.Request) -> web.StreamResponse:
    """Change the password; whoever has none yet gives the one they want."""
    visit = await _visit(request)
    admission.require_fresh(request, HERE)
    services, account, form = request.app[SERVICES], account_of(visit), await fields_of(request)
    try:
        right = await _knows_password(request, account, form.get("now", ""))
    except Problem as problem:
        if problem.status is not HTTPStatus.TOO_MANY_REQUESTS:
            raise
        response = await _page(request, visit, problem.detail, problem.status)
        response.headers.update(problem.headers)
        return response
    person = await asyncio.to_thread(identities.particulars, services.catalogue, account)
    if person is None:
        raise not_found()
    error = fault_of(form.get("password", ""), form.get("again", ""), person) if right else WRONG_NOW
    if error:
        return await _page(
            request, visit, error, HTTPStatus.FORBIDDEN if not right else HTTPStatus.BAD_REQUEST
        )
    async with services.hashes:
        password_hash = await asyncio.to_thread(passwords.hashed, form["password"])

    def store(connection: Connection) -> None:
        passwords.store(connection, account.tenant_id, account.user_id, password_hash)

    await change(request, visit, None, store)
    # A password alone is no sign-in: whoever knows it and found the browser open stays in no longer by it.
    return await admission.admit(request, account, visit.session.proofs, HERE, going_on=visit.session)


async def _knows_password(request: web.Request, account: Account, typed: str) -> bool:
    """Return whether this is the person's password, or they have none; raises the 429 Problem."""
    services = request.app[SERVICES]
    if not await asyncio.to_thread(passwords.exists, services.catalogue, account):
        return True
    subjects = throttle.own_password_subjects(account.user_id)
    await admission.begin(request, subjects)
    async with services.hashes:
        right = await asyncio.to_thread(passwords.verify, services.catalogue, account, typed)
    if right:
        await admission.succeeded(request, subjects)
    return right


async def get_authenticator(request: web.Request) -> web.StreamResponse:
    """Show the picture for an authenticator app."""
    visit = await _visit(request)
    admission.require_fresh(request, HERE)
    return _authenticator(request, visit)


async def post_authenticator(request: web.Request) -> web.StreamResponse:
    """Keep an authenticator whose code is right, and show fresh recovery codes."""
    visit = await _visit(request)
    admission.require_fresh(request, HERE)
    codes = await keep_totp(request, visit, await fields_of(request), event=None)
    if codes is None:
        return _authenticator(request, visit, WRONG_CODE, HTTPStatus.BAD_REQUEST)
    return with_codes(request, codes, see_other(request, HERE))


async def remove_authenticator(request: web.Request) -> web.StreamResponse:
    """Take the authenticator away."""
    return await _remove(
        request, lambda connection, visit: second_factors.remove_totp(connection, account_of(visit))
    )


async def remove_passkey(request: web.Request) -> web.StreamResponse:
    """Take a passkey away."""
    passkey_id = recording_id_of(request)
    return await _remove(
        request, lambda connection, visit: passkeys.remove(connection, account_of(visit), passkey_id)
    )


async def post_passkey_options(request: web.Request) -> web.StreamResponse:
    """Ask for a new passkey."""
    visit = await _visit(request)
    if not admission.is_fresh(request, visit.session):
        return refused(request, admission.NOT_FRESH)
    return await enrolment.ask_to_make(request, visit)


async def post_passkey(request: web.Request) -> web.StreamResponse:
    """Keep a new passkey."""
    visit = await _visit(request)
    if not admission.is_fresh(request, visit.session):
        return refused(request, admission.NOT_FRESH)
    if await keep_passkey(request, visit, await answer_of(request), event=None) is None:
        return refused(request, enrolment.NOT_MADE, HTTPStatus.BAD_REQUEST)
    return told({"location": HERE})


async def post_recovery_codes(request: web.Request) -> web.StreamResponse:
    """Make fresh recovery codes and show them once."""
    visit = await _visit(request)
    admission.require_fresh(request, HERE)
    codes: list[str] = []

    def make(connection: Connection) -> None:
        if not second_factors.locked(connection, account_of(visit)).any:
            raise not_found()
        codes.extend(second_factors.new_recovery_codes(connection, account_of(visit)))

    await change(request, visit, None, make)
    return with_codes(request, tuple(codes), see_other(request, HERE))


async def end_session(request: web.Request) -> web.StreamResponse:
    """End one session of the person."""
    visit, session_id = await _visit(request), recording_id_of(request)
    session = visit.session

    def end() -> None:
        with request[ENTRY].transaction() as connection:
            if not portal_sessions.end(connection, session.tenant_id, session.user_id, session_id):
                raise not_found()

    await asyncio.to_thread(end)
    return see_other(request, HERE)


async def _remove(request: web.Request, work: Remover) -> web.StreamResponse:
    """Take a second factor away, unless it is the last of somebody who must have one."""
    visit = await _visit(request)
    admission.require_fresh(request, HERE)

    def remove(connection: Connection) -> None:
        # Two browsers at once take one away after the other, so that the second sees what is left.
        if not _may_remove(visit, second_factors.locked(connection, account_of(visit))):
            raise Problem(HTTPStatus.CONFLICT, "last-second-factor", LAST_FACTOR)
        if not work(connection, visit):
            raise not_found()
        second_factors.drop_stray_codes(connection, account_of(visit))

    await change(request, visit, None, remove)
    return see_other(request, HERE)


def _may_remove(visit: Visit, factors: Factors) -> bool:
    """Return whether somebody may do with one second factor less."""
    return visit.role not in SECOND_FACTOR_ROLES or factors.totp + factors.passkeys > 1


async def _visit(request: web.Request) -> Visit:
    """Return the session a request came with; raises the 403 Problem for one that came with a key."""
    visit = None if "Authorization" in request.headers else await browser_session.visit_of(request)
    if visit is None:
        raise Problem(HTTPStatus.FORBIDDEN, "no-session", "This is for people who signed in, not for keys.")
    return visit


async def _page(
    request: web.Request, visit: Visit, error: str = "", status: int = HTTPStatus.OK
) -> web.Response:
    services, account = request.app[SERVICES], account_of(visit)
    catalogue, now = services.catalogue, services.clock.now()
    factors = await asyncio.to_thread(second_factors.of_account, catalogue, account)
    return render(
        request,
        "security/page.html",
        status=status,
        error=error,
        has_password=await asyncio.to_thread(passwords.exists, catalogue, account),
        factors=factors,
        may_remove=_may_remove(visit, factors),
        keys=await asyncio.to_thread(passkeys.of_account, catalogue, account),
        sessions=await asyncio.to_thread(
            portal_sessions.of_user, catalogue, account.tenant_id, account.user_id, now=now
        ),
        this=visit.session.id,
        browser_name=browser_name,
        again=admission.again(request),
    )


def browser_name(agent: str) -> str:
    """Return which browser on what this is, as people call them; '' for one nobody knows."""
    browser = next((name for token, name in BROWSERS if token in agent), "")
    system = next((name for token, name in SYSTEMS if token in agent), "")
    return ", ".join(filter(None, (browser, system)))


def _authenticator(
    request: web.Request, visit: Visit, error: str = "", status: int = HTTPStatus.OK
) -> web.Response:
    return render(
        request,
        "security/authenticator.html",
        status=status,
        error=error,
        enrolment=enrolment_of(request, visit),
    )


SECURITY_ROUTES = (
    Route("GET", HERE, get_security, Scope.SETTINGS, "security.viewed", page=True),
    Route("POST", f"{HERE}/password", post_password, Scope.SETTINGS, "password.changed", page=True),
    Route("GET", f"{HERE}/authenticator", get_authenticator, Scope.SETTINGS, "totp.offered", page=True),
    Route("POST", f"{HERE}/authenticator", post_authenticator, Scope.SETTINGS, "totp.set", page=True),
    Route(
        "POST",
        f"{HERE}/authenticator/removals",
        remove_authenticator,
        Scope.SETTINGS,
        "totp.removed",
        page=True,
    ),
    Route(
        "POST", f"{HERE}/passkeys/options", post_passkey_options, Scope.SETTINGS, "passkey.offered", page=True
    ),
    Route("POST", f"{HERE}/passkeys", post_passkey, Scope.SETTINGS, "passkey.added", page=True),
    Route(
        "POST",
        f"{HERE}/passkeys/{{id}}/removals",
        remove_passkey,
        Scope.SETTINGS,
        "passkey.removed",
        "passkey",
        page=True,
    ),
    Route(
        "POST",
        f"{HERE}/recovery-codes",
        post_recovery_codes,
        Scope.SETTINGS,
        "recovery-codes.made",
        page=True,
    ),
    Route(
        "POST",
        f"{HERE}/sessions/{{id}}/ends",
        end_session,
        Scope.SETTINGS,
        "session.ended",
        "portal-session",
        page=True,
    ),
)
