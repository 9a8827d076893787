"""The sound of a recording over HTTP: forms, ranges, and nothing before its audit entry.

Rules: `Playback.open_archived` has made the audit entry durable before this module
holds anything to send; without it there is a 403 or a 503 and no octet. How octets leave
is `playback_portal.streaming`.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import av
import soundfile
from aiohttp import web

from archive.access import Scope, may_play
from archive.errors import PurposeRequired, Refused
from archive.model import PLAYABLE_STATES, ArchivedRecording, ObjectKind, Recording
from archive.playback import Action
from archive.sealed_object import SealedReader
from playback_portal import byte_range, streaming
from playback_portal.authentication import authenticate_again, require
from playback_portal.mp4 import Mp4
from playback_portal.opus import OggOpus
from playback_portal.parameters import Parameters, flag, search_text, word_of
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.purposes import purpose_of
from playback_portal.recordings import archived_recording, not_playable
from playback_portal.services import SCOPE, SERVICES, Services
from playback_portal.transcoding import AudioSource, ChannelFlac, Wav, WholeFlac

ALL_CHANNELS = "both"
ARCHIVED_MEDIA_TYPE = "audio/flac"


class Format(StrEnum):
    """The forms audio is sent in."""

    FLAC = "flac"
    WAV = "wav"
    MP4 = "mp4"
    OPUS = "opus"


MEDIA_TYPES = {Format.OPUS: "audio/ogg; codecs=opus"}
"""Of forms whose media type has another name (RFC 7845 section 9)."""

ENCODERS = f"{soundfile.__libsndfile_version__}-{av.__version__}"


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
        return MEDIA_TYPES.get(self.format, f"audio/{self.format}")

    @property
    def is_made_anew(self) -> bool:
        """Whether an encoder makes it for each request, of which another release may make other octets."""
        return self.format is Format.OPUS or (self.format is Format.FLAC and self.channel is not None)


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
        raise wrong_parameters(ParameterFault("format", "One channel can be had as flac, wav or opus."))
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
    return await streaming.send(request, source, headers, _check_again)


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
    if wanted.format is Format.OPUS:
        async with services.transcodes:
            return await asyncio.to_thread(OggOpus, reader, wanted.channel)
    if wanted.channel is None:
        return WholeFlac(reader)
    async with services.transcodes:
        return await asyncio.to_thread(ChannelFlac, reader, wanted.channel)


def _headers(recording: Recording, reader: SealedReader, wanted: Wanted) -> dict[str, str]:
    form = f"{wanted.format}-{wanted.name}"
    headers = {"Content-Type": wanted.media_type, "Accept-Ranges": "bytes"}
    if wanted.is_made_anew:
        form += f"-{ENCODERS}"
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


async def _check_again(request: web.Request) -> None:
    """Ask once more who this is and whether they may hear it; raises what the first asking would."""
    scope = request[SCOPE] = await authenticate_again(request)
    if not may_play(scope, (await archived_recording(request)).recording):
        raise Refused("The right to hear this recording was taken away.")
