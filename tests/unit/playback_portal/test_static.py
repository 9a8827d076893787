"""The files pages are made of: exactly those of the build, compressed, and cached for ever."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from archive.errors import Refused
from playback_portal import static
from playback_portal.static import Assets, accepted_encodings, load

SCRIPT = b"console.log('a script long enough to be worth a compressed copy');" * 20


def built(directory: Path) -> Path:
    """Return a folder as the build leaves it."""
    files = {
        "main-ab12.js": SCRIPT,
        "main-ab12.js.gz": gzip.compress(SCRIPT),
        "part-cd34.js": b"1",
        "notes.txt": b"x",
    }
    for name, contents in files.items():
        (directory / name).write_bytes(contents)
    manifest = {"assets": {"main.js": "main-ab12.js"}, "parts": {"main.js": ["part-cd34.js"]}}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def test_a_build_tells_the_hashed_name_of_each_asset_and_what_it_begins_with(tmp_path: Path) -> None:
    assets = load(built(tmp_path))
    assert assets.url("main.js") == "/static/main-ab12.js"
    assert assets.part_urls("main.js") == ("/static/part-cd34.js",)
    assert assets.part_urls("main.css") == ()


def test_a_new_build_is_seen_without_a_restart(tmp_path: Path) -> None:
    assert load(built(tmp_path)) is load(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("main-ab12", "main-ef56"))
    os.utime(manifest, ns=(1, 1))
    assert load(tmp_path).url("main.js") == "/static/main-ef56.js"


def test_without_a_build_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="make run"):
        load(tmp_path)
    with pytest.raises(Refused, match=r"no player\.js"):
        Assets({}, {}, {}).url("player.js")


@pytest.mark.parametrize(
    ("header", "encodings"),
    [
        ("", {""}),
        ("gzip, deflate, br, zstd", {"gzip", "deflate", "br", "zstd"}),
        ("BR;q=1.0, gzip;q=0.5", {"br", "gzip"}),
        ("br;q=0, gzip", {"gzip"}),
    ],
)
def test_refused_encodings_are_not_taken_for_accepted(header: str, encodings: set[str]) -> None:
    assert accepted_encodings(header) == encodings


async def test_every_asset_is_served_to_anyone_and_kept_for_ever(api: Any) -> None:
    for url in [load().url(name) for name in load().names]:
        answer = await api.get(url, None)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert re.search(r"-[A-Za-z0-9]{8,}\.\w+$", url)


@pytest.mark.parametrize(("accepted", "encoding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_the_best_encoding_the_browser_knows_is_sent(
    api: Any, accepted: str, encoding: str | None
) -> None:
    async with api.client.get(
        load().url("main.css"), headers={"Accept-Encoding": accepted}, auto_decompress=False
    ) as answer:
        body = await answer.read()
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    plain = load().files[load().names["main.css"]]
    assert (len(body) < len(plain) / 3) if encoding else body == plain


@pytest.mark.parametrize(
    "name", ["manifest.json", "main.js", "..%2fapp.py", "%2e%2e/app.py", "x" * 300, "main-0.js", "%00"]
)
async def test_nothing_else_is_served(api: Any, name: str) -> None:
    answer = await api.get(f"/static/{name}", None)
    assert answer.status == 404
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_the_build_stands_where_the_portal_looks() -> None:
    assert Path(static.__file__).parent / "static" == static.DIRECTORY
    assert {"main.js", "main.css", "icons.svg", "icon.svg"} <= set(load().names)
