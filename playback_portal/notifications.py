"""What people are told of by mail, over the API: each chooses for themselves, kind by kind.

Rules: only for a person, and of nobody else. Mails about passwords, addresses and codes are no
choice and stand in no list. Not here: what is told when (`archive.catalogue.notifications`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from archive.access import Scope, evaluating, may_administer, may_take_evidence
from archive.audit import Json
from archive.catalogue import notifications
from archive.catalogue.notifications import Choices, Kind
from archive.model import Role
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.language import Language
from playback_portal.me import own_id
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.parameters import Parameters, json_word_of, read_body
from playback_portal.route import DETAILS, Route
from playback_portal.schemas import Schema, object_of, words_of
from playback_portal.services import ENTRY, SCOPE, SERVICES


def offered(request: web.Request) -> list[Kind]:
    """Return what may happen to who asks at all, in the order it is shown."""
    scope = request[SCOPE]
    writes = scope.role is not Role.AUDITOR
    asked = {
        Kind.REPLY: writes,
        Kind.OBJECTION: evaluating(scope) is not None,
        Kind.LINK_OPENED: writes,
        Kind.LINK_ENDS: writes,
        Kind.EXPORT: may_take_evidence(scope),
        Kind.IMPORT: may_administer(scope),
        Kind.MINUTES: may_administer(scope),
    }
    return [kind for kind in Kind if asked.get(kind, True)]


async def get_notifications(request: web.Request) -> web.StreamResponse:
    """Answer with what the caller is told of by mail."""
    Parameters(request.query).check()
    user_id, tenant_id = own_id(request), request[SCOPE].tenant_id
    catalogue = request.app[SERVICES].catalogue

    def read() -> Choices:
        with catalogue.transaction(tenant_id) as connection:
            return notifications.choices_of(connection, tenant_id, user_id)

    return tagged_response(choices_document(await asyncio.to_thread(read)))


async def patch_notifications(request: web.Request) -> web.StreamResponse:
    """Change what the caller is told of by a merge patch, and answer with all of it."""
    Parameters(request.query).check()
    own_id(request)
    body = await read_body(request)
    nothing: dict[Kind, bool] = {}
    wanted = body.read("wanted", _read_wanted, nothing)
    language = body.read("language", json_word_of(Language), None)
    body.check()
    seen = request.headers.get("If-Match")
    chosen = await asyncio.to_thread(choose, request, wanted, language, seen)
    return tagged_response(choices_document(chosen))


def choose(
    request: web.Request, wanted: Mapping[Kind, bool], language: str | None, seen: str | None = None
) -> Choices:
    """Change what who asks is told of, with its audit entry; blocks. Raises the 412 Problem of `seen`."""
    user_id, tenant_id = own_id(request), request[SCOPE].tenant_id
    now = request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        before = notifications.choices_of(connection, tenant_id, user_id)
        require_match(seen, choices_document(before))
        after = Choices({**before.wanted, **wanted}, language or before.language)
        notifications.choose(connection, tenant_id, user_id, after, now=now)
        switched = {kind: on for kind, on in after.wanted.items() if on != before.wanted[kind]}
        request[DETAILS] = {"mails": {kind.value: on for kind, on in switched.items()}}
    return after


def choices_document(choices: Choices) -> dict[str, Json]:
    """Return what somebody is told of, as the API shows it."""
    wanted: dict[str, Json] = {kind.value: on for kind, on in choices.wanted.items()}
    return {"wanted": wanted, "language": choices.language}


def _read_wanted(value: Json) -> dict[Kind, bool]:
    if not isinstance(value, Mapping) or not set(value) <= set(Kind):
        raise ValueError(f"It is an object of {', '.join(Kind)}, each true or false.")
    if not all(isinstance(each, bool) for each in value.values()):
        raise ValueError("Each is true or false.")
    return {Kind(name): each is True for name, each in value.items()}


_WANTED: Final[Schema] = {kind.value: {"type": "boolean"} for kind in Kind}
NOTIFICATION_SCHEMAS: Final[dict[str, Schema]] = {
    "Notifications": object_of(wanted=object_of(**_WANTED), language=words_of(Language)),
    "NotificationsPatch": {
        **object_of(wanted={**object_of(**_WANTED), "required": []}, language=words_of(Language)),
        "required": [],
    },
}
NOTIFICATION_OPERATIONS: Final = {
    "get_notifications": Operation(
        "What the caller is told of by mail", (), "Notifications", refusals=(400,)
    ),
    "patch_notifications": Operation(
        "Change what the caller is told of by mail",
        ("ifMatch",),
        "Notifications",
        refusals=(412,),
        body="NotificationsPatch",
        body_media_types=(MERGE_PATCH, JSON),
    ),
}
NOTIFICATION_ROUTES = (
    Route("GET", "/v1/me/notifications", get_notifications, Scope.SETTINGS, "notifications.viewed"),
    Route("PATCH", "/v1/me/notifications", patch_notifications, Scope.SETTINGS, "notifications.changed"),
)
