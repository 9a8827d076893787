"""Letter paper: the words of a mail as HTML, with the name, the colour and the logo of who sends it.

Only who chose a look has it; everybody gets the plain text, which says the same. Nothing is
fetched: the logo comes along in the mail (RFC 2392), so that opening one tells nobody of it. It is
on white: programs that turn a mail dark can't do so behind dark letters. Underneath stands the name
their provider wrote down, whatever they call themselves; under text too.

Rules: pure. Every word is text, whatever it looks like; addresses are those of our own pages,
never one that stands in what a person wrote.
"""

from __future__ import annotations

import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from archive.branding import Stationery, Theme, png_size_px, shades
from archive.mail import Markup, Picture, one_line
from retention.letters import Filled, isolated

LOGO_HEIGHT_PX_MAX = 40
"""As on the pages; the picture itself has more points, for screens that show them."""

OURS = "#0a6557"
"""The colour of who chose a logo and no colour: that of our own pages on light."""

OPEN = {"nl": "Open", "en": "Open"}
SENT_BY = {"nl": "Verstuurd met earwitness, voor", "en": "Sent with earwitness, for"}


def page(said: Filled, paper: Stationery, language: str) -> Markup | None:
    """Return a mail as HTML in `nl` or `en`, with its pictures; None for who has no look of their own."""
    if not paper.is_own:
        return None
    made = shades(paper.accent or OURS, Theme.LIGHT)
    logo = None if paper.logo is None else _size(*png_size_px(paper.logo))
    logo_id = f"{hashlib.sha256(paper.logo or b'').hexdigest()[:32]}@logo.earwitness"
    html = _template().render(
        said=said, paper=paper, shades=made, logo=logo, logo_id=logo_id, language=language,
        open=OPEN[language], sent_by=SENT_BY[language],
    )  # fmt: skip
    pictures = () if paper.logo is None else (Picture(logo_id, "logo", "png", _on_white(paper.logo)),)
    return Markup(html, pictures)


def text(said: Filled, paper: Stationery, language: str) -> str:
    """Return a mail as text; under that of who calls itself otherwise stands whose it is (RFC 3676, 4.3)."""
    if not paper.own_name:
        return said.text
    return f"{said.text}\n-- \n{SENT_BY[language]} {isolated(one_line(paper.registered))}\n"


def _on_white(logo: bytes) -> bytes:
    # What decodes is loaded by the first mail that has a logo: few workers send one.
    from archive.logo import on_white  # noqa: PLC0415

    return on_white(logo)


def _size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return at which size a logo is shown: never higher than LOGO_HEIGHT_PX_MAX, at half its points."""
    height = min(LOGO_HEIGHT_PX_MAX, max(height_px // 2, 1))
    return max(round(width_px * height / height_px), 1), height


@cache
def _template() -> Template:
    made = Environment(
        loader=PackageLoader("retention"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template("letter.html")
