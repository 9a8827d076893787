"""Peers over the API: shapes and operations.

Rules: literal data only.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.peers import ADDRESSES_PER_PEER_MAX, DIALECTS, SRTP_POLICIES
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.peers import PeerState
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TIME,
    Schema,
    maybe,
    object_of,
    page_of,
    words_of,
)

_FIELDS: Final[dict[str, Schema]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX},
    "addresses": {
        "type": "array",
        "items": {"type": "string", "description": "an address or range such as 192.0.2.0/24"},
        "minItems": 1,
        "maxItems": ADDRESSES_PER_PEER_MAX,
    },
    "tenantId": {
        "type": ["string", "null"],
        "description": "whose calls it sends; null where the exchange names the tenant of each call",
    },
    "dialect": words_of(DIALECTS),
    "srtp": words_of(SRTP_POLICIES),
    "starCodes": {"type": "boolean"},
    "enabled": {"type": "boolean", "description": "switched off, new calls are refused"},
}
_PATCH: Schema = {"type": "object", "properties": _FIELDS, "additionalProperties": False}

PEER_SCHEMAS: Final[dict[str, Schema]] = {
    "Peer": object_of(id=ID, **_FIELDS),
    "NewPeer": {**_PATCH, "required": ["name", "addresses"]},
    "PeerPatch": _PATCH,
    "KnownPeer": object_of(
        id=ID,
        **_FIELDS,
        state={**words_of(PeerState), "description": "silent: no call for 24 hours"},
        lastCallAt=maybe(TIME),
        lastTransport={
            **MAYBE_TEXT,
            "description": "udp, tcp or tls, of the last call",
        },
        callsToday=COUNT,
        quarantined={**COUNT, "description": "recordings in quarantine now; for operators 0"},
    ),
    "KnownPeerPage": page_of("KnownPeer"),
}

PEER_OPERATIONS: Final[dict[str, Operation]] = {
    "list_own": Operation("The exchanges of the tenant, by name", (), "KnownPeerPage", refusals=(400,)),
    "list_operated": Operation("The exchanges of all tenants, by name", (), "KnownPeerPage", refusals=(400,)),
    "post_peer": Operation(
        "Take calls of an exchange; for operators", (), "Peer", refusals=(409,), status=201, body="NewPeer"
    ),
    "patch_peer": Operation(
        "Change an exchange by a merge patch, or switch it off; for operators",
        ("id",),
        "Peer",
        refusals=(404, 409),
        body="PeerPatch",
        body_media_types=(MERGE_PATCH, JSON),
    ),
    "delete_peer": Operation(
        "Take no calls of an exchange any more; for operators", ("id",), refusals=(400, 404), status=204
    ),
}
