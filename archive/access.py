"""Who may see, hear, take away, pass on and export a recording: pure rules over a scope.

An `AccessScope` is who asks, with everything the answer depends on; it is made
afresh for each request, so that a right taken away counts at once. Every read of
the catalogue takes one, and its SQL filter says the same as `may_read` (a test
compares the two).

Who reaches what, beside the tenant's border nobody crosses:

| who | recordings |
|---|---|
| user, contributor | their own, where `access` is `own` |
| listener, manager of a team | of its contributors, those that began while they were in it; and their own |
| administrator | none by the role; those nobody owns yet (quarantine), to assign or destroy them |
| auditor | all of the tenant; changes nothing |
| admitted to a case | what the case holds, whosever it is, until it is released |
| API client | all of the tenant, within its scopes |
| operator | none: an account in the provider's own tenant, which has no calls, and no other scope |

Reaching is reading and playing. To download, e-mail, share or evaluate takes a `Right`
as well: a person's own setting decides, else one of the teams by which they reach the
recording; none of it is on by default.

Rules: no I/O, no clock. A right that is not listed here does not exist. Audio that is
not kept exists for nobody.

Not here: how a scope is found from a login or key (`archive.catalogue.accounts`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache

from archive.model import (
    PLAYABLE_STATES,
    CaseRecording,
    Recording,
    RecordingState,
    Role,
    TenantId,
    UserId,
)


class Scope(StrEnum):
    """What an API client may be allowed to do."""

    RECORDINGS_READ = "recordings:read"
    RECORDINGS_PLAY = "recordings:play"
    RECORDINGS_DOWNLOAD = "recordings:download"
    RECORDINGS_ANNOTATE = "recordings:annotate"
    RECORDINGS_EMAIL = "recordings:email"
    RECORDINGS_SHARE = "recordings:share"
    RECORDINGS_EVALUATE = "recordings:evaluate"
    SESSIONS_READ = "sessions:read"
    AUDIT_READ = "audit:read"
    ADMINISTRATION = "administration"
    CALLS_READ = "calls:read"
    CALLS_CONTROL = "calls:control"
    SETTINGS = "settings"
    EVIDENCE = "evidence"
    HOLDS = "holds"
    DATA_SUBJECTS = "data-subjects"
    APPROVALS = "approvals"
    REPORTS_READ = "reports:read"
    OPERATION = "operation"


CLIENT_SCOPES = tuple(scope for scope in Scope if scope is not Scope.OPERATION)
"""What a program of a customer may be allowed; operation is for operators, and keys that act as one."""


class Right(StrEnum):
    """What the administrator allows a person or the members of a team, beside hearing; off by default."""

    DOWNLOAD = "download"
    EMAIL = "email"
    SHARE = "share"
    EVALUATE = "evaluate"


NO_RIGHTS: frozenset[Right] = frozenset()

_SCOPE_OF = {
    Right.DOWNLOAD: Scope.RECORDINGS_DOWNLOAD,
    Right.EMAIL: Scope.RECORDINGS_EMAIL,
    Right.SHARE: Scope.RECORDINGS_SHARE,
    Right.EVALUATE: Scope.RECORDINGS_EVALUATE,
}

_CHANGES = frozenset(
    {Scope.RECORDINGS_ANNOTATE, Scope.RECORDINGS_EMAIL, Scope.RECORDINGS_SHARE, Scope.RECORDINGS_EVALUATE}
)
"""What leaves something behind, which an auditor never does."""

_DENIED = {
    Role.USER: frozenset(
        {
            Scope.ADMINISTRATION,
            Scope.SESSIONS_READ,
            Scope.AUDIT_READ,
            Scope.EVIDENCE,
            Scope.HOLDS,
            Scope.DATA_SUBJECTS,
            Scope.APPROVALS,
            Scope.OPERATION,
        }
    ),
    Role.ADMINISTRATOR: frozenset({Scope.EVIDENCE, Scope.OPERATION}),
    Role.AUDITOR: frozenset({Scope.ADMINISTRATION, Scope.OPERATION}) | _CHANGES,
    # Of an operator's own there are the password and the second factor, behind the settings.
    Role.OPERATOR: frozenset(Scope) - {Scope.OPERATION, Scope.SETTINGS},
}

UNSEEN_STATES = frozenset({RecordingState.UNKEPT, RecordingState.GRACE})
"""A call that nobody kept (yet) can't be found by anyone (invariant I9)."""


@cache
def scopes_of(role: Role) -> frozenset[Scope]:
    """Return what a person who signed in may ask for at all; the rules below say of which recordings."""
    return frozenset(Scope) - _DENIED[role]


@dataclass(frozen=True)
class Hearing:
    """Somebody whose recordings are heard by way of a team: those that began in `[since, until)`.

    None is no bound: `until` while they contribute, `since` where the team hears earlier
    ones too. `rights` are what the team allows its members.
    """

    user_id: UserId
    team_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    rights: frozenset[Right] = NO_RIGHTS

    def covers(self, recording: Recording) -> bool:
        """Return whether this recording is one of them."""
        began = recording.started_at
        return (
            recording.owner == self.user_id
            and (self.since is None or began >= self.since)
            and (self.until is None or began < self.until)
        )


@dataclass(frozen=True)
class AccessScope:
    """Who asks.

    `actor` names them in the audit log (`user:<id>`, `api-client:<id>`). People have
    a `role`, a `user_id` and an `access` of `none` or `own`; API clients have
    `scopes` and neither role nor user. A key that acts as a person has both, and may do
    only what both allow; who signed in as a person has no `scopes`.

    `team_ids` are the teams a person listens to now, `managed_team_ids` those of them they
    manage, `heard` whom they hear there and from when to when. `granted` and `denied` are
    the person's own settings of rights, `own_rights` what their teams allow them with
    their own recordings. With `asks_purpose` the tenant wants to know why a recording of
    somebody else is opened.
    """

    tenant_id: TenantId
    actor: str
    role: Role | None = None
    user_id: UserId | None = None
    access: str = "none"
    scopes: frozenset[str] = frozenset()
    team_ids: frozenset[str] = frozenset()
    managed_team_ids: frozenset[str] = frozenset()
    heard: frozenset[Hearing] = frozenset()
    granted: frozenset[Right] = NO_RIGHTS
    denied: frozenset[Right] = NO_RIGHTS
    own_rights: frozenset[Right] = NO_RIGHTS
    asks_purpose: bool = False
    case_ids: frozenset[str] = frozenset()

    def permits(self, scope: Scope) -> bool:
        """Return whether the key, or else the role of who signed in, allows this at all.

        An operator's key allows no more than the operator, who reaches no recording; and whatever
        else a key says, nobody but an operator operates.
        """
        if self.role is Role.OPERATOR and scope in _DENIED[Role.OPERATOR]:
            return False
        if self.role is not Role.OPERATOR and scope is Scope.OPERATION:
            return False
        if self.scopes or self.role is None:
            return scope in self.scopes
        return scope in scopes_of(self.role)

    @property
    def reads_all(self) -> bool:
        """Whether the scope reaches every recording of its tenant."""
        return self.permits(Scope.RECORDINGS_READ) and self.role in {None, Role.AUDITOR}

    @property
    def reads_quarantine(self) -> bool:
        """Whether the scope reaches recordings nobody owns yet: an administrator assigns or destroys them."""
        return self.reads_all or (self.role is Role.ADMINISTRATOR and self.permits(Scope.RECORDINGS_READ))

    @property
    def own(self) -> UserId | None:
        """Whose recordings are reached as one's own; a listener who is recorded hears their own too."""
        if self.permits(Scope.RECORDINGS_READ) and (self.access == "own" or self.team_ids):
            return self.user_id
        return None

    @property
    def hearings(self) -> frozenset[Hearing]:
        """Whose recordings are reached by way of teams, and from when to when."""
        return self.heard if self.permits(Scope.RECORDINGS_READ) else frozenset()

    @property
    def heard_case_ids(self) -> frozenset[str]:
        """The cases whose recordings are reached by an admission."""
        return self.case_ids if self.permits(Scope.RECORDINGS_READ) else frozenset()

    @property
    def heard_user_ids(self) -> frozenset[UserId]:
        """The people who contribute now to a team the scope listens to."""
        return frozenset(each.user_id for each in self.heard if each.until is None)


def may_read(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may know that this recording exists, and all but its audio."""
    if recording.tenant_id != scope.tenant_id or recording.state in UNSEEN_STATES:
        return False
    if recording.state is RecordingState.QUARANTINED:
        return scope.reads_quarantine
    own = recording.owner is not None and recording.owner == scope.own
    heard = any(each.covers(recording) for each in scope.hearings)
    return scope.reads_all or own or heard or _by_case(scope, recording)


def may_play(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may hear it; only what was verified can be heard (invariant I2)."""
    if not may_read(scope, recording) or recording.state not in PLAYABLE_STATES:
        return False
    return scope.permits(Scope.RECORDINGS_PLAY)


def may(scope: AccessScope, right: Right, recording: Recording) -> bool:
    """Return whether the scope may do this with a recording it may hear; off unless somebody allowed it.

    What the administrator set for the person decides; else a team by which they reach it.
    """
    needed = _SCOPE_OF[right]
    if not may_play(scope, recording) or not scope.permits(needed):
        return False
    if scope.role is Role.AUDITOR and needed in _CHANGES:
        return False
    if scope.role is None:
        return True
    if right in scope.granted or right in scope.denied:
        return right not in scope.denied
    if recording.owner is not None and recording.owner == scope.own and right in scope.own_rights:
        return True
    return any(right in each.rights and each.covers(recording) for each in scope.hearings)


def may_download(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may take the file away."""
    return may(scope, Right.DOWNLOAD, recording)


def may_email(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may send it by mail."""
    return may(scope, Right.EMAIL, recording)


def may_share(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may make a play link to it."""
    return may(scope, Right.SHARE, recording)


def evaluating(scope: AccessScope) -> AccessScope | None:
    """Return the scope narrowed to the recordings it may evaluate, None where there can be none.

    Nobody evaluates themselves, and who is admitted to a case hears what it holds for that case alone.
    """
    if scope.role is Role.AUDITOR or not scope.permits(Scope.RECORDINGS_EVALUATE):
        return None
    if scope.role is None:
        return scope
    if Right.EVALUATE in scope.denied:
        return None
    heard = frozenset(
        each
        for each in scope.heard
        if each.user_id != scope.user_id
        and (Right.EVALUATE in scope.granted or Right.EVALUATE in each.rights)
    )
    narrowed = replace(scope, access="none", team_ids=frozenset(), case_ids=frozenset(), heard=heard)
    return narrowed if heard else None


def may_evaluate(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may evaluate it: who hears it by way of a team, and has the right."""
    narrowed = evaluating(scope)
    return narrowed is not None and recording.owner is not None and may_play(narrowed, recording)


def may_read_evaluation(
    scope: AccessScope, recording: Recording, evaluator: str, *, is_released: bool
) -> bool:
    """Return whether the scope may see an evaluation of a recording.

    Before it is released that is who made it alone; then whom it is about, who may evaluate
    the recording too, and auditors. Hearing a colleague is no reason to know how they did.
    """
    if not may_read(scope, recording):
        return False
    if evaluator == scope.actor:
        return True
    about = recording.owner is not None and recording.owner == scope.user_id
    return is_released and (about or scope.role is Role.AUDITOR or may_evaluate(scope, recording))


def may_make_forms(scope: AccessScope) -> bool:
    """Return whether the scope may make and change evaluation forms: administrators, managers of a team.

    A key needs the scopes of both administration and evaluating.
    """
    if not scope.permits(Scope.RECORDINGS_EVALUATE):
        return False
    return may_administer(scope) or (scope.role is Role.USER and bool(scope.managed_team_ids))


def may_annotate(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may comment on it, note and label: who hears it, but no auditor."""
    return (
        scope.role is not Role.AUDITOR
        and scope.permits(Scope.RECORDINGS_ANNOTATE)
        and may_play(scope, recording)
    )


def may_change_comment(scope: AccessScope, recording: Recording, author: str) -> bool:
    """Return whether the scope may change or delete a comment: its author alone, while they hear the call."""
    return may_annotate(scope, recording) and author == scope.actor


def may_make_labels(scope: AccessScope) -> bool:
    """Return whether the scope may add labels to those of the tenant: whoever may use them anywhere.

    Changing one that others use is administration.
    """
    return scope.role is not Role.AUDITOR and scope.permits(Scope.RECORDINGS_ANNOTATE)


def needs_purpose(scope: AccessScope, recording: Recording) -> bool:
    """Return whether it takes a purpose to open it: where the tenant wants one, for all but one's own."""
    own = recording.owner is not None and recording.owner == scope.user_id
    return scope.asks_purpose and not own


def may_export(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may take it out as evidence: the auditor's right alone, and no key's."""
    return may_take_evidence(scope) and may_play(scope, recording)


def may_take_evidence(scope: AccessScope) -> bool:
    """Return whether the scope may ask for and fetch packages: an auditor who signed in, and no key."""
    return scope.role is Role.AUDITOR and not scope.scopes


def may_hold(scope: AccessScope) -> bool:
    """Return whether the scope may put recordings of its tenant under legal hold, those too it may not hear.

    A hold keeps and shows nothing, so that an administrator need not reach a recording for it.
    """
    return scope.permits(Scope.HOLDS) and scope.role is not Role.USER


def may_release(scope: AccessScope) -> bool:
    """Return whether the scope may ask for the end of a hold or grant it: a person who signed in, no key."""
    return may_hold(scope) and scope.role is not None and scope.user_id is not None and not scope.scopes


def may_handle_requests(scope: AccessScope) -> bool:
    """Return whether the scope may keep the books of requests of data subjects; it opens no recording."""
    return scope.permits(Scope.DATA_SUBJECTS) and scope.role is not Role.USER


def may_find_data_subject(scope: AccessScope) -> bool:
    """Return whether the scope may look for a data subject's calls: who handles requests and sees all."""
    return may_handle_requests(scope) and scope.reads_all


def may_admit(scope: AccessScope) -> bool:
    """Return whether the scope may say who hears what a case holds: an auditor who signed in, and no key.

    An administrator who could would let anybody hear anything by holding it first.
    """
    return scope.role is Role.AUDITOR and may_release(scope)


def may_read_sessions(scope: AccessScope) -> bool:
    """Return whether the scope may see how every offered session of the tenant ended."""
    return scope.permits(Scope.SESSIONS_READ) and scope.role is not Role.USER


def may_operate(scope: AccessScope) -> bool:
    """Return whether the scope may see how the instance runs, and of its tenants counts and outcomes."""
    return scope.role is Role.OPERATOR and scope.permits(Scope.OPERATION)


def may_read_audit(scope: AccessScope) -> bool:
    """Return whether the scope may read the tenant's audit log, of everybody and everything."""
    return scope.permits(Scope.AUDIT_READ) and scope.role is not Role.USER


@dataclass(frozen=True)
class Reach:
    """Whose figures somebody sees: everybody's, those of a team at the time, or one person's own."""

    tenant_id: TenantId
    team_id: str | None = None
    user_id: UserId | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole tenant."""
        return self.team_id is None and self.user_id is None


def report_reach(scope: AccessScope, team_id: str | None) -> Reach | None:
    """Return whose figures a report shows, None where who asks may not see them.

    Administrators, auditors and keys see numbers of everybody, and hear nobody by them; who
    manages a team sees its numbers; everybody sees their own.
    """
    if not scope.permits(Scope.REPORTS_READ):
        return None
    if scope.role is not Role.USER or (team_id is not None and team_id in scope.managed_team_ids):
        return Reach(scope.tenant_id, team_id)
    return (
        None if team_id is not None or scope.user_id is None else Reach(scope.tenant_id, None, scope.user_id)
    )


def may_administer(scope: AccessScope) -> bool:
    """Return whether the scope may change people, teams, peers and settings of the tenant."""
    return scope.permits(Scope.ADMINISTRATION) and scope.role in {None, Role.ADMINISTRATOR}


def may_see_call(scope: AccessScope, owner: UserId | None, state: RecordingState) -> bool:
    """Return whether the scope may know of a recording under way in its tenant.

    One that is not kept (yet) is known to its owner, who must decide, and to API clients
    only. `access` does not matter: it is about hearing recordings, not about being recorded.
    """
    if not scope.permits(Scope.CALLS_READ):
        return False
    if scope.role is None or _is_own(scope, owner):
        return True
    if state in UNSEEN_STATES:
        return False
    return scope.role is not Role.USER or owner in scope.heard_user_ids


def may_command(scope: AccessScope, owner: UserId | None) -> bool:
    """Return whether the scope may start, stop, pause, resume or keep a recording under way in its tenant."""
    return scope.permits(Scope.CALLS_CONTROL) and (scope.role is None or _is_own(scope, owner))


def may_change_own_settings(scope: AccessScope) -> bool:
    """Return whether the scope is a person's, who may see and change how they themselves are recorded."""
    return scope.user_id is not None and scope.permits(Scope.SETTINGS)


def _by_case(scope: AccessScope, recording: Recording) -> bool:
    """Return whether a case holds the recording that the scope was admitted to."""
    return isinstance(recording, CaseRecording) and not scope.heard_case_ids.isdisjoint(recording.case_ids)


def _is_own(scope: AccessScope, owner: UserId | None) -> bool:
    return owner is not None and owner == scope.user_id
