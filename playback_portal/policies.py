"""What a tenant decides for all of its people: the grace of unkept calls, minutes above the cap, purposes."""

from __future__ import annotations

import asyncio

from aiohttp import web

from archive.audit import Json
from archive.catalogue import policies
from archive.model import KEEP_GRACE_H_MAX, AboveCap, TenantPolicy
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import Parameters, json_flag, json_whole_number, json_word_of, read_body
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES


async def get_policy(request: web.Request) -> web.StreamResponse:
    """Answer with the policy, decided or default."""
    Parameters(request.query).check()
    return tagged_response(policy_document(await _policy(request)))


async def patch_policy(request: web.Request) -> web.StreamResponse:
    """Change the policy by a merge patch and answer with all of it; null sets the default again."""
    Parameters(request.query).check()
    body, defaults = await read_body(request), TenantPolicy()
    keep_grace_h = body.read(
        "keepGraceHours",
        lambda value: (
            defaults.keep_grace_h if value is None else json_whole_number(0, KEEP_GRACE_H_MAX)(value)
        ),
        None,
    )
    above_cap = body.read(
        "aboveCap",
        lambda value: defaults.above_cap if value is None else json_word_of(AboveCap)(value),
        None,
    )
    purpose_required = body.read(
        "purposeRequired",
        lambda value: defaults.purpose_required if value is None else json_flag(value),
        None,
    )
    body.check()
    tenant_id = request[SCOPE].tenant_id

    def change() -> dict[str, Json]:
        with request[ENTRY].transaction() as connection:
            before = policy_document(policies.policy_within(connection, tenant_id))
            require_match(request.headers.get("If-Match"), before)
            policy = policies.set_within(
                connection,
                tenant_id,
                keep_grace_h=keep_grace_h,
                above_cap=above_cap,
                purpose_required=purpose_required,
            )
            document = policy_document(policy)
            changed: dict[str, Json] = {
                name: {"from": before[name], "to": document[name]}
                for name in document
                if before[name] != document[name]
            }
            request[DETAILS] = {"changed": changed}
        return document

    return tagged_response(await asyncio.to_thread(change))


def policy_document(policy: TenantPolicy) -> dict[str, Json]:
    """Return a policy as the API shows it."""
    return {
        "keepGraceHours": policy.keep_grace_h,
        "aboveCap": policy.above_cap.value,
        "purposeRequired": policy.purpose_required,
    }


async def _policy(request: web.Request) -> TenantPolicy:
    return await asyncio.to_thread(
        policies.policy_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
