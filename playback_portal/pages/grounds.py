"""Purpose, legal basis and notice of a tenant, for administrators: read, written anew, and as it was before.

Rules: saving adds a version; what somebody else wrote meanwhile is not passed over. What is wrong
in a form is told at its fields, and the form keeps what was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from multidict import MultiDictProxy

from archive.catalogue import grounds, people
from archive.catalogue.grounds import Version
from archive.errors import Conflict, Refused
from archive.grounds import (
    BALANCING_CHARS_MAX,
    NOTICE_CHARS_MAX,
    PURPOSE_CHARS_MAX,
    PURPOSES_MAX,
    Grounds,
    LegalBasis,
    Telling,
    faults,
    tidied,
)
from archive.model import UserId
from playback_portal.admission import again
from playback_portal.grounds import register
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.teams import row
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/admin/policies/grounds"

BASES = {
    LegalBasis.CONSENT: (mark("Consent"), mark("Everybody who is heard agreed, and may take it back.")),
    LegalBasis.CONTRACT: (mark("Contract"), mark("It is needed for a contract with the person.")),
    LegalBasis.LEGAL_OBLIGATION: (mark("Legal obligation"), mark("A law says so.")),
    LegalBasis.VITAL_INTERESTS: (mark("Vital interests"), mark("A life may depend on it.")),
    LegalBasis.PUBLIC_TASK: (mark("Public task"), mark("It belongs to a task of general interest.")),
    LegalBasis.LEGITIMATE_INTEREST: (
        mark("Legitimate interest"),
        mark("Your interest outweighs that of who is heard."),
    ),
}
"""What a basis is called, and what it means."""

TELLINGS = {
    Telling.ANNOUNCEMENT: mark("An announcement at the beginning of the call"),
    Telling.PRIVACY_STATEMENT: mark("The privacy statement"),
    Telling.CONTRACT: mark("The contract"),
    Telling.STAFF_RULES: mark("The rules for employees"),
}
WRONG = {
    "purposes": mark("Write at least one purpose, one a line, at most ten."),
    "legal_basis": mark("Choose the legal basis."),
    "balancing": mark("Write in short why your interest outweighs that of the people who are heard."),
    "notice_nl": mark("Write the notice in Dutch."),
    "notice_en": mark("Write the notice in English."),
    "told_by": mark("Tick at least one."),
    "": mark("There are too many versions. Ask your provider."),
}
MEANWHILE = mark(
    "Somebody else saved another text meanwhile. It is in force now and stands below. "
    "Compare, and save again."
)
MISSING = mark(
    "Recording can't be switched on yet: purpose, legal basis and notice text are missing. "
    "An administrator writes them in the portal at Settings, Purpose and legal basis "
    "(/admin/policies/grounds)."
)
"""What `archive.catalogue.grounds` refuses with, for pages to tell it in Dutch."""


@dataclass(frozen=True)
class Form:
    """What stands in the fields, and the version its writer read."""

    purposes: str = ""
    legal_basis: str = ""
    balancing: str = ""
    notice_nl: str = ""
    notice_en: str = ""
    told_by: tuple[str, ...] = ()
    seen: str = ""


async def get_grounds(request: web.Request) -> web.StreamResponse:
    """Show what is in force, in its fields, and what was before."""
    return await _page(request)


async def post_grounds(request: web.Request) -> web.StreamResponse:
    """Save a new version."""
    form = _form(await request.post())
    wanted, wrong = _wanted(form)
    if wanted is None or wrong:
        return await _refused(request, form, wrong, HTTPStatus.BAD_REQUEST)
    try:
        await asyncio.to_thread(register, request, wanted, form.seen)
    except Conflict:
        return await _refused(request, form, (), HTTPStatus.CONFLICT)
    except Refused:
        return await _refused(request, form, ("",), HTTPStatus.BAD_REQUEST)
    return see_other(request, f"{PAGE}?saved")


async def _refused(
    request: web.Request, form: Form, wrong: tuple[str, ...], status: HTTPStatus
) -> web.Response:
    await request[ENTRY].make("refused")
    return await _page(request, form, wrong, status)


def _form(sent: MultiDictProxy[str | bytes | bytearray | web.FileField]) -> Form:
    texts = {name: value for name, value in sent.items() if isinstance(value, str)}
    ticked = tuple(str(each) for each in sent.getall("told_by", []))
    given = {name: texts.get(name, "") for name in ("purposes", "legal_basis", "balancing", "seen")}
    return Form(
        **given,
        notice_nl=texts.get("notice_nl", ""),
        notice_en=texts.get("notice_en", ""),
        told_by=tuple(each for each in ticked if each in set(Telling)),
    )


def _wanted(form: Form) -> tuple[Grounds | None, tuple[str, ...]]:
    """Return the grounds of a form and the fields that are wrong; None without a basis."""
    chosen = form.legal_basis in set(LegalBasis)
    grounds_of_form = tidied(
        Grounds(
            purposes=tuple(form.purposes.splitlines()),
            legal_basis=LegalBasis(form.legal_basis) if chosen else LegalBasis.CONSENT,
            balancing=form.balancing,
            notice_nl=form.notice_nl,
            notice_en=form.notice_en,
            told_by=tuple(map(Telling, form.told_by)),
        )
    )
    wrong = faults(grounds_of_form)
    return (grounds_of_form, wrong) if chosen else (None, ("legal_basis", *wrong))


def _filled(version: Version | None) -> Form:
    if version is None:
        return Form()
    told = version.grounds
    return Form(
        purposes="\n".join(told.purposes),
        legal_basis=told.legal_basis.value,
        balancing=told.balancing,
        notice_nl=told.notice_nl,
        notice_en=told.notice_en,
        told_by=tuple(each.value for each in told.told_by),
        seen=version.id,
    )


async def _page(
    request: web.Request,
    form: Form | None = None,
    wrong: tuple[str, ...] = (),
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def read() -> tuple[list[Version], Mapping[str, str]]:
        found = grounds.versions(catalogue, tenant_id)
        who = {each.registered_by for each in found}
        ids = {UserId(each.removeprefix("user:")) for each in who if each.startswith("user:")}
        known = people.of_ids(catalogue, tenant_id, ids)
        return found, {f"user:{user_id}": user.login for user_id, user in known.items()}

    versions, logins = await asyncio.to_thread(read)
    current = versions[0] if versions else None
    conflict = status is HTTPStatus.CONFLICT
    shown = form or _filled(current)
    return render(
        request,
        "grounds/page.html",
        status=status,
        current=current,
        # After a conflict the newest is compared with what was typed, so it stands among the others.
        earlier=versions if conflict else versions[1:],
        logins=logins,
        form=shown,
        seen=("" if current is None else current.id) if conflict else shown.seen,
        wrong={name: WRONG[name] for name in wrong},
        meanwhile=MEANWHILE if conflict else "",
        bases=BASES,
        tellings=TELLINGS,
        again=again(request),
        saved="saved" in request.query,
        purposes_chars_max=PURPOSES_MAX * (PURPOSE_CHARS_MAX + 2),
        notice_chars_max=NOTICE_CHARS_MAX,
        balancing_chars_max=BALANCING_CHARS_MAX,
    )


GROUNDS_ROUTES = (
    row("GET", PAGE, get_grounds, "grounds.viewed", "grounds"),
    row("POST", PAGE, post_grounds, "grounds.registered", "grounds"),
)
