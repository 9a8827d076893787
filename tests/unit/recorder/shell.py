"""What tests of the recorder's shells stand on: a call's state, a root of keys, ports that are free."""

from __future__ import annotations

import dataclasses
import os
import random
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from archive.model import OutcomeKind, PeerId, SessionId, SessionOutcome, TenantId, new_id
from keys.local_seal import open_whole, seal_whole
from recorder.state import CallState, DialogState, StreamState

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
STARTED_NS = int(NOW.timestamp()) * 10**9
PATIENCE_S = 20.0
_PORTS = random.Random(os.getpid())


@dataclasses.dataclass(frozen=True)
class PlainRoot:
    """A root that is a key in memory: no passphrase to stretch, so tests start at once."""

    key: bytes = bytes(32)

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        return seal_whole(self.key, plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return open_whole(self.key, wrapped, context)


def call_state(**changes: object) -> CallState:
    """Return the state of a running call of two streams, with other ids each time."""
    streams = tuple(
        StreamState(index, str(index + 1), channel, "127.0.0.1", 20_000 + 2 * index, {"8": "PCMA/8000"})
        for index, channel in enumerate("ab")
    )
    state = CallState(
        recording_id=new_id(NOW),
        session_id=new_id(NOW),
        call_group=new_id(NOW),
        tenant_id=new_id(NOW),
        peer_id=None,
        owner=None,
        mode="always",
        retention_class="90d",
        direction="in",
        layout="two-party",
        started_ns=STARTED_NS,
        kept=True,
        dialog=DialogState(
            call_id="call@client.example",
            local_tag="ours",
            remote_tag="theirs",
            local_uri="sip:srs@127.0.0.1",
            remote_uri="sip:src@127.0.0.1",
            remote_target="sip:src@127.0.0.1:5070",
            route_set=("<sip:proxy.example;lr>",),
            local_cseq=1,
            remote_cseq=2,
            transport="udp",
            local_address="127.0.0.1",
            remote_address="127.0.0.1",
            remote_port=5070,
            session_expires_s=1800,
            answer_sdp="v=0\r\n",
            offer_version="1 1",
        ),
        streams=streams,
    )
    return dataclasses.replace(state, **changes)  # type: ignore[arg-type]


def outcome(**changes: object) -> SessionOutcome:
    """Return how a session of a user who is never recorded ended."""
    made = SessionOutcome(
        session_id=SessionId(new_id(NOW)),
        call_id="a7f3@client.example",
        kind=OutcomeKind.MODE_NEVER,
        reason="the mode of the user is never",
        started_at=NOW,
        ended_at=NOW.replace(minute=31, microsecond=123456),
        peer_id=PeerId(new_id(NOW)),
        tenant_id=TenantId(new_id(NOW)),
        trace=("peer: known", "mode: never"),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def free_pairs(pairs: int) -> int:
    """Return an even port of the loopback from which on `pairs` RTP pairs are free right now."""
    for _ in range(200):
        first = _PORTS.randrange(10_000, 18_000, 2)
        probes = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2 * pairs)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return first
    raise AssertionError(f"No {pairs} pairs of ports of the loopback are free.")


def eventually(done: Callable[[], object], what: str) -> None:
    """Wait until `done` is true; fails with `what` when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"Never came: {what}"
        time.sleep(0.02)
