"""Scripts, styles and drawings of the pages, as the build made them: held in memory, cached for ever.

The name of each file has the hash of its content, so that browsers need never ask again
and a new version is another file. Compressed copies stand beside them.

Rules: only what the manifest of the build names is served; nothing is looked up on disk
by what a request says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from archive.errors import Refused
from playback_portal.problems import not_found
from playback_portal.route import STATIC_PREFIX

DIRECTORY = Path(__file__).parent / "static"
CACHE_FOREVER = "public, max-age=31536000, immutable"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
ENCODINGS = {"br": "br", "gzip": "gz"}
"""What browsers accept, best first, and how the copy of it is called."""


@dataclass(frozen=True)
class Assets:
    """One build: `names` has the hashed name of each asset, `parts` the chunks a script begins with."""

    names: Mapping[str, str]
    parts: Mapping[str, tuple[str, ...]]
    files: Mapping[str, bytes]

    def url(self, asset: str) -> str:
        """Return where an asset is: `asset("main.js")`; raises Refused for what was not built."""
        if asset not in self.names:
            raise Refused(f"There is no {asset} among the pages' files: build them, {HOW_TO_BUILD}.")
        return STATIC_PREFIX + self.names[asset]

    def part_urls(self, asset: str) -> tuple[str, ...]:
        """Return where the chunks are that a script imports, to be fetched with it."""
        return tuple(STATIC_PREFIX + part for part in self.parts.get(asset, ()))


HOW_TO_BUILD = "by `make run`, or `node playback_portal/web/build.mjs` while developing"
ASSETS = web.AppKey("ASSETS", Assets)


def load(directory: Path = DIRECTORY) -> Assets:
    """Return the build in `directory`; raises Refused when there is none."""
    manifest = directory / "manifest.json"
    try:
        changed_ns = manifest.stat().st_mtime_ns
    except FileNotFoundError as error:
        raise Refused(f"The portal's pages are not built: build them, {HOW_TO_BUILD}.") from error
    return _load(directory, changed_ns)


@lru_cache(maxsize=2)
def _load(directory: Path, _changed_ns: int) -> Assets:
    manifest = json.loads((directory / "manifest.json").read_text())
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}
    parts = {asset: tuple(found) for asset, found in manifest["parts"].items()}
    return Assets(manifest["assets"], parts, files)


async def get_file(request: web.Request) -> web.StreamResponse:
    """Answer with one file of the build, compressed as the browser likes it best."""
    name, files = request.match_info["name"], request.app[ASSETS].files
    media_type = MEDIA_TYPES.get(Path(name).suffix)
    if media_type is None or name not in files:
        raise not_found()
    headers = {"Cache-Control": CACHE_FOREVER, "Vary": "Accept-Encoding"}
    accepted = accepted_encodings(request.headers.get("Accept-Encoding", ""))
    body = files[name]
    for encoding, ending in ENCODINGS.items():
        if encoding in accepted and f"{name}.{ending}" in files:
            headers["Content-Encoding"] = encoding
            body = files[f"{name}.{ending}"]
            break
    return web.Response(body=body, content_type=media_type, charset="utf-8", headers=headers)


def accepted_encodings(header: str) -> frozenset[str]:
    """Return the encodings an Accept-Encoding header names, without those it refuses (`q=0`)."""
    offers = (item.partition(";") for item in header.lower().split(","))
    return frozenset(
        name.strip() for name, _, weight in offers if weight.replace(" ", "") not in {"q=0", "q=0.0"}
    )
