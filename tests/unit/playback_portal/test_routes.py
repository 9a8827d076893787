"""The route table: every row is guarded, audited and really does what it says."""

import dataclasses
import re
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.access import Scope
from archive.errors import CatalogueUnavailable
from archive.model import RecordingState
from archive.playback import Action
from playback_portal.administration import ADMINISTRATION_ROUTES
from playback_portal.app import create_app
from playback_portal.approvals import APPROVAL_ROUTES
from playback_portal.audit import AUDIT_ROUTES
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
from playback_portal.operation import OPERATION_ROUTES
from playback_portal.peers import PEER_ROUTES
from playback_portal.positions import POSITION_ROUTES
from playback_portal.reports import REPORT_ROUTES
from playback_portal.route import Route
from playback_portal.routes import ROUTES
from playback_portal.saved_searches import SAVED_SEARCH_ROUTES
from playback_portal.shares import SHARE_ROUTES
from playback_portal.terms import TERM_ROUTES
from playback_portal.trash import TRASH_ROUTES

OPEN_PATHS = {
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/openapi.json",
    "/static/{name}",
    "/static/branding/{tenant}/{version}/{name}",
}
# Pages that strangers may open; whoever adds one says here that it tells nothing of anybody.
OPEN_PAGES = {
    "/",
    "/help",
    "/help/keys",
    "/me/session",
    "/preferences",
    "/sign-in",
    "/sign-in/callback",
    "/sign-in/forgotten",
    "/sign-in/organisation",
    "/sign-in/passkey",
    "/sign-in/passkey/options",
    "/sign-in/second-factor",
    "/sign-in/second-factor/passkey",
    "/sign-in/second-factor/passkey/options",
    "/sign-in/set-up",
    "/sign-in/set-up/passkey",
    "/sign-in/set-up/passkey/options",
    "/sign-out",
    "/invitation/{token}",
    "/s/{token}",
    "/s/{token}/codes",
    "/s/{token}/plays",
    "/s/{token}/proof",
    "/s/{token}/sound",
    "/verify",
    "/verify/authority.pem",
    "/verify/timestamp-authority.pem",
    "/verify/verify.sh",
}
GUARDED = [route for route in ROUTES if route.permission is not None and not route.page]
GUARDED_PAGES = [route for route in ROUTES if route.permission is not None and route.page]
ANNOTATION_ROUTES = (*COMMENT_ROUTES, *LABEL_ROUTES)
# Rows of the administration need things of their own to act on: their tests stand beside theirs.
OWN = [
    route
    for route in GUARDED
    if route
    not in (
        *ADMINISTRATION_ROUTES,
        *AUDIT_ROUTES,
        *SAVED_SEARCH_ROUTES,
        *POSITION_ROUTES,
        *SHARE_ROUTES,
        *EMAIL_ROUTES,
        *EXPORT_ROUTES,
        *CASE_ROUTES,
        *TERM_ROUTES,
        *TRASH_ROUTES,
        *DATA_SUBJECT_ROUTES,
        *APPROVAL_ROUTES,
        *ANNOTATION_ROUTES,
        *EVALUATION_FORM_ROUTES,
        *EVALUATION_ROUTES,
        *EVALUATION_RESULT_API_ROUTES,
        *EVALUATION_SAMPLE_API_ROUTES,
        *REPORT_ROUTES,
        *OPERATION_ROUTES,
        *PEER_ROUTES,
    )
]
BODIES: dict[str, Any] = {
    "/v1/what-if": {"caller": "+31612345678", "callee": "+31201230001"},
    "/v1/me/recording-settings": {"mode": "on-demand"},
    "/v1/me/notifications": {"wanted": {"reply": True}},
}
STATUSES = {"GET": 200, "POST": 201, "PATCH": 200, "PUT": 200, "DELETE": 204}


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route, api: Any, call: Any = None) -> str:
    recording = api.house.recordings["two-party"]
    named = recording.id
    if route.path.startswith("/v1/sessions"):
        named = recording.session_id
    if call is not None and (route.path.startswith("/v1/calls") or route.path.endswith("/keeps")):
        named = call.recording_id
    return re.sub(r"\{\w+\}", named, route.path)


def filled(route: Route, api: Any) -> str:
    """Return the path of a page with something in each of its places."""
    return re.sub(r"\{\w+\}", api.house.recordings["two-party"].id, route.path)


def key_of(route: Route) -> str:
    return "anna" if route.permission is Scope.SETTINGS else "all"


def call_of(route: Route, exchange: Any) -> Any:
    """Return a call the row can act on."""
    grace = {"state": RecordingState.GRACE, "capture": "grace"}
    return exchange.call(**(grace if route.path == "/v1/recordings/{id}/keeps" else {}))


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_a_row_has_permission_and_audit_event_or_neither(route: Route) -> None:
    open_paths = OPEN_PAGES if route.page else OPEN_PATHS
    assert (route.permission is None) == (route.audit is None) == (route.path in open_paths)
    assert route.permission is not None or route.page or route.method == "GET"


def test_no_path_stands_twice_and_only_the_api_is_versioned() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert all(route.path.startswith("/v1/") for route in GUARDED)
    assert not [route for route in ROUTES if route.page and not route.is_of_api and "/v1" in route.path]


def test_the_application_has_the_rows_of_the_table_and_no_other_route(house: Any) -> None:
    app = create_app(house.services())
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert found == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x", "Basic dTpw", "Bearer ew_", "Bearer " + "x" * 600]
)
async def test_without_a_valid_key_nothing_is_told(api: Any, route: Route, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = await api.client.request(route.method, path_of(route, api), headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await answer.json(content_type=None))["detail"].startswith("This needs a valid API key")


@pytest.mark.parametrize("route", GUARDED_PAGES, ids=name_of)
async def test_strangers_are_led_to_sign_in_and_back(api: Any, route: Route) -> None:
    path = filled(route, api)
    answer = await api.client.request(route.method, f"{path}?q=a%26b", allow_redirects=False)
    assert answer.status == 303
    back = f"?next={quote(f'{path}?q=a%26b', safe='/')}" if route.method == "GET" else ""
    assert answer.headers["Location"] == f"/sign-in{back}"
    assert await answer.read() == b""
    asked = {"HX-Request": "true", "HX-Current-URL": "http://here.example/recordings?q=x"}
    answer = await api.client.request(route.method, path, headers=asked, allow_redirects=False)
    assert answer.status == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/recordings%3Fq%3Dx"
    assert await answer.read() == b""


@pytest.mark.parametrize("route", GUARDED_PAGES, ids=name_of)
async def test_a_page_is_refused_to_who_lacks_the_right_and_the_refusal_is_a_page(
    api: Any, route: Route
) -> None:
    key = "reader" if route.permission is not Scope.RECORDINGS_READ else "sessions"
    answer = await api.send(route.method, filled(route, api), key)
    assert answer.status == 403
    assert answer.content_type == "text/html"
    assert answer.headers["X-Request-Id"] in await answer.text()


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
async def test_a_key_without_the_scope_is_refused_by_name_and_the_refusal_is_logged(
    api: Any, route: Route
) -> None:
    key = "reader" if route.permission is not Scope.RECORDINGS_READ else "sessions"
    answer = await api.send(route.method, path_of(route, api), key)
    assert answer.status == 403
    assert (await answer.json(content_type=None))["requiredScope"] == route.permission
    if "{id}" in route.path and route.subject == "recording":
        assert api.house.events("two-party")[-1] == (str(route.audit), "refused")


@pytest.mark.parametrize("route", OWN, ids=name_of)
async def test_a_row_answers_and_its_entry_stands_in_the_log(api: Any, exchange: Any, route: Route) -> None:
    written: list[str] = []
    audit = api.house.services().audit

    class Recorder:
        def transaction(self, tenant_id: Any) -> Any:
            return audit.transaction(tenant_id)

        def append(self, connection: Any, **fields: Any) -> Any:
            written.append(fields["action"])
            return audit.append(connection, **fields)

    call = call_of(route, exchange)
    before = len(api.house.history("two-party"))
    services = api.house.services(audit=Recorder())
    async with TestClient(TestServer(create_app(services))) as client:
        headers = {"Authorization": f"Bearer {api.house.keys[key_of(route)]}"}
        body = BODIES.get(route.path) if route.method != "GET" else None
        answer = await client.request(route.method, path_of(route, api, call), headers=headers, json=body)
        wanted = 200 if route.path == "/v1/what-if" else STATUSES[route.method]
        assert answer.status == wanted, await answer.text()
        if route.path != "/v1/events":
            await answer.read()
    if isinstance(route.audit, Action):
        assert api.house.events("two-party")[before:] == [(str(route.audit), "ok")]
        assert written == []
    else:
        assert written == [route.audit]


@pytest.mark.parametrize("route", [each for each in OWN if "{id}" in each.path], ids=name_of)
async def test_what_belongs_to_another_tenant_or_is_no_id_is_not_found(api: Any, route: Route) -> None:
    ids = [api.house.recordings["strangers"].id, "0", "..", "a%00b", "'%20OR%201=1", "x" * 300]
    for text in ids:
        answer = await api.send(route.method, route.path.replace("{id}", text))
        assert answer.status == 404
    entries = api.house.history("strangers")
    assert [entry.action for entry in entries] == ["recording.archived"]


@pytest.mark.parametrize("route", OWN, ids=name_of)
async def test_without_the_audit_log_nothing_is_answered(api: Any, exchange: Any, route: Route) -> None:
    class Away:
        def transaction(self, tenant_id: Any) -> Any:
            raise CatalogueUnavailable("The database is away.")

        def append(self, *arguments: Any, **fields: Any) -> Any:
            raise AssertionError("There is no transaction to append to.")

    call = call_of(route, exchange)
    services = api.house.services()
    services = dataclasses.replace(
        services, audit=Away(), playback=_playback_without_audit(api.house, Away())
    )
    async with TestClient(TestServer(create_app(services))) as client:
        headers = {"Authorization": f"Bearer {api.house.keys[key_of(route)]}"}
        body = BODIES.get(route.path) if route.method != "GET" else None
        answer = await client.request(route.method, path_of(route, api, call), headers=headers, json=body)
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        body = await answer.read()
    assert b"fLaC" not in body
    assert b"+3161234" not in body


def _playback_without_audit(house: Any, audit: Any) -> Any:
    from archive.playback import Playback

    return Playback(house.store, house.vault, house.portal, audit)
