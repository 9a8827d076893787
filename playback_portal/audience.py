"""Who can hear a recording, by what, what else they may do with it, and whether they did.

Who could hear it once and no longer can is told too when they listened: the question
people ask is "who heard this", and not only "who may".

Rules: pure. Each answer comes from `archive.access`, asked with the scope of the person
as it is now; the reasons only say why. Listening counts as the history tells it, folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from archive.access import AccessScope, Right, may, may_play
from archive.catalogue.rights import Hearer, Reason
from archive.model import Recording, UserId
from playback_portal.history import Deed

LISTENERS_COUNT_MAX = 100
"""More names than anybody reads; who has more has a team or a role too large, and is told so."""

PLAYED = frozenset({"recording.played", "recording.downloaded"})


@dataclass(frozen=True)
class Listener:
    """One who can hear it, or did: `reasons` is empty for who no longer can; `times` None is not known."""

    user_id: UserId | None
    name: str
    reasons: tuple[Hearer, ...] = ()
    rights: frozenset[Right] = frozenset()
    times: int | None = 0
    last: datetime | None = None


@dataclass(frozen=True)
class Audience:
    """Everybody of a recording, those who can hear it first; `more` were left out."""

    can: tuple[Listener, ...]
    could: tuple[Listener, ...]
    more: int = 0

    @property
    def programs(self) -> int:
        """How many programs can hear it."""
        return sum(each.user_id is None for each in self.can)

    @property
    def people(self) -> int:
        """How many people can hear it; who was left out counts as one."""
        return len(self.can) + self.more - self.programs


def reaching(
    recording: Recording, hearers: Iterable[Hearer]
) -> dict[tuple[UserId | None, str], list[Hearer]]:
    """Return who has a reason to reach this recording, each with all their reasons, in order."""
    found: dict[tuple[UserId | None, str], list[Hearer]] = {}
    for each in hearers:
        if each.reason is not Reason.TEAM or each.covers(recording.started_at):
            found.setdefault((each.user_id, each.name), []).append(each)
    return found


def of(
    recording: Recording,
    hearers: Sequence[Hearer],
    scopes: Mapping[UserId, AccessScope],
    deeds: Iterable[Deed],
    names: Mapping[str, str],
) -> Audience:
    """Return the audience; `scopes` are those of the people among `hearers`, `names` logins by id."""
    heard: dict[str, list[Deed]] = {}
    for deed in deeds:
        if deed.action in PLAYED and deed.result == "ok" and deed.user_id:
            heard.setdefault(deed.user_id, []).append(deed)
    can: list[Listener] = []
    for (user_id, name), reasons in reaching(recording, hearers).items():
        if user_id is None:
            can.append(Listener(None, name, tuple(reasons), times=None))
            continue
        scope = scopes.get(user_id)
        if scope is not None and may_play(scope, recording):
            allowed = frozenset(right for right in Right if may(scope, right, recording))
            did = heard.pop(user_id, [])
            can.append(Listener(user_id, name, tuple(reasons), allowed, len(did), _last(did)))
    gone = [
        Listener(UserId(user_id), names.get(user_id, ""), times=len(did), last=_last(did))
        for user_id, did in heard.items()
    ]
    shown = can[:LISTENERS_COUNT_MAX]
    return Audience(tuple(shown), tuple(gone[:LISTENERS_COUNT_MAX]), len(can) - len(shown))


def _last(deeds: Iterable[Deed]) -> datetime | None:
    return max((deed.until for deed in deeds), default=None)
