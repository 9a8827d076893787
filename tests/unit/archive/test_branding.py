"""Colours of customers: measured as WCAG says, refused below 4.5:1 on any surface of the pages."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from archive.branding import (
    CONTRAST_MIN,
    INKS,
    SURFACES,
    Theme,
    colour,
    contrast,
    measured,
    nearest,
    shades,
    style_sheet,
)
from archive.errors import Refused

TOKENS = Path("playback_portal/web/tokens.css")
TOKEN = r"--{}:\s+light-dark\((#[0-9a-f]{{6}}), (#[0-9a-f]{{6}})\)"


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.478),
        ("#767676", "#ffffff", 4.542),
        ("#0000ff", "#ffffff", 8.592),
    ],
)
def test_the_ratio_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.001)
    assert contrast(other, one) == contrast(one, other)


def test_what_colours_are_measured_on_is_what_pages_have() -> None:
    text = TOKENS.read_text()
    for place, theme in enumerate(Theme):
        for name, value in zip(
            ("bg", "surface", "surface-2", "sunken", "hover"), SURFACES[theme], strict=True
        ):
            found = re.search(TOKEN.format(name), text)
            assert found is not None, name
            assert found.groups()[place] == value, (name, theme)
        for name, value in zip(("ink", "ink-2", "ink-3"), INKS[theme], strict=True):
            ink = re.search(TOKEN.format(name), text)
            assert ink is not None
            assert ink.groups()[place] == value


@pytest.mark.parametrize(
    ("accent", "theme", "enough"),
    [
        ("#0a6557", Theme.LIGHT, True),
        ("#5fcab3", Theme.DARK, True),
        ("#ffcc00", Theme.LIGHT, False),
        ("#ffcc00", Theme.DARK, True),
        ("#0a6557", Theme.DARK, False),
        # On white alone it would do; on the surface of the pages it has less.
        ("#767676", Theme.LIGHT, False),
    ],
)
def test_a_colour_is_enough_when_its_least_pair_is(accent: str, theme: Theme, enough: bool) -> None:
    found = measured(accent, theme)
    assert found.is_enough is enough
    assert (found.ratio >= CONTRAST_MIN) is enough


@pytest.mark.parametrize(
    "accent", ["#ffcc00", "#0a6557", "#808080", "#000000", "#ffffff", "#ff0000", "#767676"]
)
@pytest.mark.parametrize("theme", Theme)
def test_the_nearest_colour_that_does_is_itself_or_one_shade_from_not_enough(
    accent: str, theme: Theme
) -> None:
    found = nearest(accent, theme)
    assert measured(found, theme).is_enough
    assert (found == accent) is measured(accent, theme).is_enough
    if accent == "#ffcc00" and theme is Theme.LIGHT:
        assert measured(found, theme).ratio < CONTRAST_MIN + 0.15, "no darker than it must be"
        assert found.endswith("00"), "a yellow, not a grey"


@pytest.mark.parametrize("theme", Theme)
def test_on_the_soft_shade_of_every_colour_that_is_enough_the_faintest_ink_can_be_read(theme: Theme) -> None:
    steps = ("00", "33", "66", "99", "cc", "ff")
    every = [f"#{''.join(parts)}" for parts in product(steps, repeat=3)]
    enough = [accent for accent in every if measured(accent, theme).is_enough]
    assert len(enough) > 50
    for accent in enough:
        soft = shades(accent, theme).soft
        assert min(contrast(ink, soft) for ink in INKS[theme]) >= CONTRAST_MIN, accent
        assert soft != SURFACES[theme][1], "what is chosen is seen to be"


def test_a_ratio_that_is_not_enough_is_never_told_as_if_it_were() -> None:
    grey = next(
        found
        for level in range(90, 130)
        if not (found := measured(f"#{level:02x}{level:02x}{level:02x}", Theme.LIGHT)).is_enough
    )
    assert float(grey.told.removesuffix(":1")) < CONTRAST_MIN


@pytest.mark.parametrize(
    "text", ["", "red", "#fff", "#0a65571", "0a6557", "#0a655g", "#0a6557;}", "#0a6557\n}"]
)
def test_only_six_digits_are_a_colour(text: str) -> None:
    if text.strip() != "#0a6557":
        with pytest.raises(Refused, match="six digits"):
            colour(text)


def test_a_sheet_has_its_themes_and_nothing_else() -> None:
    both = style_sheet("#0a6557", "#5fcab3")
    assert both.count("--accent:#0a6557") == both.count("--accent:#5fcab3") == 2
    assert both.count("--accent-paper:#0a6557;--on-accent-paper:#ffffff") == 1
    assert "paper" not in style_sheet(None, "#5fcab3")
    assert "forced-colors: none" in both
    assert "#5fcab3" not in style_sheet("#0a6557", None)
    assert not style_sheet(None, None).strip()
