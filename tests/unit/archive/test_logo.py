"""A logo is made anew: of each kind that is taken, and of hostile files nothing but a clear no."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from archive import logo
from archive.errors import Refused
from archive.logo import HEIGHT_PX_MAX, WIDTH_PX_MAX, on_white, remade, remade_apart

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def drawn(codec: str, pixels: str, width: int, height: int) -> bytes:
    """Return a picture of a gradient."""
    row = np.linspace(0, 255, width, dtype=np.uint8)
    points = np.repeat(np.tile(row, (height, 1))[:, :, np.newaxis], 3, axis=2)
    frame = VideoFrame.from_ndarray(points, format="rgb24").reformat(format=pixels)
    frame.pts = 0
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, pixels
    context.time_base = Fraction(1)
    return b"".join(map(bytes, [*context.encode(frame), *context.encode(None)]))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(width: int, height: int) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))


GOOD = drawn("png", "rgba", 300, 100)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("png", "rgba"),
        ("png", "gray"),
        ("png", "rgba64be"),
        ("mjpeg", "yuvj420p"),
        ("libwebp", "yuv420p"),
        ("libwebp", "bgra"),
    ],
)
def test_each_kind_becomes_a_small_png_of_the_same_shape(codec: str, pixels: str) -> None:
    made = remade(drawn(codec, pixels, 900, 300))
    assert made.png.startswith(SIGNATURE)
    assert (made.width_px, made.height_px) == (HEIGHT_PX_MAX * 3, HEIGHT_PX_MAX)
    assert struct.unpack(">II", made.png[16:24]) == (made.width_px, made.height_px)
    assert made.width_px <= WIDTH_PX_MAX


def png_of(points: NDArray[np.uint8]) -> bytes:
    frame = VideoFrame.from_ndarray(points, format="rgba")
    frame.pts = 0
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width, context.pix_fmt = *points.shape[:2], "rgba"
    context.time_base = Fraction(1)
    return b"".join(map(bytes, [*context.encode(frame), *context.encode(None)]))


def points_of(png: bytes) -> NDArray[np.uint8]:
    context = av.CodecContext.create("png", "r")
    assert isinstance(context, VideoCodecContext)
    frames = [*context.decode(Packet(png)), *context.decode(None)]
    points: NDArray[np.uint8] = frames[0].to_ndarray(format="rgba")
    return points


def test_a_small_one_is_not_made_larger_and_what_is_clear_stays_clear() -> None:
    points = np.zeros((20, 40, 4), dtype=np.uint8)
    points[:, :20, 3] = 255
    made = remade(png_of(points))
    assert (made.width_px, made.height_px) == (40, 20)
    assert np.array_equal(points_of(made.png), points)


@pytest.mark.parametrize("behind", [0, 255])
def test_edges_have_the_colour_that_is_drawn_whatever_clear_points_hold(behind: int) -> None:
    """Programs write black or white there; shown on something else it would be a fringe."""
    y, x = np.mgrid[0:900, 0:900] - 449.5
    points = np.full((900, 900, 4), behind, dtype=np.uint8)
    points[..., 3] = 0
    points[np.hypot(x, y) < 400] = (230, 120, 0, 255)
    small = points_of(remade(png_of(points)).png).astype(int)
    edge = small[(small[..., 3] > 40) & (small[..., 3] < 230)]
    assert len(edge) > 50
    assert np.abs(edge[:, :3] - (230, 120, 0)).max() < 12


@pytest.mark.parametrize(
    ("noted", "size"), [(1, (300, 100)), (3, (300, 100)), (6, (40, 120)), (8, (40, 120))]
)
def test_a_picture_of_a_camera_stands_upright(noted: int, size: tuple[int, int]) -> None:
    plain = drawn("mjpeg", "yuvj420p", 300, 100)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x112, 3, 1, noted) + bytes(4)
    made = remade(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    assert (made.width_px, made.height_px) == size
    # The gradient is dark at its left: there, at the right, at the top and below.
    points = points_of(made.png)[..., 0].astype(int)
    corner, opposite = points[0, 0], points[-1, -1]
    assert bool(corner < opposite) is (noted in {1, 6})


@pytest.mark.parametrize(
    "drawn_in", [(0, 0, 0, 0), (255, 255, 255, 255), (0, 0, 0, 10), (235, 240, 235, 255)]
)
def test_what_can_not_be_seen_on_white_is_refused(drawn_in: tuple[int, int, int, int]) -> None:
    points = np.zeros((100, 300, 4), dtype=np.uint8)
    points[30:70, 20:280] = drawn_in
    with pytest.raises(Refused, match="can't be seen on white"):
        remade(png_of(points))
    points[50, 20:280] = (230, 200, 0, 255)
    assert remade(png_of(points)).width_px == 300


def test_on_white_nothing_is_clear_and_what_was_drawn_is_there() -> None:
    points = np.zeros((20, 40, 4), dtype=np.uint8)
    points[:, :20] = (10, 79, 138, 255)
    points[:, 20:30] = (0, 0, 0, 128)
    solid = points_of(on_white(png_of(points)))
    assert solid.shape == points.shape
    assert solid[0, 0].tolist() == [10, 79, 138, 255]
    assert solid[0, 25].tolist() == [127, 127, 127, 255]
    assert solid[0, 35].tolist() == [255, 255, 255, 255]


def test_nothing_of_the_file_but_its_points_comes_along() -> None:
    """A polyglot: a comment, a text chunk and a page behind the end of the picture."""
    end = GOOD.index(b"IEND") - 4
    hidden = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")
    made = remade_apart(GOOD[:end] + hidden + GOOD[end:] + b"PK\x03\x04<html><script>alert(2)</script>")
    assert made == remade(GOOD)
    assert b"script" not in made.png


HOSTILE = {
    "nothing": (b"", logo.UNKNOWN),
    "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", logo.UNKNOWN),
    "a page": (b"<!doctype html><script>alert(1)</script>", logo.UNKNOWN),
    "an animation of another kind": (b"GIF89a" + bytes(100), logo.UNKNOWN),
    "a film": (b"\0\0\0\x18ftypmp42" + bytes(100), logo.UNKNOWN),
    "a list of other files": (b"#EXTM3U\nfile:///etc/passwd\n", logo.UNKNOWN),
    "only a signature": (SIGNATURE, logo.UNKNOWN),
    "half a picture": (GOOD[: len(GOOD) // 3], logo.BROKEN),
    "most of a jpeg": (drawn("mjpeg", "yuvj420p", 900, 300)[:-200], logo.BROKEN),
    "a header and nothing": (header(64, 64), logo.BROKEN),
    "a jpeg of nothing": (b"\xff\xd8\xff", logo.BROKEN),
    "a jpeg whose marker goes nowhere": (b"\xff\xd8\xff\xe0\x00\x00" * 4, logo.BROKEN),
    "a webp of nothing": (b"RIFF\x04\0\0\0WEBP", logo.BROKEN),
    "a bomb": (header(50_000, 50_000) + chunk(b"IDAT", zlib.compress(bytes(10_000_000))), logo.TOO_LARGE),
    "many points": (header(4096, 4096), logo.TOO_LARGE),
    "a long line": (header(1_000_000, 16), logo.TOO_LARGE),
    "a point": (drawn("png", "rgba", 8, 8), logo.TOO_SMALL),
    "no size": (header(0, 0), logo.TOO_SMALL),
    "a heavy file": (GOOD + bytes(logo.FILE_BYTES_MAX), logo.TOO_HEAVY),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_says_why(name: str) -> None:
    content, reason = HOSTILE[name]
    with pytest.raises(Refused) as refused:
        remade(content)
    assert str(refused.value) == reason


def test_another_size_behind_a_small_header_is_refused() -> None:
    """What the header tells is what is made, or nothing is."""
    large = drawn("libwebp", "bgra", 900, 900)
    frame = large[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\x1f\0\0" + b"\x1f\0\0"
    small = b"RIFF" + struct.pack("<I", 4 + len(extended) + len(frame)) + b"WEBP" + extended + frame
    with pytest.raises(Refused, match=logo.BROKEN):
        remade(small)


def test_a_decoder_that_dies_or_hangs_ends_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it says is passed on only when it is one of our sentences."""
    program = tmp_path / "program"
    monkeypatch.setattr("sys.executable", str(program))
    monkeypatch.setattr(logo, "TIME_S_MAX", 0.5)
    for script in ("kill -SEGV $$", "echo 'Secret <b>words</b>' >&2; exit 1", "exec sleep 30"):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with pytest.raises(Refused) as refused:
            remade_apart(GOOD)
        assert str(refused.value) == logo.BROKEN
