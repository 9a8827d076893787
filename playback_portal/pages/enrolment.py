"""Setting up a second factor on the way in: who must have one does this and nothing else.

An authenticator's secret is made for the page and carried by it, sealed; it counts once
the person has shown a code of it. The same parts serve people who are in (`security`).

Rules: nobody reaches this with a second factor already; who has one gives it. Recovery
codes are shown once, with the first factor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus

import segno
from aiohttp import web

from archive import throttle
from archive.catalogue import passkeys, portal_sessions, second_factors
from archive.catalogue.engine import Connection
from archive.catalogue.portal_sessions import Proof, Stage, Visit
from keys import challenge
from playback_portal import admission, browser_session, passkey
from playback_portal.admission import account_of
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.passkeys import answer_of, asker_of, party_of, refused, spend, text_of, told
from playback_portal.pages.preferences import local
from playback_portal.pages.sign_in import WRONG_CODE, at_stage, fields_of
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import ENTRY, SERVICES

SET_UP = "/sign-in/set-up"
PURPOSE = "totp-enrolment"
LIFE_S = 15 * 60
"""Time to find, install and open an app."""

CHANGED_MEANWHILE = mark("This was changed in another browser a moment ago. Sign in again.")
NOT_MADE = mark("The passkey could not be added. Press the button again.")


async def get_set_up(request: web.Request) -> web.StreamResponse:
    """Show the ways to a second factor."""
    visit = await at_stage(request, Stage.ENROLMENT)
    if visit is None:
        return see_other(request, admission.SIGN_IN)
    return _form(request, visit, local(request.query.get("next", "/")))


async def post_set_up(request: web.Request) -> web.StreamResponse:
    """Keep an authenticator whose code is right, show the recovery codes, and let somebody in."""
    visit = await at_stage(request, Stage.ENROLMENT)
    if visit is None:
        return see_other(request, admission.SIGN_IN)
    await browser_session.require_token(request)
    form = await fields_of(request)
    back = local(form.get("next", "/"))
    codes = await keep_totp(request, visit, form)
    if codes is None:
        return _form(request, visit, back, WRONG_CODE, HTTPStatus.FORBIDDEN)
    led = await admission.admit(request, account_of(visit), {*visit.session.proofs, Proof.TOTP}, back)
    return with_codes(request, codes, led)


async def post_passkey_options(request: web.Request) -> web.StreamResponse:
    """Ask for a new passkey of somebody on the way in."""
    visit = await at_stage(request, Stage.ENROLMENT)
    if visit is None:
        return refused(request, NOT_MADE)
    await browser_session.require_token(request)
    return await ask_to_make(request, visit)


async def post_passkey(request: web.Request) -> web.StreamResponse:
    """Keep a new passkey and let its owner in."""
    visit = await at_stage(request, Stage.ENROLMENT)
    if visit is None:
        return refused(request, NOT_MADE)
    await browser_session.require_token(request)
    answer = await answer_of(request)
    try:
        made = await keep_passkey(request, visit, answer)
    except Problem as problem:
        return refused(request, problem.detail, problem.status)
    if made is None:
        return refused(request, NOT_MADE)
    proof = Proof.VERIFIED_PASSKEY if made.user_verified else Proof.PASSKEY
    back = local(text_of(answer, "next"))
    led = await admission.admit(request, account_of(visit), {*visit.session.proofs, proof}, back)
    response = told({"location": led.headers["Location"]})
    response.cookies.update(led.cookies)
    return response


async def ask_to_make(request: web.Request, visit: Visit) -> web.Response:
    """Ask for a new passkey of a person."""
    account = account_of(visit)
    known = await asyncio.to_thread(passkeys.of_account, request.app[SERVICES].catalogue, account)
    return told(asker_of(request).to_make(account, f"{visit.login}@{visit.domain}", known))


async def keep_passkey(
    request: web.Request, visit: Visit, answer: Mapping[str, object], *, event: str | None = "passkey.added"
) -> passkey.Made | None:
    """Keep a new passkey with its audit entry; None when the answer is not right."""
    services, account, sealed = request.app[SERVICES], account_of(visit), text_of(answer, "challenge")
    now = services.clock.now()
    wanted = passkey.expected(services.root, passkey.MAKE, sealed, account, now)
    credential = answer.get("credential")
    if wanted is None or not isinstance(credential, dict):
        return None
    made = passkey.check_made(party_of(request), wanted, credential)
    if made is None or not await spend(request, sealed):
        return None

    def add(connection: Connection) -> None:
        passkeys.add(
            connection,
            account,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=text_of(answer, "name"),
            now=now,
        )

    await change(request, visit, event, add)
    return made


async def keep_totp(
    request: web.Request, visit: Visit, form: Mapping[str, str], *, event: str | None = "totp.set"
) -> tuple[str, ...] | None:
    """Keep the authenticator of a page whose code is right, and return fresh recovery codes; else None."""
    services, account = request.app[SERVICES], account_of(visit)
    now = services.clock.now()
    await admission.begin(request, throttle.second_factor_subjects(account.user_id))
    fields = challenge.unseal(services.root, PURPOSE, form.get("enrolment", ""), now=now)
    if fields is None or fields["user"] != account.user_id:
        return None
    step = second_factors.step_of_code(fields["secret"], form.get("code", ""), now)
    if step is None:
        return None
    await admission.succeeded(request, throttle.second_factor_subjects(account.user_id))
    codes: list[str] = []

    def keep(connection: Connection) -> None:
        second_factors.set_totp(connection, services.root, account, fields["secret"], step, now=now)
        codes.extend(second_factors.new_recovery_codes(connection, account))

    await change(request, visit, event, keep)
    return tuple(codes)


async def change(
    request: web.Request, visit: Visit, event: str | None, work: Callable[[Connection], object]
) -> None:
    """Change how somebody proves who they are, in the transaction of the audit entry.

    Without an event the entry is that of the row of the route table. All their other sessions
    end: one that waits to set up a second factor with no more than a password, too. Raises the
    409 Problem when another browser ended this one, or set a second factor up, a moment before.
    """
    services, account = request.app[SERVICES], account_of(visit)

    def work_alone(connection: Connection) -> None:
        before = second_factors.locked(connection, account)
        first = visit.session.stage is Stage.ENROLMENT
        if not portal_sessions.is_open(connection, visit.session) or (first and before.any):
            raise Problem(HTTPStatus.CONFLICT, "changed-meanwhile", CHANGED_MEANWHILE)
        work(connection)
        portal_sessions.end_all(connection, account.tenant_id, account.user_id, but=visit.session.id)

    def changed() -> None:
        if event is None:
            with request[ENTRY].transaction() as connection:
                work_alone(connection)
            return
        with services.audit.transaction(account.tenant_id) as connection:
            work_alone(connection)
            services.audit.append(
                connection,
                tenant_id=account.tenant_id,
                actor=f"user:{account.user_id}",
                action=event,
                object=f"user:{account.user_id}",
                at=services.clock.now(),
                body={"address": admission.address_of(request)},
            )

    await asyncio.to_thread(changed)


def enrolment_of(request: web.Request, visit: Visit) -> dict[str, str]:
    """Return a fresh secret for an authenticator as a page shows it: sealed, as letters, and as a picture."""
    services = request.app[SERVICES]
    secret = second_factors.new_secret()
    ends = services.clock.now() + timedelta(seconds=LIFE_S)
    fields = {"secret": secret, "user": visit.session.user_id}
    address = second_factors.address_of(secret, f"{visit.login}@{visit.domain}", "earwitness")
    return {
        "sealed": challenge.seal(services.root, PURPOSE, fields, ends=ends),
        "letters": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "picture": _picture(address),
    }


def with_codes(request: web.Request, codes: tuple[str, ...], led: web.Response) -> web.Response:
    """Return the page that shows recovery codes once, on the way to where somebody was going."""
    response = render(request, "sign_in/recovery-codes.html", codes=codes, onward=led.headers["Location"])
    response.cookies.update(led.cookies)
    return response


def _picture(address: str) -> str:
    """Return the picture an authenticator reads, as the address of an image."""
    return segno.make(address, error="m").svg_data_uri(scale=5, border=2, light="#fff", dark="#000")


def _form(
    request: web.Request, visit: Visit, back: str, error: str = "", status: int = HTTPStatus.OK
) -> web.Response:
    enrolment = enrolment_of(request, visit)
    return render(request, "sign_in/set-up.html", status=status, back=back, error=error, enrolment=enrolment)


ENROLMENT_ROUTES = (
    Route("GET", SET_UP, get_set_up, None, None, page=True),
    Route("POST", SET_UP, post_set_up, None, None, page=True),
    Route("POST", f"{SET_UP}/passkey/options", post_passkey_options, None, None, page=True),
    Route("POST", f"{SET_UP}/passkey", post_passkey, None, None, page=True),
)
