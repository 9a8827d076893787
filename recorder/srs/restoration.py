"""Going on after a restart: sessions made anew from the states in the journal.

Rules: pure; the metadata that was kept is read again, so that a partial update after
the restart still fits. Not here: finding the states (`recorder.call_book`), binding
ports again (`recorder.service`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace

from archive.catalogue.snapshot import Directory
from archive.decision import barred_for, numbers_present
from archive.model import TenantId, UserId
from recorder.metadata import document, snapshot
from recorder.metadata.model import MetadataError
from recorder.sip.dialog import DialogId
from recorder.srs.control import recording_type
from recorder.srs.effects import Effect, Moment
from recorder.srs.facts import facts_of
from recorder.srs.lifecycle import BARRED, REQUEST_NS_MAX, capture_streams, media_switched, write
from recorder.srs.recording_mode import HELD, Capture
from recorder.srs.session import Phase, RecordingSession
from recorder.state import CallState, EdgeState


def clock_ahead_ns(state: CallState, now: Moment) -> int:
    """Return how far the clock of a call is ahead of this recorder's; 0 when that can't be measured."""
    is_measured = bool(state.boot_id) and state.boot_id == now.boot_id
    return state.origin_ns - now.origin_ns if is_measured else 0


def restored(
    states: Mapping[bytes, CallState],
    dialog_id: DialogId,
    directory: Directory,
    now: Moment,
    left_ns: int = 0,
) -> RecordingSession:
    """Make the session of recordings that were running when the recorder stopped, at `left_ns` if known.

    `now` is of this recorder's clock, the session goes on by its own, and `left_ns` may be of either.
    """
    # The session is as old as its oldest recording: an exempt party is cut back by its beginning.
    first = min(states.values(), key=lambda state: state.started_ns)
    ahead_ns = clock_ahead_ns(first, now)
    now = now.by_clock_ahead(ahead_ns)
    peer = next((item for item in directory.peers if item.id == first.peer_id), None)
    session = RecordingSession(
        session_id=first.session_id,
        call_id=first.dialog.call_id,
        peer=peer,
        address=first.streams[0].address if first.streams else "",
        invite_key=None,
        dialog_id=dialog_id,
        opened_s=now.monotonic_s - max(0.0, (now.wall_ns - first.started_ns) / 1e9),
        opened_ns=first.started_ns,
        described_ns=now.wall_ns,
        phase=Phase.RUNNING,
        revisions=first.metadata,
        streams={stream.position: stream for stream in first.streams},
        offer_version=first.dialog.offer_version,
        answer=first.dialog.answer_sdp.encode(),
        recordings=dict(states),
        captures={uid: Capture(state.capture) for uid, state in states.items()},
        judged=True,
        heard_s=now.monotonic_s,
        recovering=True,
        left_ns=_left_ns(left_ns, ahead_ns, now) if left_ns else now.wall_ns,
        returned_ns=now.wall_ns,
        flags=first.flags,
        networks=(first.dialog.remote_address,),
        call_group=first.call_group,
        transport=first.dialog.transport,
        boot_id=first.boot_id,
        origin_ns=first.origin_ns,
        ahead_ns=ahead_ns,
    )
    _replay_metadata(session)
    session.recording_type = recording_type(session.model)
    session.barred = _barred(session, directory)
    return session


def _left_ns(left_ns: int, ahead_ns: int, now: Moment) -> int:
    """Return when the recorder was here last, by the clock of a call that is `ahead_ns` ahead of ours.

    Files are dated by the machine's clock as it was set then: as at the call's beginning, or as now. None of
    them is younger than now, and of two moments that are near each other the earlier one is safe.
    """
    possible = [each for each in (left_ns, left_ns + ahead_ns) if each <= now.wall_ns]
    latest_ns = max(possible, default=now.wall_ns)
    return min((each for each in possible if latest_ns - each <= REQUEST_NS_MAX), default=latest_ns)


def _barred(session: RecordingSession, directory: Directory) -> bool:
    """Tell whether somebody who must not be heard is on the call, by the list or by what was done before."""
    tenant_id = next(TenantId(state.tenant_id) for state in session.recordings.values())
    owners = [UserId(state.owner) for state in session.recordings.values() if state.owner is not None]
    listed = directory.barred(tenant_id, numbers_present(session.facts)) is not None
    listed = listed or barred_for(directory, owners, session.facts) is not None
    stopped = any(capture in HELD for capture in session.captures.values())
    return listed or (stopped and not session.held)


def _replay_metadata(session: RecordingSession) -> None:
    """Read the kept metadata again, so that a partial update after the restart still fits."""
    for revision in session.revisions:
        try:
            parsed = document.parse(base64.b64decode(revision.body_base64))
        except MetadataError:
            continue
        session.model = snapshot.apply(session.model, parsed)
        # One after the other: who called whom stays what the first of them said.
        session.facts = facts_of(session.model, None, session.facts)


def resume(session: RecordingSession, now: Moment) -> list[Effect]:
    """Go on with restored recordings: the gap is marked, the sockets go to capture."""
    session.answer_version = 1_000
    for uid, state in session.recordings.items():
        restart = EdgeState("restart", now.wall_ns)
        session.recordings[uid] = replace(state, edges=(*state.edges, restart), flags=_flagged(state))
    # Somebody may have been put on the do-not-record list while the recorder was away.
    stopping = media_switched(session, now, off=True, by=BARRED, as_pause=True) if session.barred else []
    return [*stopping, *capture_streams(session), *write(session)]


def _flagged(state: CallState) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*state.flags, "recovered")))
