"""What axe-core finds on a page: violations, and what it could not decide.

The tags are named: of `wcag22aa` the only rule, `target-size`, is off unless it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

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

UNDECIDED = {
    # Patterns and waveforms are drawn over plain colours whose contrast tests of the tokens hold.
    "color-contrast": "text over a drawing or a gradient",
    "label-content-name-mismatch": "On and Off in a switch are its value, which it tells as checked or not",
    "th-has-data-cells": "no call of the list has a mark, so that the cells of that column are empty",
}
"""What axe may leave undecided, and why."""


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


@cache
def _source() -> str:
    assert SOURCE.exists(), "axe-core is missing. Fetch it: python hatch_build.py --tools"
    return SOURCE.read_text()


def look(page: Page) -> Verdict:
    """Return what axe finds on the page as it is."""
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
