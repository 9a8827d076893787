"""Pictures of the pages: a few for the documents, or all of them, in both languages, for looking at.

    python tests/browser/screenshots.py docs/pictures
    python tests/browser/screenshots.py --all FOLDER
    python tests/browser/screenshots.py --all --look en-dark-360 --only approvals FOLDER

Each starts a service of its own with real calls and ends it again; that takes a few minutes.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.asking import let_some_ask
from tests.browser.desk import NARROW, WIDE, Desk, chromium
from tests.browser.house import CALLS, DAAN, JANSEN, NOOR, SANNE, House, SampleCall, furnished
from tests.browser.judging import judge_some
from tests.browser.scenes import SCENES, Scene, scene

PICTURE_BYTES_MAX = 120_000
"""What a reader of the documents waits for."""

COLOURS_COUNT = 160
"""A page has few; more are shades at the edges of letters that nobody sees."""

CUSTOMERS = (
    ("+31612340081", "Bakkerij Smit"),
    ("+31612340082", "Garage De Vries"),
    ("+31612340083", "Mevrouw Bos"),
    ("+31612340084", ""),
    ("+31612340085", "Schildersbedrijf Van Dam"),
    ("+31612340086", ""),
    ("+31612340087", "Hotel Aan Zee"),
    ("+31612340088", "Fietsenmaker Kok"),
)
DAY = (
    SampleCall(SANNE.number, JANSEN, 75.0, name="Bouwbedrijf Jansen", paused=(31.0, 40.0)),
    SampleCall(NOOR.number, DAAN.number, 24.0, name="daan"),
    *(
        SampleCall(number, (SANNE, DAAN, NOOR)[at % 3].number, 12.0 + 6 * at, "callee", name, lost=lost)
        for at, (number, name) in enumerate(CUSTOMERS)
        for lost in [(5.0, 7.0) if at == 4 else None]
    ),
)
"""A day at Lindekade Techniek."""

LOOKS = tuple(
    f"{language}-{theme}-{width}"
    for language, theme, width in product(("nl", "en"), ("light", "dark"), (WIDE, NARROW))
)
"""Every way a page may be looked at: language, theme and width in px."""


@dataclass(frozen=True)
class Picture:
    """A scene as it stands in the documents."""

    name: str
    scene: Scene
    language: str
    theme: str = "light"
    width: int = WIDE


PICTURES = (
    Picture("sign-in", scene("sign-in"), "en"),
    Picture("recordings", scene("recordings-of-team"), "nl"),
    Picture("player", scene("recording"), "nl"),
    Picture("player-dark", scene("recording"), "en", theme="dark"),
    Picture("why", scene("why"), "en"),
    Picture("teams", scene("team"), "nl"),
    Picture("play-link", scene("play-link"), "nl", width=NARROW),
)


def for_documents(desk: Desk, folder: Path) -> None:
    """Make the pictures of the documents; fails when one is too large for them."""
    for each in PICTURES:
        page = each.scene.opened(desk, width=each.width, theme=each.theme, language=each.language)
        path = folder / f"{each.name}.png"
        path.write_bytes(with_few_colours(page.screenshot(animations="disabled")))
        desk.close()
        size = path.stat().st_size
        print(f"{path}  {size / 1000:.0f} kB")
        assert size <= PICTURE_BYTES_MAX, f"{path} has {size} octets; show less in it."


def with_few_colours(png: bytes) -> bytes:
    """Return a picture with a palette of its own: some third of the octets."""
    with av.open(io.BytesIO(png)) as source:
        frame = next(source.decode(video=0)).reformat(format="rgba")
    graph = av.filter.Graph()
    begin = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    split, generate = (
        graph.add("split"),
        graph.add("palettegen", f"max_colors={COLOURS_COUNT}:stats_mode=full"),
    )
    use, end = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
    begin.link_to(split)
    split.link_to(generate, 0, 0)
    split.link_to(use, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(end)
    graph.configure()
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    graph.push(frame)
    graph.push(None)
    few = graph.pull()
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = (
        few.width,
        few.height,
        "pal8",
        Fraction(1, 25),
    )
    encoder.options = {"compression_level": "9", "pred": "none"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(few), *encoder.encode(None)])


def of_everything(desk: Desk, folder: Path, looks: Sequence[str] = LOOKS, only: Sequence[str] = ()) -> None:
    """Make a picture of every scene, or of those of some names, in every look or in some."""
    taken = 0
    for each, look in product((each for each in SCENES if not only or each.name in only), looks):
        language, theme, width = look.split("-")
        page = each.opened(desk, width=int(width), theme=theme, language=language)
        # What is fixed to the window would stand where the window was scrolled to.
        page.evaluate("scrollTo(0, 0)")
        # A page of both an administrator and an auditor is two scenes of one name.
        name = f"{each.name}-{each.state}-{each.who.login if each.who else 'nobody'}-{look}.png"
        # As tall as the page: a picture of more than the window forgets that there are fingers.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": int(width), "height": height})
        page.screenshot(path=folder / name, animations="disabled")
        desk.close()
        taken += 1
    print(f"{taken} pictures in {folder}")


def main(arguments: list[str]) -> int:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="every scene, in both languages")
    parser.add_argument("--look", action="append", choices=LOOKS, help="only this one; may be repeated")
    parser.add_argument("--only", action="append", help="only scenes of this name; may be repeated")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    calls = (*CALLS[1:3], *DAY) if options.all else DAY
    with (
        tempfile.TemporaryDirectory(prefix="earwitness-pictures-") as path,
        furnished(Path(path), calls) as house,
    ):
        judge_some(house)
        let_some_ask(house)
        take(house, options)
    return 0


def take(house: House, options: argparse.Namespace) -> None:
    """Take them in a browser."""
    with chromium() as browser:
        desk = Desk(browser, house)
        if options.all:
            of_everything(desk, options.folder, options.look or LOOKS, options.only or ())
        else:
            for_documents(desk, options.folder)
        assert desk.faults == []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
