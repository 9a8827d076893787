"""Signing in with a passkey: alone, where the device makes sure of its person, or behind a password.

A script of ours asks (`web/passkey.ts`) and sends the answer; both are JSON, and so is
what it is told. Without scripts or devices the other ways remain.

Rules: every answer counts once. A signature of no device of ours and a wrong one are one
answer. A count that went backwards is refused: the device may have been copied.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from aiohttp import web

from archive import throttle
from archive.catalogue import passkeys, spent_challenges
from archive.catalogue.identities import Account
from archive.catalogue.passkeys import Passkey
from archive.catalogue.portal_sessions import Proof, Stage
from playback_portal import admission, browser_session, passkey
from playback_portal.admission import account_of
from playback_portal.language import language_of, mark, translated
from playback_portal.page import PAGE_HEADERS
from playback_portal.pages.preferences import local
from playback_portal.pages.sign_in import at_stage
from playback_portal.parameters import is_text
from playback_portal.passkey import Asker, RelyingParty
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import SERVICES

NOT_KNOWN = mark("This passkey is not known here, or no longer. Use another way to sign in.")
TOO_LATE = mark("That took too long. Press the button again.")


async def post_options(request: web.Request) -> web.StreamResponse:
    """Ask for a signature of whoever has a passkey of ours."""
    browser_session.require_own_site(request)
    return told(asker_of(request).to_sign(None))


async def post_passkey(request: web.Request) -> web.StreamResponse:
    """Judge a signature of somebody unknown."""
    browser_session.require_own_site(request)
    answer = await answer_of(request)
    account = passkeys.account_of(passkey.field_of(_credential(answer), "response", "userHandle"))
    subjects = throttle.passkey_subjects(admission.address_of(request))
    try:
        await admission.begin(request, subjects)
    except Problem as problem:
        return refused(request, problem.detail, problem.status)
    found = await _device(request, account, answer)
    proof = None
    if found is not None:
        proof = await _judge(request, answer, found, passkey.SIGN_IN, None)
    if account is None or found is None or proof is None:
        known = None if found is None else account
        details = {"proof": Proof.VERIFIED_PASSKEY.value}
        await admission.enter(request, known, "sign-in.refused", result="refused", details=details)
        return refused(request, NOT_KNOWN)
    await admission.succeeded(request, subjects)
    return await _admit(request, account, {proof}, answer)


async def post_second_factor_options(request: web.Request) -> web.StreamResponse:
    """Ask for a signature of one of the devices of whoever gave a password."""
    visit = await at_stage(request, Stage.SECOND_FACTOR)
    if visit is None:
        return refused(request, TOO_LATE)
    await browser_session.require_token(request)
    account = account_of(visit)
    known = await asyncio.to_thread(passkeys.of_account, request.app[SERVICES].catalogue, account)
    return told(asker_of(request).to_sign(account, known))


async def post_second_factor(request: web.Request) -> web.StreamResponse:
    """Judge a signature of somebody who gave a password."""
    visit = await at_stage(request, Stage.SECOND_FACTOR)
    if visit is None:
        return refused(request, TOO_LATE)
    await browser_session.require_token(request)
    answer, account = await answer_of(request), account_of(visit)
    subjects = throttle.second_factor_subjects(account.user_id)
    try:
        await admission.begin(request, subjects)
    except Problem as problem:
        return refused(request, problem.detail, problem.status)
    found = await _device(request, account, answer)
    proof = None
    if found is not None:
        proof = await _judge(request, answer, found, passkey.SECOND_FACTOR, account)
    if proof is None:
        details = {"proof": Proof.PASSKEY.value}
        await admission.enter(request, account, "sign-in.refused", result="refused", details=details)
        return refused(request, NOT_KNOWN)
    await admission.succeeded(request, subjects)
    return await _admit(request, account, {*visit.session.proofs, proof}, answer)


async def spend(request: web.Request, sealed: str) -> bool:
    """Return whether a challenge is answered for the first time."""
    services = request.app[SERVICES]
    now = services.clock.now()
    until = now + timedelta(seconds=passkey.LIFE_S)
    return await asyncio.to_thread(spent_challenges.spend, services.catalogue, sealed, until=until, now=now)


async def answer_of(request: web.Request) -> Mapping[str, object]:
    """Return what a script sent; raises the 400 Problem for what is no answer."""
    body: dict[str, object]
    try:
        body = json.loads(await request.text())
        is_answer = isinstance(body, dict) and is_text(json.dumps(body, ensure_ascii=False))
        is_long = len(json.dumps(body)) > passkey.CREDENTIAL_CHARS_MAX
    except (ValueError, LookupError, RecursionError):
        # Another encoding than it names, or one of no name; brackets within brackets without end.
        body, is_answer, is_long = {}, False, False
    if not is_answer or is_long:
        raise Problem(HTTPStatus.BAD_REQUEST, "no-answer", "This is no answer of a passkey.")
    return body


def text_of(answer: Mapping[str, object], name: str) -> str:
    """Return a text of an answer, '' when there is none."""
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def party_of(request: web.Request) -> RelyingParty:
    """Return the relying party the portal is."""
    return RelyingParty.of_url(request.app[SERVICES].url)


def asker_of(request: web.Request) -> Asker:
    """Return who asks devices for the portal."""
    services = request.app[SERVICES]
    return Asker(party_of(request), services.root, services.clock.now())


def told(document: Mapping[str, object]) -> web.Response:
    """Return what a script is told."""
    return web.json_response(document, headers=PAGE_HEADERS)


def refused(request: web.Request, message: str, status: int = HTTPStatus.FORBIDDEN) -> web.Response:
    """Return a refusal in words a person reads."""
    text = translated(language_of(request), message)
    return web.json_response({"message": text}, status=status, headers=PAGE_HEADERS)


async def _device(
    request: web.Request, account: Account | None, answer: Mapping[str, object]
) -> Passkey | None:
    """Return the device an answer says it is of, when it is that person's."""
    if account is None:
        return None
    wanted = passkey.field_of(_credential(answer), "rawId")
    known = await asyncio.to_thread(passkeys.of_account, request.app[SERVICES].catalogue, account)
    return next((each for each in known if each.credential_id == wanted), None)


async def _judge(
    request: web.Request, answer: Mapping[str, object], found: Passkey, purpose: str, account: Account | None
) -> Proof | None:
    """Return what a signature proves, or None; a right one is spent."""
    services, sealed = request.app[SERVICES], text_of(answer, "challenge")
    now, alone = services.clock.now(), account is None
    wanted = passkey.expected(services.root, purpose, sealed, account, now)
    if wanted is None:
        return None
    signed = passkey.check_signed(party_of(request), wanted, _credential(answer), found, alone=alone)
    if signed is None or not await spend(request, sealed):
        return None
    noted = await asyncio.to_thread(
        passkeys.used,
        services.catalogue,
        found,
        before=found.sign_count,
        sign_count=signed.sign_count,
        now=now,
    )
    if not noted:
        return None
    return Proof.VERIFIED_PASSKEY if signed.user_verified else Proof.PASSKEY


async def _admit(
    request: web.Request, account: Account, proofs: set[Proof], answer: Mapping[str, object]
) -> web.Response:
    """Let somebody in and tell the script where to go."""
    led = await admission.admit(request, account, proofs, local(text_of(answer, "next")))
    response = told({"location": led.headers["Location"]})
    response.cookies.update(led.cookies)
    return response


def _credential(answer: Mapping[str, object]) -> Mapping[str, object]:
    value = answer.get("credential")
    return value if isinstance(value, dict) else {}


PASSKEY_ROUTES = (
    Route("POST", "/sign-in/passkey/options", post_options, None, None, page=True),
    Route("POST", "/sign-in/passkey", post_passkey, None, None, page=True),
    Route(
        "POST", "/sign-in/second-factor/passkey/options", post_second_factor_options, None, None, page=True
    ),
    Route("POST", "/sign-in/second-factor/passkey", post_second_factor, None, None, page=True),
)
