"""Signing in with a password and a code, and signing out.

Passkeys, the organisation's own sign-in, and links from mails stand beside this
(`passkeys`, `organisation`, `invitation`); setting up a second factor is `enrolment`.

Rules: a wrong name and a wrong password are one answer, in the same time. No row here
has a permission, for who asks is what is being found out; each handler writes its own
audit entries (`admission`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive import throttle
from archive.catalogue import identities, passwords, portal_sessions, second_factors
from archive.catalogue.portal_sessions import Proof, Stage, Visit
from playback_portal import admission, browser_session
from playback_portal.admission import account_of
from playback_portal.authentication import is_complete
from playback_portal.exposure import own_address
from playback_portal.language import mark
from playback_portal.page import arriving, is_to_be_led_on, render, see_other
from playback_portal.pages.preferences import local
from playback_portal.person import LOOK
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import SERVICES

WRONG = mark("That name and password do not belong together. Check both and try again.")
WRONG_CODE = mark("That code is not right, or was used already. Wait for the next one.")


async def get_sign_in(request: web.Request) -> web.StreamResponse:
    """Show the ways to sign in; who is in already goes where they were going."""
    elsewhere = own_address(request.app[SERVICES].url, str(request.url))
    if elsewhere is not None:
        return see_other(request, elsewhere)
    if is_to_be_led_on(request):
        return arriving(request, str(request.rel_url))
    back = local(request.query.get("next", "/"))
    visit = await browser_session.visit_of(request)
    again = "again" in request.query
    if visit is not None and visit.look is not None:
        request[LOOK] = visit.look
    if visit is not None and not again:
        if is_complete(visit):
            return see_other(request, back)
        if visit.session.stage in admission.STEPS:
            return see_other(request, admission.way_on(visit.session.stage, back))
    return _form(request, back, again=again)


async def post_sign_in(request: web.Request) -> web.StreamResponse:
    """Judge a name and a password."""
    browser_session.require_own_site(request)
    form = await fields_of(request)
    typed, password, back = form.get("login", ""), form.get("password", ""), local(form.get("next", "/"))
    services = request.app[SERVICES]
    subjects = throttle.password_subjects(typed, admission.address_of(request))
    try:
        await admission.begin(request, subjects)
    except Problem as problem:
        if problem.status is not HTTPStatus.TOO_MANY_REQUESTS:
            raise
        response = _form(request, back, typed=typed, error=problem.detail, status=problem.status)
        response.headers.update(problem.headers)
        return response
    account = await asyncio.to_thread(identities.find, services.catalogue, typed)
    async with services.hashes:
        right = await asyncio.to_thread(passwords.verify, services.catalogue, account, password)
    if account is None or not right:
        details = {"proof": Proof.PASSWORD.value}
        await admission.enter(request, account, "sign-in.refused", result="refused", details=details)
        return _form(request, back, typed=typed, error=WRONG, status=HTTPStatus.FORBIDDEN)
    await admission.succeeded(request, subjects)
    return await admission.admit(request, account, {Proof.PASSWORD}, back)


async def get_second_factor(request: web.Request) -> web.StreamResponse:
    """Ask for the second factor of whoever gave the first."""
    back = local(request.query.get("next", "/"))
    visit = await at_stage(request, Stage.SECOND_FACTOR)
    if visit is None:
        return see_other(request, admission.SIGN_IN)
    return await _second_factor_form(request, visit, back)


async def post_second_factor(request: web.Request) -> web.StreamResponse:
    """Judge a code of an authenticator, or a recovery code."""
    visit = await at_stage(request, Stage.SECOND_FACTOR)
    if visit is None:
        return see_other(request, admission.SIGN_IN)
    await browser_session.require_token(request)
    form = await fields_of(request)
    code, back = form.get("code", ""), local(form.get("next", "/"))
    account = account_of(visit)
    subjects = throttle.second_factor_subjects(account.user_id)
    try:
        await admission.begin(request, subjects)
    except Problem as problem:
        if problem.status is not HTTPStatus.TOO_MANY_REQUESTS:
            raise
        response = await _second_factor_form(request, visit, back, problem.detail, problem.status)
        response.headers.update(problem.headers)
        return response
    proof = await _proof_of_code(request, visit, code)
    if proof is None:
        details = {"proof": Proof.TOTP.value}
        await admission.enter(request, account, "sign-in.refused", result="refused", details=details)
        return await _second_factor_form(request, visit, back, WRONG_CODE, HTTPStatus.FORBIDDEN)
    await admission.succeeded(request, subjects)
    return await admission.admit(request, account, {*visit.session.proofs, proof}, back)


async def post_sign_out(request: web.Request) -> web.StreamResponse:
    """End this session, and with `everywhere` all others of the person."""
    visit = await browser_session.visit_of(request)
    response = see_other(request, admission.SIGN_IN)
    if visit is not None:
        await browser_session.require_token(request)
        everywhere = "everywhere" in await fields_of(request)
        await end_sessions(request, visit, None if everywhere else visit.session.id)
    browser_session.forget(request, response)
    return response


async def end_sessions(request: web.Request, visit: Visit, session_id: str | None) -> None:
    """End one session of a person, or all, with the audit entry of it."""
    services, session = request.app[SERVICES], visit.session

    def end() -> None:
        with services.catalogue.transaction(session.tenant_id) as connection:
            if session_id is None:
                portal_sessions.end_all(connection, session.tenant_id, session.user_id)
            else:
                portal_sessions.end(connection, session.tenant_id, session.user_id, session_id)

    await asyncio.to_thread(end)
    event = "sessions.ended" if session_id is None else "session.ended"
    object_ = None if session_id is None else f"portal-session:{session_id}"
    await admission.enter(request, account_of(visit), event, object_=object_)


async def at_stage(request: web.Request, stage: Stage) -> Visit | None:
    """Return the session a request came with when it is at this stage, else None.

    Pages on the way in look as the organisation's whose first proof was given.
    """
    visit = await browser_session.visit_of(request)
    if visit is None or visit.session.stage is not stage:
        return None
    if visit.look is not None:
        request[LOOK] = visit.look
    return visit


async def fields_of(request: web.Request) -> dict[str, str]:
    """Return the texts of a form."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


async def _proof_of_code(request: web.Request, visit: Visit, code: str) -> Proof | None:
    services, account = request.app[SERVICES], account_of(visit)
    now = services.clock.now()
    if len(code) > second_factors.CODE_CHARS_MAX:
        return None
    if await asyncio.to_thread(
        second_factors.verify_totp, services.catalogue, services.root, account, code, now=now
    ):
        return Proof.TOTP
    used = await asyncio.to_thread(
        second_factors.use_recovery_code, services.catalogue, account, code, now=now
    )
    return Proof.RECOVERY_CODE if used else None


def _form(
    request: web.Request,
    back: str,
    *,
    typed: str = "",
    error: str = "",
    again: bool = False,
    status: int = HTTPStatus.OK,
) -> web.Response:
    return render(
        request,
        "sign_in/page.html",
        status=status,
        back=back,
        typed=typed[: throttle.IDENTIFIER_CHARS_MAX],
        error=error,
        again=again,
    )


async def _second_factor_form(
    request: web.Request, visit: Visit, back: str, error: str = "", status: int = HTTPStatus.OK
) -> web.Response:
    catalogue = request.app[SERVICES].catalogue
    factors = await asyncio.to_thread(second_factors.of_account, catalogue, account_of(visit))
    return render(
        request, "sign_in/second-factor.html", status=status, back=back, error=error, factors=factors
    )


SIGN_IN_ROUTES = (
    Route("GET", admission.SIGN_IN, get_sign_in, None, None, page=True),
    Route("POST", admission.SIGN_IN, post_sign_in, None, None, page=True),
    Route("GET", "/sign-in/second-factor", get_second_factor, None, None, page=True),
    Route("POST", "/sign-in/second-factor", post_second_factor, None, None, page=True),
    Route("POST", "/sign-out", post_sign_out, None, None, page=True),
)
