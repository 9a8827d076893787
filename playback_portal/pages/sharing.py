"""Sharing for people: the dialog beside the player, and the list of all play links.

Rules: whoever reaches a recording may open the dialog; it says so when they may not share.
A link's address and PIN are shown once, in the answer that made them. Ending a link works
at once and can be undone for a moment.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlencode

from aiohttp import web

from archive.access import Scope, may_email, may_share
from archive.catalogue import people, recordings, share_policies, shares
from archive.catalogue.recordings import SEARCH_CHARS_MAX
from archive.catalogue.share_policies import DAYS_MAX
from archive.catalogue.shares import PLAYS_COUNT_MAX, TITLE_CHARS_MAX, Proof, Share, ShareState
from archive.errors import Conflict, Refused
from archive.mail import one_line
from archive.model import ArchivedRecording, RecordingId, UserId
from playback_portal import emails
from playback_portal import shares as sharing
from playback_portal.emails import FileFormat, Form
from playback_portal.language import language_of, mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.problems import Problem
from playback_portal.purposes import is_missing
from playback_portal.recordings import archived_recording
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of
from playback_portal.shares import DAYS, MESSAGE_CHARS_MAX, Made, Wish, email_address

DAYS_OFFERED = (1, 7, 14, 30)
PLAYS_OFFERED = (1, 3, 10)
SHARES_PER_PAGE = 50

PROOFS = {
    Proof.NONE: mark("Nothing: whoever has the link can listen"),
    Proof.PIN: mark("A PIN you tell yourself"),
    Proof.EMAIL: mark("A code by mail"),
}
STATES = {
    ShareState.ACTIVE: mark("Works"),
    ShareState.ENDED: mark("Over"),
    ShareState.REVOKED: mark("Ended"),
    ShareState.SPENT: mark("Played out"),
}
SEND = "send"
"""What the button says that sends; the other only makes a link."""

NO_ADDRESS = mark("This is no e-mail address.")
NO_TIME = mark("Write a time as 2:10.")
NO_SPAN = mark("The end lies after the beginning, and within the call.")
NOT_ALLOWED = mark("This can't be shared like this: your organisation allows less, or no more.")

_TIME = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2})")


@dataclass(frozen=True)
class Row:
    """A link in the list, with who made it, when the call was, and whether its page opens for who looks."""

    share: Share
    maker: str
    began: datetime | None
    opens: bool
    state: ShareState

    @property
    def works(self) -> bool:
        """Whether it can be ended."""
        return self.state in {ShareState.ACTIVE, ShareState.SPENT}


async def get_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog, or that one may not share."""
    archived = await archived_recording(request)
    return await _dialog(request, archived, {}, {})


async def post_share(request: web.Request) -> web.StreamResponse:
    """Make a link, and send it or the file when that was asked for."""
    archived = await archived_recording(request)
    form = await fields_of(request)
    wish, faults = _wish(form, archived.recording.duration_ms)
    sends = form.get("do") == SEND
    if sends and wish.to is None:
        faults.setdefault("to", NO_ADDRESS)
    if faults:
        return await _dialog(request, archived, form, faults, HTTPStatus.BAD_REQUEST)
    language, file_format = language_of(request), _format(form) if sends else None
    try:
        if file_format is not None and wish.to is not None:
            made: Made | None = None
            await emails.send_file(
                request,
                archived,
                to=wish.to,
                file_format=file_format,
                text=wish.message,
                language=language,
            )
        else:
            made = await sharing.make(request, archived, wish, language)
    except (Refused, Conflict, Problem) as error:
        if isinstance(error, Problem) and error.status is HTTPStatus.TOO_MANY_REQUESTS:
            # What was filled in stays in the dialog: the notice stands above it.
            raise
        await request[ENTRY].make("refused")
        known = str(error) if isinstance(error, Refused) else ""
        told = known if known in {emails.NO_FILES, emails.TOO_LONG} else NOT_ALLOWED
        return await _dialog(request, archived, form, {"": told}, HTTPStatus.CONFLICT)
    return partial(
        request, "sharing/made.html", made=made, to=wish.to if sends else None, recording=archived.recording
    )


async def get_links(request: web.Request) -> web.StreamResponse:
    """Show the links of one recording, beside its player."""
    archived = await archived_recording(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    recording = archived.recording
    found = await asyncio.to_thread(
        shares.of_recording, services.catalogue, recording.tenant_id, recording.id
    )
    rows = await _rows(request, found)
    return partial(
        request,
        "sharing/_links.html",
        rows=rows,
        recording=recording,
        may_end=scope.permits(Scope.RECORDINGS_SHARE),
        states=STATES,
    )


async def list_shares(request: web.Request) -> web.StreamResponse:
    """Show one's own links, or all of the tenant to who answers for it."""
    services, scope = request.app[SERVICES], request[SCOPE]
    ended, cursor = request.query.get("state") == "ended", request.query.get("cursor")
    now, text = services.clock.now(), request.query.get("q", "").strip()[:SEARCH_CHARS_MAX]
    page = await asyncio.to_thread(
        lambda: shares.page(
            services.catalogue,
            scope,
            now=now,
            active=not ended,
            limit=SHARES_PER_PAGE,
            cursor=cursor,
            text=text,
        )
    )
    return render(
        request,
        "sharing/list.html",
        rows=await _rows(request, page.items),
        next=page.next,
        cursor=cursor,
        ended=ended,
        text=text,
        here_with=lambda **given: _address({"state": "ended" if ended else "", "q": text, **given}),
        may_end=scope.permits(Scope.RECORDINGS_SHARE),
        states=STATES,
    )


def _address(given: Mapping[str, str]) -> str:
    """Return the address of the list with what is given of its parameters."""
    query = urlencode({name: value for name, value in given.items() if value})
    return f"/shares?{query}" if query else "/shares"


async def post_revocation(request: web.Request) -> web.StreamResponse:
    """End a link."""
    share = await sharing.end(request)
    if not is_htmx(request):
        return see_other(request, "/shares")
    (row,) = await _rows(request, (share,))
    return partial(request, "sharing/ended.html", row=row, undone=False, may_end=True, states=STATES)


async def post_restoration(request: web.Request) -> web.StreamResponse:
    """Undo the ending of a link, a moment after it."""
    services, scope, share_id = request.app[SERVICES], request[SCOPE], recording_id_of(request)
    now = services.clock.now()

    def restore() -> Share:
        with request[ENTRY].transaction() as connection:
            restored = shares.restore(connection, scope, share_id, now=now)
            request[SUBJECT], request[DETAILS] = f"recording:{restored.recording_id}", {"share": share_id}
        return restored

    share = await asyncio.to_thread(restore)
    if not is_htmx(request):
        return see_other(request, "/shares")
    (row,) = await _rows(request, (share,))
    return partial(request, "sharing/ended.html", row=row, undone=True, may_end=True, states=STATES)


async def _dialog(
    request: web.Request,
    archived: ArchivedRecording,
    form: Mapping[str, str],
    faults: Mapping[str, str],
    status: int = HTTPStatus.OK,
) -> web.Response:
    services, scope, recording = request.app[SERVICES], request[SCOPE], archived.recording
    policy = await asyncio.to_thread(share_policies.policy_of, services.catalogue, scope.tenant_id)
    links = may_share(scope, recording) and policy.links_allowed
    mails = may_email(scope, recording)
    files = mails and policy.files_allowed
    # The answer to a form that was wrong stands in the dialog that is open.
    template = "sharing/_form.html" if form else "sharing/dialog.html"
    days = [each for each in DAYS_OFFERED if each < policy.days_max]
    return partial(
        request,
        template,
        status=status if form else HTTPStatus.OK,
        recording=recording,
        form=form,
        faults=faults,
        links=links,
        mails=mails,
        files=files,
        asks=await is_missing(request, recording),
        days_offered=sorted({*days, min(DAYS, policy.days_max), policy.days_max}),
        days=min(DAYS, policy.days_max),
        plays_offered=PLAYS_OFFERED,
        proofs={
            each.value: text
            for each, text in PROOFS.items()
            if (each is not Proof.NONE or not policy.proof_required) and (each is not Proof.EMAIL or mails)
        },
        title_chars_max=TITLE_CHARS_MAX,
        message_chars_max=MESSAGE_CHARS_MAX,
    )


def _wish(form: Mapping[str, str], duration_ms: int) -> tuple[Wish, dict[str, str]]:
    """Return what a form asks for, and what is wrong with it by field."""
    faults: dict[str, str] = {}
    to = form.get("to", "").strip()
    if to:
        try:
            to = email_address(to)
        except ValueError:
            faults["to"] = NO_ADDRESS
    from_ms, to_ms = _milliseconds(form.get("from", "")), _milliseconds(form.get("until", ""))
    for name, value in (("from", from_ms), ("until", to_ms)):
        if value is None and form.get(name, "").strip():
            faults[name] = NO_TIME
    # The end is shown in whole seconds: the last of them means the end itself.
    whole = to_ms is None or to_ms >= duration_ms // 1000 * 1000
    end_ms = duration_ms if whole else to_ms or 0
    if not faults and ((to_ms or 0) > duration_ms or end_ms - (from_ms or 0) < shares.SPAN_MS_MIN):
        faults["until"] = NO_SPAN
    proof, sends = form.get("proof", ""), form.get("do") == SEND
    # Who wants only a link sends nothing to an address that was typed; a code needs it later.
    needed = sends or proof == Proof.EMAIL
    wish = Wish(
        title=one_line(form.get("title", ""))[:TITLE_CHARS_MAX],
        from_ms=from_ms or 0,
        to_ms=end_ms,
        days=_number(form.get("days", ""), DAYS_MAX),
        plays_max=_number(form.get("plays", ""), PLAYS_COUNT_MAX),
        proof=Proof(proof) if proof in set(Proof) else None,
        to=(to or None) if needed else None,
        mailed=sends,
        message=form.get("message", "").strip()[:MESSAGE_CHARS_MAX],
    )
    if wish.proof is Proof.EMAIL and wish.to is None:
        faults.setdefault("to", NO_ADDRESS)
    return wish, faults


def _milliseconds(text: str) -> int | None:
    match = _TIME.fullmatch(text.strip())
    if match is None or int(match[3]) > 59:
        return None
    return ((int(match[1] or 0) * 60 + int(match[2])) * 60 + int(match[3])) * 1000


def _number(text: str, most: int) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 5 and 1 <= int(text) <= most else None


def _format(form: Mapping[str, str]) -> FileFormat | None:
    """Return the form of the file that is to be sent, None for a link."""
    kind, _, name = form.get("what", "").partition("-")
    return FileFormat(name) if kind == Form.FILE and name in set(FileFormat) else None


async def _rows(request: web.Request, found: tuple[Share, ...]) -> list[Row]:
    services, scope = request.app[SERVICES], request[SCOPE]
    makers = {UserId(each.user_id) for each in found if each.user_id is not None}
    ids = {RecordingId(each.recording_id) for each in found}

    def read() -> tuple[dict[UserId, str], dict[RecordingId, datetime], frozenset[RecordingId]]:
        who = people.of_ids(services.catalogue, scope.tenant_id, makers)
        began = shares.beginnings(services.catalogue, scope.tenant_id, ids)
        reached = recordings.reached(services.catalogue, scope, ids)
        return {user_id: user.login for user_id, user in who.items()}, began, reached

    names, began, reached = await asyncio.to_thread(read)
    now = services.clock.now()
    return [
        Row(
            each,
            "" if each.user_id is None else names.get(each.user_id, ""),
            began.get(each.recording_id),
            each.recording_id in reached,
            each.state(now),
        )
        for each in found
    ]


SHARING_ROUTES = (
    Route("GET", "/shares", list_shares, Scope.RECORDINGS_READ, "shares.listed", page=True),
    Route(
        "POST",
        "/shares/{id}/revocation",
        post_revocation,
        Scope.RECORDINGS_SHARE,
        "share.revoked",
        "share",
        page=True,
    ),
    Route(
        "POST",
        "/shares/{id}/restoration",
        post_restoration,
        Scope.RECORDINGS_SHARE,
        "share.restored",
        "share",
        page=True,
    ),
    Route(
        "GET",
        "/recordings/{id}/share",
        get_dialog,
        Scope.RECORDINGS_READ,
        "share.begun",
        "share-of",
        page=True,
    ),
    Route("POST", "/recordings/{id}/share", post_share, Scope.RECORDINGS_SHARE, "share.added", page=True),
    Route(
        "GET",
        "/recordings/{id}/links",
        get_links,
        Scope.RECORDINGS_READ,
        "shares.listed",
        "shares-of",
        page=True,
    ),
)
