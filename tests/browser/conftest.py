"""The furnished service of all tests in a browser, a browser for each module, a desk for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.asking import let_some_ask
from tests.browser.desk import Desk, KeptDesk, chromium
from tests.browser.effort import Hands, Keyboard, Mouse
from tests.browser.house import House, furnished
from tests.browser.judging import judge_some


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """A service with people of every role and recorded calls."""
    with (
        tempfile.TemporaryDirectory(prefix="earwitness-browser-") as directory,
        furnished(Path(directory)) as it,
    ):
        judge_some(it)
        let_some_ask(it)
        yield it


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    with chromium() as it:
        yield it


@pytest.fixture
def desk(browser: Browser, house: House) -> Iterator[Desk]:
    """A desk; what went wrong there unseen fails the test."""
    it = Desk(browser, house)
    yield it
    it.close()
    assert it.faults == []


@pytest.fixture(scope="module")
def _kept(browser: Browser, house: House) -> Iterator[KeptDesk]:
    it = KeptDesk(browser, house)
    yield it
    it.close()


@pytest.fixture
def kept_desk(_kept: KeptDesk) -> Iterator[Desk]:
    """A desk whose window is kept from test to test, for those that only look at many pages."""
    yield _kept
    assert _kept.rise() == []


@pytest.fixture(params=[Mouse, Keyboard], ids=["mouse", "keyboard"])
def hands(request: pytest.FixtureRequest) -> Callable[[Page], Hands]:
    """Each task by mouse, and by keyboard alone."""
    kind: Callable[[Page], Hands] = request.param
    return kind
