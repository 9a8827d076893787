"""How the instance runs, as its operators see it: the status they land on, tenants, recorders, sessions.

Rules: the figures of `playback_portal.operation` and none of its own; what is not known is
said to be unknown. Nobody's name, number or recording is on these pages.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from archive.access import Scope
from archive.catalogue.moments import Moment
from archive.catalogue.retention_figures import SWEPT_WITHIN, Figure
from archive.errors import Refused
from archive.model import OutcomeKind
from playback_portal.language import mark
from playback_portal.operation import (
    BACKUP_AGE_MAX,
    PORTAL_TLS,
    Trouble,
    Verdict,
    nodes_of,
    sessions_of,
    status_of,
    tenants_of,
)
from playback_portal.page import render
from playback_portal.parameters import PAGE_ROWS, Parameters, cursor, session_term
from playback_portal.route import Handler, Route

HERE = "/operator"

VERDICTS: Final = {
    Verdict.YES: mark("Everything is recorded now"),
    Verdict.NO: mark("Not everything is recorded now"),
    Verdict.UNKNOWN: mark("Whether everything is recorded is not known"),
}
TROUBLES: Final = {
    Trouble.NONE_THERE: mark("No recorder says that it is there."),
    Trouble.SILENT: mark("A recorder that was there is silent."),
    Trouble.UNREADY: mark("A recorder takes no new calls."),
    Trouble.FAILED: mark("Sessions of the last hour could not be recorded."),
}
OUTCOMES: Final = {
    OutcomeKind.RECORDED: mark("Recorded"),
    OutcomeKind.NOT_KEPT: mark("Not kept, on demand"),
    OutcomeKind.MODE_NEVER: mark("Not recorded: mode Never"),
    OutcomeKind.NOBODY_RECORDED: mark("Not recorded: of nobody who is"),
    OutcomeKind.FAILED: mark("Failed"),
}
CERTIFICATES: Final[dict[str, str]] = {
    PORTAL_TLS: mark("Portal"),
    Moment.SIP_CERTIFICATE_ENDS: mark("SIP"),
    Moment.SIGNING_CERTIFICATE_ENDS: mark("Signing of evidence"),
    Moment.STAMPING_CERTIFICATE_ENDS: mark("Time-stamping"),
}
LATE: Final = {
    Figure.OVERDUE: mark("Recordings past their term"),
    Figure.HOLDS_WAITING: mark("Holds the store does not follow yet"),
    Figure.STUCK: mark("Destructions that are stuck"),
    Figure.IDLE_KEYS_STUCK: mark("Keys that can't be ended"),
}
STANDSTILLS: Final = {
    Figure.CLOCK_DISBELIEVED: mark("No clock is believed: nothing is deleted."),
    Figure.NOT_REBUILT: mark("The database was restored and the catalogue not rebuilt: nothing is deleted."),
}
UNREADY: Final = {
    "draining": mark("Draining: takes no new calls"),
    "starting or stopping": mark("Starts or stops"),
    "as many sessions run as this recorder takes": mark("Full: as many calls as it takes"),
}
"""What a recorder says of itself, in words; anything else is shown as it says it."""


async def get_status(request: web.Request) -> web.StreamResponse:
    """Show whether everything is recorded, and what needs looking after."""
    Parameters(request.query).check()
    status = await status_of(request)
    backup = status.newest(Moment.BACKUP_MADE)
    swept = status.retention.get(Figure.SWEEP)
    return render(
        request,
        "operation/status.html",
        running=status,
        verdict=VERDICTS[status.verdict],
        troubles=[TROUBLES[each] for each in status.troubles],
        outcomes=OUTCOMES,
        certificates=CERTIFICATES,
        unused=[name for name in CERTIFICATES if status.is_without(name)],
        late=LATE,
        standstills=[
            (text, reading.since)
            for name, text in STANDSTILLS.items()
            if (reading := status.reading(name)) is not None and reading.value
        ],
        root_since=status.newest(Moment.ROOT_KEY_SINCE),
        kek_expires=status.newest(Moment.OLDEST_KEK_EXPIRES),
        backup=backup,
        backup_old=backup is not None and status.now - backup > BACKUP_AGE_MAX,
        sweep_late=swept is not None and status.now - swept.at > SWEPT_WITHIN,
        swept=swept,
    )


async def get_tenants(request: web.Request) -> web.StreamResponse:
    """Show the tenants in numbers."""
    Parameters(request.query).check()
    return render(request, "operation/tenants.html", tenants=await tenants_of(request))


async def get_nodes(request: web.Request) -> web.StreamResponse:
    """Show the recorders and how each is."""
    Parameters(request.query).check()
    return render(request, "operation/nodes.html", nodes=await nodes_of(request), unready=UNREADY)


async def get_sessions(request: web.Request) -> web.StreamResponse:
    """Show how sessions ended, or those a Call-ID or session id names."""
    parameters = Parameters(request.query)
    term = parameters.read("q", session_term, "")
    after = parameters.read("cursor", cursor, None)
    parameters.check()
    try:
        page = await sessions_of(request, term, PAGE_ROWS, after)
    except Refused:
        # A cursor of another time: the list from its beginning.
        page = await sessions_of(request, term, PAGE_ROWS, None)
    names = {each.id: each.name for each in await tenants_of(request)} if page.items else {}
    return render(
        request,
        "operation/sessions.html",
        page=page,
        term=term,
        cursor=after,
        names=names,
        outcomes=OUTCOMES,
        failed=OutcomeKind.FAILED,
    )


def _row(path: str, handler: Handler, audit: str) -> Route:
    return Route("GET", path, handler, Scope.OPERATION, audit, "instance", page=True)


OPERATION_PAGE_ROUTES = (
    _row(HERE, get_status, "operation.viewed"),
    _row(f"{HERE}/tenants", get_tenants, "operated-tenants.listed"),
    _row(f"{HERE}/nodes", get_nodes, "operated-nodes.listed"),
    _row(f"{HERE}/sessions", get_sessions, "operated-sessions.listed"),
)
