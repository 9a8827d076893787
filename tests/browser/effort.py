"""What a task costs a person: presses and typed values, by mouse or by keyboard alone.

A press is a click, a tap or a key chord, as `reference` counts are made: moving the pointer
is none, and so is moving the focus, which is how one points with a keyboard. Typing a value
is `1t`, with getting into its field, by a click or by Tab, and the Enter that ends it: the
counts of others it is compared with have no press of its own for that either. No flow gets
into a field by other means than these, which would cost nothing here.

Both ways use the page as a person does: the mouse presses what is visible and in nobody's
shadow; the keyboard goes there by Tab, and where it comes to rest the focus must be seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page

STEPS_MAX = 80
"""Tabs to anything from anywhere; a list of more is a trap."""

SEEN = """element => {
  const style = getComputedStyle(element);
  const shown = each => each.outlineStyle !== 'none' && parseFloat(each.outlineWidth) > 0;
  const box = element.getBoundingClientRect();
  const x = Math.min(Math.max(box.x + box.width / 2, 0), innerWidth - 1);
  const y = Math.min(Math.max(box.y + box.height / 2, 0), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  const free = top !== null && (element.contains(top) || top.contains(element) || [...(element.labels ?? [])].some(each => each.contains(top)));
  return [shown(style) || style.boxShadow !== 'none', free];
}"""
"""Whether the focus on an element shows (WCAG 2.4.7), and whether nothing lies over it (2.4.11)."""


@dataclass(frozen=True)
class Cost:
    """Presses and typed values."""

    presses: int = 0
    typed: int = 0

    def __str__(self) -> str:
        """Write it as the reference does: 2+1t."""
        return f"{self.presses}+{self.typed}t"


@dataclass
class Hands(ABC):
    """Somebody's hands at a page, and what they have done; `way` is the name of it."""

    page: Page
    presses: int = 0
    typed: int = 0
    done: list[str] = field(default_factory=list)

    @abstractmethod
    def press(self, target: Locator) -> None:
        """Press a button, link, switch or tick."""

    @abstractmethod
    def enter(self, target: Locator) -> None:
        """Bring the focus into a field."""

    @abstractmethod
    def choose(self, target: Locator, text: str) -> None:
        """Take one of the choices of a field that offers them, by what it says."""

    def write(self, target: Locator, text: str, *, end: str = "", anew: bool = False) -> None:
        """Type a value into a field and end it, with Enter for instance; `anew` in the place of what stands there."""
        target.wait_for()
        if not _has_focus(target):
            self.enter(target)
        if anew:
            # Coming into a field by Tab, and a double click, select what stands in it.
            target.select_text()
        self.page.keyboard.type(text)
        if end:
            self.page.keyboard.press(end)
        self.typed += 1
        self.done.append(f"type {text!r}")

    def key(self, chord: str) -> None:
        """Press a key that means something by itself."""
        self.page.keyboard.press(chord)
        self._count(f"key {chord}")

    def within(self, limit: Cost) -> None:
        """Fail when this cost more than it may."""
        cost = Cost(self.presses, self.typed)
        assert self.presses <= limit.presses, f"{cost} instead of {limit}: {'; '.join(self.done)}"
        assert self.typed <= limit.typed, f"{cost} instead of {limit}: {'; '.join(self.done)}"

    def _count(self, what: str) -> None:
        self.presses += 1
        self.done.append(what)


class Mouse(Hands):
    """Points and clicks."""

    def press(self, target: Locator) -> None:
        """Click."""
        target.wait_for()
        # Before the click, for what is pressed may be gone after it.
        name = _name(target)
        target.click()
        self._count(f"click {name}")

    def choose(self, target: Locator, text: str) -> None:
        """Click, draw and let go: one press, as with any menu."""
        target.select_option(label=text)
        self._count(f"choose {text}")

    def enter(self, target: Locator) -> None:
        """Click into it; that is part of typing its value."""
        target.wait_for()
        target.click()
        self.done.append(f"into {_name(target)}")


class Keyboard(Hands):
    """Never touches a mouse."""

    def press(self, target: Locator) -> None:
        """Go there by Tab and press Enter, or the space bar where only that works."""
        self.enter(target)
        kind = target.evaluate("element => element.type || element.getAttribute('role') || element.localName")
        self.page.keyboard.press("Space" if kind in {"checkbox", "radio", "switch"} else "Enter")
        self._count(f"press {kind}")

    def choose(self, target: Locator, text: str) -> None:
        """Go there by Tab and type the beginning of the choice."""
        self.enter(target)
        self.page.keyboard.type(text)
        assert target.locator("option:checked").inner_text() == text
        self._count(f"choose {text}")

    def enter(self, target: Locator) -> None:
        """Go there by Tab, and by arrows among tabs; where it comes to rest, the focus can be seen."""
        target.wait_for()
        if target.get_attribute("role") == "tab":
            chosen = target.locator("xpath=..").locator(
                "[role=tab][tabindex='0'], [role=tab]:not([tabindex])"
            )
            self._step("Tab", chosen.first)
            self._step("ArrowRight", target)
        else:
            self._step("Tab", target)
        shows, free = target.evaluate(SEEN)
        assert shows, f"The focus on {_name(target)} can't be seen."
        assert free, f"Something lies over {_name(target)} while it has the focus."

    def _step(self, key: str, target: Locator) -> None:
        for _ in range(STEPS_MAX):
            if _has_focus(target):
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"Not reached by {STEPS_MAX} times {key}: {_name(target)}")


def _has_focus(target: Locator) -> bool:
    return bool(target.evaluate("element => element === document.activeElement"))


def _name(target: Locator) -> str:
    return str(
        target.evaluate(
            "element => element.getAttribute('aria-label') || element.textContent.trim().slice(0, 40) || element.name"
        )
    )
