"""Who may see, hear, take away and export a recording: pure rules over a scope.

An `AccessScope` is who asks, with everything the answer depends on; it is made
afresh for each request, so that a right taken away counts at once. Every read of
the catalogue takes one, and its SQL filter says the same as `may_read` (a test
compares the two).

Rules: no I/O, no clock. A right that is not listed here does not exist. Nobody
crosses a tenant, whatever the role; audio that is not kept exists for nobody.

Not here: how a scope is found from a login or key (`archive.catalogue.accounts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archive.model import PLAYABLE_STATES, Recording, RecordingState, Role, TenantId, UserId


class Scope(StrEnum):
    """What an API client may be allowed to do."""

    RECORDINGS_READ = "recordings:read"
    RECORDINGS_PLAY = "recordings:play"
    RECORDINGS_DOWNLOAD = "recordings:download"
    SESSIONS_READ = "sessions:read"
    ADMINISTRATION = "administration"
    CALLS_READ = "calls:read"
    CALLS_CONTROL = "calls:control"
    SETTINGS = "settings"


UNSEEN_STATES = frozenset({RecordingState.UNKEPT, RecordingState.GRACE})
"""A call that nobody kept (yet) can't be found by anyone (invariant I9)."""


@dataclass(frozen=True)
class AccessScope:
    """Who asks.

    `actor` names them in the audit log (`user:<id>`, `api-client:<id>`). People have
    a `role`, a `user_id` and an `access` of `none` or `own`; API clients have
    `scopes` and neither role nor user. A key that acts as a person has both, and may do
    only what both allow. `team_ids` are the teams a person listens to and
    `heard_user_ids` the members of those teams. `downloads` is the switch the
    administrator sets, off by default.
    """

    tenant_id: TenantId
    actor: str
    role: Role | None = None
    user_id: UserId | None = None
    access: str = "none"
    scopes: frozenset[str] = frozenset()
    team_ids: frozenset[str] = frozenset()
    heard_user_ids: frozenset[UserId] = frozenset()
    downloads: bool = False

    def permits(self, scope: Scope) -> bool:
        """Return whether a key, if one is used, allows this; who signed in as a person uses none."""
        return scope in self.scopes or (self.role is not None and not self.scopes)

    @property
    def reads_all(self) -> bool:
        """Whether the scope reaches every recording of its tenant."""
        return self.permits(Scope.RECORDINGS_READ) and self.role in {None, Role.AUDITOR}

    @property
    def reads_quarantine(self) -> bool:
        """Whether the scope reaches recordings nobody owns yet: an administrator assigns or destroys them."""
        return self.reads_all or (self.role is Role.ADMINISTRATOR and self.permits(Scope.RECORDINGS_READ))

    @property
    def owners(self) -> frozenset[UserId]:
        """The people whose recordings the scope reaches, beside `reads_all`."""
        if not self.permits(Scope.RECORDINGS_READ):
            return frozenset()
        own = {self.user_id} if self.user_id is not None and self.access == "own" else set()
        return self.heard_user_ids | own


def may_read(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may know that this recording exists, and all but its audio."""
    if recording.tenant_id != scope.tenant_id or recording.state in UNSEEN_STATES:
        return False
    if recording.state is RecordingState.QUARANTINED:
        return scope.reads_quarantine
    return scope.reads_all or recording.owner in scope.owners


def may_play(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may hear it; only what was verified can be heard (invariant I2)."""
    if not may_read(scope, recording) or recording.state not in PLAYABLE_STATES:
        return False
    return scope.permits(Scope.RECORDINGS_PLAY)


def may_download(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may take the file away; off unless the administrator allowed it."""
    if not may_play(scope, recording):
        return False
    return scope.permits(Scope.RECORDINGS_DOWNLOAD) and (scope.role is None or scope.downloads)


def may_export(scope: AccessScope, recording: Recording) -> bool:
    """Return whether the scope may take it out as evidence: the auditor's right alone, and no key's."""
    return scope.role is Role.AUDITOR and not scope.scopes and may_play(scope, recording)


def may_read_sessions(scope: AccessScope) -> bool:
    """Return whether the scope may see how every offered session of the tenant ended."""
    return scope.permits(Scope.SESSIONS_READ) and scope.role is not Role.USER


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


def _is_own(scope: AccessScope, owner: UserId | None) -> bool:
    return owner is not None and owner == scope.user_id
