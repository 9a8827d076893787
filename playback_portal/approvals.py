"""What takes two people, over the API: listed, approved by another one, refused or withdrawn.

Proposals are made where the thing itself is asked for: a role is given, a policy changed,
many recordings are exported, a recording is to go before its term. Such a request answers 202
with the proposal, and nothing is done before somebody else approves.

Rules: for administrators and auditors; a key looks and decides nothing. Whoever approves
signed in a short while ago. The approval, its entry in the log and what it does are one
transaction. Not here: who may do what (`archive.approval`), and the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from aiohttp import web

from archive import jobs
from archive.access import Scope
from archive.approval import REASON_CHARS_MAX, Event, Kind, Proposal, State, Wanted
from archive.audit import Json
from archive.catalogue import approved, proposals
from archive.catalogue.approved import Effect
from archive.catalogue.engine import Connection
from archive.errors import CatalogueUnavailable
from archive.model import RecordingId
from playback_portal import documents
from playback_portal.administration import administrators_only
from playback_portal.parameters import Parameters, bounded_text, cursor, flag, json_flag, limit, read_body
from playback_portal.proposal import (
    document,
    propose,
    require_person,
    told,
    waiting_response,
)
from playback_portal.route import DETAILS, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

_TASKS = {
    Kind.EARLY_DESTRUCTION: jobs.EXPIRY_BATCH,
    Kind.KEY_DESTRUCTION: jobs.EXPIRY_BATCH,
    Kind.MASS_EXPORT: jobs.EXPORT,
}
"""Who goes on with what was approved, where that is not done by the approval itself."""


async def list_approvals(request: web.Request) -> web.StreamResponse:
    """Answer with a page of proposals, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    waiting = parameters.read("waiting", flag, None)
    parameters.check()
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def read() -> tuple[tuple[Proposal, ...], str | None]:
        now = services.clock.now()
        return proposals.page(
            services.catalogue, tenant_id, waiting=waiting, limit=size, cursor=after, now=now
        )

    found, following = await asyncio.to_thread(read)
    return documents.list_response(request, map(document, found), following)


async def get_approval(request: web.Request) -> web.StreamResponse:
    """Answer with one proposal."""
    Parameters(request.query).check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(proposals.get, catalogue, scope, recording_id_of(request))
    return documents.json_response(document(found))


async def post_approval(request: web.Request) -> web.StreamResponse:
    """Approve what another person proposed; it is done when this answers, or handed over."""
    Parameters(request.query).check()
    return _made(await decide(request, Event.APPROVE))


async def post_approval_refusal(request: web.Request) -> web.StreamResponse:
    """Refuse what another person proposed."""
    Parameters(request.query).check()
    return _made(await decide(request, Event.REFUSE))


async def delete_approval(request: web.Request) -> web.StreamResponse:
    """Withdraw what oneself proposed."""
    Parameters(request.query).check()
    await decide(request, Event.WITHDRAW)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_early_destruction(request: web.Request) -> web.StreamResponse:
    """Propose to destroy a recording before its term."""
    Parameters(request.query).check()
    body = await read_body(request)
    reason = body.need("reason", bounded_text(REASON_CHARS_MAX, chars_min=1), "")
    at_once = body.read("atOnce", json_flag, False)
    body.check()
    made = await propose_destruction(request, recording_id_of(request), reason, at_once=at_once)
    return waiting_response(made)


async def propose_destruction(
    request: web.Request, recording_id: RecordingId, reason: str, *, at_once: bool
) -> Proposal:
    """Propose to destroy a recording before its term; raises Conflict for what keeps it.

    `at_once` is for an erasure the law asks for: then it does not wait in the trash.
    """
    tenant_id = request[SCOPE].tenant_id
    require_person(request, Kind.EARLY_DESTRUCTION)

    def make() -> Proposal:
        with request[ENTRY].transaction() as connection:
            approved.require_destroyable(connection, tenant_id, recording_id)
            how: dict[str, Json] = {"atOnce": True} if at_once else {}
            wanted = Wanted(Kind.EARLY_DESTRUCTION, f"recording:{recording_id}", how, reason)
            return propose(request, connection, wanted)

    return await asyncio.to_thread(make)


async def decide(request: web.Request, event: Event) -> Proposal:
    """Let an event happen to the proposal the path names; what is approved is done with it.

    Raises NotFound, Refused (not theirs to decide), Conflict (decided, over, or what
    stands against the act now; then it waits on).
    """
    services, scope, proposal_id = request.app[SERVICES], request[SCOPE], recording_id_of(request)

    def make() -> tuple[Proposal, Effect | None]:
        now, effect = services.clock.now(), None
        with request[ENTRY].transaction() as connection:
            decided = proposals.decide(connection, scope, proposal_id, event, now=now)
            request[DETAILS] = told(decided)
            if decided.state is State.APPROVED:
                effect = approved.carry_out(connection, decided, now=now)
                _enter(request, connection, decided, effect)
        return decided, effect

    decided, effect = await asyncio.to_thread(make)
    if effect is not None:
        await _hand_over(request, decided.kind, effect)
    return decided


def _enter(request: web.Request, connection: Connection, proposal: Proposal, effect: Effect) -> None:
    """Write down what an approval did, beside the entry of the approval itself."""
    services = request.app[SERVICES]
    services.audit.append(
        connection,
        tenant_id=proposal.tenant_id,
        actor=request[SCOPE].actor,
        action=effect.action,
        object=effect.object,
        body={**effect.told, "proposal": proposal.id, "proposedBy": proposal.proposed_by},
        at=services.clock.now(),
    )


async def _hand_over(request: web.Request, kind: Kind, effect: Effect) -> None:
    """Have the workers begin at once; what can't be handed over is found by their clock."""
    if kind not in _TASKS:
        return
    url, about = request.app[SERVICES].database_url, {"tenant_id": str(request[SCOPE].tenant_id)}
    if kind is Kind.MASS_EXPORT:
        about["export_id"] = effect.object.partition(":")[2]
    with contextlib.suppress(CatalogueUnavailable):
        await asyncio.to_thread(jobs.defer, url, _TASKS[kind], **about)


def _made(proposal: Proposal) -> web.Response:
    response = documents.json_response(document(proposal))
    response.set_status(HTTPStatus.CREATED)
    return response


PATH = "/v1/approvals"

APPROVAL_ROUTES = (
    Route("GET", PATH, list_approvals, Scope.APPROVALS, "proposals.listed"),
    Route("GET", f"{PATH}/{{id}}", get_approval, Scope.APPROVALS, "proposal.viewed", "proposal"),
    Route(
        "POST",
        f"{PATH}/{{id}}/approval",
        post_approval,
        Scope.APPROVALS,
        "proposal.approved",
        "proposal",
        fresh=True,
    ),
    Route(
        "POST",
        f"{PATH}/{{id}}/refusal",
        post_approval_refusal,
        Scope.APPROVALS,
        "proposal.refused",
        "proposal",
    ),
    Route("DELETE", f"{PATH}/{{id}}", delete_approval, Scope.APPROVALS, "proposal.withdrawn", "proposal"),
    Route(
        "POST",
        "/v1/recordings/{id}/destruction",
        administrators_only(post_early_destruction),
        Scope.ADMINISTRATION,
        "proposal.made",
    ),
)
