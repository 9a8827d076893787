"""What an organisation allows all of its people: sharing, mail of files, asking for a purpose, idle browsers.

Rules: for administrators. A switch counts at once and can be undone for a moment; the audit
log tells what changed. Who may share is not here: it is a right of teams and people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

from aiohttp import web

from archive.approval import Proposal
from archive.catalogue import grounds, legal_duties, policies, share_policies
from archive.catalogue.grounds import Version
from archive.catalogue.legal_duties import LegalDuty
from archive.catalogue.share_policies import DAYS_MAX, Changes, SharePolicy
from archive.errors import Conflict
from archive.model import (
    EXPORTS_ALONE_MAX,
    IDLE_MINUTES_MAX,
    IDLE_MINUTES_MIN,
    KEEP_GRACE_H_MAX,
    TRASH_DAYS_MAX,
    AboveCap,
    TenantPolicy,
)
from playback_portal import policies as tenant_policy
from playback_portal import shares as sharing
from playback_portal import words
from playback_portal.entity_tag import ChangedMeanwhile
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.approvals import ABOVE_CAP
from playback_portal.pages.approvals import PAGE as APPROVALS
from playback_portal.pages.sign_in import fields_of
from playback_portal.pages.teams import row
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/admin/policies"

WAITS = mark("A change of the settings waits for a second person already.")
CHANGED = mark(
    "Somebody else changed these settings meanwhile. See what stands here now, and change it again."
)

RULES = {
    "links_allowed": (
        mark("Play links"),
        mark("Without it nobody makes a link, and none that is there works."),
    ),
    "proof_required": (mark("Always a PIN or code"), mark("Counts for new links.")),
    "files_allowed": (
        mark("Files by mail"),
        mark("Recordings may leave as files, sent by who has the right to mail."),
    ),
}


async def get_policies(request: web.Request) -> web.StreamResponse:
    """Show what the organisation allows."""
    return await _page(request)


async def post_sharing(request: web.Request) -> web.StreamResponse:
    """Switch a rule of sharing, or set the longest life of a link."""
    form = await fields_of(request)
    name, days = form.get("rule", ""), form.get("days", "")
    changes: Changes = {}
    if name in RULES:
        changes = cast("Changes", {name: form.get("on") == "true"})
    elif days.isdecimal() and len(days) < 4 and 1 <= int(days) <= DAYS_MAX:
        changes = {"days_max": int(days)}
    else:
        return await _page(request, wrong="days")
    policy = await sharing.change_policy(request, changes)
    if not is_htmx(request) or name not in RULES:
        return see_other(request, PAGE)
    return partial(request, "policies/switched.html", name=name, policy=policy, rules=RULES)


async def post_purpose(request: web.Request) -> web.StreamResponse:
    """Switch whether opening somebody else's recording takes a purpose."""
    on = (await fields_of(request)).get("on") == "true"
    tenant_id = request[SCOPE].tenant_id

    def switch() -> None:
        with request[ENTRY].transaction() as connection:
            policies.set_within(connection, tenant_id, purpose_required=on)
            request[DETAILS] = {"changed": {"purposeRequired": {"to": on}}}

    await asyncio.to_thread(switch)
    if not is_htmx(request):
        return see_other(request, PAGE)
    return partial(request, "policies/purpose_switched.html", on=on)


async def post_idle(request: web.Request) -> web.StreamResponse:
    """Change after how many minutes a browser that nobody uses is signed out."""
    minutes = _whole((await fields_of(request)).get("idle_minutes", ""), IDLE_MINUTES_MAX)
    if minutes is None or minutes < IDLE_MINUTES_MIN:
        return await _page(request, wrong="idle")
    await asyncio.to_thread(tenant_policy.change, request, tenant_policy.Changes(idle_minutes=minutes))
    return see_other(request, PAGE)


async def post_keeping(request: web.Request) -> web.StreamResponse:
    """Change what is kept, and how much one person exports; to keep less or let more out takes two."""
    form = await fields_of(request)
    count = _whole(form.get("exports_alone_max", ""), EXPORTS_ALONE_MAX)
    days, above_cap = _whole(form.get("trash_days", ""), TRASH_DAYS_MAX), form.get("above_cap", "")
    hours = _whole(form.get("keep_grace_h", ""), KEEP_GRACE_H_MAX)
    if above_cap not in set(AboveCap) or count is None:
        return await _page(request, wrong="count", typed=form)
    if days is None or hours is None:
        return await _page(request, wrong="trash" if days is None else "grace", typed=form)
    wanted = tenant_policy.Changes(
        above_cap=AboveCap(above_cap), keep_grace_h=hours, exports_alone_max=count, trash_days=days
    )
    try:
        made = await asyncio.to_thread(tenant_policy.change, request, wanted, form.get("seen"))
    except Conflict as error:
        await request[ENTRY].make("refused")
        # What somebody else changed is shown, and nothing that was typed over what it was before.
        return await _page(request, fault=CHANGED if isinstance(error, ChangedMeanwhile) else WAITS)
    return see_other(request, APPROVALS if isinstance(made, Proposal) else PAGE)


def _whole(text: str, most: int) -> int | None:
    """Read a number of a form from 0 on, None of anything else."""
    whole = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    return int(text) if whole and int(text) <= most else None


async def _policy(request: web.Request) -> SharePolicy:
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    return await asyncio.to_thread(share_policies.policy_of, services.catalogue, tenant_id)


async def _page(
    request: web.Request, *, wrong: str = "", fault: str = "", typed: Mapping[str, str] | None = None
) -> web.Response:
    """Return the page; `wrong` names the field of what was `typed` that holds what can't be."""
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def read() -> tuple[TenantPolicy, Version | None, list[LegalDuty]]:
        duties = legal_duties.duties_of(services.catalogue, tenant_id)
        return (
            policies.policy_of(services.catalogue, tenant_id),
            grounds.current(services.catalogue, tenant_id),
            [each for each in duties if each.ended_at is None],
        )

    tenant, why, duties = await asyncio.to_thread(read)
    status = HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK
    return render(
        request,
        "policies/page.html",
        status=HTTPStatus.CONFLICT if fault else status,
        policy=await _policy(request),
        rules=RULES,
        days_max=DAYS_MAX,
        wrong=wrong,
        purpose_required=tenant.purpose_required,
        tenant=tenant,
        above_cap=ABOVE_CAP,
        alone_max=EXPORTS_ALONE_MAX,
        trash_days_max=TRASH_DAYS_MAX,
        grace_max=KEEP_GRACE_H_MAX,
        fault=fault,
        waits=fault == WAITS,
        sent=typed or {},
        seen=tenant_policy.keeping_tag(tenant),
        idle_min=IDLE_MINUTES_MIN,
        idle_max=IDLE_MINUTES_MAX,
        why=why,
        duties=duties,
        words=words,
    )


POLICY_ROUTES = (
    row("GET", PAGE, get_policies, "policies.viewed", "policies"),
    row("POST", f"{PAGE}/sharing", post_sharing, "share-policy.changed", "share-policy"),
    row("POST", f"{PAGE}/purpose", post_purpose, "policy.changed", "policy"),
    row("POST", f"{PAGE}/idle", post_idle, "policy.changed", "policy"),
    row("POST", f"{PAGE}/keeping", post_keeping, "policy.changed", "policy"),
)
