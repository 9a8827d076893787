"""What a tenant decides for all of its people: the grace of unkept calls, the cap, exports, the trash.

Rules: what keeps less of later recordings, or lets more out at once, takes a second person
(`archive.approval.loosens`); what exists keeps its term whatever is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict, TypeVar

from aiohttp import web

from archive.approval import Kind, Proposal, Wanted, loosens
from archive.audit import Json
from archive.catalogue import policies
from archive.model import (
    EXPORTS_ALONE_MAX,
    IDLE_MINUTES_MAX,
    IDLE_MINUTES_MIN,
    KEEP_GRACE_H_MAX,
    TRASH_DAYS_MAX,
    AboveCap,
    TenantPolicy,
)
from playback_portal.entity_tag import ChangedMeanwhile, form_tag, require_match, tagged_response
from playback_portal.parameters import Body, Parameters, json_flag, json_whole_number, json_word_of, read_body
from playback_portal.proposal import propose, waiting_response
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES

KEEPING = ("keepGraceHours", "aboveCap", "exportsAloneMax", "trashDays")
"""What the form on keeping holds, all of it at once, as it was when the page was made."""

_T = TypeVar("_T")


class Changes(TypedDict, total=False):
    """What of a policy is to change; what is left out stays."""

    keep_grace_h: int
    above_cap: AboveCap
    purpose_required: bool
    exports_alone_max: int
    trash_days: int
    idle_minutes: int


async def get_policy(request: web.Request) -> web.StreamResponse:
    """Answer with the policy, decided or default."""
    Parameters(request.query).check()
    return tagged_response(policy_document(await _policy(request)))


async def patch_policy(request: web.Request) -> web.StreamResponse:
    """Change the policy by a merge patch and answer with all of it; null sets the default again."""
    Parameters(request.query).check()
    body = await read_body(request)
    wanted = _changes(body)
    body.check()
    made = await asyncio.to_thread(change, request, wanted)
    return waiting_response(made) if isinstance(made, Proposal) else tagged_response(policy_document(made))


def change(request: web.Request, wanted: Changes, seen: str | None = None) -> TenantPolicy | Proposal:
    """Change the policy, or propose it: all of it, when a part takes a second person; blocks.

    `seen` is the tag of what a form was made of. Raises the 412 Problem when it is another than the
    request names, ChangedMeanwhile when it is another than the form's, the 403 Problem of a key that
    may not propose, ProposedAlready while another change of it waits.
    """
    tenant_id = request[SCOPE].tenant_id
    with request[ENTRY].transaction() as connection:
        # Compared behind the lock: what somebody else is changing at this moment counts.
        before = policies.locked(connection, tenant_id)
        require_match(request.headers.get("If-Match"), policy_document(before))
        if seen is not None and seen != keeping_tag(before):
            raise ChangedMeanwhile("Somebody else changed these settings meanwhile.")
        after = replace(before, **wanted)
        was, will = policy_document(before), policy_document(after)
        names = [name for name in will if will[name] != was[name]]
        if loosens(before, after):
            asked = {name: will[name] for name in names}
            return propose(request, connection, Wanted(Kind.POLICY_CHANGE, f"tenant:{tenant_id}", asked))
        changed: dict[str, Json] = {name: {"from": was[name], "to": will[name]} for name in names}
        request[DETAILS] = {"changed": changed}
        return policies.set_within(connection, tenant_id, **wanted)


def keeping_tag(policy: TenantPolicy) -> str:
    """Return the tag of what the form on keeping holds, as long as nobody changes any of it."""
    return form_tag(policy_document(policy), KEEPING)


def policy_document(policy: TenantPolicy) -> dict[str, Json]:
    """Return a policy as the API shows it."""
    return {
        "keepGraceHours": policy.keep_grace_h,
        "aboveCap": policy.above_cap.value,
        "purposeRequired": policy.purpose_required,
        "exportsAloneMax": policy.exports_alone_max,
        "trashDays": policy.trash_days,
        "idleMinutes": policy.idle_minutes,
    }


def _changes(body: Body) -> Changes:
    """Read what a body names; null is the default again."""
    defaults, wanted = TenantPolicy(), Changes()
    if "keepGraceHours" in body.names:
        hours = _or(defaults.keep_grace_h, json_whole_number(0, KEEP_GRACE_H_MAX))
        wanted["keep_grace_h"] = body.read("keepGraceHours", hours, 0)
    if "aboveCap" in body.names:
        above_cap = _or(defaults.above_cap, json_word_of(AboveCap))
        wanted["above_cap"] = body.read("aboveCap", above_cap, defaults.above_cap)
    if "purposeRequired" in body.names:
        wanted["purpose_required"] = body.read(
            "purposeRequired", _or(defaults.purpose_required, json_flag), False
        )
    if "exportsAloneMax" in body.names:
        count = _or(defaults.exports_alone_max, json_whole_number(0, EXPORTS_ALONE_MAX))
        wanted["exports_alone_max"] = body.read("exportsAloneMax", count, 0)
    if "trashDays" in body.names:
        days = _or(defaults.trash_days, json_whole_number(0, TRASH_DAYS_MAX))
        wanted["trash_days"] = body.read("trashDays", days, 0)
    if "idleMinutes" in body.names:
        minutes = _or(defaults.idle_minutes, json_whole_number(IDLE_MINUTES_MIN, IDLE_MINUTES_MAX))
        wanted["idle_minutes"] = body.read("idleMinutes", minutes, IDLE_MINUTES_MIN)
    return wanted


def _or(default: _T, parse: Callable[[Json], _T]) -> Callable[[Json], _T]:
    return lambda value: default if value is None else parse(value)


async def _policy(request: web.Request) -> TenantPolicy:
    return await asyncio.to_thread(
        policies.policy_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
