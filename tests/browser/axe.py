"""What axe-core finds on a page: violations, and what it could not decide.

The tags are named: of `wcag22aa` the only rule, `target-size`, is off unless it is.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np
from playwright.sync_api import Page

from tests.running_service import ROOT

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

RUN = """async tags => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ['violations', 'incomplete']});
  const told = rules => rules.flatMap(rule => rule.nodes.map(node => ({
    rule: rule.id, target: node.target.flat().join(' '), html: node.html.slice(0, 300),
    why: [...node.any, ...node.all, ...node.none].map(check => check.message).join('; '),
  })));
  const ran = [...found.passes, ...found.violations, ...found.incomplete, ...found.inapplicable].map(rule => rule.id);
  return {violations: told(found.violations), incomplete: told(found.incomplete), ran};
}"""

CONTRAST_MIN = 4.5
"""WCAG 1.4.3, for text of any size."""

WITHOUT_TEXT = "Element has no value"
"""Why axe can't judge the colours of a field: nothing stands in it."""


@dataclass(frozen=True)
class Finding:
    """One element a rule is about."""

    rule: str
    target: str
    html: str
    why: str

    def __str__(self) -> str:
        """Tell it in two lines."""
        return f"{self.rule} at {self.target}: {self.why}\n    {self.html}"


@dataclass(frozen=True)
class Verdict:
    """What was found, and the rules that ran."""

    violations: tuple[Finding, ...]
    incomplete: tuple[Finding, ...]
    ran: frozenset[str]


def is_decided(page: Page, finding: Finding) -> bool:
    """Return whether what axe could not decide is right all the same.

    Of colours it can't tell what lies behind a text: over a drawing, in a popover. There the
    pixels are looked at. Of headings it knows rows and columns, and not the groups of rows of
    HTML: the days of the list. Nothing else may be left undecided.
    """
    if finding.rule == "th-has-data-cells":
        return page.locator(f"{finding.target} th[scope=rowgroup]").count() > 0
    if finding.rule != "color-contrast":
        return False
    return WITHOUT_TEXT in finding.why or contrast(page, finding.target) >= CONTRAST_MIN


def contrast(page: Page, target: str) -> float:
    """Return the contrast between the commonest colour of an element as it is shown and the one farthest from it."""
    with av.open(io.BytesIO(page.locator(target).first.screenshot(animations="disabled"))) as source:
        pixels = next(source.decode(video=0)).to_ndarray(format="rgb24").reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    part = colours / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    behind = luminance[counts.argmax()]
    ratios = (np.maximum(luminance, behind) + 0.05) / (np.minimum(luminance, behind) + 0.05)
    return float(ratios.max())


@cache
def _source() -> str:
    assert SOURCE.exists(), "axe-core is missing. Fetch it: python hatch_build.py --tools"
    return SOURCE.read_text()


def look(page: Page) -> Verdict:
    """Return what axe finds on the page as it is, seen from its top: a sticky head covers what is scrolled below it."""
    page.evaluate("scrollTo(0, 0)")
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{_source()}; undefined")
    found: dict[str, Any] = page.evaluate(RUN, list(TAGS))
    return Verdict(
        tuple(Finding(**each) for each in found["violations"]),
        tuple(Finding(**each) for each in found["incomplete"]),
        frozenset(found["ran"]),
    )


def told(findings: tuple[Finding, ...]) -> str:
    """Return findings as lines."""
    return json.dumps([str(each) for each in findings], indent=1) if findings else ""
