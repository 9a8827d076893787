"""Every page is looked at: no row of the route table and no template is left out of axe and pictures unsaid."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from playback_portal.route import Route
from playback_portal.routes import ROUTES
from tests.browser.house import House
from tests.browser.scenes import SCENES, Scene

TEMPLATES = Path(__file__).resolve().parents[2] / "playback_portal" / "templates"
LEADS_ON, FILE, FOLLOWED = (
    "it leads on to a page",
    "it is a file",
    "a page that is looked at asks for it again and again",
)
UNSEEN = {
    "/": LEADS_ON,
    "/me/session": "it says how long a session lasts, and shows nothing",
    "/sign-in/callback": f"{LEADS_ON}, or to the one for an organisation; walked in test_ways_in",
    "/recordings/count": "it is a number in the head of the list",
    "/recordings/{id}/next": LEADS_ON,
    "/recordings/{id}/previous": LEADS_ON,
    "/saved/{id}": LEADS_ON,
    "/s/{token}/sound": FILE,
    "/verify/authority.pem": FILE,
    "/verify/timestamp-authority.pem": FILE,
    "/verify/verify.sh": FILE,
    "/live/calls": FOLLOWED,
    "/admin/users/import/{import}/results": FILE,
    "/exports/{id}": FOLLOWED,
    "/data-subjects/{id}/exports": FOLLOWED,
}
"""Rows no scene shows, and why."""


UNSEEN_TEMPLATES = {
    "frame.html": "it is the frame of the others",
    "public.html": "it is the frame of the others",
    "sign_in/leaving.html": "it leads on within a moment; axe looks at it in test_ways_in",
}
SHOWN_BY = {
    "branding/page.html": "branding",
    "branding/preview.html": "branding-preview",
    "cases/list.html": "cases",
    "cases/new.html": "new-case",
    "cases/page.html": "case",
    "data_subjects/list.html": "data-subjects",
    "data_subjects/new.html": "new-data-subject",
    "data_subjects/page.html": "data-subject",
    "error/page.html": "page-not-found",
    "evaluation_forms/list.html": "evaluation-forms",
    "evaluation_forms/page.html": "evaluation-form",
    "evaluations/list.html": "evaluations",
    "evaluations/result.html": "evaluation",
    "imports/one.html": "import-done",
    "imports/page.html": "import",
    "imports/rows.html": "import",
    "operation/nodes.html": "operator-nodes",
    "operation/sessions.html": "operator-sessions",
    "operation/status.html": "operator-status",
    "operation/tenants.html": "operator-tenants",
    "peers/operated.html": "operator-peers",
    "peers/own.html": "peers",
    "peers/page.html": "operator-peer",
    "people/list.html": "users",
    "people/new.html": "new-user",
    "people/page.html": "user",
    "play_link/door.html": "play-link-door",
    "play_link/over.html": "play-link",
    "play_link/player.html": "play-link",
    "recording/destroyed.html": "recording-destroyed",
    "recording/page.html": "recording",
    "recording/purpose.html": "recording-purpose",
    "recording/silent.html": "recording-processing",
    "recording/why.html": "why",
    "security/authenticator.html": "authenticator",
    "security/page.html": "security",
    "sign_in/arriving.html": "arriving",
    "sign_in/forgotten.html": "forgotten",
    "sign_in/link-over.html": "invitation",
    "sign_in/new-password.html": "invitation",
    "sign_in/organisation.html": "organisation",
    "sign_in/page.html": "sign-in",
    "sign_in/recovery-codes.html": "recovery-codes",
    "sign_in/second-factor.html": "second-factor",
    "sign_in/set-up.html": "set-up",
    "teams/empty.html": "teams",
    "teams/new.html": "new-team",
    "teams/page.html": "team",
    "why/find.html": "why-find",
    "why/page.html": "why-not",
}
"""The scene of each page whose module has several; a module with one shows it wherever a scene comes there."""


ELSEWHERE = {"arriving", "page-not-found", "recovery-codes"}
"""Scenes of pages that another module makes than the one of their row."""


def house() -> Any:
    """Return a house as far as addresses are made of it: every name has an id, every link leads somewhere."""
    ids = {
        each.name: defaultdict(lambda: "id") if "dict" in str(each.type) else "id" for each in fields(House)
    }
    ids["links"] = defaultdict(lambda: "https://house.example/s/id")
    return SimpleNamespace(**ids, recording_with=lambda _: {"id": "id"})


def path_of(scene: Scene) -> str:
    """Return where a scene begins, without its query."""
    path = scene.path if isinstance(scene.path, str) else scene.path(house())
    return path.partition("?")[0]


def row_of(path: str) -> Route | None:
    """Return the row that answers at a path; one that names it is before one with a place in it."""
    rows = [each for each in ROUTES if each.page and each.method == "GET"]
    fitting = [each for each in rows if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.path), path)]
    return min(fitting, key=lambda row: row.path.count("{"), default=None)


@cache
def shown() -> set[str]:
    """Return the rows that scenes show."""
    rows = [row_of(path_of(each)) for each in SCENES]
    return {row.path for row in rows if row is not None} | {row for each in SCENES for row in each.asks}


@cache
def modules_of(scene: Scene) -> set[str]:
    """Return the sources of the modules whose rows a scene comes to."""
    rows = [row_of(path) for path in (path_of(scene), *(re.sub(r"\{\w+\}", "id", row) for row in scene.asks))]
    return {inspect.getsource(inspect.getmodule(row.handler)) for row in rows if row is not None}  # type: ignore[arg-type]


WHOLE = [
    str(path.relative_to(TEMPLATES))
    for path in sorted(TEMPLATES.rglob("*.html"))
    if "{% extends" in path.read_text()
]
"""The templates of whole pages, below the folder of templates."""

PAGES = sorted({route.path for route in ROUTES if route.page and route.method == "GET"})


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_scene_or_a_reason(path: str) -> None:
    assert (path in shown()) != (path in UNSEEN), f"{path} needs a scene, or a reason why it has none"


@pytest.mark.parametrize("template", WHOLE)
def test_every_template_of_a_page_has_a_scene_or_a_reason(template: str) -> None:
    if template in UNSEEN_TEMPLATES:
        return
    named = SHOWN_BY.get(template)
    scenes = [each for each in SCENES if named in {None, each.name}]
    assert scenes, f"there is no scene {named}"
    sources = {source for each in scenes for source in modules_of(each) if f'"{template}"' in source}
    several = [source for source in sources if len([page for page in WHOLE if f'"{page}"' in source]) > 1]
    assert named in ELSEWHERE or (sources and (named or not several)), f"{template} needs a scene of its own"


def test_no_reason_and_no_row_of_a_scene_outlives_its_page() -> None:
    assert set(UNSEEN) <= set(PAGES)
    assert {row for each in SCENES for row in each.asks} <= set(PAGES)
    assert {*UNSEEN_TEMPLATES, *SHOWN_BY} <= set(WHOLE)
