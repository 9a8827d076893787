"""Play links over the API: made, listed and ended, and what the tenant decides of them.

A link is told once, when it is made; so is a PIN that was made for it. With `to` it is
sent by mail as well.

Rules: who makes a link may share the recording (`archive.access.may_share`), and mail it
(`may_email`) where the link is to be sent; says what for where the tenant wants to know,
and stays within the tenant's policy. Who reaches a
recording sees which links lead to it; ending one is its maker's and the administrator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope, may_email, may_share, needs_purpose
from archive.audit import Json
from archive.catalogue import people, share_policies, shares
from archive.catalogue.identities import EMAIL_CHARS_MAX, checked_email
from archive.catalogue.share_policies import DAYS_MAX, SharePolicy
from archive.catalogue.shares import (
    PIN_DIGITS_MAX,
    PLAYS_COUNT_MAX,
    SPAN_MS_MAX,
    TITLE_CHARS_MAX,
    NewShare,
    Proof,
    Share,
)
from archive.errors import PurposeRequired, Refused
from archive.model import PLAYABLE_STATES, ArchivedRecording, Recording
from archive.post import Letter
from playback_portal import documents, outbox, play_links
from playback_portal.administration import administrators_only
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.language import Language, language_of
from playback_portal.parameters import (
    DURATION_S_MAX,
    Body,
    Parameters,
    bounded_text,
    cursor,
    json_flag,
    json_moment,
    json_whole_number,
    json_word_of,
    limit,
    read_body,
    search_text,
)
from playback_portal.play_links import Link
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.purposes import purpose_of
from playback_portal.recordings import archived_recording, not_playable
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, Services, recording_id_of

DAYS = 7
"""How long a link lives when nobody says otherwise: a week is one holiday of whoever gets it."""

MESSAGE_CHARS_MAX = 500
"""A few sentences beside the link; what is longer is a mail of its own."""

_STATES = {"active": True, "ended": False}


@dataclass(frozen=True)
class Wish:
    """What somebody asks a link to be; None is left to the policy or the recording."""

    title: str = ""
    from_ms: int = 0
    to_ms: int | None = None
    ends_at: datetime | None = None
    days: int | None = None
    plays_max: int | None = None
    proof: Proof | None = None
    pin: str | None = None
    to: str | None = None
    mailed: bool = True
    """Whether the link itself goes to that address; a code by mail goes there when it is asked for."""

    message: str = ""
    proof_of_policy: Proof = Proof.PIN
    """What it asks for where the policy wants something: a PIN is for who is told of it."""


@dataclass(frozen=True)
class Made:
    """A new link: its address and PIN are never shown again."""

    share: Share
    address: str
    pin: str | None


async def list_shares(request: web.Request) -> web.StreamResponse:
    """Answer with a page of links, newest first: one's own, or all of the tenant."""
    parameters = Parameters(request.query)
    active = parameters.read("state", _active, None)
    text = parameters.read("q", search_text, "")
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    services = request.app[SERVICES]
    now = services.clock.now()
    page = await asyncio.to_thread(
        lambda: shares.page(
            services.catalogue, request[SCOPE], now=now, active=active, limit=size, cursor=after, text=text
        )
    )
    return documents.list_response(request, [document(each, now) for each in page.items], page.next)


async def get_share(request: web.Request) -> web.StreamResponse:
    """Answer with one link."""
    Parameters(request.query).check()
    services = request.app[SERVICES]
    share = await asyncio.to_thread(shares.get, services.catalogue, request[SCOPE], recording_id_of(request))
    return documents.json_response(document(share, services.clock.now()))


async def list_recording_shares(request: web.Request) -> web.StreamResponse:
    """Answer with every link made of a recording, newest first."""
    Parameters(request.query).check()
    services, recording = request.app[SERVICES], (await archived_recording(request)).recording
    found = await asyncio.to_thread(
        shares.of_recording, services.catalogue, recording.tenant_id, recording.id
    )
    now = services.clock.now()
    return documents.list_response(request, [document(each, now) for each in found], None)


async def post_share(request: web.Request) -> web.StreamResponse:
    """Make a link."""
    Parameters(request.query).check()
    wish = _wish(await read_body(request))
    made = await make(request, await archived_recording(request), wish, language_of(request))
    told = document(made.share, request.app[SERVICES].clock.now())
    response = documents.json_response({**told, "link": made.address, "pin": made.pin})
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/shares/{made.share.id}"
    return response


async def delete_share(request: web.Request) -> web.StreamResponse:
    """End a link."""
    Parameters(request.query).check()
    await end(request)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def get_share_policy(request: web.Request) -> web.StreamResponse:
    """Answer with what the tenant decided of links and files."""
    Parameters(request.query).check()
    return tagged_response(policy_document(await _policy(request)))


async def patch_share_policy(request: web.Request) -> web.StreamResponse:
    """Change what the tenant decides by a merge patch; null sets the default again."""
    Parameters(request.query).check()
    body, defaults = await read_body(request), SharePolicy()
    links_allowed = body.read("linksAllowed", _flag_or(defaults.links_allowed), None)
    proof_required = body.read("proofRequired", _flag_or(defaults.proof_required), None)
    files_allowed = body.read("filesAllowed", _flag_or(defaults.files_allowed), None)
    days_max = body.read(
        "daysMax",
        lambda value: defaults.days_max if value is None else json_whole_number(1, DAYS_MAX)(value),
        None,
    )
    body.check()
    changes: share_policies.Changes = {}
    if links_allowed is not None:
        changes["links_allowed"] = links_allowed
    if proof_required is not None:
        changes["proof_required"] = proof_required
    if files_allowed is not None:
        changes["files_allowed"] = files_allowed
    if days_max is not None:
        changes["days_max"] = days_max
    return tagged_response(policy_document(await change_policy(request, changes)))


async def make(request: web.Request, archived: ArchivedRecording, wish: Wish, language: Language) -> Made:
    """Make a link for who asks, send it where it is to go, and have its audio made.

    Raises Refused, Conflict, PurposeRequired, or the 400 and 409 Problems.
    """
    services, scope, recording = request.app[SERVICES], request[SCOPE], archived.recording
    if recording.state not in PLAYABLE_STATES:
        raise not_playable(recording.state)
    if not may_share(scope, recording):
        raise Refused("You may not make play links of this recording: ask the administrator for the right.")
    if wish.to is not None and not may_email(scope, recording):
        raise Refused("You may not send this recording by mail: ask the administrator for the right.")
    purpose = await purpose_of(request, recording.id)
    if purpose is None and needs_purpose(scope, recording):
        raise PurposeRequired("This recording is somebody else's: say what you share it for.")
    wanted = _within(wish, recording, await _policy(request), services.clock.now())
    share, token, mail_id = await asyncio.to_thread(_add, request, wanted, wish, language, purpose)
    if mail_id is not None:
        await outbox.hand_over(services, scope.tenant_id, mail_id)
    play_links.begin_making(request.app, Link(token, share, archived))
    return Made(share, f"{services.url}/s/{token}", wanted.pin)


async def end(request: web.Request) -> Share:
    """End the link the path names; its entry stands in the recording's history."""
    services = request.app[SERVICES]
    share_id, now = recording_id_of(request), services.clock.now()
    found = await asyncio.to_thread(shares.get, services.catalogue, request[SCOPE], share_id)
    request[SUBJECT] = f"recording:{found.recording_id}"
    request[DETAILS] = {"share": share_id}

    def revoke() -> Share:
        with request[ENTRY].transaction() as connection:
            return shares.revoke(connection, request[SCOPE], share_id, now=now)

    return await asyncio.to_thread(revoke)


async def change_policy(request: web.Request, changes: share_policies.Changes) -> SharePolicy:
    """Set what is to change of the policy, and let the audit log tell it.

    What somebody else changed meanwhile stays; raises the 412 Problem when the request wants none of that.
    """
    tenant_id = request[SCOPE].tenant_id

    def change() -> SharePolicy:
        with request[ENTRY].transaction() as connection:
            before = share_policies.locked(connection, tenant_id)
            require_match(request.headers.get("If-Match"), policy_document(before))
            policy = share_policies.change(connection, tenant_id, changes)
            old, new = policy_document(before), policy_document(policy)
            changed: dict[str, Json] = {
                name: {"from": old[name], "to": new[name]} for name in new if old[name] != new[name]
            }
            request[DETAILS] = {"changed": changed}
        return policy

    return await asyncio.to_thread(change)


def document(share: Share, now: datetime) -> dict[str, Json]:
    """Return a link as the API shows it, without what lets somebody in."""
    return {
        "id": share.id,
        "recordingId": share.recording_id,
        "maker": share.maker,
        "title": share.title,
        "fromMs": share.from_ms,
        "toMs": share.to_ms,
        "proof": share.proof.value,
        "recipient": share.recipient,
        "madeAt": documents.time_of(share.made_at),
        "endsAt": documents.time_of(share.ends_at),
        "revokedAt": None if share.revoked_at is None else documents.time_of(share.revoked_at),
        "playsMax": share.plays_max,
        "plays": share.plays,
        "playedAt": None if share.played_at is None else documents.time_of(share.played_at),
        "state": share.state(now).value,
    }


def policy_document(policy: SharePolicy) -> dict[str, Json]:
    """Return a policy as the API shows it."""
    return {
        "linksAllowed": policy.links_allowed,
        "daysMax": policy.days_max,
        "proofRequired": policy.proof_required,
        "filesAllowed": policy.files_allowed,
    }


def email_address(value: Json) -> str:
    """Read an e-mail address of a body."""
    given = bounded_text(EMAIL_CHARS_MAX, chars_min=3)(value)
    try:
        return checked_email(given)
    except Refused as error:
        raise ValueError(str(error)) from None


def title_text(value: Json) -> str:
    """Read the title of a link: one line that can be shown."""
    title = bounded_text(TITLE_CHARS_MAX)(value)
    if not title.isprintable():
        raise ValueError("It is one line of characters that can be shown.")
    return title


def _wish(body: Body) -> Wish:
    milliseconds = json_whole_number(0, DURATION_S_MAX * 1000)
    wish = Wish(
        title=body.read("title", title_text, ""),
        from_ms=body.read("fromMs", milliseconds, 0),
        to_ms=body.read("toMs", milliseconds, None),
        ends_at=body.read("endsAt", json_moment, None),
        days=body.read("days", json_whole_number(1, DAYS_MAX), None),
        plays_max=body.read("playsMax", _maybe_plays, None),
        proof=body.read("proof", json_word_of(Proof), None),
        pin=body.read("pin", bounded_text(PIN_DIGITS_MAX), None),
        to=body.read("to", email_address, None),
        message=body.read("message", bounded_text(MESSAGE_CHARS_MAX), ""),
    )
    if wish.ends_at is not None and wish.days is not None:
        body.fault("days", "A link ends at a time or after days, not both.")
    body.check()
    return wish


def _within(wish: Wish, recording: Recording, policy: SharePolicy, now: datetime) -> NewShare:
    """Return the link a wish comes to; raises Refused for one beyond the policy, or the 400 Problem."""
    if not policy.links_allowed:
        raise Refused("Your organisation makes no play links.")
    proof = wish.proof
    if proof is None:
        asked = wish.proof_of_policy if policy.proof_required else Proof.NONE
        proof = asked if wish.pin is None else Proof.PIN
    if proof is Proof.NONE and policy.proof_required:
        raise Refused("Play links of your organisation ask for a PIN or a code by mail.")
    days = min(DAYS, policy.days_max) if wish.days is None else wish.days
    ends_at = wish.ends_at or now + timedelta(days=days)
    if ends_at > now + timedelta(days=policy.days_max):
        raise Refused(f"Play links of your organisation live at most {policy.days_max} days.")
    to_ms = recording.duration_ms if wish.to_ms is None else wish.to_ms
    if to_ms > recording.duration_ms:
        raise wrong_parameters(ParameterFault("/toMs", "The recording is shorter."))
    if to_ms <= wish.from_ms:
        raise wrong_parameters(ParameterFault("/fromMs", "It lies before toMs."))
    if to_ms - wish.from_ms > SPAN_MS_MAX:
        hours = SPAN_MS_MAX // 3_600_000
        raise wrong_parameters(ParameterFault("/toMs", f"At most {hours} hours are shared at once."))
    if proof is Proof.EMAIL and wish.to is None:
        raise wrong_parameters(ParameterFault("/to", "A code by mail needs an address it goes to."))
    pin = (wish.pin or shares.new_pin()) if proof is Proof.PIN else wish.pin
    return NewShare(
        recording.id, wish.title, wish.from_ms, to_ms, ends_at, proof, pin, wish.to, wish.plays_max
    )


def _add(
    request: web.Request, wanted: NewShare, wish: Wish, language: Language, purpose: str | None
) -> tuple[Share, str, str | None]:
    """Make the link, the letter that carries it and their audit entry: all of them or nothing.

    Return the link, its token and the letter's id.
    """
    services, scope = request.app[SERVICES], request[SCOPE]
    organisation = people.tenant_of(services.catalogue, scope.tenant_id).name
    with request[ENTRY].transaction() as connection:
        share, token = shares.add(connection, scope, wanted, now=services.clock.now())
        mail_id = None
        if wish.to is not None and wish.mailed:
            letter = _letter(services, scope, share, token, organisation, wish, language)
            mail_id = outbox.queue(services, connection, letter)
        told: dict[str, Json] = {
            "share": share.id,
            "fromMs": share.from_ms,
            "toMs": share.to_ms,
            "endsAt": documents.time_of(share.ends_at),
            "proof": share.proof.value,
            "playsMax": share.plays_max,
        }
        request[DETAILS] = {**told, "to": wish.to, **({} if purpose is None else {"purpose": purpose})}
    return share, token, mail_id


def _letter(  # noqa: PLR0917 - what a letter tells
    services: Services,
    scope: AccessScope,
    share: Share,
    token: str,
    organisation: str,
    wish: Wish,
    language: Language,
) -> Letter:
    fields = {
        "link": f"{services.url}/s/{token}",
        "organisation": organisation,
        "title": share.title,
        "message": wish.message,
        "proof": share.proof.value,
        "endsAt": documents.time_of(share.ends_at),
    }
    to = wish.to or ""
    return Letter(scope.tenant_id, "share", to, language.value, fields, share.recording_id, scope.actor)


def _active(text: str) -> bool:
    if text not in _STATES:
        raise ValueError(f"It is one of {', '.join(_STATES)}.")
    return _STATES[text]


def _maybe_plays(value: Json) -> int | None:
    return None if value is None else json_whole_number(1, PLAYS_COUNT_MAX)(value)


def _flag_or(default: bool) -> Callable[[Json], bool]:  # noqa: FBT001 - the value itself
    return lambda value: default if value is None else json_flag(value)


async def _policy(request: web.Request) -> SharePolicy:
    return await asyncio.to_thread(
        share_policies.policy_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )


SHARE_ROUTES = (
    Route("GET", "/v1/shares", list_shares, Scope.RECORDINGS_READ, "shares.listed"),
    Route("GET", "/v1/shares/{id}", get_share, Scope.RECORDINGS_READ, "share.viewed", "share"),
    Route("DELETE", "/v1/shares/{id}", delete_share, Scope.RECORDINGS_SHARE, "share.revoked", "share"),
    Route(
        "GET",
        "/v1/recordings/{id}/shares",
        list_recording_shares,
        Scope.RECORDINGS_READ,
        "shares.listed",
    ),
    Route("POST", "/v1/recordings/{id}/shares", post_share, Scope.RECORDINGS_SHARE, "share.added"),
    Route(
        "GET",
        "/v1/share-policy",
        administrators_only(get_share_policy),
        Scope.ADMINISTRATION,
        "share-policy.viewed",
        "share-policy",
    ),
    Route(
        "PATCH",
        "/v1/share-policy",
        administrators_only(patch_share_policy),
        Scope.ADMINISTRATION,
        "share-policy.changed",
        "share-policy",
    ),
)
