"""The report of a package: what is in it, for people, in Dutch or in English.

One page without a script and without anything fetched: it opens on any machine, as
long as browsers read HTML. Each recording stands with who, when and how long, its
waveform, what is silent in it and why, and the hash by which it is known.

Rules: pure; the same recordings give the same octets. Times are of Europe/Amsterdam,
with their offset. Every name and number is text, whatever it looks like.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from archive.catalogue.grounds import Version
from archive.model import Recording, SpanKind
from archive.waveform import LANES_MAX, POINTS, Waveform

ZONE = ZoneInfo("Europe/Amsterdam")
LANGUAGES: Final = ("nl", "en")
LOCALES: Final = {"nl": "nl_NL", "en": "en_GB"}
_LANE_HEIGHT = 40
_TOLD_KINDS = (SpanKind.PAUSE, SpanKind.HOLD, SpanKind.LOSS, SpanKind.LATE)


@dataclass(frozen=True)
class Exhibit:
    """One recording of a report, how loud it is over its time, and why it was made, as written down then."""

    recording: Recording
    waveform: Waveform | None
    why: Version | None = None


@dataclass(frozen=True)
class Subject:
    """What the package is about: its reference, whose it is, why it was made and by whom.

    `own_name` is what the organisation calls itself, '' where that is the name its provider wrote down.
    """

    reference: str
    organisation: str
    purpose: str
    requested_by: str
    authority_fingerprint: str
    script_sha256: str
    own_name: str = ""


def page(subject: Subject, exhibits: Sequence[Exhibit], language: str) -> bytes:
    """Return the report as HTML in `nl` or `en`."""
    template = environment().get_template("report.html")

    def moment(at: datetime) -> str:
        local = at.astimezone(ZONE)
        return format_datetime(local, "d MMMM yyyy HH:mm:ss ZZZZ", locale=LOCALES[language])

    rendered = template.render(
        subject=subject, exhibits=exhibits, t=words()[language], language=language,
        moment=moment, clock=clock, bars=_bars, silences=silences, height=_LANE_HEIGHT,
    )  # fmt: skip
    return rendered.encode()


@cache
def environment() -> Environment:
    """Return where the pages of packages come from."""
    return Environment(
        loader=PackageLoader("archive.evidence"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def words(name: str = "words.json") -> dict[str, dict[str, str]]:
    """Return the words of a page by language."""
    made = environment()
    assert made.loader is not None
    source, _, _ = made.loader.get_source(made, name)
    read: dict[str, dict[str, str]] = json.loads(source)
    return read


def clock(milliseconds: int) -> str:
    """Return a place in a recording as `1:02:03`, or `2:03` below an hour."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _bars(waveform: Waveform) -> str:
    """Return the bars of a waveform as one path of SVG, one lane above the other: small in a long report."""
    drawn = []
    for lane, levels in enumerate(waveform.lanes[:LANES_MAX]):
        middle = lane * _LANE_HEIGHT + _LANE_HEIGHT // 2
        for x, level in zip(range(POINTS), levels, strict=False):
            height = max(1, level * (_LANE_HEIGHT - 4) // 255)
            drawn.append(f"M{x} {middle - height // 2}v{height}")
    return "".join(drawn)


def silences(recording: Recording) -> Iterable[tuple[str, str, str]]:
    """Return what is silent for a reason, as `(kind, from, to)`."""
    for span in recording.spans:
        if span.kind in _TOLD_KINDS:
            yield span.kind.value, clock(span.from_ms), clock(span.to_ms)
