"""What two people agreed on, done: in the transaction in which the second one approves.

A role is given, a policy changed and an export asked for here and now. A recording goes into
the trash (`archive.catalogue.trash`): when its window is over it counts as over, for as long as
APPROVAL_LASTS, and a hold that comes before the sweep still keeps it. Of keys the approval itself
is what the sweep asks for.

Rules: raises what stands against it, and then nothing was approved either. What was right
when it was proposed is looked at again. Not here: who may approve (`archive.approval`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from archive.access import UNSEEN_STATES
from archive.approval import Kind, NotDecidable, Proposal
from archive.audit_chain import Json
from archive.catalogue import (
    directory,
    early,
    exports,
    identities,
    legal_duties,
    policies,
    store_holds,
    trash,
)
from archive.catalogue.engine import Connection
from archive.catalogue.exports import Container, Order
from archive.catalogue.identities import Account
from archive.catalogue.tables import recordings, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    KEPT_STATES,
    PLAYABLE_STATES,
    AboveCap,
    RecordingId,
    RetentionClass,
    Role,
    TenantId,
    UserId,
)


@dataclass(frozen=True)
class Effect:
    """What was done, as the audit log tells it: the action, its object and what changed."""

    action: str
    object: str
    told: Mapping[str, Json]


def carry_out(connection: Connection, proposal: Proposal, *, now: datetime) -> Effect:
    """Do what was approved; raises Conflict, Refused or NotFound for what stands against it now."""
    return _EFFECTS[proposal.kind](connection, proposal, now)


def require_destroyable(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> None:
    """Raise unless a recording can go before its term: NotFound, or Conflict with what keeps it.

    Under the lock of its row, which is the lock a hold and the sweep take too.
    """
    columns = recordings.c
    statement = (
        select(columns.state, columns.on_hold, columns.store_hold, columns.retention_class)
        .where(columns.tenant_id == tenant_id, columns.id == recording_id)
        .where(columns.state.not_in(sorted(UNSEEN_STATES)))
        .with_for_update()
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such recording.")
    if row.on_hold or row.store_hold != store_holds.NONE:
        raise Conflict("A legal hold keeps this recording: it can't be destroyed.")
    if RetentionClass(row.retention_class) in legal_duties.classes_within(connection, tenant_id):
        raise Conflict("A registered legal duty keeps recordings of this class until their term ends.")
    if row.state not in KEPT_STATES:
        raise Conflict("The recording is not archived (any more): there is nothing to destroy early.")


@dataclass(frozen=True)
class UnderKey:
    """How many recordings hang from the keys of a day, and how many of them a hold or a duty keeps."""

    all: int
    held: int
    by_duty: int


def under_key(connection: Connection, tenant_id: TenantId, day: str, before: datetime) -> UnderKey:
    """Return what hangs from the keys of a tenant and day, as far as it began before a moment."""
    columns, kept = recordings.c, legal_duties.classes_within(connection, tenant_id)
    statement = select(
        func.count().label("all"),
        func.count().filter(columns.on_hold | (columns.store_hold != store_holds.NONE)).label("held"),
        func.count().filter(columns.retention_class.in_(sorted(kept))).label("by_duty"),
    ).where(
        columns.tenant_id == tenant_id,
        columns.kek_id.like(f"{tenant_id}/{day}/%"),
        columns.started_at <= before,
    )
    row = connection.execute(statement).one()
    return UnderKey(row.all, row.held, row.by_duty)


def parameters_of(order: Order) -> dict[str, Json]:
    """Return an export as a proposal names it; to whom it is told is asked for when it is made."""
    return {
        "reference": order.reference,
        "purpose": order.purpose,
        "recordingIds": list[Json](dict.fromkeys(order.recording_ids)),
        "container": order.container.value,
        "language": order.language,
        "caseId": order.case_id,
        "leftOut": order.left_out,
    }


def _destroy_recording(connection: Connection, proposal: Proposal, now: datetime) -> Effect:
    require_destroyable(connection, proposal.tenant_id, RecordingId(proposal.subject_id))
    until = trash.put(connection, proposal, now=now)
    return Effect("recording.trashed", proposal.subject, {"until": until.isoformat(timespec="seconds")})


def _destroy_key(connection: Connection, proposal: Proposal, _now: datetime) -> Effect:
    day = str(proposal.parameters["day"])
    counted = under_key(connection, proposal.tenant_id, day, proposal.proposed_at)
    if counted.held:
        raise Conflict(f"{counted.held} recordings under these keys are on hold: they can't be destroyed.")
    if counted.by_duty:
        raise Conflict(f"A legal duty keeps {counted.by_duty} recordings under these keys until their term.")
    early.condemn(connection, proposal.tenant_id, proposal.id, day, proposal.proposed_at)
    return Effect("key.destruction-approved", proposal.subject, {"recordings": counted.all})


def _change_policy(connection: Connection, proposal: Proposal, _now: datetime) -> Effect:
    given = proposal.parameters
    before = policies.locked(connection, proposal.tenant_id)
    named = ("keepGraceHours", "exportsAloneMax", "purposeRequired", "trashDays", "idleMinutes")
    grace_h, alone, purpose, trash_days, idle_minutes = (given.get(name) for name in named)
    policies.set_within(
        connection,
        proposal.tenant_id,
        keep_grace_h=grace_h if isinstance(grace_h, int) else None,
        above_cap=AboveCap(str(given["aboveCap"])) if "aboveCap" in given else None,
        purpose_required=purpose if isinstance(purpose, bool) else None,
        exports_alone_max=alone if isinstance(alone, int) else None,
        trash_days=trash_days if isinstance(trash_days, int) else None,
        idle_minutes=idle_minutes if isinstance(idle_minutes, int) else None,
    )
    was: dict[str, Json] = {
        "keepGraceHours": before.keep_grace_h,
        "aboveCap": before.above_cap.value,
        "purposeRequired": before.purpose_required,
        "exportsAloneMax": before.exports_alone_max,
        "trashDays": before.trash_days,
        "idleMinutes": before.idle_minutes,
    }
    changed: dict[str, Json] = {name: {"from": was[name], "to": given[name]} for name in given}
    return Effect("policy.changed", "policy", {"changed": changed})


def _grant_role(connection: Connection, proposal: Proposal, now: datetime) -> Effect:
    columns = users.c
    login = connection.execute(
        select(columns.login).where(
            columns.tenant_id == proposal.tenant_id, columns.id == UserId(proposal.subject_id)
        )
    ).scalar()
    if login is None:
        raise NotDecidable("This person is not there any more.")
    role = Role(str(proposal.parameters["role"]))
    directory.update_user(connection, proposal.tenant_id, login, now=now, role=role)
    return Effect("user.changed", proposal.subject, {"changed": {"role": {"to": role.value}}})


def _export(connection: Connection, proposal: Proposal, now: datetime) -> Effect:
    given = proposal.parameters
    named = given["recordingIds"]
    if not isinstance(named, list):
        raise Refused("An export names its recordings.")
    ids = [RecordingId(str(each)) for each in named]
    there = select(func.count()).where(
        recordings.c.tenant_id == proposal.tenant_id,
        recordings.c.id.in_(ids),
        recordings.c.state.in_(sorted(PLAYABLE_STATES)),
    )
    if connection.execute(there).scalar_one() != len(set(ids)):
        raise NotDecidable("Some of these recordings are gone: the export has to be asked for anew.")
    user_id = UserId(proposal.proposed_by.removeprefix("user:"))
    case_id, left_out = given.get("caseId"), given.get("leftOut")
    order = Order(
        tuple(ids),
        str(given["reference"]),
        str(given["purpose"]),
        Container(str(given["container"])),
        str(given["language"]),
        None if case_id is None else str(case_id),
        left_out if isinstance(left_out, int) else 0,
        identities.email_of(connection, Account(proposal.tenant_id, user_id)),
    )
    made = exports.add(connection, proposal.tenant_id, user_id, order, now=now, proposal_id=proposal.id)
    told: dict[str, Json] = {"reference": made.reference, "purpose": made.purpose, "recordings": len(ids)}
    return Effect("export.asked", f"export:{made.id}", told)


def _end_duty(connection: Connection, proposal: Proposal, now: datetime) -> Effect:
    tenant_id, duty_id = proposal.tenant_id, proposal.subject_id
    duty = legal_duties.in_force(connection, tenant_id, duty_id)
    legal_duties.end(connection, tenant_id, duty_id, proposal.proposed_by, now)
    told: dict[str, Json] = {"law": duty.law, "classes": [*sorted(duty.classes)]}
    return Effect("duty.ended", proposal.subject, told)


_EFFECTS: Mapping[Kind, Callable[[Connection, Proposal, datetime], Effect]] = {
    Kind.EARLY_DESTRUCTION: _destroy_recording,
    Kind.KEY_DESTRUCTION: _destroy_key,
    Kind.POLICY_CHANGE: _change_policy,
    Kind.ROLE_GRANT: _grant_role,
    Kind.MASS_EXPORT: _export,
    Kind.DUTY_END: _end_duty,
}
