"""A proposal of what takes two people, as requests make it, the log tells it and the API shows it.

Whatever is asked for and takes a second person calls `propose` in the transaction of its own
entry, which then says that it was proposed and not that it was done; and answers with
`waiting_response`.

Rules: a key proposes nothing. Not here: deciding on it (`playback_portal.approvals`).
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from archive.approval import Kind, Proposal, Wanted, may_propose
from archive.audit import Json
from archive.catalogue import proposals
from archive.catalogue.engine import Connection
from playback_portal import documents
from playback_portal.documents import time_of
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, EVENT, SUBJECT
from playback_portal.services import SCOPE, SERVICES

TOLD_IDS_MAX = 20
"""Recordings of an export that a proposal names; the export itself names them all."""

BY_KEY = "This takes two people who signed in: no key proposes or approves it."


def propose(request: web.Request, connection: Connection, wanted: Wanted) -> Proposal:
    """Write a proposal down in the transaction of the request's entry, which tells of it.

    Raises the 403 Problem for a key, NotYours for who may not, Conflict while the same one waits.
    """
    services, scope = request.app[SERVICES], request[SCOPE]
    require_person(request, wanted.kind)
    now = services.clock.now()
    for over in proposals.expire(connection, scope.tenant_id, now=now):
        services.audit.append(
            connection,
            tenant_id=scope.tenant_id,
            actor=proposals.CLOCK,
            action="proposal.expired",
            object=f"proposal:{over.id}",
            body=told(over),
            at=now,
        )
    made = proposals.propose(connection, scope, wanted, now=now)
    request[EVENT], request[SUBJECT] = "proposal.made", f"proposal:{made.id}"
    request[DETAILS] = {**told(made), "reason": made.reason}
    return made


def require_person(request: web.Request, kind: Kind) -> None:
    """Raise the 403 Problem of a request that proposes such a thing by a key."""
    if "Authorization" in request.headers and not may_propose(request[SCOPE], kind):
        raise Problem(HTTPStatus.FORBIDDEN, "two-people", BY_KEY)


def document(proposal: Proposal) -> dict[str, Json]:
    """Return a proposal as the API shows it."""
    return {
        "id": proposal.id,
        "kind": proposal.kind.value,
        "about": proposal.subject,
        "parameters": shown_parameters(proposal),
        "reason": proposal.reason,
        "state": proposal.state.value,
        "proposedBy": proposal.proposed_by,
        "proposedAt": time_of(proposal.proposed_at),
        "expiresAt": time_of(proposal.expires_at),
        "decidedBy": proposal.decided_by,
        "decidedAt": None if proposal.decided_at is None else time_of(proposal.decided_at),
    }


def shown_parameters(proposal: Proposal) -> dict[str, Json]:
    """Return what is to be done, with so many ids as somebody looks at."""
    shown = dict(proposal.parameters)
    ids = shown.get("recordingIds")
    if isinstance(ids, list):
        shown["recordings"], shown["recordingIds"] = len(ids), ids[:TOLD_IDS_MAX]
    return shown


def told(proposal: Proposal) -> dict[str, Json]:
    """Return what the audit log says of a proposal."""
    return {"kind": proposal.kind.value, "about": proposal.subject, "wanted": shown_parameters(proposal)}


def waiting_response(proposal: Proposal) -> web.Response:
    """Return the 202 of what waits for a second person."""
    response = documents.json_response(document(proposal), {"Location": f"/v1/approvals/{proposal.id}"})
    response.set_status(HTTPStatus.ACCEPTED)
    return response
