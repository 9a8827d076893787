"""Calls of people with licences over months, and what of their minutes each leaves, counted by hand.

The rules are written out here once more and nothing of what is tested is asked: which month a call
belongs to, what a licence allows, what two recordings of one call have in common, second by second.
Months are those with both turns of the clock and the ones after them; calls begin and end around
their borders, and one licence changes at a turn of the clock and again as a month begins.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from tests.counted_calls import EDGES, day_in_amsterdam

CAPS_S = {"7y-1000": 60_000, "7y-3500": 210_000}
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
LICENCES = {
    "anna": [(BEGUN, "7y-1000")],
    "ben": [(BEGUN, "7y-3500")],
    "cor": [
        (BEGUN, "365d"),
        (datetime(2026, 3, 29, 1, tzinfo=UTC), "7y-1000"),
        (datetime(2026, 10, 31, 23, tzinfo=UTC), "90d"),
    ],
}
"""Who has which licence since when."""

MONTHS = {
    date(2026, 3, 1): (datetime(2026, 2, 28, 23, tzinfo=UTC), 743),
    date(2026, 4, 1): (datetime(2026, 3, 31, 22, tzinfo=UTC), 720),
    date(2026, 10, 1): (datetime(2026, 9, 30, 22, tzinfo=UTC), 745),
    date(2026, 11, 1): (datetime(2026, 10, 31, 23, tzinfo=UTC), 720),
}
"""When a month begins in Amsterdam, and how many hours it has: one less and one more as the clock turns."""

LOOKS_AFTER_S = (86_399, 86_400, 1_201_201, 2_082_600, 2_086_200, 2_424_600, 2_428_200)
"""Too early, just not, in the midst, and half an hour before and after each turn of the clock."""

CHECKS = tuple(
    began + timedelta(seconds=after_s)
    for began, hours in MONTHS.values()
    for after_s in (*LOOKS_AFTER_S, hours * 3600 - 1)
)
"""Moments at which somebody looks, those in the last second of a month among them."""


@dataclass(frozen=True)
class Call:
    """One recording: whose, of which call, when in whole seconds, and how long it was paused."""

    number: int
    login: str
    group: str
    began: datetime
    length_s: int
    paused_s: int = 0

    @property
    def ended(self) -> datetime:
        """When it ended."""
        return self.began + timedelta(seconds=self.length_s)

    @property
    def month(self) -> date:
        """The month it belongs to."""
        return day_in_amsterdam(self.began).replace(day=1)


def calls(seed: int) -> list[Call]:
    """Return calls of everybody in each month; of some of them there are two recordings, one beside the other."""
    dice, made = random.Random(seed), list[Call]()

    def add(login: str, group: str, began: datetime, length_s: int, paused_s: int = 0) -> None:
        made.append(Call(len(made), login, group, began, length_s, paused_s))

    for login in LICENCES:
        for began, hours in MONTHS.values():
            for _ in range(12):
                at = began + timedelta(seconds=dice.randrange(hours * 3600))
                length_s, group = (
                    dice.randrange(600, 34_000 if login == "ben" else 11_000),
                    f"call-{len(made)}",
                )
                if dice.random() < 0.3:
                    # Handed on within the call: who hands it on and who takes it is the same person.
                    add(login, group, at, length_s)
                    add(
                        login,
                        group,
                        at + timedelta(seconds=dice.randrange(length_s)),
                        dice.randrange(60, 5000),
                    )
                else:
                    add(login, group, at, length_s, dice.choice((0, 0, dice.randrange(length_s))))
        for edge in EDGES:
            if day_in_amsterdam(edge).replace(day=1) in MONTHS:
                add(login, f"edge-{len(made)}", edge.replace(microsecond=0), dice.randrange(30, 1200))
    # One call over the end of a month, handed on after midnight.
    for began, length_s in ((EDGES[-2], 900), (EDGES[-1] + timedelta(seconds=99), 1200)):
        add("anna", "over the end", began, length_s)
    return made


def licence_at(login: str, moment: datetime) -> str:
    """Return the licence somebody has at a moment."""
    return [licence for since, licence in LICENCES[login] if since <= moment][-1]


class Ledger:
    """What was booked so far, second by second."""

    def __init__(self, above_cap: str) -> None:
        """Take what the organisation decided for calls above the minutes: keep, 90d or stop."""
        self.above_cap = above_cap
        self.used_s: dict[tuple[date, str], int] = defaultdict(int)
        self._seconds: dict[tuple[str, str], set[int]] = defaultdict(set)

    def is_used_up(self, login: str, moment: datetime) -> bool:
        """Return whether the minutes of a month are used up at a moment, by the licence of then."""
        cap_s = CAPS_S.get(licence_at(login, moment))
        month = day_in_amsterdam(moment).replace(day=1)
        return cap_s is not None and self.used_s[month, login] >= cap_s

    def book(self, call: Call) -> tuple[int, bool, str]:
        """Book a recording: return the seconds that count, whether it is above the minutes, and its class."""
        licence = licence_at(call.login, call.began)
        cap_s, place = CAPS_S.get(licence), (call.month, call.login)
        above = cap_s is not None and self.used_s[place] >= cap_s
        first = int(call.began.timestamp())
        seconds = set(range(first, first + call.length_s))
        known = self._seconds[call.login, call.group]
        booked_s = len(seconds - known) - call.paused_s
        known |= seconds
        self.used_s[place] += booked_s
        return booked_s, above, "90d" if above and self.above_cap == "90d" else licence

    def forecast(self, login: str, now: datetime) -> tuple[int | None, date | None]:
        """Return the seconds a month ends with and the day the minutes end, at the pace up to now."""
        month = day_in_amsterdam(now).replace(day=1)
        began, hours = MONTHS[month]
        used_s, passed_s = (
            self.used_s[month, login],
            Fraction((now - began) / timedelta(microseconds=1)) / 10**6,
        )
        if passed_s < 86_400:
            return None, None
        forecast_s = int(used_s * Fraction(hours * 3600) / passed_s)
        cap_s = CAPS_S.get(licence_at(login, began + timedelta(hours=hours, microseconds=-1)))
        if cap_s is None or not 0 < used_s < cap_s:
            return forecast_s, None
        until_s = passed_s * cap_s / used_s
        if until_s >= hours * 3600:
            return forecast_s, None
        return forecast_s, day_in_amsterdam(began + timedelta(seconds=int(until_s)))
