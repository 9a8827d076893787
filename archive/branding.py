"""How a customer looks on its pages: a name, and a colour for light and for dark, checked to be readable.

Mails and printed reports have the name, the colour for light and the logo: their stationery.

The colour is that of what can be pressed. Of each we make the shades beside it, and every pair that
stands on a page has a contrast of at least 4.5:1 (WCAG 2.2, 1.4.3): a colour that has less is
refused with what was measured.

Rules: pure. Surfaces are those of the pages (`playback_portal/web/tokens.css`; a test compares). Not
here: pictures (`archive.logo`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from archive.errors import Refused

NAME_CHARS_MAX = 60
"""What fits above the menu on two lines."""

CONTRAST_MIN = 4.5
"""WCAG 2.2, 1.4.3, for text of any size."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_STRONG_SHARE = 0.25
_SOFT_PERCENT_MAX = 10
_STEPS = 100

Rgb = tuple[int, int, int]


class Theme(StrEnum):
    """The two ways a page is drawn."""

    LIGHT = "light"
    DARK = "dark"


SURFACES = {
    Theme.LIGHT: ("#f4f5f2", "#ffffff", "#fafbf9", "#eff1ed", "#f3f5f1"),
    Theme.DARK: ("#0f1412", "#161c19", "#1a211e", "#111714", "#1e2622"),
}
"""What a colour stands on: bg, surface, surface-2, sunken and hover."""

INKS = {
    Theme.LIGHT: ("#16201b", "#45514b", "#626d67"),
    Theme.DARK: ("#e9eeeb", "#b6c0ba", "#94a099"),
}
"""What is written on the soft shade, beside the colour itself: ink, ink-2 and ink-3."""

_TOWARDS = {Theme.LIGHT: "#000000", Theme.DARK: "#ffffff"}
_ON = ("#ffffff", "#0b1512")


@dataclass(frozen=True)
class Shades:
    """A colour as pages use it: itself, stronger, soft behind text, and what is written on it."""

    accent: str
    strong: str
    soft: str
    on: str


@dataclass(frozen=True)
class Measured:
    """The pair of a colour with the least contrast: what stands on what, and the ratio."""

    on: str
    ratio: float

    @property
    def is_enough(self) -> bool:
        """Whether it can be read."""
        return self.ratio >= CONTRAST_MIN

    @property
    def told(self) -> str:
        """The ratio as people read it, rounded down: 4.49 is not enough and never shown as 4.5."""
        return f"{int(self.ratio * 100) / 100:.2f}:1"


@dataclass(frozen=True)
class Stationery:
    """What mails and printed reports of a customer carry: its name, and what of its look it chose.

    `accent` is the colour for light, None for none; `logo` is a PNG that `archive.logo` made;
    `written_down` is the name its provider wrote down, where it chose another.
    """

    organisation: str
    accent: str | None = None
    logo: bytes | None = field(default=None, repr=False)
    written_down: str = ""

    @property
    def registered(self) -> str:
        """The name its provider wrote down: nobody of the customer can change it."""
        return self.written_down or self.organisation

    @property
    def own_name(self) -> str:
        """The name it chose, '' where it is known by that of its provider alone."""
        return self.organisation if self.organisation != self.registered else ""

    @property
    def is_own(self) -> bool:
        """Whether there is more to show than the name."""
        return self.accent is not None or self.logo is not None


def png_size_px(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG of ours, from its header (PNG third edition, 11.2.1)."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def colour(text: str) -> str:
    """Return a colour as `#rrggbb` in small letters; raises Refused for anything else."""
    found = text.strip().lower()
    if not _COLOUR.fullmatch(found):
        raise Refused("A colour is # and six digits of 0-9 and a-f, such as #0a6557.")
    return found


def shades(accent: str, theme: Theme) -> Shades:
    """Return the shades of a colour in a theme."""
    return Shades(
        accent=accent,
        strong=_mixed(accent, _TOWARDS[theme], _STRONG_SHARE),
        soft=_soft(accent, theme),
        on=max(_ON, key=lambda each: contrast(each, accent)),
    )


def measured(accent: str, theme: Theme) -> Measured:
    """Return the least contrast of a colour and its shades on what they stand on, in a theme."""
    made = shades(accent, theme)
    pairs = [Measured(surface, contrast(accent, surface)) for surface in SURFACES[theme]]
    pairs += [Measured(made.soft, contrast(each, made.soft)) for each in (accent, made.strong, *INKS[theme])]
    pairs.append(Measured(accent, contrast(made.on, accent)))
    return min(pairs, key=lambda pair: pair.ratio)


def nearest(accent: str, theme: Theme) -> str:
    """Return a colour that can be read in a theme: itself, or it with as little black or white as will do."""
    mixed = (_mixed(accent, _TOWARDS[theme], share / _STEPS) for share in range(_STEPS + 1))
    return next(each for each in mixed if measured(each, theme).is_enough)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def style_sheet(light: str | None, dark: str | None) -> str:
    """Return the style sheet of a customer; a theme without a colour keeps ours.

    Who made their system draw in forced colours keeps those.
    """
    rules = []
    for theme, accent in ((Theme.LIGHT, light), (Theme.DARK, dark)):
        if accent is not None:
            rules.append((theme, _declarations(shades(accent, theme))))
    parts = []
    for theme, words in rules:
        forced = f':root[data-theme="{theme}"]{{{words}}}'
        by_system = f"@media (prefers-color-scheme: {theme}){{:root:not([data-theme]){{{words}}}}}"
        parts += [forced, by_system]
    if light is not None:
        made = shades(light, Theme.LIGHT)
        # What stands on paper has the colour for light, whatever the theme is.
        parts.append(f":root{{--accent-paper:{made.accent};--on-accent-paper:{made.on}}}")
    return f"@media (forced-colors: none){{{''.join(parts)}}}\n" if parts else "\n"


def _declarations(made: Shades) -> str:
    return (
        f"--accent:{made.accent};--accent-strong:{made.strong};"
        f"--accent-soft:{made.soft};--on-accent:{made.on}"
    )


def _soft(accent: str, theme: Theme) -> str:
    """Return the surface with as much of a colour as leaves what is written on it readable."""
    mixed = (
        _mixed(SURFACES[theme][1], accent, percent / 100) for percent in range(_SOFT_PERCENT_MAX, -1, -1)
    )
    return next(each for each in mixed if all(contrast(ink, each) >= CONTRAST_MIN for ink in INKS[theme]))


def _mixed(one: str, other: str, share: float) -> str:
    """Return a colour with a share of another mixed in."""
    mixed = (round(a + (b - a) * share) for a, b in zip(_rgb(one), _rgb(other), strict=True))
    return "#" + "".join(f"{each:02x}" for each in mixed)


def _rgb(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _luminance(text: str) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(each / 255) for each in _rgb(text))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
