"""Why a call was recorded or not: of a session, of a recording, and of a call that is only imagined.

Rules: whoever may know of a recording may know why it is there. What is imagined is
told to the caller and to nobody else: neither log nor audit log holds the numbers, and
exempt ones are answered before anything is looked up.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web

from archive.access import AccessScope, may_read_sessions
from archive.audit import Json
from archive.catalogue import directory, grounds, minutes, recordings, sessions, tenant_directory
from archive.catalogue.engine import Catalogue
from archive.catalogue.grounds import Version
from archive.catalogue.minutes import Booking
from archive.catalogue.snapshot import Directory
from archive.clock import Clock
from archive.decision import CallFacts, Decision, RecordedUser, decide
from archive.errors import NotFound, Refused
from archive.model import (
    Peer,
    PeerId,
    Recording,
    RetentionClass,
    SessionId,
    SessionOutcome,
    Span,
    SpanKind,
    TenantId,
)
from archive.numbers import exempt_in
from playback_portal import documents
from playback_portal.documents import time_of
from playback_portal.parameters import Body, Parameters, bounded_text, read_body
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.services import SCOPE, SERVICES, recording_id_of

NAME_CHARS_MAX = 256
"""As long as an address of record may be, with some room."""

EXEMPT_REASON = "never recorded: emergency or help line"


async def get_session(request: web.Request) -> web.StreamResponse:
    """Answer with how one offered session ended."""
    Parameters(request.query).check()
    session_id = SessionId(recording_id_of(request))
    outcome = await asyncio.to_thread(
        sessions.get, request.app[SERVICES].catalogue, request[SCOPE], session_id
    )
    return documents.json_response(documents.session_document(outcome))


async def get_why(request: web.Request) -> web.StreamResponse:
    """Answer with why a recording is there, why it sounds as it does and how long it stays."""
    Parameters(request.query).check()
    catalogue, scope, recording_id = request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)

    def read() -> dict[str, Json]:
        recording = recordings.get(catalogue, scope, recording_id).recording
        with catalogue.transaction(scope.tenant_id) as connection:
            booking = minutes.booking_of(connection, scope.tenant_id, recording_id)
            written = grounds.in_force(connection, scope.tenant_id, recording.started_at)
        licence = None
        if recording.owner is not None:
            licence = directory.licence_at(catalogue, scope.tenant_id, recording.owner, recording.started_at)
        outcome = _outcome(catalogue, scope, recording)
        return why_document(recording, outcome, booking, licence, written)

    return documents.json_response(await asyncio.to_thread(read))


async def post_what_if(request: web.Request) -> web.StreamResponse:
    """Answer with what would be decided of a call that somebody makes now; no call is made."""
    Parameters(request.query).check()
    body = await read_body(request)
    facts = CallFacts(
        caller=body.need("caller", bounded_text(NAME_CHARS_MAX), ""),
        callee=body.need("callee", bounded_text(NAME_CHARS_MAX), ""),
        recorded_id=_optional(body, "broadworksUserId"),
        service_provider_id=_optional(body, "serviceProviderId"),
        group_id=_optional(body, "groupId"),
    )
    if facts.group_id is not None and facts.service_provider_id is None:
        body.fault("groupId", "A group is one of a service provider: give serviceProviderId too.")
    peer_name = _optional(body, "peer")
    body.check()
    scope, services = request[SCOPE], request.app[SERVICES]
    if not may_read_sessions(scope):
        raise Refused(
            "Asking what would be recorded needs the role auditor or administrator, or sessions:read."
        )
    decision = await asyncio.to_thread(
        imagined, services.catalogue, services.clock, scope.tenant_id, facts, peer_name
    )
    return documents.json_response(decision_document(decision))


def why_document(
    recording: Recording,
    outcome: SessionOutcome | None,
    booking: Booking | None,
    licence: RetentionClass | None,
    written: Version | None,
) -> dict[str, Json]:
    """Return the reasons of a recording; `licence` and what was `written` are those of when it began."""
    return {
        "recording": recording.id,
        "session": recording.session_id,
        "outcome": None if outcome is None else outcome.kind.value,
        "reason": None if outcome is None else outcome.reason,
        "trace": [] if outcome is None else list(outcome.trace),
        "owner": recording.owner,
        "mode": recording.mode.value,
        "retentionClass": recording.retention_class.value,
        "retentionReason": _retention_reason(recording, booking, licence),
        "retainUntil": time_of(recording.retain_until),
        "commands": [_command(recording, span) for span in recording.spans if _is_commanded(span)],
        "flags": list(recording.flags),
        "minutes": None if booking is None else _minutes(booking),
        "grounds": None if written is None else _grounds(written),
    }


def _grounds(written: Version) -> dict[str, Json]:
    """Return for what and on which legal basis the tenant recorded, as it had written down."""
    return {
        "id": written.id,
        "purposes": list(written.grounds.purposes),
        "legalBasis": written.grounds.legal_basis.value,
        "standard": written.standard,
    }


def decision_document(decision: Decision | None) -> dict[str, Json]:
    """Return a decision as the API shows it; None is that of an exempt number."""
    if decision is None:
        trace = ["a party is an emergency or help line: nothing of such a call is kept, not even that it was"]
        return {"outcome": "exempt", "reason": EXEMPT_REASON, "trace": list(trace), "recorded": []}
    return {
        "outcome": decision.kind.value,
        "reason": decision.reason,
        "trace": list(decision.trace),
        "recorded": [_recorded(each) for each in decision.recorded],
    }


def imagined(
    catalogue: Catalogue, clock: Clock, tenant_id: TenantId, facts: CallFacts, peer_name: str | None
) -> Decision | None:
    """Return what would be decided, None where the call may not exist; raises the 400 Problem."""
    numbers = (facts.caller, facts.callee)
    if exempt_in(numbers):
        return None
    known = tenant_directory.load(catalogue, tenant_id)
    if exempt_in(numbers, known.exempt_additions(tenant_id)):
        return None
    return decide(known, _peer(known, tenant_id, facts, peer_name), facts, clock.now())


def _peer(known: Directory, tenant_id: TenantId, facts: CallFacts, name: str | None) -> Peer:
    """Return the peer that would offer the call: the one named, one that tenants share, or the tenant's."""
    named = next((peer for peer in known.peers if peer.name == name), None)
    if named is not None:
        return named
    if facts.service_provider_id is not None:
        # Shared peers are not the tenant's to see; by BroadWorks group they all decide alike.
        return Peer(PeerId(""), "(one that tenants share)", (), None)
    if name is not None:
        detail = "This tenant has no peer of that name; for a shared one give serviceProviderId too."
        raise wrong_parameters(ParameterFault("/peer", detail))
    return Peer(PeerId(""), "(any of this tenant)", (), tenant_id)


def _outcome(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> SessionOutcome | None:
    """Return how the session of a recording ended; a session that still runs has no outcome."""
    try:
        return sessions.of_recording(catalogue, scope, recording.id)
    except NotFound:
        return None


def _retention_reason(recording: Recording, booking: Booking | None, licence: RetentionClass | None) -> str:
    if recording.owner is None:
        return "nobody in particular is recorded; an administrator finds out who"
    if licence is None:
        return "the class stands in the record of the recording; its user had no licence when it began"
    if licence is recording.retention_class:
        return f"the licence {licence} was in force when the recording began"
    if booking is not None and booking.above_cap:
        return (
            f"the licence {licence} was in force, its minutes of the month were used up, "
            f"and the tenant's policy above them is {recording.retention_class}"
        )
    return f"the class stands in the record of the recording; the licence when it began was {licence}"


def _is_commanded(span: Span) -> bool:
    return span.kind is SpanKind.PAUSE or span.by is not None


def _command(recording: Recording, span: Span) -> dict[str, Json]:
    """Return a stretch somebody commanded: which, from when to when, and who."""
    return {
        "kind": span.kind.value,
        "channel": span.channel,
        "fromMs": span.from_ms,
        "toMs": span.to_ms,
        "from": time_of(recording.started_at + timedelta(milliseconds=span.from_ms)),
        "to": time_of(recording.started_at + timedelta(milliseconds=span.to_ms)),
        "by": span.by,
    }


def _minutes(booking: Booking) -> dict[str, Json]:
    return {
        "month": f"{booking.month:%Y-%m}",
        "recordedS": booking.recorded_s,
        "bookedS": booking.booked_s,
        "aboveCap": booking.above_cap,
    }


def _recorded(recorded: RecordedUser) -> dict[str, Json]:
    return {
        "userId": None if recorded.user is None else recorded.user.id,
        "mode": recorded.mode.value,
        "retentionClass": recorded.retention_class.value,
        "direction": recorded.direction.value,
        "quarantined": recorded.quarantined,
        "keepGraceH": recorded.keep_grace_h,
        "keepNext": recorded.keep_next_until is not None,
    }


def _optional(body: Body, name: str) -> str | None:
    return body.read(name, bounded_text(NAME_CHARS_MAX, chars_min=1), None)
