"""The query string of the list of recordings: what each parameter means, for the API and the page.

| parameter | means |
|---|---|
| `q` | number, name, note, comment, label or id |
| `user`, `team` | ids |
| `from`, `to`, `within` | start: a time or date, before one, in the last so many days |
| `direction`, `mode` | words of the recording object |
| `minDuration` | seconds |
| `label` | id of a label, or `none` |
| `has` | `pause`, `comment`, `note`, `gap`, `silence`, `share`, `label`, `hold`, `favourite`; several |
| `case` | id of a case the recording is in |
| `sort` | `-start`, `start`, `-duration`, `duration` |

Rules: pure but for the clock given. A saved search is such a query string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from urllib.parse import parse_qsl, urlencode

from archive.catalogue.lexemes import Facet
from archive.catalogue.recordings import RecordingQuery, Sort
from archive.model import Direction, RecordingMode, UserId
from playback_portal.parameters import (
    CALENDAR,
    DURATION_S_MAX,
    Parameters,
    moment,
    search_text,
    whole_number,
    word_of,
)

NAMES = (
    "q",
    "user",
    "team",
    "from",
    "to",
    "within",
    "direction",
    "mode",
    "minDuration",
    "label",
    "has",
    "case",
    "sort",
)
"""In the order in which they stand in an address, so that equal filters have equal addresses."""

LIST = "/recordings"
EVERYTHING = f"sort={Sort.NEWEST.value}"
"""The list without any filter says so: the bare address goes on with an earlier view."""

HOLD, FAVOURITE, NO_LABEL = "hold", "favourite", "none"
HAS = (*(facet.value for facet in Facet), HOLD, FAVOURITE)
PAIRS_MAX = 50
"""More parameters than any list has; each of `has` may stand apart."""

WITHIN_DAYS_MAX = 7 * 366
"""Nothing is kept longer than seven years by itself."""


@dataclass(frozen=True)
class Filters:
    """The filters of an address, one by one as texts, and what they ask for."""

    values: Mapping[str, str]
    query: RecordingQuery

    @property
    def has(self) -> tuple[str, ...]:
        """What the recordings must have."""
        return tuple(self.values.get("has", "").split(",")) if self.values.get("has") else ()

    @property
    def narrows(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(set(self.values) - {"sort"})

    def address(self, path: str = LIST, **changes: str | None) -> str:
        """Return the address of the list with some parameters changed, None taking one away."""
        return address_of({**self.values, **changes}, path)

    def without(self, name: str) -> str:
        """Return the address of the list with one parameter taken away."""
        return address_of({**self.values, name: None})

    def toggled(self, name: str) -> str:
        """Return the address with one of `has` the other way round."""
        kept = [each for each in self.has if each != name]
        return self.address(has=",".join(kept if name in self.has else [*kept, name]))


def address_of(values: Mapping[str, str | None], path: str = LIST) -> str:
    """Return the address of a list with these parameters; what is empty is left out."""
    names = [*NAMES, *(name for name in values if name not in NAMES)]
    query = urlencode([(name, value) for name in names if (value := values.get(name))], safe=",:")
    return f"{path}?{query or EVERYTHING}"


def given(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of a form or address: empty fields left out, several `has` as one."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if not value.strip():
            continue
        found[name] = f"{found[name]},{value}" if name == "has" and name in found else value.strip()
    return found


def of_saved(query: str) -> dict[str, str]:
    """Return the parameters of a saved query string; what lists no longer know is left out."""
    return {name: value for name, value in given(pairs(query)).items() if name in NAMES}


def pairs(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query string in their order."""
    return parse_qsl(query.removeprefix("?"), keep_blank_values=False, max_num_fields=PAIRS_MAX)


def read(parameters: Parameters, *, now: datetime, user_id: UserId | None) -> RecordingQuery:
    """Return what the parameters ask for; what is wrong is told by `parameters.check`."""
    shortest_s = parameters.read("minDuration", whole_number(0, DURATION_S_MAX), None)
    within = parameters.read("within", whole_number(1, WITHIN_DAYS_MAX), None)
    since = parameters.read("from", moment, None)
    has = parameters.read("has", _has, frozenset[str]())
    label = parameters.read("label", search_text, None)
    if within is not None and since is None:
        since = _midnight(now, within)
    return RecordingQuery(
        text=parameters.read("q", search_text, None),
        owner=parameters.read("user", lambda text: UserId(search_text(text)), None),
        team=parameters.read("team", search_text, None),
        since=since,
        until=parameters.read("to", moment, None),
        direction=parameters.read("direction", word_of(Direction), None),
        mode=parameters.read("mode", word_of(RecordingMode), None),
        duration_ms_min=None if shortest_s is None else shortest_s * 1000,
        has=frozenset(Facet(each) for each in has - {HOLD, FAVOURITE}),
        shared_at=now if Facet.SHARE in has else None,
        on_hold=HOLD in has,
        favourite_of=(user_id or UserId("")) if FAVOURITE in has else None,
        label=None if label == NO_LABEL else label,
        unlabelled=label == NO_LABEL,
        case=parameters.read("case", search_text, None),
        sort=parameters.read("sort", word_of(Sort), Sort.NEWEST),
    )


def _has(text: str) -> frozenset[str]:
    wanted = frozenset(text.split(","))
    if not wanted.issubset(HAS):
        raise ValueError(f"It is some of {', '.join(HAS)}, with commas between them.")
    return wanted


def _midnight(now: datetime, days: int) -> datetime:
    """Return when the day began so many days ago, today being one."""
    first = now.astimezone(CALENDAR).date() - timedelta(days=days - 1)
    return datetime.combine(first, time(), CALENDAR)
