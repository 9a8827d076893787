"""The finaliser: a call's journal becomes one recording, in memory, ready to be sealed.

Packets are put in order, placed on one timeline, rendered channel by channel and encoded
as FLAC in blocks of a minute, with peaks, spans and the metadata as it came. It asks
nothing but the call's own state: not the database, not the clock. The same journal
gives the same octets, so a rerun after a crash adopts what is there.

Rules: no plaintext audio leaves memory here. Not here: sealing and storing
(`archive.ingest`), running it in a pool (`recorder.finaliser_pool`), the outcome of its
session (`recorder.session_outcome`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from archive.model import (
    CallGroupId,
    Direction,
    FinishedRecording,
    Layout,
    PacketCounts,
    Party,
    PeerId,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SessionId,
    Span,
    SpanKind,
    TenantId,
    UserId,
)
from recorder import encoding, flac
from recorder.journal.segment import AudioRecord
from recorder.quality_record import (
    CodecSegment,
    StreamQuality,
    metadata_document,
    moment,
    rfc3339,
    timeline_document,
)
from recorder.rtp import container, peaks
from recorder.rtp.channel import Channel, Stretches, stretches
from recorder.rtp.g711 import pack_negative_zeros
from recorder.rtp.payload_format import Kind, PayloadFormat, payload_formats
from recorder.rtp.sequence import SAMPLE_RATE_HZ, Integers, PacketSequence, Track, arrange
from recorder.rtp.span import (
    BOTH,
    CLOCK,
    Canvas,
    Edge,
    Outage,
    Stretch,
    edge_stretches,
    limited,
    losses,
    outage_losses,
    outages,
    recorded_ms,
)
from recorder.rtp.timeline import Placement, place
from recorder.rtp.traffic import octets_by_step
from recorder.state import CallState, StreamState
from retention import policy

DURATION_S_MAX = 12 * 3600 + 60
"""Signalling ends a session after 12 h, and a minute is left for its BYE: a call of this length
takes about 2 GB of memory, half of it FLAC."""

PAYLOAD_BYTES_MAX = 1 << 30
"""Octets are held once, as they came: three channels of 12 h, and no peer can fill more memory."""

TRACKS_COUNT_MAX = 500
"""Sources (stream and SSRC) of one call: transfers and holds make tens; more is a broken sender."""

CHANNELS_MAX = flac.CHANNELS_MAX

_CURTAILED = frozenset({"too-long", "too-many-sources", "journal-damaged"})
_BLOCK_SAMPLES = 60 * SAMPLE_RATE_HZ
_SAMPLES_MIN = SAMPLE_RATE_HZ // 50  # libsndfile writes no stream without a sample
_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
_CHANNELS = {Layout.TWO_PARTY: ("a", "b"), Layout.MIXED: ("mixed",), Layout.MULTI: ()}

RetainUntil = Callable[[RetentionClass, datetime], datetime]


@dataclass(frozen=True, eq=False)
class _PlacedTrack:
    """A track with all that was found out about it."""

    track: Track
    stream: StreamState
    formats: tuple[PayloadFormat, ...]
    packets: PacketSequence
    positions: Integers
    strays: Integers

    @cached_property
    def audio(self) -> Stretches:
        """The G.711 audio of the track."""
        return stretches(self.packets, self.positions, self.strays, self.track.payload)

    @cached_property
    def raw_codecs(self) -> tuple[str, ...]:
        """The names of codecs in it that nothing here decodes."""
        used = (self.formats[number] for number, _ in self.packets.payload_types)
        return tuple(dict.fromkeys(item.name for item in used if item.kind is Kind.OPAQUE))


@dataclass
class _Sound:
    """The rendered recording: its FLAC, and the loudness of each channel."""

    stream: bytes
    magnitudes: list[peaks.Magnitudes] = field(default_factory=list)


def finalise(
    state: CallState,
    records: Iterable[AudioRecord],
    *,
    retain_until: RetainUntil = policy.retain_until,
    damage: Collection[object] = (),
) -> FinishedRecording:
    """Return the recording of a call; `records` are those of its journal, in the order of writing.

    Never without a recording: a call without media gets its length of silence, the flag
    `no-media` and the state `partial`. `damage` may be filled while `records` are read; the
    recording is then `partial`. Raises LocalDefect when our own encoder fails.
    """
    call = _Call(state, records)
    return call.finished(retain_until, damaged=bool(damage))


class _Call:
    """One call on its way from packets to a recording."""

    def __init__(self, state: CallState, records: Iterable[AudioRecord]) -> None:
        self._state = state
        self._flags = list(state.flags)
        self._tracks, self._placement = self._place(self._collect(records))
        self._names = self._channel_names()
        self._channels = [Channel([item.audio for item in self._of(name)]) for name in self._names]
        self._samples = self._length()
        self._edges = self._placed_edges()
        self._silent = edge_stretches(self._edges, self._samples)
        self._away = self._outages()

    def _collect(self, records: Iterable[AudioRecord]) -> list[Track]:
        tracks: dict[tuple[int, int], Track] = {}
        held = 0
        for record in records:
            held += len(record.payload)
            if held > PAYLOAD_BYTES_MAX:
                self._flags.append("too-long")
                break
            key = (record.stream_index, record.ssrc)
            if key in tracks or len(tracks) < TRACKS_COUNT_MAX:
                tracks.setdefault(key, Track(*key)).add(record.rows, record.payload)
            else:
                self._flags.append("too-many-sources")
        return list(tracks.values())

    def _place(self, tracks: Sequence[Track]) -> tuple[list[_PlacedTrack], Placement]:
        known = {stream.index: stream for stream in self._state.streams}
        streams = [known.get(track.stream_index) or _unknown_stream(track) for track in tracks]
        formats = [payload_formats(stream.payload_types) for stream in streams]
        arranged = [
            arrange(track, table, stream.ptime_ms)
            for track, table, stream in zip(tracks, formats, streams, strict=True)
        ]
        placement = place(arranged)
        columns = zip(tracks, streams, formats, arranged, placement.positions, placement.strays, strict=True)
        return [_PlacedTrack(*column) for column in columns], placement

    def _channel_names(self) -> tuple[str, ...]:
        """Return the channels: those of the layout, and any other that something was received for."""
        layout = Layout(self._state.layout)
        named = [stream.channel for stream in self._state.streams] if layout is Layout.MULTI else []
        heard = [item.stream.channel for item in self._tracks]
        names = tuple(dict.fromkeys([*_CHANNELS[layout], *named, *heard])) or ("mixed",)
        if len(names) > CHANNELS_MAX:
            # FLAC ends here; the rest is still heard, together with the last channel.
            self._flags.append("channels-merged")
        return names[:CHANNELS_MAX]

    def _of(self, name: str) -> list[_PlacedTrack]:
        """Return the tracks heard in a channel; in the last one also those beyond the limit."""
        beyond = name == self._names[-1]
        return [
            item
            for item in self._tracks
            if item.stream.channel == name or (beyond and item.stream.channel not in self._names)
        ]

    def _length(self) -> int:
        """Return the samples of the recording: the call as long as it was, in whole milliseconds."""
        ended = self._placement.at(self._wall(self._ended_ns))
        samples = max([ended, _SAMPLES_MIN, *(channel.end for channel in self._channels)])
        samples = -(-samples // _SAMPLES_PER_MS) * _SAMPLES_PER_MS
        if samples > DURATION_S_MAX * SAMPLE_RATE_HZ:
            self._flags.append("too-long")
        return min(samples, DURATION_S_MAX * SAMPLE_RATE_HZ)

    @cached_property
    def _ended_ns(self) -> int:
        """When the call ended; after a crash nobody wrote it down, and the last sign of life counts."""
        if self._state.ended_ns is not None:
            return max(self._state.ended_ns, self._state.started_ns)
        heard = [
            int((item.packets.arrival + item.packets.size).max()) for item in self._tracks if self._any(item)
        ]
        last_heard = self._state.started_ns + max(heard, default=0) * 125_000
        return max([last_heard, *(edge.at_ns for edge in self._state.edges)])

    @staticmethod
    def _any(item: _PlacedTrack) -> bool:
        return len(item.packets.arrival) > 0

    def _wall(self, at_ns: int) -> int:
        """Return a wall time as samples since the recording began."""
        return max(at_ns - self._state.started_ns, 0) * _SAMPLES_PER_MS // 1_000_000

    def _ms(self, at_ns: int) -> int:
        """Return a wall time as milliseconds of the timeline, within the recording."""
        return min(self._placement.at(self._wall(at_ns)), self._samples) // _SAMPLES_PER_MS

    def _placed_edges(self) -> list[Edge]:
        edges = sorted(self._state.edges, key=lambda edge: edge.at_ns)
        return [
            Edge(edge.kind, min(self._placement.at(self._wall(edge.at_ns)), self._samples), edge.by)
            for edge in edges
        ]

    def _outages(self) -> list[Outage]:
        restarts = [self._wall(edge.at_ns) for edge in self._state.edges if edge.kind == "restart"]
        if not restarts:
            return []
        arrivals = np.sort(
            np.concatenate([item.packets.arrival for item in self._tracks] or [np.zeros(0, np.int64)])
        )
        return outages(arrivals, restarts)

    def finished(self, retain_until: RetainUntil, *, damaged: bool) -> FinishedRecording:
        """Render, describe and return the recording."""
        audible = any(len(item.audio.begin) for item in self._tracks)
        raw = [item for item in self._tracks if item.raw_codecs]
        held = self._container(raw) if raw else b""
        sound = self._render(held if audible else b"")
        coats, streams = self._losses()
        spans, recorded = self._spans(coats, sound.magnitudes)
        self._flags += ["journal-damaged"] * damaged
        self._flag(audible, raw)
        only_raw = bool(raw) and not audible
        audio = held if only_raw else sound.stream
        whole = audible and not _CURTAILED.intersection(self._flags)
        state = self._ended_state(whole=whole)
        recording = replace(
            self._recording(retain_until),
            state=state,
            recorded_ms=recorded,
            spans=tuple(spans),
            packets=_total(streams),
            sha256=hashlib.sha256(audio).hexdigest(),
            flags=tuple(dict.fromkeys(self._flags)),
        )
        return FinishedRecording(
            recording=recording,
            audio=audio,
            audio_media_type=container.MEDIA_TYPE if only_raw else encoding.MEDIA_TYPE,
            peaks=peaks.document(self._names, sound.magnitudes, recording.duration_ms),
            timeline=timeline_document(recording, self._edge_rows(), streams, self._segments()),
            metadata=metadata_document(self._state),
            octets=octets_by_step([item.track for item in self._tracks], self._state.started_ns),
        )

    def _ended_state(self, *, whole: bool) -> RecordingState:
        """Return the state of the finished recording; in quarantine a flag says that it is not whole."""
        if not self._state.quarantined:
            return RecordingState.AVAILABLE if whole else RecordingState.PARTIAL
        self._flags += [policy.PARTIAL] * (not whole)
        return RecordingState.QUARANTINED

    def _render(self, raw: bytes) -> _Sound:
        """Encode all channels block by block, measuring them as they pass."""
        encoder = encoding.FlacEncoder(len(self._channels))
        meters = [peaks.Peaks() for _ in self._channels]
        applications = encoding.raw_blocks(raw)
        for first in range(0, self._samples, _BLOCK_SAMPLES):
            last = min(first + _BLOCK_SAMPLES, self._samples)
            frames = np.empty((last - first, len(self._channels)), np.int16)
            for number, (channel, meter) in enumerate(zip(self._channels, meters, strict=True)):
                samples, zeros = channel.block(first, last)
                frames[:, number] = samples
                meter.add(samples)
                if len(zeros):
                    packed = pack_negative_zeros(number, first, last - first, zeros)
                    applications.append(flac.application(encoding.NEGATIVE_ZEROS_ID, packed))
            encoder.write(frames)
        return _Sound(encoder.finish(applications), [meter.magnitudes() for meter in meters])

    def _container(self, raw: Sequence[_PlacedTrack]) -> bytes:
        tracks = [
            container.RawTrack(item.track, item.stream.label, item.stream.channel, _types_used(item))
            for item in raw
        ]
        return container.write(self._state.recording_id, rfc3339(moment(self._state.started_ns)), tracks)

    def _losses(self) -> tuple[dict[int, list[Stretch]], list[StreamQuality]]:
        """Return what each track lost, by the number of the track, and the quality of each."""
        coats, streams = {}, []
        for number, item in enumerate(self._tracks):
            coats[number], lost = losses(item.packets, item.positions, self._silent, self._away)
            names: dict[str, int] = {}
            for payload_type, count in item.packets.payload_types:
                name = item.formats[payload_type].name
                names[name] = names.get(name, 0) + count
            counts = replace(item.packets.counts, lost=lost)
            stream = item.stream
            streams.append(
                StreamQuality(stream.index, stream.label, stream.channel, item.track.ssrc, counts, names)
            )
        return coats, streams

    def _spans(
        self, coats: Mapping[int, list[Stretch]], magnitudes: Sequence[peaks.Magnitudes]
    ) -> tuple[list[Span], int]:
        canvas = Canvas(self._samples // _SAMPLES_PER_MS)
        every = canvas.row()
        canvas.paint(every, self._silent)
        single = len(self._names) == 1
        spans = [
            span
            for span in canvas.spans(self._names[0] if single else BOTH, every)
            if span.kind is not SpanKind.SILENCE
        ]
        for name, loudness in zip(self._names, magnitudes, strict=True):
            row = canvas.row()
            canvas.paint(row, self._reasons(name, coats, loudness))
            spans += canvas.spans(name, row, but=every)
        spans.sort(key=lambda span: (span.from_ms, span.channel))
        if len(spans) != len(kept := limited(spans)):
            self._flags.append("spans-limited")
        return kept, recorded_ms(canvas, self._silent)

    def _reasons(
        self, name: str, coats: Mapping[int, list[Stretch]], loudness: peaks.Magnitudes
    ) -> Iterable[Stretch]:
        """Yield the coats of one channel in the order of painting."""
        for begin_ms, end_ms in peaks.speech(loudness):
            yield Stretch(SpanKind.SPEECH, begin_ms * _SAMPLES_PER_MS, end_ms * _SAMPLES_PER_MS)
        mine = self._of(name)
        for number, item in enumerate(self._tracks):
            if item in mine:
                gaps = [gap for gap in self._placement.gaps if gap.track == number]
                yield from (Stretch(SpanKind.SILENCE, g.from_sample, g.to_sample, CLOCK) for g in gaps)
                yield from coats[number]
        placed = [(item.packets, item.positions) for item in mine if self._any(item)]
        yield from outage_losses(placed, self._away, self._placement)
        begins = [int(positions.min()) for _, positions in placed]
        yield Stretch(SpanKind.LATE, 0, min(begins, default=self._samples))

    def _flag(self, audible: bool, raw: Sequence[_PlacedTrack]) -> None:  # noqa: FBT001
        self._flags += [f"codec-raw:{name}" for item in raw for name in item.raw_codecs]
        if not audible and not raw:
            self._flags.append("no-media")
        for name, channel in zip(self._names, self._channels, strict=True):
            if audible and not any(self._any(item) for item in self._of(name)):
                self._flags.append(f"no-media:{name}")
            if channel.overlaps():
                self._flags.append(f"two-sources:{name}")
        if self._away:
            self._flags.append("restart")
        if any(len(item.strays) for item in self._tracks):
            self._flags.append("stray-packets")
        if any(item.packets.truncated for item in self._tracks):
            self._flags.append("truncated-packets")

    def _edge_rows(self) -> list[tuple[str, int, int, str | None]]:
        return [(edge.kind, self._ms(edge.at_ns), edge.at_ns, edge.by) for edge in self._state.edges]

    def _segments(self) -> list[CodecSegment]:
        return [
            CodecSegment(name, law, begin, end)
            for name in self._names
            for item in self._of(name)
            for begin, end, law in item.audio.laws()
        ]

    def _recording(self, retain_until: RetainUntil) -> Recording:
        """Return the recording with all that signalling knew of it."""
        state, ended_at = self._state, moment(self._ended_ns)
        retention_class = RetentionClass(state.retention_class)
        base = _CHANNELS[Layout(state.layout)]
        return Recording(
            id=RecordingId(state.recording_id),
            tenant_id=TenantId(state.tenant_id),
            session_id=SessionId(state.session_id),
            call_id=state.dialog.call_id,
            call_group=CallGroupId(state.call_group),
            state=RecordingState.PROCESSING,
            mode=RecordingMode(state.mode),
            owner=None if state.owner is None or state.quarantined else UserId(state.owner),
            peer_id=None if state.peer_id is None else PeerId(state.peer_id),
            direction=Direction(state.direction),
            layout=Layout(state.layout) if not base or self._names == base else Layout.MULTI,
            started_at=moment(state.started_ns),
            ended_at=ended_at,
            duration_ms=self._samples // _SAMPLES_PER_MS,
            recorded_ms=0,
            parties=self._parties(),
            retention_class=retention_class,
            retain_until=(
                policy.quarantine_until(ended_at)
                if state.quarantined
                else retain_until(retention_class, ended_at)
            ),
            channels=self._names,
            sample_rate_hz=SAMPLE_RATE_HZ,
            site=state.site,
        )

    def _parties(self) -> tuple[Party, ...]:
        return tuple(
            Party(
                channel=party.channel,
                number=party.number,
                name=party.name,
                user_id=None if party.user_id is None else UserId(party.user_id),
                from_ms=self._ms(party.from_ns),
                to_ms=None if party.to_ns is None else self._ms(party.to_ns),
            )
            for party in self._state.parties
        )


def _unknown_stream(track: Track) -> StreamState:
    """Stand in for a stream the last state of a crashed recorder did not name yet."""
    name = f"stream-{track.stream_index}"
    return StreamState(track.stream_index, name, name, "", 0, {})


def _types_used(item: _PlacedTrack) -> dict[str, str]:
    return {
        str(number): item.stream.payload_types.get(
            str(number), f"{item.formats[number].name}/{item.formats[number].clock_rate_hz}"
        )
        for number, _ in item.packets.payload_types
    }


def _total(streams: Iterable[StreamQuality]) -> PacketCounts:
    total = PacketCounts()
    for stream in streams:
        packets = stream.packets
        total = PacketCounts(
            received=total.received + packets.received,
            lost=total.lost + packets.lost,
            duplicated=total.duplicated + packets.duplicated,
            reordered=total.reordered + packets.reordered,
        )
    return total
