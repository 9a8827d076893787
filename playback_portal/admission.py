"""Letting somebody in once they proved something: a session, its audit entry, and the way on.

Each proof opens a session of its own and ends the one before, in the transaction of the
audit entry; the cookie leaves when both are durable. Who still has to prove or set up a
second factor is led there, and their session opens nothing else.

Rules: every attempt that is judged stands in the audit log: within its tenant when it
named an account, else with no more than the address it came from, for what strangers
type may be a password. Attempts that must wait are not judged and not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from aiohttp import web

from archive.audit import Json
from archive.catalogue import identities, portal_sessions, second_factors, sign_in_attempts
from archive.catalogue.identities import Account
from archive.catalogue.portal_sessions import LASTING, PortalSession, Proof, Stage, Visit
from archive.throttle import Subject
from playback_portal import browser_session
from playback_portal.browser_session import SESSION
from playback_portal.language import mark
from playback_portal.page import see_other
from playback_portal.problems import Problem, not_found
from playback_portal.services import REFERENCE, SERVICES

SIGN_IN = "/sign-in"
STEPS = {Stage.SECOND_FACTOR: "/sign-in/second-factor", Stage.ENROLMENT: "/sign-in/set-up"}
"""Where somebody goes on who is not in yet."""

FRESH_S_MAX = 15 * 60
"""Who changes how somebody proves themselves, or what they may, has signed in within these minutes."""

NOT_FRESH = mark("Sign in again to change this. We want to be sure it is you.")


async def admit(
    request: web.Request,
    account: Account,
    proofs: Iterable[Proof],
    back: str,
    *,
    going_on: PortalSession | None = None,
) -> web.Response:
    """Open the session these proofs are good for, and lead on; `back` is where somebody was going.

    A session the request came with ends. One that is `going_on`, because nothing was proved anew,
    keeps its age and its end. Raises the 404 Problem when the person is gone.
    """
    services = request.app[SERVICES]
    stage = await _stage(request, account, proofs := frozenset(proofs))
    before = await browser_session.visit_of(request)
    address, now = address_of(request), services.clock.now()

    def opened() -> str:
        with services.audit.transaction(account.tenant_id) as connection:
            token, session = portal_sessions.open_session(
                connection,
                account.tenant_id,
                account.user_id,
                stage=stage,
                proofs=proofs,
                now=now,
                address=address,
                agent=request.headers.get("User-Agent", ""),
                going_on=going_on,
            )
            services.audit.append(
                connection,
                tenant_id=account.tenant_id,
                actor=f"user:{account.user_id}",
                action="session.opened" if stage is Stage.SIGNED_IN else "sign-in.begun",
                object=f"portal-session:{session.id}",
                at=now,
                body={**_circumstances(request), "proofs": " ".join(sorted(proofs)), "stage": stage.value},
            )
        return token

    token = await asyncio.to_thread(opened)
    if before is not None:
        await _end(request, before)
    response = see_other(request, way_on(stage, back))
    browser_session.keep(request, response, token)
    return response


async def _stage(request: web.Request, account: Account, proofs: frozenset[Proof]) -> Stage:
    catalogue = request.app[SERVICES].catalogue
    particulars = await asyncio.to_thread(identities.particulars, catalogue, account)
    if particulars is None or particulars.has_left:
        raise not_found()
    factors = await asyncio.to_thread(second_factors.of_account, catalogue, account)
    return portal_sessions.stage_after(proofs, particulars.role, has_second_factor=factors.any)


async def _end(request: web.Request, visit: Visit) -> None:
    """End the session somebody had before they proved more, whoever's it was."""
    session, catalogue = visit.session, request.app[SERVICES].catalogue

    def end() -> None:
        with catalogue.transaction(session.tenant_id) as connection:
            portal_sessions.end(connection, session.tenant_id, session.user_id, session.id)

    await asyncio.to_thread(end)


async def enter(
    request: web.Request,
    account: Account | None,
    action: str,
    *,
    result: str = "ok",
    object_: str | None = None,
    details: Mapping[str, Json] | None = None,
) -> None:
    """Make an audit entry durable: of a person, or of nobody known."""
    services = request.app[SERVICES]
    tenant_id = None if account is None else account.tenant_id
    named = "unknown" if account is None else f"user:{account.user_id}"
    body = {**_circumstances(request), **(details or {})}

    def append() -> None:
        with services.audit.transaction(tenant_id) as connection:
            services.audit.append(
                connection,
                tenant_id=tenant_id,
                actor=named,
                action=action,
                object=object_ or named,
                result=result,
                at=services.clock.now(),
                body=body,
            )

    await asyncio.to_thread(append)


async def begin(request: web.Request, subjects: tuple[Subject, ...]) -> None:
    """Count an attempt; raises the 429 Problem when it comes too early."""
    services = request.app[SERVICES]
    now = services.clock.now()
    wait_s = await asyncio.to_thread(sign_in_attempts.begin, services.catalogue, subjects, now)
    if wait_s > 0:
        services.metrics.sign_ins_throttled.inc()
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-attempts",
            mark("Too many attempts. Wait a moment and try again; your account is not locked."),
            headers={"Retry-After": str(int(wait_s) + 1)},
        )


async def succeeded(request: web.Request, subjects: tuple[Subject, ...]) -> None:
    """Take an attempt back that turned out right."""
    services = request.app[SERVICES]
    now = services.clock.now()
    await asyncio.to_thread(sign_in_attempts.succeeded, services.catalogue, subjects, now)


def account_of(visit: Visit) -> Account:
    """Return whose session this is."""
    return Account(visit.session.tenant_id, visit.session.user_id)


def address_of(request: web.Request) -> str:
    """Return the address a request comes from."""
    exposure = request.app[SERVICES].exposure
    return exposure.client_address(request.remote, request.headers.get("X-Forwarded-For"))


def is_fresh(request: web.Request, session: PortalSession) -> bool:
    """Return whether somebody proved who they are a short while ago.

    What a provider's own session says is no such proof: it may be of this morning.
    """
    age = request.app[SERVICES].clock.now() - session.opened_at
    return age.total_seconds() < FRESH_S_MAX and not session.proofs <= LASTING


def require_fresh(request: web.Request, back: str | None = None) -> None:
    """Raise the 403 Problem that leads somebody to sign in again, and then `back` to where they were.

    Requests with a key pass: what they may change is decided by what they are.
    """
    if "Authorization" in request.headers or is_fresh(request, request[SESSION]):
        return
    where = {"Location": address_again(_shown(request) if back is None else back)}
    raise Problem(HTTPStatus.FORBIDDEN, "sign-in-again", NOT_FRESH, headers=where)


def again(request: web.Request) -> str:
    """Return where somebody signs in again to change what this page shows, '' for who just did."""
    if SESSION not in request or is_fresh(request, request[SESSION]):
        return ""
    return address_again(_shown(request))


def address_again(back: str) -> str:
    """Return where somebody signs in who is in already."""
    return f"{SIGN_IN}?again=yes&next={quote(back, safe='/')}"


def _shown(request: web.Request) -> str:
    """Return the page somebody asked from, as their browser tells it."""
    if request.method == "GET":
        return request.path_qs
    headers = request.headers
    asked: str = headers.get("HX-Current-URL") or headers.get("Referer") or "/"
    told = urlsplit(asked)
    return (told.path or "/") + (f"?{told.query}" if told.query else "")


def way_on(stage: Stage, back: str) -> str:
    """Return where somebody goes from here."""
    if stage is Stage.SIGNED_IN:
        return back
    return STEPS[stage] if back == "/" else f"{STEPS[stage]}?next={quote(back, safe='/')}"


def _circumstances(request: web.Request) -> dict[str, Json]:
    return {"address": address_of(request), "request": request[REFERENCE]}
