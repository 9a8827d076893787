"""Who of a call is recorded, and why: peer to tenant to user to mode and class.

A pure function over a snapshot of the directory, so that an INVITE needs neither
database nor key service. Each step leaves a sentence in the trace; the trace
names rules and ids, and numbers only of calls that may exist.

It stands in the archive because two sides ask it: the recorder for each call, the
portal for "what if". Not here: exempt numbers in messages (`recorder.srs.exemption`),
which come before any of this, and what the mode then does with the call
(`recorder.srs.recording_mode`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from archive.allowance import cap_s, month_of
from archive.catalogue.snapshot import Directory, NumberRange, address_of
from archive.model import (
    AboveCap,
    Direction,
    OutcomeKind,
    Peer,
    RecordingMode,
    RetentionClass,
    Tenant,
    TenantId,
    User,
    UserId,
)

NEVER = "the mode of the user is never"
NO_GROUNDS = "nobody wrote down why this organisation records: administrators do that in Settings"
ENDS_OF_A_CALL = 2


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
    links: tuple[str, ...] = ()
    """The exchange's names for the call, by which its other recording sessions are found."""
    mixed: bool = False

    @property
    def named(self) -> bool:
        """Whether anybody at all was named."""
        return bool(self.participants or self.caller or self.callee or self.recorded_id)


@dataclass(frozen=True)
class RecordedUser:
    """One recording to make: of whom, how, and how long it will be kept.

    `user` is None where the exchange's description could not be read: the tenant's call is
    recorded all the same, and an administrator finds whose it is. So it is where the
    exchange named a user nobody here knows; then it is `quarantined` until that was done.
    """

    tenant_id: TenantId
    user: User | None
    mode: RecordingMode
    retention_class: RetentionClass
    direction: Direction
    quarantined: bool = False
    keep_grace_h: int = 0
    keep_next_until: datetime | None = None
    """Set where the user asked to keep the next on-demand call, and this is it."""


@dataclass(frozen=True)
class Decision:
    """The recordings to make of a call; with none, `kind` and `reason` say why not."""

    tenant_id: TenantId | None
    recorded: tuple[RecordedUser, ...]
    kind: OutcomeKind
    reason: str
    trace: tuple[str, ...]
    barred: bool = False
    """Somebody of the call is on a do-not-record list: the tenant's, or that of a user of the call."""


def decide(
    directory: Directory, peer: Peer, facts: CallFacts, at: datetime, *, undescribed: bool = False
) -> Decision:
    """Return who is recorded of the call `facts` describes, offered by `peer` at the moment `at`.

    `undescribed` says that a description came which nobody can read: then nobody being
    known is no reason not to record.
    """
    trace = [f"peer {peer.name}"]
    tenant = directory.tenant_of(peer, facts.service_provider_id, facts.group_id)
    if tenant is None:
        trace.append("no tenant: the peer has none and the exchange named none that is known")
        return Decision(None, (), OutcomeKind.NOBODY_RECORDED, "no tenant for this peer", tuple(trace))
    trace.append(f"tenant {tenant.id}")
    barred = directory.barred(tenant.id, numbers_present(facts))
    if barred is not None:
        trace.append(f"a party is on the do-not-record list: {barred}")
        return _barred(tenant.id, facts, barred, trace)
    users = _named_users(directory, tenant.id, facts, trace)
    barred = barred_for(directory, (user.id for user in users), facts, trace)
    if barred is not None:
        return _barred(tenant.id, facts, barred, trace)
    if not users:
        return _decide_unnamed(directory, tenant, facts, trace, undescribed=undescribed)
    verdicts = [_judge(user, tenant, at, trace) for user in users]
    recorded = tuple(
        _of_user(user, user.licence, tenant, _direction(user, users, facts), at)
        for user, refusal in zip(users, verdicts, strict=True)
        if refusal is None and user.licence is not None
    )
    if recorded:
        return Decision(tenant.id, recorded, OutcomeKind.RECORDED, "recorded", tuple(trace))
    never = all(user.mode is RecordingMode.NEVER for user in users)
    kind = OutcomeKind.MODE_NEVER if never else OutcomeKind.NOBODY_RECORDED
    # What speaks against the user who would be recorded says more than another's mode never.
    reason = next(text for text in (*verdicts, NEVER) if text and (never or text != NEVER))
    return Decision(tenant.id, (), kind, reason, tuple(trace))


def barred_for(
    directory: Directory, user_ids: Iterable[UserId], facts: CallFacts, trace: list[str] | None = None
) -> str | None:
    """Return why one of these people has no call with who is on it recorded; None when it may be.

    What one of them excluded is recorded for none of them: they hear the same sound.
    """
    numbers = numbers_present(facts)
    for user_id in user_ids:
        reason = directory.barred_for(user_id, numbers)
        if reason is not None:
            if trace is not None:
                trace.append(f"user {user_id}: a party is on their do-not-record list: {reason}")
            return reason
    return None


def _barred(tenant_id: TenantId, facts: CallFacts, barred: str, trace: list[str]) -> Decision:
    trace.append(f"parties: {', '.join(_numbers(facts))}")
    reason = f"a party is on the do-not-record list: {barred}"
    return Decision(tenant_id, (), OutcomeKind.NOBODY_RECORDED, reason, tuple(trace), barred=True)


def _decide_unnamed(
    directory: Directory, tenant: Tenant, facts: CallFacts, trace: list[str], *, undescribed: bool
) -> Decision:
    """Decide on a call of which no user is known: most are nobody's business, some must not be lost.

    Where nobody switched recording on and nobody wrote down why, nothing is recorded unasked either.
    """
    if (facts.recorded_id or undescribed) and not directory.is_switched_on(tenant.id):
        trace.append(NO_GROUNDS)
        return Decision(tenant.id, (), OutcomeKind.NOBODY_RECORDED, NO_GROUNDS, tuple(trace))
    if facts.recorded_id:
        trace.append("the exchange named a user who is unknown here: recorded for the quarantine")
        unknown = _of_nobody(tenant.id, quarantined=True)
        return Decision(tenant.id, (unknown,), OutcomeKind.RECORDED, "recorded", tuple(trace))
    if undescribed:
        trace.append("the description can't be read: recorded for the tenant, of nobody in particular")
        return Decision(tenant.id, (_of_nobody(tenant.id),), OutcomeKind.RECORDED, "recorded", tuple(trace))
    return Decision(tenant.id, (), OutcomeKind.NOBODY_RECORDED, "nobody named is recorded", tuple(trace))


def _of_user(
    user: User, licence: RetentionClass, tenant: Tenant, direction: Direction, at: datetime
) -> RecordedUser:
    on_demand = user.mode is RecordingMode.ON_DEMAND
    promised = user.keep_next_until if user.keep_next_until and at < user.keep_next_until else None
    return RecordedUser(
        tenant.id,
        user,
        user.mode,
        licence,
        direction,
        keep_grace_h=tenant.policy.keep_grace_h if on_demand else 0,
        keep_next_until=promised if on_demand else None,
    )


def _of_nobody(tenant_id: TenantId, *, quarantined: bool = False) -> RecordedUser:
    return RecordedUser(
        tenant_id, None, RecordingMode.ALWAYS, RetentionClass.DAYS_90, Direction.IN, quarantined
    )


def _numbers(facts: CallFacts) -> tuple[str, ...]:
    """Return every number of the call, once."""
    numbers = [facts.caller, facts.callee, *(item.number for item in facts.participants)]
    return tuple(filter(None, dict.fromkeys(numbers)))


def numbers_present(facts: CallFacts) -> tuple[str, ...]:
    """Return the numbers of who is on the call now; who called whom at first may have left since."""
    named = tuple(dict.fromkeys(item.number for item in facts.participants if item.number))
    return named if len(named) >= ENDS_OF_A_CALL else _numbers(facts)


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
    numbers = _numbers(facts)
    if facts.recorded_is_caller is not None:
        numbers = (facts.caller if facts.recorded_is_caller else facts.callee,)
    found: dict[str, User] = {}
    for number in filter(None, numbers):
        user = directory.user_by_number(tenant_id, number)
        if user and user.id not in found:
            found[user.id] = user
            trace.append(f"user {user.id} by number")
    return tuple(found.values())


def _judge(user: User, tenant: Tenant, at: datetime, trace: list[str]) -> str | None:
    """Return why a user is not recorded, or None: mode and licence allow it."""
    if user.mode is RecordingMode.NEVER:
        trace.append(f"user {user.id}: mode never")
        return NEVER
    if user.licence is None:
        trace.append(f"user {user.id}: mode {user.mode}, but no licence")
        return "the user has no recording licence"
    if tenant.policy.above_cap is AboveCap.STOP and is_above_cap(user, at):
        trace.append(f"user {user.id}: the minutes of the month are used up, and the policy is to stop")
        return "the minutes of the month are used up, and the tenant's policy is to stop"
    trace.append(f"user {user.id}: mode {user.mode}, class {user.licence}")
    return None


def is_above_cap(user: User, at: datetime) -> bool:
    """Tell whether a user has no minutes left in the month of `at`, by what was booked so far."""
    cap = cap_s(user.licence)
    return cap is not None and user.booked_month == month_of(at) and user.booked_s >= cap


def _direction(user: User, users: tuple[User, ...], facts: CallFacts) -> Direction:
    """Tell how the call ran, seen from `user`."""
    if len(users) > 1:
        return Direction.INTERNAL
    if facts.recorded_is_caller is not None:
        return Direction.OUT if facts.recorded_is_caller else Direction.IN
    return Direction.OUT if is_of(user, facts.caller) else Direction.IN


def is_of(user: User, number: str) -> bool:
    """Tell whether a number, as the call spells it, is one of the user's own."""
    wanted = address_of(number)
    return bool(wanted) and any(wanted in NumberRange.held(own) for own in user.numbers)
