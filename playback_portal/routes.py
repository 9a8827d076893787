"""Every route of the portal: one row each, with its permission and its audit event.

A row with a permission is reached only by somebody who was recognised and has it;
its audit entry is durable before the response leaves. Where the event is an `Action`,
`archive.playback` writes the entry, for it alone knows when an object is opened;
else `guarded` does, after the handler and before the response is sent; a handler that
changes who may what makes it in the transaction of the change (`Entry.transaction`). What
was to change something and was refused is entered too, whether the refusal was raised or
is the page that was returned. What administrators change asks a browser that signed in a
short while ago (`Route.asks_fresh_sign_in`). A row with neither is open to everyone and tells nothing of
anybody.

Rules: no route is added anywhere else; a test walks this table. A call under way stands
in the audit log by its id only when its recorder obeyed: one that nobody keeps, or that
an exempt party joins, must leave nothing behind that tells of it.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.audit import Json
from archive.catalogue.engine import Connection
from archive.errors import ArchiveError
from archive.playback import Action
from playback_portal import audio, calls, events, health, me, openapi, recordings, static, why
from playback_portal.administration import ADMINISTRATION_ROUTES
from playback_portal.admission import require_fresh
from playback_portal.approvals import APPROVAL_ROUTES
from playback_portal.audit import AUDIT_ROUTES
from playback_portal.authentication import authenticate, authenticate_again, require
from playback_portal.branding import BRANDING_FILE_ROUTES
from playback_portal.cases import CASE_ROUTES
from playback_portal.comments import COMMENT_ROUTES
from playback_portal.data_subjects import DATA_SUBJECT_ROUTES
from playback_portal.emails import EMAIL_ROUTES
from playback_portal.evaluation_forms import EVALUATION_FORM_ROUTES
from playback_portal.evaluation_results import EVALUATION_RESULT_API_ROUTES
from playback_portal.evaluation_samples import EVALUATION_SAMPLE_API_ROUTES
from playback_portal.evaluations import EVALUATION_ROUTES
from playback_portal.exports import EXPORT_ROUTES
from playback_portal.labels import LABEL_ROUTES
from playback_portal.looks import LOOK_ROUTES
from playback_portal.notifications import NOTIFICATION_ROUTES
from playback_portal.operation import OPERATION_ROUTES
from playback_portal.pages.annotations import ANNOTATION_ROUTES
from playback_portal.pages.approvals import APPROVAL_PAGE_ROUTES
from playback_portal.pages.audit import AUDIT_PAGE_ROUTES
from playback_portal.pages.branding import BRANDING_ROUTES
from playback_portal.pages.cases import CASE_PAGE_ROUTES
from playback_portal.pages.data_subjects import DATA_SUBJECT_PAGE_ROUTES
from playback_portal.pages.do_not_record import DO_NOT_RECORD_ROUTES
from playback_portal.pages.enrolment import ENROLMENT_ROUTES
from playback_portal.pages.evaluation_forms import EVALUATION_FORM_PAGE_ROUTES
from playback_portal.pages.evaluation_results import EVALUATION_RESULT_ROUTES
from playback_portal.pages.evaluation_samples import EVALUATION_SAMPLE_ROUTES
from playback_portal.pages.evaluations import EVALUATION_PAGE_ROUTES
from playback_portal.pages.exports import EXPORT_PAGE_ROUTES
from playback_portal.pages.grounds import GROUNDS_ROUTES
from playback_portal.pages.heard import HEARD_ROUTES
from playback_portal.pages.help import HELP_ROUTES
from playback_portal.pages.holds import HOLD_ROUTES
from playback_portal.pages.imports import IMPORT_ROUTES
from playback_portal.pages.invitation import INVITATION_ROUTES
from playback_portal.pages.labels import LABEL_PAGE_ROUTES
from playback_portal.pages.live import LIVE_ROUTES
from playback_portal.pages.notifications import NOTIFICATION_PAGE_ROUTES
from playback_portal.pages.operation import OPERATION_PAGE_ROUTES
from playback_portal.pages.organisation import ORGANISATION_ROUTES
from playback_portal.pages.own_settings import OWN_SETTING_ROUTES
from playback_portal.pages.passkeys import PASSKEY_ROUTES
from playback_portal.pages.peers import PEER_PAGE_ROUTES
from playback_portal.pages.people import PEOPLE_ROUTES
from playback_portal.pages.play_link import PLAY_LINK_ROUTES
from playback_portal.pages.policies import POLICY_ROUTES
from playback_portal.pages.preferences import PREFERENCE_ROUTES
from playback_portal.pages.purposes import PURPOSE_ROUTES
from playback_portal.pages.quarantine import QUARANTINE_PAGE_ROUTES
from playback_portal.pages.recording import PLAYER_ROUTES
from playback_portal.pages.recordings import RECORDING_PAGE_ROUTES
from playback_portal.pages.report_mails import REPORT_MAIL_ROUTES
from playback_portal.pages.reports import REPORT_PAGE_ROUTES
from playback_portal.pages.security import SECURITY_ROUTES
from playback_portal.pages.session import SESSION_ROUTES
from playback_portal.pages.sharing import SHARING_ROUTES
from playback_portal.pages.sign_in import SIGN_IN_ROUTES
from playback_portal.pages.terms import TERM_PAGE_ROUTES
from playback_portal.pages.trash import TRASH_PAGE_ROUTES
from playback_portal.pages.verification import VERIFICATION_ROUTES
from playback_portal.pages.what_if import WHAT_IF_ROUTES
from playback_portal.pages.why import WHY_ROUTES
from playback_portal.peers import PEER_ROUTES
from playback_portal.positions import POSITION_ROUTES
from playback_portal.problems import Problem, problem_of
from playback_portal.reports import REPORT_ROUTES
from playback_portal.route import DETAILS, EVENT, STATIC_PREFIX, SUBJECT, Handler, Route
from playback_portal.saved_searches import SAVED_SEARCH_ROUTES
from playback_portal.services import ENTRY, REFERENCE, SCOPE, SERVICES, Entry, recording_id_of
from playback_portal.shares import SHARE_ROUTES
from playback_portal.terms import TERM_ROUTES
from playback_portal.trash import TRASH_ROUTES

__all__ = ["ROUTES", "Handler", "Route", "guarded"]

RESULTS = {
    HTTPStatus.FORBIDDEN: "refused",
    HTTPStatus.CONFLICT: "refused",
    HTTPStatus.GATEWAY_TIMEOUT: "unconfirmed",
}
"""What the audit log says of a change that was not made; faults of form and of ours are no such thing."""

NO_ID = ""
"""The subject of rows whose `{id}` does not stand in the audit log."""

ROUTES = (
    Route("GET", "/livez", health.get_livez, None, None),
    Route("GET", "/readyz", health.get_readyz, None, None),
    Route("GET", "/metrics", health.get_metrics, None, None),
    Route("GET", "/v1/openapi.json", openapi.get_openapi, None, None),
    Route("GET", "/v1/recordings", recordings.list_recordings, Scope.RECORDINGS_READ, "recordings.searched"),
    Route("GET", "/v1/recordings/{id}", recordings.get_recording, Scope.RECORDINGS_READ, "recording.viewed"),
    Route("GET", "/v1/recordings/{id}/audio", audio.get_audio, Scope.RECORDINGS_PLAY, Action.PLAY),
    Route("GET", "/v1/recordings/{id}/peaks", recordings.get_peaks, Scope.RECORDINGS_PLAY, Action.PLAY),
    Route("GET", "/v1/recordings/{id}/timeline", recordings.get_timeline, Scope.RECORDINGS_READ, Action.READ),
    Route("GET", "/v1/recordings/{id}/metadata", recordings.get_metadata, Scope.RECORDINGS_READ, Action.READ),
    Route(
        "GET", "/v1/recordings/{id}/history", recordings.get_history, Scope.RECORDINGS_READ, "history.viewed"
    ),
    Route("GET", "/v1/recordings/{id}/why", why.get_why, Scope.RECORDINGS_READ, "why.viewed"),
    Route(
        "POST",
        "/v1/recordings/{id}/keeps",
        calls.post_recording_keep,
        Scope.CALLS_CONTROL,
        "recording.kept",
        NO_ID,
    ),
    Route("GET", "/v1/calls", calls.list_calls, Scope.CALLS_READ, "calls.listed"),
    Route("GET", "/v1/calls/{id}", calls.get_call, Scope.CALLS_READ, "call.viewed", NO_ID),
    Route("POST", "/v1/calls/{id}/pauses", calls.post_pause, Scope.CALLS_CONTROL, "recording.paused", NO_ID),
    Route(
        "POST", "/v1/calls/{id}/resumes", calls.post_resume, Scope.CALLS_CONTROL, "recording.resumed", NO_ID
    ),
    Route("POST", "/v1/calls/{id}/keeps", calls.post_keep, Scope.CALLS_CONTROL, "recording.kept", NO_ID),
    Route("POST", "/v1/calls/{id}/starts", calls.post_start, Scope.CALLS_CONTROL, "recording.started", NO_ID),
    Route("POST", "/v1/calls/{id}/stops", calls.post_stop, Scope.CALLS_CONTROL, "recording.stopped", NO_ID),
    Route("GET", "/v1/events", events.get_events, Scope.CALLS_READ, "events.opened"),
    Route("GET", "/v1/me/recording-settings", me.get_settings, Scope.SETTINGS, "settings.viewed"),
    Route("PATCH", "/v1/me/recording-settings", me.patch_settings, Scope.SETTINGS, "settings.changed"),
    Route("PUT", "/v1/me/keep-next", me.put_keep_next, Scope.SETTINGS, "keep-next.set"),
    Route("DELETE", "/v1/me/keep-next", me.delete_keep_next, Scope.SETTINGS, "keep-next.cleared"),
    Route("GET", "/v1/sessions", recordings.list_sessions, Scope.SESSIONS_READ, "sessions.listed"),
    Route("GET", "/v1/sessions/{id}", why.get_session, Scope.SESSIONS_READ, "session.viewed", "session"),
    Route("POST", "/v1/what-if", why.post_what_if, Scope.SESSIONS_READ, "what-if.asked"),
    *ADMINISTRATION_ROUTES,
    *AUDIT_ROUTES,
    *SAVED_SEARCH_ROUTES,
    *POSITION_ROUTES,
    *NOTIFICATION_ROUTES,
    *SHARE_ROUTES,
    *COMMENT_ROUTES,
    *LABEL_ROUTES,
    *EVALUATION_FORM_ROUTES,
    *EVALUATION_ROUTES,
    *EVALUATION_RESULT_API_ROUTES,
    *EVALUATION_SAMPLE_API_ROUTES,
    *EMAIL_ROUTES,
    *EXPORT_ROUTES,
    *CASE_ROUTES,
    *TERM_ROUTES,
    *DATA_SUBJECT_ROUTES,
    *APPROVAL_ROUTES,
    *TRASH_ROUTES,
    *REPORT_ROUTES,
    Route("GET", f"{STATIC_PREFIX}{{name}}", static.get_file, None, None),
    *SIGN_IN_ROUTES,
    *SECURITY_ROUTES,
    *SESSION_ROUTES,
    *ORGANISATION_ROUTES,
    *INVITATION_ROUTES,
    *ENROLMENT_ROUTES,
    *PASSKEY_ROUTES,
    *RECORDING_PAGE_ROUTES,
    *PLAYER_ROUTES,
    *ANNOTATION_ROUTES,
    *LABEL_PAGE_ROUTES,
    *LIVE_ROUTES,
    *EVALUATION_PAGE_ROUTES,
    *EVALUATION_RESULT_ROUTES,
    *EVALUATION_FORM_PAGE_ROUTES,
    *EVALUATION_SAMPLE_ROUTES,
    *WHY_ROUTES,
    *WHAT_IF_ROUTES,
    *PLAY_LINK_ROUTES,
    *SHARING_ROUTES,
    *GROUNDS_ROUTES,
    *BRANDING_FILE_ROUTES,
    *LOOK_ROUTES,
    *BRANDING_ROUTES,
    *POLICY_ROUTES,
    *PREFERENCE_ROUTES,
    *OWN_SETTING_ROUTES,
    *NOTIFICATION_PAGE_ROUTES,
    *HEARD_ROUTES,
    *OPERATION_ROUTES,
    *OPERATION_PAGE_ROUTES,
    *PEER_ROUTES,
    *PEER_PAGE_ROUTES,
    *PURPOSE_ROUTES,
    *CASE_PAGE_ROUTES,
    *DATA_SUBJECT_PAGE_ROUTES,
    *HOLD_ROUTES,
    *TERM_PAGE_ROUTES,
    *APPROVAL_PAGE_ROUTES,
    *TRASH_PAGE_ROUTES,
    *IMPORT_ROUTES,
    *PEOPLE_ROUTES,
    *DO_NOT_RECORD_ROUTES,
    *QUARANTINE_PAGE_ROUTES,
    *AUDIT_PAGE_ROUTES,
    *EXPORT_PAGE_ROUTES,
    *REPORT_PAGE_ROUTES,
    *REPORT_MAIL_ROUTES,
    *VERIFICATION_ROUTES,
    *HELP_ROUTES,
)


def guarded(route: Route) -> Handler:
    """Return the handler of a row behind its permission and audit event."""
    permission, event = route.permission, route.audit
    if permission is None or event is None:
        return route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        scope = request[SCOPE] = await (authenticate_again if route.quiet else authenticate)(request)
        audit, tenant_id = request.app[SERVICES].audit, scope.tenant_id
        entry = request[ENTRY] = Entry(
            lambda: audit.transaction(tenant_id),
            lambda connection, result: _append(connection, request, scope, route, result),
        )
        try:
            require(scope, permission)
            if route.asks_fresh_sign_in:
                require_fresh(request)
        except Problem:
            await entry.make("refused")
            raise
        try:
            response = await route.handler(request)
        except (Problem, ArchiveError) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            if route.method != "GET" and problem.status in RESULTS:
                await entry.make(RESULTS[problem.status])
            raise
        if not isinstance(event, Action):
            await entry.make(_result_of(response))
        return response

    return handle


def _append(
    connection: Connection, request: web.Request, scope: AccessScope, route: Route, result: str
) -> None:
    """Append the audit entry of a request to a transaction."""
    services, event = request.app[SERVICES], request.get(EVENT, str(route.audit))
    subject = event.partition(".")[0]
    if SUBJECT in request:
        subject = request[SUBJECT]
    elif "id" in request.match_info and route.subject:
        subject = f"{route.subject}:{recording_id_of(request)}"
    address = services.exposure.client_address(request.remote, request.headers.get("X-Forwarded-For"))
    body: dict[str, Json] = {"query": dict(request.query), "address": address, "request": request[REFERENCE]}
    services.audit.append(
        connection,
        tenant_id=scope.tenant_id,
        actor=scope.actor,
        action=event,
        object=subject,
        result=result,
        body={**body, **request.get(DETAILS, {})},
        at=services.clock.now(),
    )


def _result_of(response: web.StreamResponse) -> str:
    """Return what the audit log says of an answer: a refusal in the form of a page is one all the same."""
    return "ok" if response.status < HTTPStatus.BAD_REQUEST else "refused"
