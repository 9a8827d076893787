"""Four eyes: what takes two people, who they may be, and what becomes of a proposal.

    waiting --approve--> approved (carried out)
       |----refuse-----> refused
       |----withdraw---> withdrawn
       +----expire-----> expired

One person proposes and another one approves, and only then is it done. Both signed in as
themselves; a key proposes and approves nothing, for nobody can tell whose hand it is in.
The operator proposes the destruction of keys and the end of a legal duty, and approves nothing:
their second is always somebody of the tenant.

Rules: pure; no I/O, no clock. Not here: how a proposal is kept (`archive.catalogue.proposals`)
and what is done once it is approved (`archive.catalogue.approved`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from archive.access import AccessScope
from archive.audit_chain import Json
from archive.errors import Conflict, Refused
from archive.model import AboveCap, Role, TenantId, TenantPolicy

LIFE = timedelta(days=7)
"""A proposal nobody decides on is over then: what was right last week is asked for anew."""

HELP_LASTS = timedelta(days=7)
"""Who let somebody in anew (a link, a second factor) could be that somebody: for as long as a proposal
lives, neither approves what the other one wants. The true owner notices meanwhile."""

REASON_CHARS_MAX = 1000
OPERATOR = "operator:"
"""How the actor of a command begins; a person is `user:<id>`."""


class Kind(StrEnum):
    """What takes two people, beside the release of a case."""

    EARLY_DESTRUCTION = "early-destruction"
    KEY_DESTRUCTION = "key-destruction"
    POLICY_CHANGE = "policy-change"
    ROLE_GRANT = "role-grant"
    MASS_EXPORT = "mass-export"
    DUTY_END = "duty-end"


class State(StrEnum):
    """What became of a proposal."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Event(StrEnum):
    """What happens to a proposal."""

    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.WAITING, Event.APPROVE): State.APPROVED,
    (State.WAITING, Event.REFUSE): State.REFUSED,
    (State.WAITING, Event.WITHDRAW): State.WITHDRAWN,
    (State.WAITING, Event.EXPIRE): State.EXPIRED,
}
"""Nothing follows on a decision: what was not done is proposed anew."""

PROPOSERS: Final[Mapping[Kind, frozenset[Role]]] = {
    Kind.EARLY_DESTRUCTION: frozenset({Role.ADMINISTRATOR}),
    Kind.KEY_DESTRUCTION: frozenset(),
    Kind.POLICY_CHANGE: frozenset({Role.ADMINISTRATOR}),
    Kind.ROLE_GRANT: frozenset({Role.ADMINISTRATOR}),
    Kind.MASS_EXPORT: frozenset({Role.AUDITOR}),
    Kind.DUTY_END: frozenset(),
}
"""Who proposes; what nobody of the tenant does comes from the operator alone."""

OF_OPERATOR: Final = frozenset({Kind.KEY_DESTRUCTION, Kind.DUTY_END})
"""What only the operator proposes, by a command."""

APPROVERS: Final = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
"""Who is the second person, of everything: with one administrator, it is the auditor."""

POWERFUL: Final = APPROVERS
"""Roles that are given by two people. The administrator's too: who could make administrators alone
would be their own second person."""

_STRICTNESS = {AboveCap.STOP: 0, AboveCap.DAYS_90: 1, AboveCap.KEEP: 2}
"""How much of what is above the minutes is kept, and for how long."""


@dataclass(frozen=True)
class Wanted:
    """What somebody wants done, and why. `subject` is what it is about, in the words of the audit log."""

    kind: Kind
    subject: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Proposal:
    """Something one person wants done, and what became of it; who did is told by their actors.

    `subject` is what it is about (`user:<id>`), `parameters` say what is to be done with it.
    """

    id: str
    tenant_id: TenantId
    kind: Kind
    subject: str
    parameters: Mapping[str, Json]
    reason: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: State = State.WAITING
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def subject_id(self) -> str:
        """The id behind the word of the subject."""
        return self.subject.partition(":")[2]


class ProposedAlready(Conflict):
    """The same is proposed and waits for a second person."""


class NotDecidable(Conflict):
    """The proposal was decided on, or its time is over."""


class NotYours(Refused):
    """It is for another person to decide on this."""


def is_person(scope: AccessScope) -> bool:
    """Return whether somebody signed in as themselves asks, and no key in anybody's name."""
    return scope.role is not None and scope.user_id is not None and not scope.scopes


def may_propose(scope: AccessScope, kind: Kind) -> bool:
    """Return whether the scope may propose such a thing."""
    return is_person(scope) and scope.role in PROPOSERS[kind]


def may_decide(scope: AccessScope) -> bool:
    """Return whether the scope may be the second person of anything."""
    return is_person(scope) and scope.role in APPROVERS


def judge(proposal: Proposal, event: Event, scope: AccessScope, now: datetime) -> State:
    """Return what a proposal becomes by what somebody does.

    Raises NotYours for who may not do it (a withdrawal is the proposer's alone, everything
    else another person's), NotDecidable when it was decided on or is over.
    """
    own = proposal.proposed_by == scope.actor
    if event is Event.WITHDRAW:
        if not (own and is_person(scope)):
            raise NotYours("Only who proposed it withdraws it.")
    elif not may_decide(scope):
        raise NotYours("Deciding on it is for an administrator or auditor who signed in.")
    elif own:
        raise NotYours("Another person than who proposed it decides: a second administrator, or the auditor.")
    if proposal.state is State.WAITING and now >= proposal.expires_at:
        raise NotDecidable("Its time is over: it has to be proposed again.")
    following = TRANSITIONS.get((proposal.state, event))
    if following is None:
        raise NotDecidable(f"It was decided on already: {proposal.state.value}.")
    return following


def require_standing(proposal: Proposal, proposer: Role | None, approver: Role | None) -> None:
    """Raise unless both people still are who may do this, by their roles at this very moment.

    `proposer` is None for somebody who is gone; the operator has no role. Raises
    NotDecidable for the proposer, NotYours for the approver.
    """
    of_operator = proposal.kind in OF_OPERATOR and proposal.proposed_by.startswith(OPERATOR)
    if not of_operator and proposer not in PROPOSERS[proposal.kind]:
        raise NotDecidable("Whoever proposed it has lost the role for it: it can only be refused.")
    if approver not in APPROVERS:
        raise NotYours("Deciding on it is for an administrator or auditor who signed in.")


def require_releasers(asker: Role | None, granter: Role | None) -> None:
    """Raise unless both people may release a case by their roles at this very moment.

    None is somebody who is gone. Raises NotDecidable for who asked, NotYours for who grants.
    """
    if asker not in APPROVERS:
        raise NotDecidable("Whoever asked for the release has lost the role for it: it can only be refused.")
    if granter not in APPROVERS:
        raise NotYours("Granting a release is for an administrator or auditor who signed in.")


def loosens(before: TenantPolicy, after: TenantPolicy) -> bool:
    """Return whether a policy keeps less of what is recorded from then on, or lets more out at once.

    A shorter trash keeps less, too: of what two people let go after it.
    """
    keeps_less = _STRICTNESS[after.above_cap] < _STRICTNESS[before.above_cap]
    keeps_less = keeps_less or after.trash_days < before.trash_days
    return keeps_less or after.exports_alone_max > before.exports_alone_max


def grants_power(before: Role, after: Role) -> bool:
    """Return whether somebody becomes one who decides for others or hears all."""
    return after is not before and after in POWERFUL
