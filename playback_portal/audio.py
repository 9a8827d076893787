"""The sound of a recording over HTTP: forms, ranges, and nothing before its audit entry.

Rules: `Playback.open_archived` has made the audit entry durable before this module
holds anything to send; without it there is a 403 or a 503 and no octet. The first
piece is opened before the status goes out, so that a store that is away is a 503;
what fails later breaks the connection, and never looks like the end of the audio.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import soundfile
import structlog
from aiohttp import web

from archive.access import Scope, may_play
from archive.errors import ArchiveError, PurposeRequired, Refused
from archive.model import PLAYABLE_STATES, ArchivedRecording, ObjectKind, Recording
from archive.playback import Action
from archive.sealed_object import SealedReader
from playback_portal import byte_range
from playback_portal.authentication import authenticate, require
from playback_portal.byte_range import ByteRange, Unsatisfiable
from playback_portal.mp4 import Mp4
from playback_portal.parameters import Parameters, flag, search_text, word_of
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.purposes import purpose_of
from playback_portal.recordings import archived_recording, not_playable
from playback_portal.services import REFERENCE, SCOPE, SERVICES, Services
from playback_portal.transcoding import AudioSource, ChannelFlac, Wav, WholeFlac

STALL_S_MAX = 60.0
"""A player that is paused stops reading; it comes back with a new range, so its connection may go."""

RECHECK_S = 10.0
"""A browser may read one answer for as long as it plays: whose right is taken away hears it break off."""

ALL_CHANNELS = "both"
ARCHIVED_MEDIA_TYPE = "audio/flac"

_log = structlog.get_logger()


class Format(StrEnum):
    """The forms audio is sent in."""

    FLAC = "flac"
    WAV = "wav"
    MP4 = "mp4"


@dataclass(frozen=True)
class Wanted:
    """What a request asks for. `channel` is the index of one channel, None for all of them."""

    format: Format
    channel: int | None
    name: str
    download: bool

    @property
    def media_type(self) -> str:
        """The media type of the form."""
        return f"audio/{self.format}"


async def get_audio(request: web.Request) -> web.StreamResponse:
    """Answer with the audio of a recording or a range of it."""
    parameters = Parameters(request.query)
    form = parameters.read("format", word_of(Format), Format.FLAC)
    name = parameters.read("channel", search_text, ALL_CHANNELS)
    download = parameters.read("download", flag, False)
    parameters.check()
    archived = await archived_recording(request)
    recording = archived.recording
    if recording.state not in PLAYABLE_STATES:
        raise not_playable(recording.state)
    wanted = Wanted(form, _channel(recording, name), name, download)
    if wanted.format is Format.MP4 and wanted.channel is not None:
        raise wrong_parameters(ParameterFault("format", "One channel can be had as flac or wav."))
    services = request.app[SERVICES]
    reader = await _opened(request, archived, wanted)
    if reader.media_type != ARCHIVED_MEDIA_TYPE:
        raise Problem(
            HTTPStatus.CONFLICT,
            "not-decoded",
            "This recording was archived in a codec this release can't decode; it can't be played yet.",
        )
    headers = _headers(recording, reader, wanted)
    unchanged = _unchanged(request, headers)
    if unchanged is not None:
        return unchanged
    source = await _source(services, reader, wanted)
    return await _send(request, source, headers)


async def _opened(request: web.Request, archived: ArchivedRecording, wanted: Wanted) -> SealedReader:
    """Return the opened audio once its audit entry is durable; a refusal has one too."""
    playback, scope = request.app[SERVICES].playback, request[SCOPE]
    action = Action.DOWNLOAD if wanted.download else Action.PLAY
    purpose = await purpose_of(request, archived.recording.id)

    def open_audio() -> SealedReader:
        return playback.open_archived(scope, archived, ObjectKind.AUDIO, action, purpose=purpose)

    try:
        return await asyncio.to_thread(open_audio)
    except PurposeRequired:
        raise
    except Refused:
        if wanted.download:
            require(scope, Scope.RECORDINGS_DOWNLOAD)
        raise


def _channel(recording: Recording, name: str) -> int | None:
    """Return the index of the named channel, None for all; raises the Problem that says why not."""
    if name == ALL_CHANNELS or recording.channels == (name,):
        return None
    if name in recording.channels:
        return recording.channels.index(name)
    if name in {"a", "b"}:
        raise Problem(
            HTTPStatus.CONFLICT,
            "no-separate-channels",
            f"The layout of this recording is {recording.layout}: it has no channel of that party alone.",
        )
    known = ", ".join(dict.fromkeys((ALL_CHANNELS, "a", "b", *recording.channels)))
    raise wrong_parameters(ParameterFault("channel", f"It is one of {known}."))


async def _source(services: Services, reader: SealedReader, wanted: Wanted) -> AudioSource:
    if wanted.format is Format.WAV:
        return await asyncio.to_thread(Wav, reader, wanted.channel)
    if wanted.format is Format.MP4:
        return await asyncio.to_thread(Mp4, reader, services.mp4_heads)
    if wanted.channel is None:
        return WholeFlac(reader)
    async with services.transcodes:
        return await asyncio.to_thread(ChannelFlac, reader, wanted.channel)


def _headers(recording: Recording, reader: SealedReader, wanted: Wanted) -> dict[str, str]:
    form = f"{wanted.format}-{wanted.name}"
    headers = {"Content-Type": wanted.media_type, "Accept-Ranges": "bytes"}
    if wanted.channel is not None and wanted.format is Format.FLAC:
        # Made anew each time: another release of the encoder may make other octets.
        form += f"-{soundfile.__libsndfile_version__}"
    if wanted.channel is None and wanted.format is Format.FLAC:
        form = wanted.format
        digest = base64.b64encode(bytes.fromhex(reader.sha256)).decode()
        headers["Repr-Digest"] = f"sha-256=:{digest}:"
    headers["ETag"] = f'"{reader.sha256}-{form}"'
    part = "" if wanted.name == ALL_CHANNELS else f"-{wanted.name}"
    disposition = "attachment" if wanted.download else "inline"
    headers["Content-Disposition"] = f'{disposition}; filename="{recording.id}{part}.{wanted.format}"'
    return headers


def _unchanged(request: web.Request, headers: dict[str, str]) -> web.Response | None:
    """Return the 304 for a client that has this representation; raises the 412 for one that wants another."""
    if_match, if_none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if if_match is not None and not byte_range.matches(if_match, headers["ETag"], weak=False):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, "changed", "The audio has another ETag than If-Match names."
        )
    if if_none_match is not None and byte_range.matches(if_none_match, headers["ETag"], weak=True):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": headers["ETag"]})
    return None


async def _send(request: web.Request, source: AudioSource, headers: dict[str, str]) -> web.StreamResponse:
    try:
        part = byte_range.wanted(
            request.headers.get("Range"), request.headers.get("If-Range"), headers["ETag"], source.length
        )
    except Unsatisfiable as error:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range",
            str(error),
            headers={"Content-Range": f"bytes */{source.length}", "Accept-Ranges": "bytes"},
        ) from None
    status = HTTPStatus.OK
    if part is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {part.first}-{part.last_exclusive - 1}/{source.length}"
    whole = part or ByteRange(0, source.length)
    pieces = source.pieces(whole.first, whole.last_exclusive)
    first = await asyncio.to_thread(next, pieces, b"")
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = whole.length
    await response.prepare(request)
    await _stream(request, response, first, pieces)
    return response


async def _stream(
    request: web.Request, response: web.StreamResponse, piece: bytes, pieces: Iterator[bytes]
) -> None:
    """Send `piece` and what follows; break the connection when that can't be gone on with."""
    metrics, checked = request.app[SERVICES].metrics, time.monotonic()
    try:
        while piece:
            if time.monotonic() - checked > RECHECK_S:
                await _check_again(request)
                checked = time.monotonic()
            async with asyncio.timeout(STALL_S_MAX):
                await response.write(piece)
            metrics.audio_bytes.inc(len(piece))
            piece = await asyncio.to_thread(next, pieces, b"")
        await response.write_eof()
    except (ArchiveError, Problem, TimeoutError) as error:
        metrics.audio_broken.inc()
        _log.warning("audio broken off", reference=request[REFERENCE], reason=type(error).__name__)
        _break(request)
    except ConnectionError:
        # The listener went away; there is nobody to tell.
        raise
    except Exception:
        # A defect of ours: the connection goes first, for the 500 that follows must not look like audio.
        _break(request)
        raise


async def _check_again(request: web.Request) -> None:
    """Ask once more who this is and whether they may hear it; raises what the first asking would."""
    scope = request[SCOPE] = await authenticate(request)
    if not may_play(scope, (await archived_recording(request)).recording):
        raise Refused("The right to hear this recording was taken away.")


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
