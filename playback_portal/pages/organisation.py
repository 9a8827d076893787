"""Signing in by way of the organisation's own provider (OpenID Connect).

Somebody names their organisation by its domain, goes there, and comes back with an
answer. Its subject is linked to an account at the first time, by an address the provider
vouches for and its owner proved here; from then on the subject alone counts, whatever
address it has later. Who is to sign in again is asked anew by their provider.

Rules: an account is linked within the tenant whose provider it is, and made by nobody
here. A second factor counts only where the tenant trusts its provider to ask one; else
ours is asked. The question's cookie is that of one browser, and gone after the answer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from http import HTTPStatus

import structlog
from aiohttp import web

from archive import throttle
from archive.catalogue import identities, identity_providers, spent_challenges
from archive.catalogue.identities import Account
from archive.catalogue.identity_providers import Provider
from archive.catalogue.portal_sessions import Proof
from archive.errors import Conflict
from archive.model import TenantId
from keys import challenge
from playback_portal import admission, browser_session
from playback_portal.branding import look_as
from playback_portal.language import mark
from playback_portal.openid import OpenIdClient, Pending, ProviderError, Subject
from playback_portal.page import arriving, is_to_be_led_on, render
from playback_portal.pages.preferences import local
from playback_portal.pages.sign_in import fields_of
from playback_portal.route import Route
from playback_portal.services import SERVICES

CALLBACK = "/sign-in/callback"
COOKIE = "ew_flow"
PURPOSE = "oidc-flow"
LIFE_S = 10 * 60
"""Time to sign in at the organisation, a telephone call for a code included."""

NEXT_CHARS_MAX = 1000
"""What fits in the cookie beside the question itself."""

NO_PROVIDER = mark("This organisation does not sign in this way. Check the name, or use your password.")
AWAY = mark("Your organisation's sign-in does not answer. Try again in a moment, or use your password.")
NOT_LET_IN = mark("Your organisation did not let you in. Begin again.")
NO_ACCOUNT = mark(
    "Nobody here proved the address your organisation gave. Ask your administrator for an invitation."
)

_log = structlog.get_logger()


async def get_organisation(request: web.Request) -> web.StreamResponse:
    """Ask which organisation."""
    return _form(request, local(request.query.get("next", "/")), again="again" in request.query)


async def post_organisation(request: web.Request) -> web.StreamResponse:
    """Lead to the organisation's provider, remembering the question in this browser."""
    browser_session.require_own_site(request)
    form = await fields_of(request)
    typed, back = form.get("organisation", ""), local(form.get("next", "/"))
    again = "again" in form
    await admission.begin(request, throttle.passkey_subjects(admission.address_of(request)))
    domain = typed.strip().lower().rpartition("@")[2]
    catalogue = request.app[SERVICES].catalogue
    tenant_id = await asyncio.to_thread(identities.tenant_of_domain, catalogue, domain)
    provider = None if tenant_id is None else await _provider(request, tenant_id)
    if tenant_id is None or provider is None:
        return _form(request, back, typed, NO_PROVIDER, HTTPStatus.NOT_FOUND, again=again)
    await admission.succeeded(request, throttle.passkey_subjects(admission.address_of(request)))
    # That it has a sign-in of its own is told by the way there: so nothing is told by its look.
    await look_as(request, tenant_id)
    pending = Pending.fresh()
    try:
        hint = typed if "@" in typed else ""
        address = await _client(request, provider).question(pending, hint, anew=again)
    except ProviderError as fault:
        _log.warning("a provider could not be asked", tenant_id=tenant_id, reason=str(fault))
        return _form(request, back, typed, AWAY, HTTPStatus.BAD_GATEWAY, again=again)
    # A page and not a redirect: browsers apply `form-action` to where a form is led, and that is 'self'.
    response = render(request, "sign_in/leaving.html", address=address, domain=domain)
    _remember(request, response, tenant_id, pending, back, again=again)
    return response


async def get_callback(request: web.Request) -> web.StreamResponse:
    """Judge what somebody came back with from their provider."""
    if is_to_be_led_on(request):
        # A session they have ends with the new one, and the new one is shown where they are led on to.
        return arriving(request, str(request.rel_url))
    services = request.app[SERVICES]
    now = services.clock.now()
    sealed = request.cookies.get(_cookie_name(request), "")
    flow = challenge.unseal(services.root, PURPOSE, sealed, now=now)
    if flow is None:
        return _forgetting(request, _form(request, "/", "", NOT_LET_IN, HTTPStatus.FORBIDDEN))
    tenant_id, pending = TenantId(flow["tenant"]), Pending(flow["state"], flow["nonce"], flow["verifier"])
    await look_as(request, tenant_id)
    provider = await _provider(request, tenant_id)
    if provider is None:
        return await _refuse(request, None, flow["next"], NO_PROVIDER)
    try:
        # A question that was asked before an upgrade does not tell it.
        asked_at = flow.get("since", "")
        since = datetime.fromisoformat(asked_at) if asked_at else None
        subject = await _client(request, provider).answer(pending, request.query, now, since=since)
    except ProviderError as fault:
        _log.warning("an answer of a provider was refused", tenant_id=tenant_id, reason=str(fault))
        return await _refuse(request, None, flow["next"], NOT_LET_IN)
    until = now + timedelta(seconds=LIFE_S)
    if not await asyncio.to_thread(spent_challenges.spend, services.catalogue, sealed, until=until, now=now):
        return await _refuse(request, None, flow["next"], NOT_LET_IN)
    account = await _account_of(request, tenant_id, provider, subject)
    if account is None:
        return await _refuse(request, None, flow["next"], NO_ACCOUNT)
    proofs = {Proof.PROVIDER}
    if subject.second_factor:
        proofs.add(Proof.VERIFIED_PROVIDER)
    if since is not None:
        proofs.add(Proof.PROVIDER_ANEW)
    return _forgetting(request, await admission.admit(request, account, proofs, local(flow["next"])))


async def _account_of(
    request: web.Request, tenant_id: TenantId, provider: Provider, subject: Subject
) -> Account | None:
    """Return whose a subject is, linking it at the first time by the address its provider vouches for.

    None where nobody is meant, and where the one who is has another subject already.
    """
    services = request.app[SERVICES]
    catalogue = services.catalogue
    known = await asyncio.to_thread(
        identities.of_subject, catalogue, tenant_id, subject.issuer, subject.subject
    )
    if known is not None or subject.email is None:
        return known
    account = await asyncio.to_thread(
        identities.of_vouched_email,
        catalogue,
        tenant_id,
        subject.email,
        logins_are_addresses=provider.logins_are_addresses,
    )
    if account is None:
        return None
    now = services.clock.now()

    def link() -> None:
        with services.audit.transaction(tenant_id) as connection:
            identities.link(connection, account, subject.issuer, subject.subject, now=now)
            services.audit.append(
                connection,
                tenant_id=tenant_id,
                actor=f"user:{account.user_id}",
                action="identity.linked",
                object=f"user:{account.user_id}",
                at=now,
                body={"issuer": subject.issuer, "address": admission.address_of(request)},
            )

    try:
        await asyncio.to_thread(link)
    except Conflict:
        _log.warning("a second subject for one account was refused", tenant_id=tenant_id)
        return None
    return account


async def _refuse(request: web.Request, account: Account | None, back: str, message: str) -> web.Response:
    details = {"proof": Proof.PROVIDER.value}
    await admission.enter(request, account, "sign-in.refused", result="refused", details=details)
    return _forgetting(request, _form(request, local(back), "", message, HTTPStatus.FORBIDDEN))


async def _provider(request: web.Request, tenant_id: TenantId) -> Provider | None:
    services = request.app[SERVICES]
    return await asyncio.to_thread(
        identity_providers.provider_of, services.catalogue, services.root, tenant_id
    )


def _client(request: web.Request, provider: Provider) -> OpenIdClient:
    return OpenIdClient(provider, f"{request.app[SERVICES].url}{CALLBACK}")


def _remember(
    request: web.Request,
    response: web.Response,
    tenant_id: TenantId,
    pending: Pending,
    back: str,
    *,
    again: bool,
) -> None:
    services = request.app[SERVICES]
    now = services.clock.now()
    ends = now + timedelta(seconds=LIFE_S)
    fields = {
        "tenant": tenant_id,
        # A long address to go back to is not worth a question that does not fit its cookie.
        "next": back if len(back) <= NEXT_CHARS_MAX else "/",
        # What is proved to the provider after this moment is proved anew.
        "since": now.isoformat() if again else "",
        **vars(pending),
    }
    response.set_cookie(
        _cookie_name(request),
        challenge.seal(services.root, PURPOSE, fields, ends=ends),
        max_age=LIFE_S,
        path="/",
        httponly=True,
        secure=browser_session.is_secure(services.exposure),
        # The provider leads back from its own site, by a link: Lax lets the cookie come along.
        samesite="Lax",
    )


def _forgetting(request: web.Request, response: web.Response) -> web.Response:
    secure = browser_session.is_secure(request.app[SERVICES].exposure)
    response.del_cookie(_cookie_name(request), path="/", httponly=True, secure=secure, samesite="Lax")
    return response


def _cookie_name(request: web.Request) -> str:
    return f"__Host-{COOKIE}" if browser_session.is_secure(request.app[SERVICES].exposure) else COOKIE


def _form(
    request: web.Request,
    back: str,
    typed: str = "",
    error: str = "",
    status: int = HTTPStatus.OK,
    *,
    again: bool = False,
) -> web.Response:
    context = {"back": back, "typed": typed[:320], "error": error, "again": again}
    return render(request, "sign_in/organisation.html", status=status, **context)


ORGANISATION_ROUTES = (
    Route("GET", "/sign-in/organisation", get_organisation, None, None, page=True),
    Route("POST", "/sign-in/organisation", post_organisation, None, None, page=True),
    Route("GET", CALLBACK, get_callback, None, None, page=True),
)
