"""Who of a call is recorded, and why: peer to tenant to user to mode and class.

A pure function over a snapshot of the directory, so that an INVITE needs neither
database nor key service. Each step leaves a sentence in the trace; the trace
names rules and ids, and numbers only of calls that may exist.

Not here: exempt numbers (`recorder.srs.exemption`), which come before any of this,
and what the mode then does with the call (`recorder.srs.recording_mode`).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.catalogue.snapshot import Directory, NumberRange
from archive.model import (
    Direction,
    OutcomeKind,
    Peer,
    RecordingMode,
    RetentionClass,
    TenantId,
    User,
)
from archive.numbers import canonical


@dataclass(frozen=True)
class CallParticipant:
    """Somebody of the call; `labels` are the streams they send."""

    number: str
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class CallFacts:
    """What the offer and its metadata say of the call, in one shape for all dialects.

    `caller` and `callee` are numbers or addresses of record, empty when unknown;
    `caller_labels` are the streams in which the caller is heard.
    `recorded_id` is the exchange's own name for the recorded user (BroadWorks userID).
    """

    participants: tuple[CallParticipant, ...] = ()
    caller: str = ""
    callee: str = ""
    caller_labels: tuple[str, ...] = ()
    recorded_id: str | None = None
    recorded_is_caller: bool | None = None
    service_provider_id: str | None = None
    group_id: str | None = None
    tracking_id: str | None = None
    mixed: bool = False

    @property
    def named(self) -> bool:
        """Whether anybody at all was named."""
        return bool(self.participants or self.caller or self.callee or self.recorded_id)


@dataclass(frozen=True)
class RecordedUser:
    """One recording to make: of whom, how, and how long it will be kept.

    `user` is None where the exchange's description could not be read: the tenant's call is
    recorded all the same, and an administrator finds whose it is.
    """

    tenant_id: TenantId
    user: User | None
    mode: RecordingMode
    retention_class: RetentionClass
    direction: Direction


@dataclass(frozen=True)
class Decision:
    """The recordings to make of a call; with none, `kind` and `reason` say why not."""

    tenant_id: TenantId | None
    recorded: tuple[RecordedUser, ...]
    kind: OutcomeKind
    reason: str
    trace: tuple[str, ...]


def decide(directory: Directory, peer: Peer, facts: CallFacts, *, undescribed: bool = False) -> Decision:
    """Return who is recorded of the call `facts` describes, offered by `peer`.

    `undescribed` says that a description came which nobody can read: then nobody being
    known is no reason not to record.
    """
    trace = [f"peer {peer.name}"]
    tenant = directory.tenant_of(peer, facts.service_provider_id, facts.group_id)
    if tenant is None:
        trace.append("no tenant: the peer has none and the exchange named none that is known")
        return Decision(None, (), OutcomeKind.NOBODY_RECORDED, "no tenant for this peer", tuple(trace))
    tenant_id = tenant.id
    trace.append(f"tenant {tenant_id}")
    users = _named_users(directory, tenant_id, facts, trace)
    recorded = tuple(item for item in (_judge(user, users, facts, trace) for user in users) if item)
    if recorded:
        return Decision(tenant_id, recorded, OutcomeKind.RECORDED, "recorded", tuple(trace))
    if users:
        never = all(user.mode is RecordingMode.NEVER for user in users)
        kind = OutcomeKind.MODE_NEVER if never else OutcomeKind.NOBODY_RECORDED
        reason = "the mode of the user is never" if never else "the user has no recording licence"
        return Decision(tenant_id, (), kind, reason, tuple(trace))
    if undescribed:
        trace.append("the description can't be read: recorded for the tenant, of nobody in particular")
        unknown = RecordedUser(tenant_id, None, RecordingMode.ALWAYS, RetentionClass.DAYS_90, Direction.IN)
        return Decision(tenant_id, (unknown,), OutcomeKind.RECORDED, "recorded", tuple(trace))
    reason = (
        "the exchange named a user who is unknown here" if facts.recorded_id else "nobody named is recorded"
    )
    return Decision(tenant_id, (), OutcomeKind.NOBODY_RECORDED, reason, tuple(trace))


def _named_users(
    directory: Directory, tenant_id: TenantId, facts: CallFacts, trace: list[str]
) -> tuple[User, ...]:
    """Find the users of the call: the one the exchange names, or else everyone with a known number."""
    if facts.recorded_id:
        user = directory.user_by_broadworks_id(tenant_id, facts.recorded_id)
        if user:
            trace.append(f"user {user.id} by the exchange's user id")
            return (user,)
        trace.append("the exchange's user id is unknown; trying numbers")
    numbers = [facts.caller, facts.callee, *(item.number for item in facts.participants)]
    if facts.recorded_is_caller is not None:
        numbers = [facts.caller if facts.recorded_is_caller else facts.callee]
    found: dict[str, User] = {}
    for number in filter(None, dict.fromkeys(numbers)):
        user = directory.user_by_number(tenant_id, number)
        if user and user.id not in found:
            found[user.id] = user
            trace.append(f"user {user.id} by number")
    return tuple(found.values())


def _judge(user: User, users: tuple[User, ...], facts: CallFacts, trace: list[str]) -> RecordedUser | None:
    """Return the recording to make of one user, or None when the mode or licence forbids it."""
    if user.mode is RecordingMode.NEVER:
        trace.append(f"user {user.id}: mode never")
        return None
    if user.licence is None:
        trace.append(f"user {user.id}: mode {user.mode}, but no licence")
        return None
    trace.append(f"user {user.id}: mode {user.mode}, class {user.licence}")
    return RecordedUser(user.tenant_id, user, user.mode, user.licence, _direction(user, users, facts))


def _direction(user: User, users: tuple[User, ...], facts: CallFacts) -> Direction:
    """Tell how the call ran, seen from `user`."""
    if len(users) > 1:
        return Direction.INTERNAL
    if facts.recorded_is_caller is not None:
        return Direction.OUT if facts.recorded_is_caller else Direction.IN
    return Direction.OUT if is_of(user, facts.caller) else Direction.IN


def is_of(user: User, number: str) -> bool:
    """Tell whether a number, as the call spells it, is one of the user's own."""
    wanted = canonical(number)
    return bool(wanted) and any(wanted in NumberRange.parse(own) for own in user.numbers)
