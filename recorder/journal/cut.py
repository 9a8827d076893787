"""Takes back the audio of a call from a moment on, for good: an exempt party joined.

Segments that ended before the moment survive, their keys wrapped anew under a new
call key. Of a segment in which it lies, the packets before it are sealed again under
a new segment key. Then the new call key replaces the old one in the slot, and with
the old key goes everything from the moment on.

Order: write, sync, switch the slot, sync. Until the switch the old key is in force
and nothing has changed; a crash leaves frames that no key opens, and the cut is done
again from the start. Doing it twice does no harm.

Rules: the track is closed, or its process has ended, before this is called. A packet
survives only when it surely arrived before the moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recorder.journal.format import FrameKind, JournalUnavailable
from recorder.journal.reader import read_call_by_segment, read_states, segment_keys
from recorder.journal.segment import KEY_BYTES, AudioRecord, Segment, SegmentKey, wrap_segment_key
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import ARRIVAL_UNIT_NS, Bools


def cut(  # noqa: PLR0917 - the order is an agreement between modules
    journal_dir: Path,
    slots: SlotsFile,
    writer: JournalWriter,
    uid: bytes,
    call_key: bytes,
    at_ns: int,
    state: bytes | None = None,
) -> bytes:
    """Destroy what arrived from wall time `at_ns` on and return the call's new key.

    `writer` is signalling's. `state` is what the call's state is from now on; without it
    the newest one is carried over as it stands. Raises JournalUnavailable, with the old
    key still in force.
    """
    keys = segment_keys(journal_dir, uid, call_key)
    survivors, heads = _split(journal_dir, uid, call_key, keys, at_ns)
    new_key = os.urandom(KEY_BYTES)
    for segment in survivors:
        writer.append(FrameKind.SEGMENT_KEY, uid, wrap_segment_key(new_key, uid, segment))
    _seal_again(writer, uid, new_key, heads)
    if state is None:
        state = read_states(journal_dir, {uid: call_key}).get(uid)
    if state is not None:
        writer.append_state(uid, new_key, state)
    number = writer.commit()
    writer.sync()
    if not writer.is_durable(number):
        raise JournalUnavailable("The cut of a call can't be stored; repeat it when the journal works.")
    slots.rekey(uid, new_key)
    slots.sync()
    return new_key


Heads = list[tuple[int, AudioRecord]]


def _split(
    journal_dir: Path, uid: bytes, call_key: bytes, keys: Mapping[bytes, SegmentKey], at_ns: int
) -> tuple[list[SegmentKey], Heads]:
    """Return the segments that lie wholly before `at_ns`, and what lies before it of the others.

    A head comes with the `started_ns` of its segment.
    """
    records: dict[bytes, list[tuple[AudioRecord, Bools]]] = {segment_id: [] for segment_id in keys}
    for segment_id, record in read_call_by_segment(journal_dir, uid, call_key):
        # The column holds whole units, so a packet may be up to one unit younger than it says.
        latest = keys[segment_id].started_ns + (record.rows["arrival"].astype(np.int64) + 1) * ARRIVAL_UNIT_NS
        records[segment_id].append((record, latest <= at_ns))
    survivors: list[SegmentKey] = []
    heads: Heads = []
    for segment_id, items in records.items():
        if items and all(bool(before.all()) for _, before in items):
            survivors.append(keys[segment_id])
            continue
        started_ns = keys[segment_id].started_ns
        heads.extend((started_ns, select(record, before)) for record, before in items if before.any())
    return survivors, heads


def select(record: AudioRecord, chosen: Bools) -> AudioRecord:
    """Return a record of the chosen packets only."""
    ends = np.cumsum(record.rows["size"].astype(np.int64))
    pieces = [
        record.payload[int(end) - int(size) : int(end)]
        for end, size in zip(ends[chosen], record.rows["size"][chosen], strict=True)
    ]
    return AudioRecord(record.stream_index, record.ssrc, record.rows[chosen], b"".join(pieces))


def _seal_again(writer: JournalWriter, uid: bytes, call_key: bytes, heads: Heads) -> None:
    segments: dict[int, Segment] = {}
    for started_ns, record in heads:
        if started_ns not in segments:
            segments[started_ns] = writer.open_segment(uid, call_key, started_ns)
        facts = (record.stream_index, record.ssrc, int(record.rows["timestamp"][0]), len(record.rows))
        parts = segments[started_ns].seal(facts, record.rows.tobytes() + record.payload)
        writer.append(FrameKind.AUDIO, uid, *parts)
