"""The logo of a customer: a picture somebody uploads, made anew as a small PNG of ours.

Nothing of the file itself is kept or served: it is decoded to points and those are encoded, so that
a file that is two things at once, or carries a script, a profile or a place, loses all of it.
Drawings (SVG) are not taken: they can carry scripts.

Rules: what a file claims to be is read from its first octets, and its size in points from its header,
before anything is decoded; only the decoder of that one format is asked, and no container. The
portal decodes in a process of its own (`remade_apart`), with little memory and time, no files
and nothing of ours in it.
"""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from archive.errors import Refused

FILE_BYTES_MAX = 1024 * 1024
"""A logo for print; what is larger is a photograph."""

SIDE_PX_MAX = 4096
POINTS_MAX = 4_000_000
"""16 MB of points: what one upload may take of memory, however small its file."""

SIDE_PX_MIN = 16
"""Fewer can't be seen to be anything."""

WIDTH_PX_MAX, HEIGHT_PX_MAX = 480, 120
"""Twice what the pages show, for screens with two points a pixel."""

LEVEL_MAX = 220
"""A point whose red, green and blue are all above this level of 255 is as good as white on white."""

SEEN_SHARE_MIN = 0.002
"""Of all points of a picture: a thin line around a small one is some hundredth."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CODECS = {"png": "png", "jpeg": "mjpeg", "webp": "webp"}
# Markers of JPEG that hold the size of the picture: every start of frame but the tables among them.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

UNKNOWN = "The file is no PNG, JPEG or WebP picture."
BROKEN = "The picture can't be read: it is broken, or not what it says."
TOO_LARGE = (
    f"The picture is larger than {SIDE_PX_MAX} by {SIDE_PX_MAX} or {POINTS_MAX // 1_000_000} million points."
)
TOO_SMALL = f"The picture is smaller than {SIDE_PX_MIN} by {SIDE_PX_MIN} points."
TOO_HEAVY = f"The file is larger than {FILE_BYTES_MAX // 1024} KB."
TOO_PALE = "The picture can't be seen on white, and logos stand on white."
REASONS = frozenset({UNKNOWN, BROKEN, TOO_LARGE, TOO_SMALL, TOO_HEAVY, TOO_PALE})

TIME_S_MAX = 20.0
"""Most of it is for a machine that is busy: decoding takes some milliseconds."""

CPU_S_MAX = 5
MEMORY_BYTES_MAX = 1024**3
"""With what the decoders themselves reserve, which is some 300 MB of addresses."""


@dataclass(frozen=True)
class Logo:
    """A logo as it is served: octets of a PNG, and its size in points."""

    png: bytes
    width_px: int
    height_px: int


def remade_apart(content: bytes) -> Logo:
    """Do as `remade` in a process of its own, which a hostile file may end but not leave."""
    if len(content) > FILE_BYTES_MAX:
        raise Refused(TOO_HEAVY)
    # Nothing of our settings goes along: they hold passwords.
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "archive.logo"],
            input=content,
            capture_output=True,
            timeout=TIME_S_MAX,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise Refused(BROKEN) from None
    if ran.returncode != 0:
        told = ran.stderr.decode(errors="replace").strip()
        raise Refused(told if told in REASONS else BROKEN)
    width_px, height_px = struct.unpack(">II", ran.stdout[16:24])
    return Logo(ran.stdout, width_px, height_px)


def remade(content: bytes) -> Logo:
    """Return a picture as a PNG of ours within its bounds; raises Refused, which names what is wrong."""
    if len(content) > FILE_BYTES_MAX:
        raise Refused(TOO_HEAVY)
    codec, width_px, height_px = _claimed(content)
    if not (width_px <= SIDE_PX_MAX and height_px <= SIDE_PX_MAX and width_px * height_px <= POINTS_MAX):
        raise Refused(TOO_LARGE)
    if width_px < SIDE_PX_MIN or height_px < SIDE_PX_MIN:
        raise Refused(TOO_SMALL)
    try:
        frame = _decoded(codec, content)
        if (frame.width, frame.height) != (width_px, height_px):
            raise Refused(BROKEN)
        return _encoded(frame)
    except (FFmpegError, ValueError, OSError) as error:
        raise Refused(BROKEN) from error


def _claimed(content: bytes) -> tuple[str, int, int]:
    """Return the decoder of a file, and width and height as its header tells."""
    try:
        if content.startswith(_SIGNATURE) and content[12:16] == b"IHDR":
            width, height = struct.unpack(">II", content[16:24])
            return _CODECS["png"], width, height
        if content.startswith(b"\xff\xd8\xff"):
            return (_CODECS["jpeg"], *_jpeg_size(content))
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return (_CODECS["webp"], *_webp_size(content))
    except (struct.error, IndexError) as error:
        raise Refused(BROKEN) from error
    raise Refused(UNKNOWN)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if content[at] != 0xFF:
            raise Refused(BROKEN)
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack(">H", content[at + 2 : at + 4])
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        if length < 2:
            raise Refused(BROKEN)
        at += 2 + length


def _webp_size(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        # Extended: animations, profiles and the like, of which a logo needs none but its transparency.
        return (
            int.from_bytes(content[24:27], "little") + 1,
            int.from_bytes(content[27:30], "little") + 1,
        )
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", content[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise Refused(BROKEN)


def _decoded(codec: str, content: bytes) -> VideoFrame:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    # Of half a JPEG decoders make a picture with a grey end.
    context.options = {"err_detect": "explode"}
    frames = [*context.decode(Packet(content)), *context.decode(None)]
    if not frames:
        raise Refused(BROKEN)
    return frames[0]


def _encoded(frame: VideoFrame) -> Logo:
    points = _points(frame)
    # As cameras note which side is up (Exif 2.32, Orientation); browsers turn such a picture too.
    points = np.rot90(points, frame.rotation // 90)
    points = _made_smaller(points)
    _require_seen(points)
    height, width, _ = points.shape
    return Logo(_png(points), width, height)


def _points(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return a picture as height by width by red, green, blue and how much it covers."""
    return frame.to_ndarray(format="rgba").astype(np.uint8, copy=False)


def _png(points: NDArray[np.uint8]) -> bytes:
    # The points alone go on: whatever the decoder noted beside them stays behind.
    clean = VideoFrame.from_ndarray(np.ascontiguousarray(points), format="rgba")
    clean.pts = 0
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width, context.pix_fmt = *points.shape[:2], "rgba"
    context.time_base = Fraction(1)
    return b"".join(map(bytes, [*context.encode(clean), *context.encode(None)]))


def _made_smaller(points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return points within our bounds; what is clear lends its colour to nothing beside it."""
    height, width, _ = points.shape
    share = min(1.0, WIDTH_PX_MAX / width, HEIGHT_PX_MAX / height)
    if share == 1.0:
        return points
    weighed = points.copy()
    weighed[..., :3] = (points[..., :3] * (points[..., 3:] / np.float32(255)) + 0.5).astype(np.uint8)
    frame = VideoFrame.from_ndarray(weighed, format="rgba")
    size = max(1, round(width * share)), max(1, round(height * share))
    small = _points(frame.reformat(*size, interpolation="AREA"))
    cover = np.maximum(small[..., 3:], 1).astype(np.float32)
    small[..., :3] = np.minimum(small[..., :3] * (255 / cover) + 0.5, 255).astype(np.uint8)
    return small


def _require_seen(points: NDArray[np.uint8]) -> None:
    """Raise Refused for a picture that is clear, white or nearly so everywhere."""
    cover = points[..., 3:] / np.float32(255)
    on_white = points[..., :3] * cover + 255 * (1 - cover)
    if np.mean(on_white.min(axis=2) <= LEVEL_MAX) < SEEN_SHARE_MIN:
        raise Refused(TOO_PALE)


def on_white(logo: bytes) -> bytes:
    """Return a logo of ours with nothing clear in it: on white, of the same size, as PNG.

    What can't be read is returned as it is: no mail waits for its logo.
    """
    try:
        points = _points(_decoded(_CODECS["png"], logo))
    except (Refused, FFmpegError, ValueError):
        return logo
    cover = points[..., 3:] / np.float32(255)
    solid = points.copy()
    solid[..., :3] = points[..., :3] * cover + 255 * (1 - cover) + 0.5
    solid[..., 3] = 255
    return _png(solid)


def main() -> int:
    """Make the picture of standard input anew on standard output; 1 and the reason when it is refused."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        made = remade(sys.stdin.buffer.read(FILE_BYTES_MAX + 1))
    except Refused as refused:
        sys.stderr.write(str(refused))
        return 1
    sys.stdout.buffer.write(made.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
