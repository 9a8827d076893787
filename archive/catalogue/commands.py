"""Commands to calls under way: issued by the portal, claimed and answered by a recorder.

    waiting ──claim──> taken ──answer──> obeyed or refused
       └── claim too late, or expire ──> expired

The life of a command is a race between its caller, who gives up, and its recorder, and
the row decides it: whoever moves it away from `waiting` has won. What its caller gave
up on is never carried out later: a recorder takes no command older than GIVE_UP_S and
carries none out after that, and a caller gives up only after ANSWER_WAIT_S.

Rules: ages are of the database's clock alone, since recorder and portal may run on
machines whose clocks differ. Nothing is issued to a call that is over or was erased.

Not here: who may command (`archive.access.may_command`), and what obeys (`recorder.control`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    Interval,
    Row,
    Select,
    Text,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from archive.catalogue import live_calls as calls_under_way
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.live_calls import LiveCall
from archive.catalogue.recordings import storable
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import commands, live_calls
from archive.errors import NotFound, Refused
from archive.model import RecordingId, TenantId, new_id

COMMANDS_CHANNEL = "commands"
"""Notified with the name of the node when a command waits for it."""

ANSWERS_CHANNEL = "command_answers"
"""Notified with the id of a command that was answered."""

VERBS = frozenset({"start", "stop", "pause", "resume", "keep"})
GIVE_UP_S = 2.0
"""The age after which no recorder begins to carry a command out; 0.3 s is usual, 1 s with a lost LISTEN."""

ANSWER_WAIT_S = 3.0
"""How long to wait before `expire`: longer than GIVE_UP_S, so that what was not done by then never is."""

CLAIM_ROWS_MAX = 100
"""Taken at once; what is left is claimed directly after."""

SWEEP_ROWS_MAX = 10_000

NOTIFY = select(func.pg_notify(bindparam("channel"), bindparam("payload")))


class CommandStatus(StrEnum):
    """Where a command stands; the last three are final."""

    WAITING = "waiting"
    TAKEN = "taken"
    OBEYED = "obeyed"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Command:
    """What a recorder is to do; `age_s` is how old it was when it was claimed."""

    id: str
    tenant_id: TenantId
    recording_id: RecordingId
    verb: str
    actor: str
    age_s: float


@dataclass(frozen=True)
class Answer:
    """What a recorder says of a command: `reason` why it did not obey, `effective_at` from when on it did.

    `tenant_id` may be None where the recorder does not know the call.
    """

    command_id: str
    tenant_id: TenantId | None
    obeyed: bool
    reason: str = ""
    effective_at: datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a command: `reason` is a sentence where it was refused.

    `effective_at` is the moment from which it counts, exact to a packet, when it was obeyed.
    `taken` after `expire` means that the recorder took it and never confirmed.
    """

    status: CommandStatus
    reason: str
    effective_at: datetime | None

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in {CommandStatus.WAITING, CommandStatus.TAKEN}


def _issuing() -> Select[Any]:
    """Return the statement that adds a command to a call and wakes the recorder of it, if there is one."""
    columns = live_calls.c
    # From the row as it is now: a call that was erased a moment ago gets no command that tells of it.
    row: dict[str, ColumnElement[Any]] = {
        "id": bindparam("command_id", type_=Text),
        "tenant_id": columns.tenant_id,
        "recording_id": columns.recording_id,
        "node": columns.node,
        "verb": bindparam("wanted", type_=Text),
        "actor": bindparam("by", type_=Text),
        "issued_at": func.now(),
        "status": literal(CommandStatus.WAITING.value),
        "reason": literal(""),
        "effective_at": null(),
    }
    own = (columns.recording_id == bindparam("of_recording"), columns.tenant_id == bindparam("of_tenant"))
    source = select(*(value.label(name) for name, value in row.items())).where(*own)
    issued = insert(commands).from_select(list(row), source).returning(commands.c.node).cte("issued")
    return select(func.pg_notify(COMMANDS_CHANNEL, issued.c.node))


def _claiming() -> ReturningUpdate[Any]:
    """Return the statement that takes, or expires, what waits for a node and nobody else looks at."""
    columns = commands.c
    picked = (
        select(columns.id)
        .where(columns.node == bindparam("of_node"), columns.status == CommandStatus.WAITING.value)
        .order_by(columns.issued_at, columns.id)
        .limit(bindparam("count", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    too_late = columns.issued_at <= func.now() - bindparam("give_up_after", type_=Interval)
    status = case((too_late, CommandStatus.EXPIRED.value), else_=CommandStatus.TAKEN.value)
    age = cast(func.extract("epoch", func.clock_timestamp() - columns.issued_at), Float)
    taken = update(commands).where(columns.id == picked.c.id).values(status=status)
    return taken.returning(*columns, age.label("age_s"))


def _answering() -> Select[Any]:
    """Return the statement that answers commands that were taken, and wakes who waits for the answers."""
    columns = commands.c
    given = func.unnest(*(bindparam(f"told_{name}", type_=ARRAY(kind)) for name, kind in GIVEN.items()))
    told = given.table_valued(*(column(name, kind) for name, kind in GIVEN.items())).render_derived("told")
    answered = (
        update(commands)
        .where(
            columns.id == told.c.id,
            columns.status == CommandStatus.TAKEN.value,
            or_(told.c.tenant_id.is_(None), columns.tenant_id == told.c.tenant_id),
        )
        .values(status=told.c.status, reason=told.c.reason, effective_at=told.c.effective_at)
        .returning(columns.id)
        .cte("answered")
    )
    return select(func.pg_notify(ANSWERS_CHANNEL, answered.c.id))


GIVEN: dict[str, TypeEngine[Any]] = {
    "id": Text(),
    "tenant_id": Text(),
    "status": Text(),
    "reason": Text(),
    "effective_at": DateTime(timezone=True),
}
"""What `answer_all` tells, a list of each."""

# Made once: a statement takes longer to put together than the database takes to run it.
ISSUE, CLAIM, ANSWER = _issuing(), _claiming(), _answering()
OUTCOMES = select(commands).where(
    commands.c.tenant_id == bindparam("of_tenant"),
    commands.c.id == any_(bindparam("of_ids", type_=ARRAY(Text))),
)


def issue(catalogue: Catalogue, call: LiveCall, verb: str, actor: str, *, now: datetime) -> str:
    """Give a command to the recorder of a call, and return its id; `outcome` tells what became of it.

    Raises Refused for another verb, NotFound when the call is over meanwhile.
    """
    if verb not in VERBS:
        raise Refused(f"A call knows the commands {', '.join(sorted(VERBS))}.")
    command_id = new_id(now)
    with catalogue.transaction(call.tenant_id) as connection:
        calls_under_way.share(connection, call.recording_id)
        if not _issue_to(connection, call, command_id, verb, actor):
            raise NotFound("The call is over.")
    return command_id


def _issue_to(connection: Connection, call: LiveCall, command_id: str, verb: str, actor: str) -> bool:
    given = {
        "command_id": command_id,
        "of_tenant": call.tenant_id,
        "of_recording": call.recording_id,
        "wanted": verb,
        "by": storable(actor),
    }
    return connection.execute(ISSUE, given).one_or_none() is not None


def claim(catalogue: Catalogue, node: str, *, give_up_s: float = GIVE_UP_S) -> list[Command]:
    """Take what waits for a node, oldest first, as its recorder; expire what waited too long.

    A command is returned once, whoever asks: it must be carried out before it is
    `give_up_s` old, or not at all. When this raises CatalogueUnavailable, it is not.
    """
    given = {"of_node": node, "count": CLAIM_ROWS_MAX, "give_up_after": timedelta(seconds=give_up_s)}
    with catalogue.transaction() as connection:
        rows = connection.execute(CLAIM, given).all()
        expired = [row.id for row in rows if row.status == CommandStatus.EXPIRED]
        for command_id in expired:
            connection.execute(NOTIFY, {"channel": ANSWERS_CHANNEL, "payload": command_id})
    taken = [row for row in rows if row.status == CommandStatus.TAKEN]
    return [_command(row) for row in sorted(taken, key=lambda row: (row.issued_at, row.id))]


def answer(
    catalogue: Catalogue,
    command_id: str,
    tenant_id: TenantId | None = None,
    *,
    obeyed: bool,
    reason: str = "",
    effective_at: datetime | None = None,
) -> None:
    """Tell what became of one command, as `answer_all` does."""
    answer_all(catalogue, [Answer(command_id, tenant_id, obeyed, reason, effective_at)])


def answer_all(catalogue: Catalogue, answers: Sequence[Answer]) -> None:
    """Tell what became of commands that were taken, all or nothing, as their recorder; twice is once.

    Of a call that was erased meanwhile there is no command any more, and nothing is written.
    """
    rows = [_told(each) for each in answers]
    # By names that no column has: those of columns would be set as well.
    told = {f"told_{name}": [row[name] for row in rows] for name in GIVEN}
    with catalogue.transaction() as connection:
        connection.execute(ANSWER, told)


def outcome(catalogue: Catalogue, tenant_id: TenantId, command_id: str) -> Outcome:
    """Return what became of a command so far; raises NotFound, also when its call was erased."""
    found = outcomes(catalogue, tenant_id, [command_id]).get(command_id)
    if found is None:
        raise NotFound("There is no such command.")
    return found


def outcomes(catalogue: Catalogue, tenant_id: TenantId, command_ids: Iterable[str]) -> dict[str, Outcome]:
    """Return what became of commands so far, by id; of a call that was erased there is none."""
    given = {"of_tenant": tenant_id, "of_ids": [storable(command_id) for command_id in command_ids]}
    with catalogue.transaction(tenant_id) as connection:
        return {row.id: _outcome(row) for row in connection.execute(OUTCOMES, given)}


def expire(catalogue: Catalogue, tenant_id: TenantId, command_id: str) -> Outcome:
    """Give a command up, and return what became of it: if it still waited, it is never carried out.

    One that was taken stays so: its recorder may have obeyed and could not say so. Raises NotFound.
    """
    columns = commands.c
    own = (columns.id == storable(command_id), columns.tenant_id == tenant_id)
    given_up = update(commands).where(*own, columns.status == CommandStatus.WAITING)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(given_up.values(status=CommandStatus.EXPIRED))
        row = connection.execute(select(commands).where(*own)).one_or_none()
    if row is None:
        raise NotFound("There is no such command.")
    return _outcome(row)


def sweep(catalogue: Catalogue, before: datetime) -> int:
    """Delete commands issued before `before` to all tenants' calls, as worker; return how many."""
    swept = 0
    # Ids grow with time (UUID version 7), so the oldest rows are found without an index of times.
    oldest = select(commands.c.id).order_by(commands.c.id).limit(SWEEP_ROWS_MAX)
    statement = delete(commands).where(commands.c.id.in_(oldest), commands.c.issued_at < before)
    while True:
        with catalogue.transaction() as connection:
            deleted = connection.execute(statement).rowcount
        swept += deleted
        if deleted < SWEEP_ROWS_MAX:
            return swept


def _told(answer: Answer) -> dict[str, str | datetime | None]:
    return {
        "id": answer.command_id,
        "tenant_id": answer.tenant_id,
        "status": CommandStatus.OBEYED if answer.obeyed else CommandStatus.REFUSED,
        "reason": storable(answer.reason),
        "effective_at": answer.effective_at if answer.obeyed else None,
    }


def _command(row: Row[Any]) -> Command:
    return Command(
        id=row.id,
        tenant_id=TenantId(row.tenant_id),
        recording_id=RecordingId(row.recording_id),
        verb=row.verb,
        actor=row.actor,
        age_s=row.age_s,
    )


def _outcome(row: Row[Any]) -> Outcome:
    effective_at = in_utc(row.effective_at)
    return Outcome(CommandStatus(row.status), row.reason, effective_at)
