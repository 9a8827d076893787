"""How the instance runs, for its operators: is everything recorded now, and what needs looking after.

Every figure is the one that stands elsewhere already: what recorders say with their beat
(`recorder.condition`, as their `/metrics`), what the worker counted and found (`/metrics` of
the portal, `earwitness doctor`), what reports add up. What nobody told is unknown, and never 0.

Rules: for operators alone, who hear nothing: no person, number or recording is here, and of
an exempt call nothing at all. Not here: how it looks (`playback_portal.pages.operation`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aiohttp import web

from archive.access import Scope, may_operate
from archive.audit import Json
from archive.catalogue import moments, operation, recorder_nodes, retention_figures, scrubs, worm_proofs
from archive.catalogue.moments import Known, Moment
from archive.catalogue.operation import OperatedPage, OperatedSession, TenantFigures
from archive.catalogue.recorder_nodes import Node
from archive.catalogue.retention_figures import COUNTED_WITHIN, Figure, Reading
from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import WormProof
from archive.model import OutcomeKind
from playback_portal import documents
from playback_portal.documents import time_of
from playback_portal.health import READINESS
from playback_portal.parameters import CALENDAR, Parameters, cursor, limit, session_term
from playback_portal.problems import missing_scope
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

LATELY = timedelta(hours=1)
"""A session that failed so lately says that not everything is recorded now."""

DAY = timedelta(days=1)
LAG_MAX = timedelta(minutes=10)
"""A recording is archived within seconds; what waits for longer waits for something that is away."""

CERTIFICATE_DAYS_MIN = 30
"""Whoever renews by hand needs some weeks; what renews itself does it before."""

FIGURE_AGE_MAX = 2 * COUNTED_WITHIN
"""What a worker counts, it counts each hour or more often; an older figure tells nothing of now."""

BACKUP_AGE_MAX = timedelta(days=7)
"""A backup is destroyed after 7 days: with none that is younger there is none."""


class Verdict(StrEnum):
    """Whether everything that should be is being recorded."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Trouble(StrEnum):
    """Why not everything is recorded."""

    NONE_THERE = "no-recorder"
    SILENT = "recorder-silent"
    UNREADY = "recorder-unready"
    FAILED = "sessions-failed"


@dataclass(frozen=True)
class Certificate:
    """A certificate that is used and when it ends; `node` is '' where there is one for all."""

    name: Moment | str
    node: str
    ends_at: datetime

    def days(self, now: datetime) -> int:
        """Return the whole days that are left, below 0 once it has ended."""
        return (self.ends_at - now) // DAY

    def is_short(self, now: datetime) -> bool:
        """Return whether it is time to renew it."""
        return self.days(now) < CERTIFICATE_DAYS_MIN


PORTAL_TLS = "portal-certificate-ends"
CERTIFICATES = (
    Moment.SIP_CERTIFICATE_ENDS,
    Moment.SIGNING_CERTIFICATE_ENDS,
    Moment.STAMPING_CERTIFICATE_ENDS,
)


@dataclass(frozen=True)
class Status:
    """What is known at `now`; None, or what is missing, was never told."""

    now: datetime
    nodes: tuple[Node, ...]
    lately: Mapping[OutcomeKind, int]
    today: Mapping[OutcomeKind, int]
    told: Mapping[Moment, tuple[Known, ...]]
    tls_ends: datetime | None
    has_tls: bool
    proof: WormProof | None
    scrub: tuple[Progress, datetime] | None
    retention: Mapping[Figure, Reading]
    has_store: bool
    """Whether the object store answers this portal now."""

    @property
    def there(self) -> tuple[Node, ...]:
        """The recorders that were heard just now."""
        return tuple(node for node in self.nodes if node.is_there)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Why not everything is recorded, as far as anybody knows."""
        unready = [node for node in self.there if node.condition.unready_reason]
        found = {
            Trouble.NONE_THERE: bool(self.nodes) and not self.there,
            Trouble.SILENT: bool(self.there) and len(self.there) < len(self.nodes),
            Trouble.UNREADY: bool(unready),
            Trouble.FAILED: self.lately[OutcomeKind.FAILED] > 0,
        }
        return tuple(trouble for trouble, is_so in found.items() if is_so)

    @property
    def verdict(self) -> Verdict:
        """Whether everything is recorded; unknown where no recorder ever said that it is there."""
        if self.troubles:
            return Verdict.NO
        said = self.there and all(node.condition.unready_reason is not None for node in self.there)
        return Verdict.YES if said else Verdict.UNKNOWN

    @property
    def recordings(self) -> int | None:
        """Recordings being made now, None while a recorder that is there did not say."""
        return _sum([node.condition.recordings for node in self.there])

    @property
    def waiting(self) -> int | None:
        """Recordings that are over and not archived yet, of all recorders known; None as `recordings`."""
        return _sum([node.waiting for node in self.nodes])

    @property
    def waiting_since(self) -> datetime | None:
        """When the first of them ended, None while none waits."""
        return min((at for node in self.nodes if (at := node.condition.waiting_since)), default=None)

    @property
    def lags(self) -> bool:
        """Return whether what is sealed waits too long for the object store."""
        return self.waiting_since is not None and self.now - self.waiting_since > LAG_MAX

    @property
    def counted(self) -> datetime | None:
        """When a worker counted last, None when none ever did."""
        return None if Figure.COUNTED not in self.retention else self.retention[Figure.COUNTED].at

    @property
    def counts_late(self) -> bool:
        """Whether no worker has counted for so long that its figures tell nothing of now."""
        return self.counted is None or self.now - self.counted > COUNTED_WITHIN

    def reading(self, figure: Figure) -> Reading | None:
        """Return a figure as it is now, None when nobody counted it lately."""
        known = self.retention.get(figure)
        return None if known is None or self.now - known.at > FIGURE_AGE_MAX else known

    def is_known_to(self, each: Known) -> bool:
        """Return whether who told a moment is there or missed; a recorder that went took its own along."""
        return not each.node or any(node.name == each.node for node in self.nodes)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates that are used and known."""
        told = [
            Certificate(name, each.node, each.moment)
            for name in CERTIFICATES
            for each in self.told.get(name, ())
            if each.moment is not None and self.is_known_to(each)
        ]
        own = [] if self.tls_ends is None else [Certificate(PORTAL_TLS, "", self.tls_ends)]
        return (*own, *told)

    def newest(self, name: Moment) -> datetime | None:
        """Return the latest moment anybody told of something, None when nobody did."""
        return max((each.moment for each in self.told.get(name, ()) if each.moment), default=None)

    def is_without(self, name: str) -> bool:
        """Return whether it is known that no such certificate is used; what nobody told is not known."""
        if name == PORTAL_TLS:
            return not self.has_tls
        known = [each for each in self.told.get(Moment(name), ()) if self.is_known_to(each)]
        return bool(known) and all(each.moment is None for each in known)


def _sum(counts: list[int | None]) -> int | None:
    return None if not counts or None in counts else sum(each or 0 for each in counts)


def require_operator(request: web.Request) -> None:
    """Raise the 403 Problem of whoever is no operator, whatever their key says."""
    if not may_operate(request[SCOPE]):
        raise missing_scope(Scope.OPERATION)


async def status_of(request: web.Request) -> Status:
    """Return how the instance runs, as operator."""
    require_operator(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    catalogue, now = services.catalogue, services.clock.now()
    away = await request.app[READINESS].away(dict(services.checks))

    def read() -> Status:
        return Status(
            now=now,
            nodes=tuple(recorder_nodes.listed(catalogue)),
            lately=operation.outcomes(catalogue, scope, now - LATELY),
            today=operation.outcomes(catalogue, scope, now - DAY),
            told=moments.known(catalogue),
            tls_ends=services.tls_ends,
            has_tls=services.exposure.tls,
            proof=worm_proofs.newest(catalogue),
            scrub=scrubs.progress(catalogue),
            retention=retention_figures.read(catalogue),
            has_store="store" not in away,
        )

    return await asyncio.to_thread(read)


async def tenants_of(request: web.Request) -> list[TenantFigures]:
    """Return the tenants in numbers, with what they recorded this month, as operator."""
    require_operator(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    month = services.clock.now().astimezone(CALENDAR).date().replace(day=1)
    return await asyncio.to_thread(operation.tenants, services.catalogue, scope, month)


async def nodes_of(request: web.Request) -> list[Node]:
    """Return the recorders, as operator."""
    require_operator(request)
    return await asyncio.to_thread(recorder_nodes.listed, request.app[SERVICES].catalogue)


async def sessions_of(request: web.Request, term: str, size: int, after: str | None) -> OperatedPage:
    """Return a page of how sessions ended, as operator."""
    require_operator(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    return await asyncio.to_thread(
        operation.sessions, services.catalogue, scope, term=term, limit=size, cursor=after
    )


async def get_operator_status(request: web.Request) -> web.StreamResponse:
    """Answer with how the instance runs."""
    Parameters(request.query).check()
    return documents.json_response(status_document(await status_of(request)))


async def list_operator_tenants(request: web.Request) -> web.StreamResponse:
    """Answer with the tenants in numbers."""
    Parameters(request.query).check()
    return documents.list_response(request, map(_tenant_document, await tenants_of(request)), None)


async def list_operator_nodes(request: web.Request) -> web.StreamResponse:
    """Answer with the recorders."""
    Parameters(request.query).check()
    return documents.list_response(request, map(_node_document, await nodes_of(request)), None)


async def list_operator_sessions(request: web.Request) -> web.StreamResponse:
    """Answer with how sessions ended, newest first."""
    parameters = Parameters(request.query)
    term = parameters.read("q", session_term, "")
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    page = await sessions_of(request, term, size, after)
    return documents.list_response(request, map(_session_document, page.items), page.next)


def status_document(status: Status) -> dict[str, Json]:
    """Return how the instance runs as the API shows it; null is what is not known."""
    scrub = status.scrub
    return {
        "recorded": status.verdict.value,
        "troubles": [trouble.value for trouble in status.troubles],
        "recorders": len(status.nodes),
        "recordersThere": len(status.there),
        "recordings": status.recordings,
        "waiting": status.waiting,
        "waitingSince": _maybe(status.waiting_since),
        "storeAnswers": status.has_store,
        "countedAt": _maybe(status.counted),
        "outcomesOfDay": {kind.value: count for kind, count in status.today.items()},
        "certificates": [
            {
                "name": str(each.name),
                "node": each.node or None,
                "endsAt": time_of(each.ends_at),
                "days": each.days(status.now),
            }
            for each in status.certificates
        ],
        "rootKeySince": _maybe(status.newest(Moment.ROOT_KEY_SINCE)),
        "oldestKekExpires": _maybe(status.newest(Moment.OLDEST_KEK_EXPIRES)),
        "backupAt": _maybe(status.newest(Moment.BACKUP_MADE)),
        "lockTriedAt": _maybe(None if status.proof is None else status.proof.at),
        "lockProved": None if status.proof is None else status.proof.holds(status.now),
        "scrubCountedAt": _maybe(None if scrub is None else scrub[1]),
        "scrubRecordings": None if scrub is None else scrub[0].recordings,
        "scrubOverdue": None if scrub is None else scrub[0].overdue,
        "scrubFindings": None if scrub is None else scrub[0].damaged,
        "retention": {
            figure.value: {"value": reading.value, "at": time_of(reading.at)}
            for figure, reading in status.retention.items()
        },
    }


def _tenant_document(tenant: TenantFigures) -> dict[str, Json]:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "domain": tenant.domain,
        "people": tenant.people,
        "recordings": tenant.recordings,
        "sizeBytes": tenant.size_bytes,
        "recordedS": tenant.recorded_s,
    }


def _node_document(node: Node) -> dict[str, Json]:
    condition = node.condition
    return {
        "name": node.name,
        "silentS": round(node.silent_s, 1),
        "isThere": node.is_there,
        "version": condition.version,
        "recordings": condition.recordings,
        "waiting": node.waiting,
        "waitingSince": _maybe(condition.waiting_since),
        "journalBytes": condition.journal_bytes,
        "journalSince": _maybe(condition.journal_since),
        "unreadyReason": condition.unready_reason,
    }


def _session_document(session: OperatedSession) -> dict[str, Json]:
    return {
        "id": session.session_id,
        "tenantId": session.tenant_id,
        "callId": session.call_id,
        "outcome": session.kind.value,
        "reason": session.reason,
        "startedAt": time_of(session.started_at),
        "endedAt": time_of(session.ended_at),
        "recordings": session.recordings,
    }


def _maybe(moment: datetime | None) -> str | None:
    return None if moment is None else time_of(moment)


OPERATION_ROUTES = (
    Route("GET", "/v1/operator/status", get_operator_status, Scope.OPERATION, "operation.viewed", "instance"),
    Route(
        "GET",
        "/v1/operator/tenants",
        list_operator_tenants,
        Scope.OPERATION,
        "operated-tenants.listed",
        "instance",
    ),
    Route(
        "GET", "/v1/operator/nodes", list_operator_nodes, Scope.OPERATION, "operated-nodes.listed", "instance"
    ),
    Route(
        "GET",
        "/v1/operator/sessions",
        list_operator_sessions,
        Scope.OPERATION,
        "operated-sessions.listed",
        "instance",
    ),
)
