"""Every page in every state a person can see it in: filled, empty and with a fault; dialogs and panels open.

A scene is who looks, where, and what is pressed to get there. `state` groups them for
reading only. Scenes change nothing that another would miss.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.sync_api import FilePayload, Page, Request, expect

from archive.clock import SystemClock
from archive.model import new_id
from tests.browser import deciding, judging
from tests.browser.asking import INVITED, KOOS, LIES
from tests.browser.desk import Desk, from_a_mail
from tests.browser.house import (
    BEDRIJF,
    BEHEER,
    DAAN,
    DOMAIN,
    EVA,
    GARAGE,
    ILSE,
    JANSEN,
    LEEGBEHEER,
    MARK,
    NOOR,
    PASSWORD,
    PIET,
    SALES,
    SANNE,
    TOEZICHT,
    UNENROLLED,
    House,
    Person,
)

RECOVERY = "form[action$='/recovery-codes'] button[type=submit]"
FULL, EMPTY, FAULT = "full", "empty", "fault"


@dataclass(frozen=True)
class Scene:
    """A page in a state; `path` is an address or finds one, `then` is done there.

    `asks` are the rows of the route table that are asked for on the way, beside the path itself.
    `enrolled` is somebody who has a second factor by then.
    """

    name: str
    state: str
    path: str | Callable[[House], str]
    who: Person | None = None
    then: Callable[[Page], None] | None = None
    status: int = 200
    asks: tuple[str, ...] = ()
    enrolled: Person | None = None

    def __str__(self) -> str:
        """Name it in reports."""
        return f"{self.name} ({self.state})"

    def opened(self, desk: Desk, *, width: int, theme: str, language: str) -> Page:
        """Return a window that shows it."""
        if self.enrolled is not None:
            desk.page(self.enrolled)
        page = desk.page(self.who, width=width, theme=theme, language=language)
        asked: list[str] = []

        def note(request: Request) -> None:
            asked.append(urlsplit(request.url).path)

        page.on("request", note)
        path = self.path if isinstance(self.path, str) else self.path(desk.house)
        answer = page.goto(desk.house.url + path)
        assert answer is not None
        assert answer.status == self.status, f"{answer.status} at {path}"
        if self.then is not None:
            self.then(page)
        settle(page)
        page.remove_listener("request", note)
        for row in self.asks:
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", row))
            assert any(map(pattern.fullmatch, asked)), f"{self} asks for {row} no more"
        return page


def settle(page: Page) -> None:
    """Wait until nothing is being fetched, drawn in or faded any more."""
    page.wait_for_load_state("load")
    expect(page.locator(".htmx-request, .htmx-settling, .htmx-swapping")).to_have_count(0)
    page.evaluate(
        "Promise.all(document.getAnimations().filter(each => each.effect?.getComputedTiming().iterations !== Infinity).map(each => each.finished.catch(() => 0)))"
    )


def team(house: House) -> str:
    return f"/admin/teams/{house.teams[SALES]}"


def person(house: House) -> str:
    return f"/admin/users/{house.ids[SANNE.login]}"


def recording(house: House, fragment: str = "") -> str:
    return f"/recordings/{house.recording_with(JANSEN)['id']}{fragment}"


def _below(house: House, link: str) -> str:
    """Return the path of a play link."""
    return urlsplit(house.links[link]).path


def _unknown(house: House) -> str:
    return f"/recordings/{new_id(SystemClock().now())}"


def _asking(state: str) -> Callable[[House], str]:
    """Return the recording in a state of the organisation that asks why."""
    return lambda house: f"/recordings/{house.asking[state]}"


def _share_opened(page: Page) -> None:
    _pressed("button[hx-get$='/share']", "#share-dialog")(page)


def _share_over_the_end(page: Page) -> None:
    """Ask for a fragment that ends after the call does."""
    _share_opened(page)
    page.locator("#share-dialog details summary").click()
    page.fill("#share-until", "9:59:59")
    page.locator("#share-dialog [value=link]").click()
    page.locator("#share-until-error, #share-dialog [role=alert]").first.wait_for()


def _keys_shown(page: Page) -> None:
    page.keyboard.press("?")
    page.locator("#keys-shown").wait_for()


def _charted(page: Page) -> None:
    page.locator(".report-chart canvas").wait_for()


def _led_on(page: Page) -> None:
    """Come by a link of a mail, and be kept from being led on."""
    page.route("**/sign-in?arrived=yes", lambda route: route.abort("aborted"), times=1)
    from_a_mail(page, page.url)
    page.locator("a[data-leads-on]").wait_for()


def _wrong_password(page: Page) -> None:
    # A name of its own each time, for an account that fails often has to wait.
    page.fill("[name=login]", f"{new_id(SystemClock().now())}@nergens.example")
    page.fill("[name=password]", "niet het goede woord")
    page.press("[name=password]", "Enter")
    page.locator("#wrong").wait_for()


def _password_given(who: Person) -> Callable[[Page], None]:
    def give(page: Page) -> None:
        page.fill("[name=login]", who.address)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(re.compile("/sign-in/"))

    return give


def _wrong_code(page: Page) -> None:
    _password_given(UNENROLLED)(page)
    page.fill("[name=code]", "000000")
    page.press("[name=code]", "Enter")
    page.locator("[role=alert]").wait_for()


def _submitted(field: str, text: str, shows: str) -> Callable[[Page], None]:
    """Return what types into a field, sends the form, and waits for what is then to be seen."""

    def submit(page: Page) -> None:
        page.fill(field, text)
        page.press(field, "Enter")
        page.locator(shows).first.wait_for()

    return submit


def _years_ago(page: Page) -> None:
    page.fill("[name=name]", "M. Bos")
    page.fill("[name=contact]", "bos@mail.example")
    _submitted("[name=receivedOn]", "2019-01-01", "[role=alert]")(page)


def _pressed(button: str, shows: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        page.locator(button).first.click()
        page.locator(shows).first.wait_for()

    return press


def _switched(page: Page) -> None:
    """Switch a right on, see the notice, and take it back."""
    page.locator("[role=switch]").first.click()
    page.locator("[data-toast]").wait_for()


def _drawn(page: Page) -> None:
    page.locator("svg.lanes path.wa").first.wait_for()


def _tab(name: str, shows: str) -> Callable[[Page], None]:
    return _pressed(f"#tab-{name}", shows)


def _typed(page: Page, field: str, text: str, shows: str) -> None:
    page.locator(field).press_sequentially(text)
    page.locator(shows).first.wait_for()


def _form(house: House) -> str:
    return f"/evaluations/forms/{house.evaluations['form']}"


def _judged(house: House) -> str:
    return f"/recordings/{house.evaluations['call']}"


def _unfinished(page: Page) -> None:
    """Save a form of which a question says nothing."""
    page.fill("#f-name", "Nieuw")
    page.fill("#s0-title", "Begin")
    _submitted("#s0-q0-text", " ", "[role=alert]")(page)


def _drawn_twice(page: Page) -> None:
    """Ask for the sample that was drawn already."""
    page.select_option("#sample-form", label=judging.FORM)
    page.locator("form.draw button.primary").click()
    page.locator("[role=alert]").wait_for()


def _address_taken(page: Page) -> None:
    """Add an exchange where another one is."""
    page.fill("#f-name", "Nog een centrale")
    page.fill("#f-addresses", "127.0.0.0/8")
    page.locator("#add button[type=submit]").click()
    page.locator("#f-addresses-error").wait_for()


def _verified(page: Page) -> None:
    file = FilePayload(name="package.zip", mimeType="application/zip", buffer=b"no zip")
    page.locator("#package").set_input_files(file)
    page.locator("#verdict").wait_for()


def _tried(caller: str, callee: str, shows: str) -> Callable[[Page], None]:
    def ask(page: Page) -> None:
        page.fill("[name=caller]", caller)
        page.fill("[name=callee]", callee)
        page.press("[name=callee]", "Enter")
        page.locator(shows).first.wait_for()

    return ask


def _licence_chosen(page: Page) -> None:
    page.locator("#all").check()
    page.locator("#f-to").select_option("7y-1000")
    page.locator("#effect button").wait_for()


def _mode_without_licence(page: Page) -> None:
    page.locator("#all").check()
    page.locator("#f-mode").select_option("on-demand")
    page.locator("#effect .notice").wait_for()


def _listed(page: Page) -> None:
    """Put a number on the list of one person, if it is not there yet."""
    if page.locator("#listed td", has_text="huisarts").count() == 0:
        page.fill("[name=numbers]", "+31107000500-599")
        page.fill("[name=login]", SANNE.login)
        _submitted("[name=reason]", "huisarts", "#listed td")(page)


def _exempt_typed(page: Page) -> None:
    page.fill("[name=reason]", "huisarts")
    _submitted("[name=numbers]", "112", "#f-numbers-error")(page)


def _looked_at(page: Page) -> None:
    """Look at a file of people with a row that is right and one that is not."""
    text = f"login;number;licence;mode\nroos@{DOMAIN};+31200123499;90d;always\nroos@elders.example;;;soms\n"
    page.locator("#file").set_input_files(
        FilePayload(name="mensen.csv", mimeType="text/csv", buffer=text.encode("cp1252"))
    )
    page.locator("main form button[type=submit]").first.click()
    page.locator("#faulty").wait_for()


def _no_table(page: Page) -> None:
    page.locator("#file").set_input_files(
        FilePayload(name="mensen.csv", mimeType="text/csv", buffer=b"naam,leeftijd\nroos,31\n")
    )
    page.locator("main form button[type=submit]").first.click()
    page.locator("main [role=alert]").wait_for()


def _export_begun(page: Page) -> None:
    page.locator(".recs input[name=id]").first.click()
    page.locator("#bulk [hx-get='/exports/new']").click()
    page.locator("#export-reference").wait_for()


SCENES = (
    Scene("sign-in", FULL, "/sign-in"),
    Scene("sign-in", FAULT, "/sign-in", then=_wrong_password),
    Scene("set-up", FULL, "/sign-in", then=_password_given(UNENROLLED), asks=("/sign-in/set-up",)),
    Scene("set-up", FAULT, "/sign-in", then=_wrong_code),
    Scene(
        "second-factor",
        FULL,
        "/sign-in",
        then=_password_given(TOEZICHT),
        asks=("/sign-in/second-factor",),
        enrolled=TOEZICHT,
    ),
    Scene("recovery-codes", FULL, "/me/security", BEHEER, _pressed(RECOVERY, ".codes")),
    Scene("forgotten", FULL, "/sign-in/forgotten"),
    Scene("organisation", FULL, "/sign-in/organisation"),
    Scene(
        "organisation",
        FAULT,
        "/sign-in/organisation",
        then=_submitted("[name=organisation]", "nergens.example", "[role=alert]"),
    ),
    Scene("arriving", FULL, "/sign-in", then=_led_on),
    Scene("invitation", FULL, lambda house: f"/invitation/{house.invitation}"),
    Scene("invitation-own-look", FULL, lambda house: f"/invitation/{house.asking[INVITED]}"),
    Scene("invitation", FAULT, "/invitation/is-over", status=404),
    Scene("share", FULL, recording, SANNE, _share_opened, asks=("/recordings/{id}/share",)),
    Scene("share", FAULT, recording, SANNE, _share_over_the_end),
    Scene("shares", FULL, "/shares", SANNE),
    Scene("shares", EMPTY, "/shares", EVA),
    Scene("shares-of-all", FULL, "/shares", BEHEER),
    Scene("play-link", FULL, lambda house: _below(house, "open")),
    Scene("play-link-door", FULL, lambda house: _below(house, "pin")),
    Scene(
        "play-link-door",
        FAULT,
        lambda house: _below(house, "pin"),
        then=_submitted("[name=code]", "1", ".error"),
    ),
    Scene("play-link", FAULT, "/s/is-over", status=404),
    Scene("page-not-found", FAULT, "/nergens", status=404),
    Scene("help", FULL, "/help", SANNE),
    Scene("keys", FULL, "/help", SANNE, _keys_shown, asks=("/help/keys",)),
    Scene("recordings", FULL, "/recordings?sort=-start", SANNE, _pressed(".recs input[name=id]", "#bulk")),
    Scene("recordings-of-team", FULL, "/recordings?sort=-start", MARK),
    Scene("recordings", EMPTY, "/recordings", EVA),
    Scene("recordings-nothing-found", EMPTY, "/recordings?q=bestaatniet&has=pause", SANNE),
    Scene("filters", FULL, "/recordings?sort=-start", DAAN, _pressed(".chip.add", "#filters")),
    Scene(
        "save-view", FULL, "/recordings?has=pause", SANNE, _pressed("[data-opens=save-view]", "#save-view")
    ),
    Scene("recording", FULL, recording, SANNE, _drawn, asks=("/recordings/{id}/links",)),
    Scene(
        "history", FULL, recording, SANNE, _tab("history", "#history li"), asks=("/recordings/{id}/history",)
    ),
    Scene(
        "note-history",
        FULL,
        recording,
        SANNE,
        _pressed("#note .earlier summary", "#note .earlier li"),
        asks=("/recordings/{id}/note/history",),
    ),
    Scene(
        "comment-history",
        FULL,
        recording,
        SANNE,
        _pressed(".comment .earlier summary", ".comment .earlier li"),
        asks=("/recordings/{id}/comments/{comment}/history",),
    ),
    Scene("why", FULL, recording, TOEZICHT, _tab("why", "#why .trace")),
    Scene(
        "recording-of-another",
        FULL,
        recording,
        MARK,
        _tab("access", "#access .verdict, #access li, #access table"),
        asks=("/recordings/{id}/access",),
    ),
    Scene("label-choice", FULL, recording, SANNE, _pressed("#add-label", "#label-choice")),
    Scene("labels", FULL, "/admin/labels", BEHEER),
    Scene("recording-purpose", FULL, _asking("available"), LIES),
    Scene("recording-processing", EMPTY, _asking("processing"), KOOS),
    Scene("recording-not-found", FAULT, _unknown, SANNE, status=404),
    Scene("me", FULL, "/me", SANNE),
    Scene("security", FULL, "/me/security", BEHEER),
    Scene(
        "security",
        FAULT,
        "/me/security",
        DAAN,
        _submitted("[name=again]", "iets anders dan dat", "[role=alert], :invalid"),
    ),
    Scene("authenticator", FULL, "/me/security/authenticator", DAAN),
    Scene("users", FULL, "/admin/users", BEHEER),
    Scene("users-nobody-found", EMPTY, "/admin/users?q=zzz", BEHEER),
    Scene("new-user", FULL, "/admin/users/new", BEHEER),
    Scene(
        "new-user", FAULT, "/admin/users/new", BEHEER, _submitted("[name=login]", "geen goede naam", ".error")
    ),
    Scene(
        "quarantine",
        FULL,
        "/admin/quarantine",
        LEEGBEHEER,
        _pressed("[data-opens^=destroy-]", "dialog[open]"),
    ),
    Scene("quarantine-list", FULL, "/admin/quarantine", LEEGBEHEER),
    Scene("quarantine", EMPTY, "/admin/quarantine", BEHEER),
    Scene("peers", FULL, "/admin/peers", BEHEER),
    Scene("peers", EMPTY, "/admin/peers", LEEGBEHEER),
    Scene("import", FULL, "/admin/users/import", BEHEER, _looked_at),
    Scene("keep-for-longer", FULL, lambda house: f"{recording(house)}/term", BEHEER),
    Scene("import-done", FULL, lambda house: f"/admin/users/import/{house.imported}", BEHEER),
    Scene("import", EMPTY, "/admin/users/import", BEHEER),
    Scene("import", FAULT, "/admin/users/import", BEHEER, _no_table),
    Scene("do-not-record", FULL, "/admin/do-not-record", BEHEER, _listed),
    Scene("do-not-record", EMPTY, "/admin/do-not-record", LEEGBEHEER),
    Scene(
        "do-not-record",
        FAULT,
        "/admin/do-not-record",
        LEEGBEHEER,
        _exempt_typed,
    ),
    Scene("user", FULL, person, BEHEER),
    Scene("user-leaves", FULL, person, BEHEER, _pressed("[data-opens=leaves]", "#leaves")),
    Scene("user-left", FULL, lambda house: f"/admin/users/{house.ids[PIET.login]}", BEHEER),
    Scene("user-number", FAULT, person, BEHEER, _submitted("#f-number", NOOR.number, "#numbers-of .error")),
    Scene("what-if", EMPTY, "/admin/what-if", BEHEER),
    Scene("what-if", FULL, "/admin/what-if", BEHEER, _tried(JANSEN, SANNE.login, "#answer .trace")),
    Scene("what-if-exempt", FULL, "/admin/what-if", TOEZICHT, _tried("112", DAAN.login, "#answer")),
    Scene("what-if", FAULT, "/admin/what-if", BEHEER, _tried(JANSEN, MARK.login, "[role=alert]")),
    Scene("user-access", FULL, person, BEHEER, _tab("access", "#access .verdict")),
    Scene("user-rights", FULL, person, BEHEER, _tab("rights", "#rights .rights")),
    Scene("licences", FULL, "/admin/licences", BEHEER),
    Scene("licences-nobody-found", EMPTY, "/admin/licences?q=zzz", BEHEER),
    Scene("licences-chosen", FULL, "/admin/licences?licence=365d", BEHEER, _licence_chosen),
    Scene("licences-chosen", FAULT, "/admin/licences?licence=none", BEHEER, _mode_without_licence),
    Scene("teams", FULL, team, BEHEER, _pressed("[data-opens=remove-team]", "#remove-team")),
    Scene("team", FULL, team, BEHEER),
    Scene(
        "team-candidates",
        FULL,
        team,
        BEHEER,
        lambda page: _typed(page, "#add", "no", "#candidates li"),
        asks=("/admin/teams/{id}/candidates",),
    ),
    Scene("teams", EMPTY, "/admin/teams", LEEGBEHEER),
    Scene("new-team", FULL, "/admin/teams/new", BEHEER),
    Scene("new-team", FAULT, "/admin/teams/new", BEHEER, _submitted("[name=name]", SALES, ".error")),
    Scene("rights", FULL, "/admin/rights", BEHEER, _switched),
    Scene("policies", FULL, "/admin/policies", BEHEER),
    Scene(
        "branding-preview",
        FULL,
        "/admin/policies/branding",
        LEEGBEHEER,
        deciding.drafted,
        asks=("/admin/policies/branding/preview",),
    ),
    Scene("branding", FULL, "/admin/policies/branding", LEEGBEHEER, deciding.draft_taken_up_again),
    Scene("branding", EMPTY, "/admin/policies/branding", BEHEER),
    Scene(
        "branding",
        FAULT,
        "/admin/policies/branding",
        BEHEER,
        _submitted("[name=accent_light]", "#ffcc00", ".error"),
    ),
    Scene("grounds", FULL, "/admin/policies/grounds", BEHEER),
    Scene("grounds", FAULT, "/admin/policies/grounds", BEHEER, deciding.without_purpose),
    Scene("rights", EMPTY, "/admin/rights", LEEGBEHEER),
    Scene("audit", FULL, "/admin/audit", BEHEER),
    Scene("reports", FULL, "/reports/usage", BEHEER, _charted),
    Scene("reports-by-day", FULL, "/reports/usage?by=day", BEHEER, _charted),
    Scene("reports-storage", FULL, "/reports/storage", TOEZICHT, _charted),
    Scene("reports-own", FULL, "/reports", SANNE, _charted),
    Scene("reports", EMPTY, "/reports/usage?from=2001-01-01&to=2001-01-31", BEHEER),
    Scene("reports", FAULT, "/reports/usage?from=2026-02-31", BEHEER, _charted),
    Scene("report-mails", FULL, "/reports/mails", ILSE),
    Scene("report-mails", EMPTY, "/reports/mails", NOOR),
    Scene("report-mails", FAULT, "/reports/mails", LEEGBEHEER),
    Scene("exports", EMPTY, "/exports", TOEZICHT),
    Scene("verify", EMPTY, "/verify"),
    Scene("verify", FAULT, "/verify", TOEZICHT, _verified),
    Scene(
        "export", FULL, "/recordings?sort=-start&within=365", TOEZICHT, _export_begun, asks=("/exports/new",)
    ),
    Scene(
        "hold",
        FULL,
        recording,
        TOEZICHT,
        _pressed("a[hx-get$='/holds']", "#hold-dialog"),
        asks=("/recordings/{id}/holds",),
    ),
    Scene(
        "hold-found",
        FULL,
        "/recordings?q=0612340079&sort=-start",
        TOEZICHT,
        _pressed("a[hx-get^='/holds/new']", "#hold-dialog"),
        asks=("/holds/new",),
    ),
    Scene("hold-page", FULL, lambda house: f"{recording(house)}/holds", TOEZICHT),
    Scene(
        "recording-held", FULL, lambda house: f"/recordings/{house.recording_with(GARAGE)['id']}", TOEZICHT
    ),
    Scene("recording-destroyed", FULL, lambda house: f"/recordings/{house.destroyed}", TOEZICHT),
    Scene("cases", FULL, "/cases", TOEZICHT),
    Scene("cases", EMPTY, "/cases", LEEGBEHEER),
    Scene("new-case", FULL, "/cases/new", BEHEER),
    Scene("approvals", FULL, "/approvals", BEHEER),
    Scene("approvals", FULL, "/approvals", TOEZICHT),
    Scene("approvals", EMPTY, "/approvals", LEEGBEHEER),
    Scene("approval", FULL, "/approvals", TOEZICHT, _pressed("[data-opens^=approve-]", "dialog[open]")),
    Scene("trash", FULL, "/admin/trash", BEHEER),
    Scene("trash", EMPTY, "/admin/trash", LEEGBEHEER),
    Scene("case", FULL, lambda house: f"/cases/{house.cases['garage']}", TOEZICHT),
    Scene("data-subjects", FULL, "/data-subjects", TOEZICHT),
    Scene("data-subjects", EMPTY, "/data-subjects", LEEGBEHEER),
    Scene("new-data-subject", FULL, "/data-subjects/new", BEHEER),
    Scene(
        "new-data-subject",
        FAULT,
        "/data-subjects/new",
        BEHEER,
        _years_ago,
    ),
    Scene("data-subject", FULL, lambda house: f"/data-subjects/{house.requests['garage']}", TOEZICHT),
    Scene("data-subject", EMPTY, lambda house: f"/data-subjects/{house.requests['fresh']}", BEHEER),
    Scene("audit", EMPTY, "/admin/audit?who=niemand", BEHEER),
    Scene("live", EMPTY, "/live", EVA),
    Scene("evaluation-forms", FULL, "/evaluations/forms", BEHEER),
    Scene("evaluation-forms", EMPTY, "/evaluations/forms", LEEGBEHEER),
    Scene("evaluation-form", FULL, _form, BEHEER),
    Scene("evaluation-form-preview", FULL, _form, BEHEER, _pressed("button[value=preview]", ".questions")),
    Scene("evaluation-form", EMPTY, "/evaluations/forms/new", BEHEER),
    Scene("evaluation-form", FAULT, "/evaluations/forms/new", BEHEER, _unfinished),
    Scene("evaluations", FULL, "/evaluations", MARK),
    Scene("evaluations-of-oneself", FULL, "/evaluations", SANNE),
    Scene("evaluations-nothing-chosen", EMPTY, "/evaluations?to=2001-01-01", MARK),
    Scene("evaluations", EMPTY, "/evaluations", EVA),
    Scene("evaluations", FAULT, "/evaluations", MARK, _drawn_twice),
    Scene(
        "evaluation-panel",
        FULL,
        recording,
        MARK,
        _tab("evaluations", ".question.current"),
        asks=("/recordings/{id}/evaluations",),
    ),
    Scene(
        "evaluation-panel-draft",
        FULL,
        lambda house: f"/recordings/{house.evaluations['draft']}",
        MARK,
        _tab("evaluations", "[value='1'][aria-pressed=true]"),
    ),
    Scene("evaluation-panel-disputed", FULL, _judged, MARK, _tab("evaluations", "#settlement")),
    Scene("evaluation-panel-results", FULL, _judged, SANNE, _tab("evaluations", "#evaluations .results")),
    Scene("evaluation-panel", EMPTY, recording, SANNE, _tab("evaluations", "#evaluations .empty")),
    Scene("evaluation", FULL, lambda house: f"/evaluations/{house.evaluations['released']}", SANNE),
    Scene("evaluation-disputed", FULL, lambda house: f"/evaluations/{house.evaluations['disputed']}", SANNE),
    Scene(
        "evaluation-sample", FULL, lambda house: f"/evaluations/samples/{house.evaluations['sample']}", MARK
    ),
    Scene("why", FULL, lambda house: f"{recording(house)}/why", SANNE),
    Scene("report-bandwidth", FULL, "/reports/bandwidth", BEHEER, _charted),
    Scene("why-find", EMPTY, "/calls/why", BEHEER),
    Scene("why-find", FAULT, "/calls/why?q=niemand", BEHEER),
    Scene("why-not", FULL, lambda house: f"/calls/{house.asking['never']}/why", LEEGBEHEER),
    Scene("heard", EMPTY, "/me/heard", EVA),
    Scene("own-settings", FULL, "/me", SANNE),
    Scene("operator-status", FULL, "/operator", BEDRIJF),
    Scene("operator-tenants", FULL, "/operator/tenants", BEDRIJF),
    Scene("operator-nodes", FULL, "/operator/nodes", BEDRIJF),
    Scene("operator-peers", FULL, "/operator/peers", BEDRIJF),
    Scene("operator-peers", FAULT, "/operator/peers", BEDRIJF, _address_taken),
    Scene("operator-peer", FULL, lambda house: f"/operator/peers/{house.exchange}", BEDRIJF),
    Scene("operator-sessions", FULL, "/operator/sessions", BEDRIJF),
    Scene("operator-sessions", EMPTY, "/operator/sessions?q=niemand", BEDRIJF),
    Scene("not-allowed", FAULT, "/recordings", BEDRIJF, status=403),
    Scene("not-allowed", FAULT, "/admin/teams", SANNE, status=403),
)


def scene(name: str, state: str = FULL) -> Scene:
    """Return a scene by its name."""
    return next(each for each in SCENES if (each.name, each.state) == (name, state))
