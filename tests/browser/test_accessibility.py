"""Axe finds nothing on any page, in any state, in either language, light or dark, wide or narrow.

In `make test` every two of these meet; with `--soak` all combinations are looked at.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser import axe
from tests.browser.desk import NARROW, WIDE, Desk
from tests.browser.house import SANNE
from tests.browser.pairwise import Row, every, pairwise
from tests.browser.scenes import SCENES, Scene

FACTORS = {
    "scene": SCENES,
    "language": ("nl", "en"),
    "theme": ("light", "dark"),
    "width": (WIDE, NARROW),
}

PLANTED = {
    "target-size": "<button>a</button><button>b</button>",
    "color-contrast": "<p>faint</p>",
    "button-name": "<button></button>",
    "label": "<input>",
    "image-alt": "<img>",
    "aria-required-attr": "<div role='slider'></div>",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row of the table, named by what is looked at."""
    if "row" in metafunc.fixturenames:
        rows = (every if metafunc.config.getoption("--soak") else pairwise)(FACTORS)
        # Those that fit into one window stand side by side.
        rows.sort(key=lambda row: (str(row["language"]), str(row["width"])))
        names = [" ".join(map(str, row.values())) for row in rows]
        metafunc.parametrize("row", rows, ids=names)


def test_a_page_has_no_barrier(kept_desk: Desk, row: Row) -> None:
    """No rule of WCAG 2.2 AA that axe knows is broken, and the page does not scroll sideways."""
    scene, width = row["scene"], row["width"]
    assert isinstance(scene, Scene)
    page = scene.opened(
        kept_desk, width=int(str(width)), theme=str(row["theme"]), language=str(row["language"])
    )
    assert page.locator("html").get_attribute("lang") == row["language"]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{overflow} px wider than the window"
    verdict = axe.look(page)
    assert not verdict.violations, axe.told(verdict.violations)
    undecided = tuple(each for each in verdict.incomplete if not axe.is_decided(page, each))
    assert not undecided, axe.told(undecided)


@pytest.mark.parametrize("rule", PLANTED)
def test_the_check_sees_a_planted_fault(kept_desk: Desk, rule: str) -> None:
    """Each planted fault is found by its rule: the check is not blind."""
    page = kept_desk.page(SANNE)
    page.goto(f"{kept_desk.house.url}/help")
    assert "target-size" in axe.look(page).ran
    _plant(page, PLANTED[rule])
    assert rule in {each.rule for each in axe.look(page).violations}


def test_faint_text_is_seen_by_its_pixels(kept_desk: Desk) -> None:
    """What axe can't decide is decided by what is shown: faint text is too faint, the page's own is not."""
    page = kept_desk.page(SANNE)
    page.goto(f"{kept_desk.house.url}/help")
    _plant(page, "<p id='faint'>faint</p>")
    assert axe.contrast(page, "#faint") < axe.CONTRAST_MIN
    assert axe.contrast(page, "h1") > 2 * axe.CONTRAST_MIN


def _plant(page: Page, markup: str) -> None:
    """Put elements into the page, small, close together and faint, by ways its policy allows."""
    page.evaluate(
        """markup => {
          const place = document.createElement('div');
          place.innerHTML = markup;
          document.querySelector('main').prepend(place);
          for (const each of place.children) Object.assign(each.style, {
            width: '18px', height: '18px', minHeight: '0', minWidth: '0', padding: '0', margin: '0', border: '0',
            color: '#bbb', background: '#fff', overflow: 'hidden',
          });
        }""",
        markup,
    )
