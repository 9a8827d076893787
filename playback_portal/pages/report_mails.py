"""Reports by mail for people: what one gets, of which days and at what hour; begun and ended by oneself.

Rules: only to one's own address, once that was proved; nobody has a report mailed to somebody else.
Not here: sending them (`retention.report_mails`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope
from archive.audit import Json
from archive.catalogue import identities, report_subscriptions
from archive.catalogue.identities import Account
from archive.catalogue.report_subscriptions import FORM_USUAL, FORMS, HOUR_USUAL, Subscription, Wanted
from archive.errors import Conflict
from archive.post import NoPost
from archive.reports import making, words
from archive.reports.making import Denial
from archive.reports.period import Frequency
from archive.reports.report import Name
from playback_portal.language import language_of, mark
from playback_portal.page import render, see_other
from playback_portal.pages.reports import names_for, offered_teams
from playback_portal.pages.sign_in import fields_of
from playback_portal.reports import PERMISSION
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id

PATH = "/reports/mails"
FREQUENCIES: Mapping[Frequency, str] = {
    Frequency.DAILY: mark("Every day, of the day before"),
    Frequency.WEEKLY: mark("Every Monday, of the week before"),
    Frequency.MONTHLY: mark("Every first of the month, of the month before"),
}
PAUSED: Mapping[Denial, str] = {
    Denial.TEAM: mark("Paused: you don't see the numbers of this team any more."),
    Denial.WHOLE: mark("Paused: this report is of the whole organisation, and you don't see that."),
    Denial.REPORTS: mark("Paused: you may see no reports any more."),
}
TOO_MANY = mark("You get as many reports by mail as there can be. End one first.")
NO_SENSE = mark("This can't be mailed like that. Choose from the lists.")
OF_NO_TEAM = mark("This report is of the whole organisation and of no team by itself. Choose no team.")
DONE: Mapping[str, str] = {
    "set": mark("Set. The first one comes once its period is over."),
    "ended": mark("Stopped. This report comes no more."),
}
"""What was just done, as the address says it."""


@dataclass(frozen=True)
class Line:
    """A subscription as it is shown."""

    subscription: Subscription
    title: str
    team: str
    paused: str = ""
    """The message why nothing comes now, '' when it comes."""

    @property
    def when(self) -> str:
        """The message for how often."""
        return FREQUENCIES[self.subscription.wanted.frequency]


async def list_report_mails(request: web.Request) -> web.StreamResponse:
    """Show what one gets by mail."""
    return await _page(request)


async def post_report_mail(request: web.Request) -> web.StreamResponse:
    """Have a report mailed to oneself."""
    given = await fields_of(request)
    wanted = _wanted(request, given)
    fault = NO_SENSE if wanted is None else await asyncio.to_thread(_fault, request, wanted)
    if wanted is None or fault:
        return await _page(request, fault, HTTPStatus.BAD_REQUEST, given)
    if not _sends(request) or await asyncio.to_thread(_address, request) is None:
        # The page says what is missing; a subscription nothing comes of would be a promise.
        return await _page(request, status=HTTPStatus.CONFLICT)
    services, scope, entry = request.app[SERVICES], request[SCOPE], request[ENTRY]

    def make() -> Subscription:
        with entry.transaction() as connection:
            now = services.clock.now()
            asked = _as_before(report_subscriptions.of_person(connection, scope), wanted, given)
            made = report_subscriptions.set_one(connection, scope, asked, now=now)
            request[SUBJECT] = f"report-mail:{made.id}"
            request[DETAILS] = _told(wanted)
            return made

    try:
        await asyncio.to_thread(make)
    except Conflict:
        return await _page(request, TOO_MANY, HTTPStatus.CONFLICT, given)
    return see_other(request, f"{PATH}?done=set")


async def end_report_mail(request: web.Request) -> web.StreamResponse:
    """End one of one's own subscriptions."""
    scope, entry, named = request[SCOPE], request[ENTRY], request.match_info["id"]

    def end() -> None:
        with entry.transaction() as connection:
            report_subscriptions.end(connection, scope, named)

    await asyncio.to_thread(end)
    return see_other(request, f"{PATH}?done=ended")


async def _page(
    request: web.Request,
    fault: str = "",
    status: HTTPStatus = HTTPStatus.OK,
    given: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Show what one gets by mail; after a fault with what was `given`."""
    services, scope, language = request.app[SERVICES], request[SCOPE], language_of(request)

    def read() -> tuple[list[Subscription], str | None, list[tuple[str, str]]]:
        with services.catalogue.transaction(scope.tenant_id) as connection:
            found = report_subscriptions.of_person(connection, scope)
        return found, _address(request), offered_teams(services.catalogue, scope)

    found, address, teams = await asyncio.to_thread(read)
    named = dict(teams)
    lines = [
        Line(
            each,
            words.TITLES[each.wanted.name][language],
            named.get(each.wanted.team_id or "", ""),
            _paused(scope, each.wanted),
        )
        for each in found
    ]
    chosen = request.query if given is None else given
    done = request.query.get("done", "")
    return render(
        request,
        "reports/mails.html",
        status=status,
        lines=lines,
        fault=fault,
        done="" if fault else DONE.get(done, ""),
        address=address,
        sends=_sends(request),
        teams=teams,
        names=[(each.value, words.TITLES[each][language]) for each in names_for(scope)],
        chosen=_chosen(chosen),
        frequencies=[(each.value, text) for each, text in FREQUENCIES.items()],
        hours=[(str(hour), f"{hour:02}:00") for hour in range(24)],
        forms=[(each, each.upper()) for each in FORMS],
    )


def _chosen(given: Mapping[str, str]) -> dict[str, str]:
    """Return what the form stands at: what was chosen, else what is usual."""
    usual = {"report": Name.USAGE.value, "team": "", "frequency": Frequency.WEEKLY.value}
    usual |= {"hour": str(HOUR_USUAL), "form": FORM_USUAL}
    return {name: given.get(name, value) for name, value in usual.items()}


def _fault(request: web.Request, wanted: Wanted) -> str:
    """Return the message why this can't be mailed to who asks, '' when it can; blocks."""
    scope = request[SCOPE]
    if wanted.team_id is None:
        return ""
    if wanted.name in making.WHOLE:
        return OF_NO_TEAM
    offered = dict(offered_teams(request.app[SERVICES].catalogue, scope))
    return "" if wanted.team_id in offered else NO_SENSE


def _as_before(had: list[Subscription], wanted: Wanted, given: Mapping[str, str]) -> Wanted:
    """Return what is wanted with the hour and form of before, where a button asks for neither."""
    same = (wanted.name, wanted.frequency, wanted.team_id)
    before = next(
        (
            each.wanted
            for each in had
            if (each.wanted.name, each.wanted.frequency, each.wanted.team_id) == same
        ),
        wanted,
    )
    hour = wanted.hour if "hour" in given else before.hour
    return replace(wanted, hour=hour, form=wanted.form if "form" in given else before.form)


def _paused(scope: AccessScope, wanted: Wanted) -> str:
    """Return the message why a report is not mailed now, '' when it is."""
    denial = making.denied(scope, wanted.name, wanted.team_id)
    return "" if denial is None else PAUSED[denial]


def _sends(request: web.Request) -> bool:
    """Return whether mail is sent from here at all."""
    return not isinstance(request.app[SERVICES].post, NoPost)


def _address(request: web.Request) -> str | None:
    """Return the address who asks has proved, None where there is none; blocks."""
    scope = request[SCOPE]
    if scope.user_id is None:
        return None
    account = Account(scope.tenant_id, scope.user_id)
    known = identities.particulars(request.app[SERVICES].catalogue, account)
    return known.email if known is not None and known.email_verified else None


def _wanted(request: web.Request, given: Mapping[str, str]) -> Wanted | None:
    """Return what a form asks for, None for what is in no list."""
    team = given.get("team", "")
    hour = given.get("hour", str(HOUR_USUAL))
    if (team and not is_recording_id(team)) or hour not in {str(each) for each in range(24)}:
        return None
    try:
        name, frequency = Name(given.get("report", "")), Frequency(given.get("frequency", ""))
    except ValueError:
        return None
    form = given.get("form", FORM_USUAL)
    if form not in FORMS or name not in names_for(request[SCOPE]):
        return None
    return Wanted(name, frequency, team or None, int(hour), form, language_of(request).value)


def _told(wanted: Wanted) -> dict[str, Json]:
    told: dict[str, Json] = {"report": wanted.name.value, "frequency": wanted.frequency.value}
    return told if wanted.team_id is None else {**told, "team": wanted.team_id}


REPORT_MAIL_ROUTES = (
    Route("GET", PATH, list_report_mails, PERMISSION, "report-mails.listed", page=True),
    Route("POST", PATH, post_report_mail, PERMISSION, "report-mail.set", page=True),
    Route(
        "POST",
        f"{PATH}/{{id}}/end",
        end_report_mail,
        PERMISSION,
        "report-mail.ended",
        "report-mail",
        page=True,
    ),
)
