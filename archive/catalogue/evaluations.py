"""Evaluations of recordings: answers to a form while listening, and what people say of the result.

Whoever evaluates has one for each form on a recording. It is theirs alone until it is released;
then the person it is about acknowledges or disputes it, and a dispute is settled by somebody who
may evaluate the recording too. Every later value stays (`archive.catalogue.revisions`).

Rules: who may is asked of `archive.access`, where it goes of `archive.evaluation`, and whether
those of few are told of `archive.catalogue.evaluation_results`, where lists and averages stand
too. Whom it is about sees it without hearing the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, insert, or_, select, update

from archive.access import AccessScope, may_evaluate, may_read_evaluation
from archive.audit_chain import Json
from archive.catalogue import evaluation_forms, evaluation_results, notifications, search
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.revisions import changed, expect, written
from archive.catalogue.tables import evaluation_form_versions, evaluations
from archive.catalogue.tables import evaluation_forms as forms_table
from archive.errors import Conflict, NotFound, Refused
from archive.evaluation import (
    ANSWER_COMMENT_CHARS_MAX,
    ANSWERABLE_STATES,
    RELEASED_STATES,
    Answer,
    Event,
    Score,
    State,
    after,
    lacks,
    require_fit,
    score,
)
from archive.evaluation_form import Form, category_of, read
from archive.model import Recording, RecordingId, Role, TenantId, UserId, new_id

EVALUATIONS_PER_RECORDING_MAX = 100
"""Withdrawn ones count. A call that a hundred people judged is no call but a contest."""

WORDS_CHARS_MAX = 2000
"""About a page to say what is wrong with it, and as much to answer."""

Given = Mapping[str, Answer | None]
"""Answers as they are given, by the ids of their questions; None takes one back."""

NOTHING_GIVEN: Given = {}


class Incomplete(Conflict):
    """A form lacks answers or comments; `lacking` is how many."""

    def __init__(self, lacking: int) -> None:
        super().__init__(f"That can't be done yet: {lacking} answers or comments are missing.")
        self.lacking = lacking


@dataclass(frozen=True)
class Evaluation:
    """What somebody thinks of a call, by a version of a form. `owner` is whom it is about."""

    id: str
    recording_id: RecordingId
    form_id: str
    form_name: str
    form_version: int
    form: Form
    owner: UserId
    evaluator: str
    state: State
    answers: Mapping[str, Answer]
    began_at: datetime
    released_at: datetime | None
    objection: str | None
    settlement: str | None
    revision: int
    changed_at: datetime

    @property
    def score(self) -> Score:
        """What the answers come to."""
        return score(self.form, self.answers)

    @property
    def category(self) -> str | None:
        """What its form calls that score."""
        return category_of(self.form.categories, self.score.permille)

    @property
    def is_released(self) -> bool:
        """Whether the person it is about may see it."""
        return self.state in RELEASED_STATES


def of_recording(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> list[Evaluation]:
    """Return the evaluations of a recording that the scope may see, oldest first."""
    statement = _statement(scope).where(
        evaluations.c.recording_id == recording.id, evaluations.c.state != State.WITHDRAWN
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement.order_by(evaluations.c.began_at, evaluations.c.id)).all()
        return [each for each in map(evaluation_of, rows) if _sees(connection, scope, recording, each)]


def get(catalogue: Catalogue, scope: AccessScope, recording: Recording, evaluation_id: str) -> Evaluation:
    """Return one evaluation of a recording; raises NotFound, also for one the scope may not see."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _seen(connection, scope, recording, evaluation_id)


def about(catalogue: Catalogue, scope: AccessScope, evaluation_id: str) -> Evaluation:
    """Return a released evaluation of who asks, who need not hear the recording; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _about(connection, scope, evaluation_id)


def recording_of(catalogue: Catalogue, scope: AccessScope, evaluation_id: str) -> RecordingId:
    """Return which recording an evaluation is of, whoever may see it; raises NotFound."""
    statement = select(evaluations.c.recording_id).where(
        evaluations.c.tenant_id == scope.tenant_id, evaluations.c.id == evaluation_id
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        found = connection.execute(statement).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such evaluation.")
    return RecordingId(found)


def begin(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    form_id: str,
    *,
    given: Given = NOTHING_GIVEN,
    version: int | None = None,
    now: datetime,
) -> Evaluation:
    """Begin to evaluate a recording by the newest version of a form; once begun it is the same one again.

    `given` are first answers, kept with it or not at all; `version` is the one they were given
    to. Raises Refused for who may not and as `answer` does, NotFound for no such form, Conflict
    for another version, a retired form, or one evaluation too many.
    """
    if not may_evaluate(scope, recording) or recording.owner is None:
        raise Refused("It takes the right to evaluate, and nobody evaluates themselves.")
    with catalogue.transaction(scope.tenant_id) as connection:
        search.begin(connection, recording.id)
        begun = _begun(connection, scope, recording, form_id, now)
        if version not in {None, begun.form_version}:
            raise Conflict("The form was changed meanwhile: look at what it asks now.")
        return _answer(connection, scope, recording, begun, given, now=now) if given else begun


def _begun(
    connection: Connection, scope: AccessScope, recording: Recording, form_id: str, now: datetime
) -> Evaluation:
    columns = evaluations.c
    every = connection.execute(_statement(scope).where(columns.recording_id == recording.id)).all()
    for each in map(evaluation_of, every):
        if (each.form_id, each.evaluator) == (form_id, scope.actor) and each.state != State.WITHDRAWN:
            return each
    if len(every) >= EVALUATIONS_PER_RECORDING_MAX:
        raise Conflict(f"This recording has {EVALUATIONS_PER_RECORDING_MAX} evaluations already.")
    kept = evaluation_forms.within(connection, scope, form_id)
    if kept.retired:
        raise Conflict("This form is not offered any more; take another.")
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "recording_id": recording.id,
        "form_id": form_id,
        "form_version": kept.newest,
        "owner": recording.owner,
        "evaluator": scope.actor,
        "state": State.DRAFT,
        "answers": {},
        "failed": False,
        "began_at": now,
        **changed(scope, now),
    }
    connection.execute(insert(evaluations), row)
    return _found(connection, scope, columns.id == row["id"])


def answer(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    evaluation_id: str,
    given: Given,
    *,
    revision: int | None = None,
    now: datetime,
) -> Evaluation:
    """Answer questions, None taking an answer back; of a draft of one's own, or while settling.

    Raises NotFound, Refused for who may not and for an answer the form does not take, Conflict
    for another `revision` or a state in which answers stand still.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _seen(connection, scope, recording, evaluation_id)
        expect(revision, before.revision)
        return _answer(connection, scope, recording, before, given, now=now)


def _answer(
    connection: Connection,
    scope: AccessScope,
    recording: Recording,
    before: Evaluation,
    given: Given,
    *,
    now: datetime,
) -> Evaluation:
    if before.state not in ANSWERABLE_STATES:
        raise Conflict("It is released: its answers change only while a dispute is settled.")
    if not may_evaluate(scope, recording) or (
        before.state is State.DRAFT and before.evaluator != scope.actor
    ):
        raise Refused("A draft is filled in by who began it, and a dispute settled by who may evaluate.")
    answers = dict(before.answers)
    for question, each in given.items():
        answers.pop(question, None)
        if each is not None:
            require_fit(before.form, question, each)
            said = written(each.comment, ANSWER_COMMENT_CHARS_MAX, 0)
            answers[question] = Answer(each.value, min(each.at_ms, recording.duration_ms), said)
    if answers == before.answers:
        return before
    return _write(connection, scope, before, now, _answers(before.form, answers))


def move(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    evaluation_id: str,
    event: Event,
    *,
    words: str = "",
    given: Given = NOTHING_GIVEN,
    revision: int | None = None,
    now: datetime,
) -> Evaluation:
    """Release, withdraw, acknowledge, dispute or settle an evaluation of a recording.

    `given` are last answers, kept with it or not at all. Raises NotFound, Refused for who may not
    or words that are missing, Conflict for another `revision` or an event that does not belong
    there, Incomplete for a form that still lacks answers.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _seen(connection, scope, recording, evaluation_id)
        expect(revision, before.revision)
        _require_may(scope, recording, before, event)
        before = _answer(connection, scope, recording, before, given, now=now) if given else before
        after = _write(connection, scope, before, now, _moved(before, event, words, now))
        _tell(connection, scope, after, event, now)
        return after


def reply(
    catalogue: Catalogue,
    scope: AccessScope,
    evaluation_id: str,
    event: Event,
    *,
    words: str = "",
    now: datetime,
) -> Evaluation:
    """Acknowledge or dispute as the person it is about, who need not hear the recording.

    Raises as `move` does.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _about(connection, scope, evaluation_id)
        _require_may(scope, None, before, event)
        after = _write(connection, scope, before, now, _moved(before, event, words, now))
        _tell(connection, scope, after, event, now)
        return after


def _require_may(scope: AccessScope, recording: Recording | None, before: Evaluation, event: Event) -> None:
    """Raise Refused for who may not; without a recording only whom it is about may do something."""
    if event in {Event.ACKNOWLEDGE, Event.DISPUTE}:
        if scope.user_id is None or scope.user_id != before.owner:
            raise Refused("Only the person it is about acknowledges or disputes an evaluation.")
        return
    if recording is None or not may_evaluate(scope, recording):
        raise Refused("It takes the right to evaluate, and nobody evaluates themselves.")
    if event is not Event.SETTLE and before.evaluator != scope.actor:
        raise Refused("An evaluation is released and withdrawn by who made it.")


def _moved(before: Evaluation, event: Event, words: str, now: datetime) -> dict[str, object]:
    """Return the columns an event changes; raises Conflict, Incomplete, or Refused for the words."""
    values: dict[str, object] = {"state": after(before.state, event)}
    if event in {Event.RELEASE, Event.SETTLE} and (lacking := len(lacks(before.form, before.answers))):
        raise Incomplete(lacking)
    if event is Event.RELEASE:
        values |= {"released_at": now, **_answers(before.form, before.answers)}
    elif event is Event.DISPUTE:
        values["objection"] = written(words, WORDS_CHARS_MAX)
    elif event is Event.SETTLE:
        values["settlement"] = written(words, WORDS_CHARS_MAX)
    return values


def _tell(connection: Connection, scope: AccessScope, found: Evaluation, event: Event, now: datetime) -> None:
    """Note for whom it concerns what was done with an evaluation; of one that is withdrawn nobody hears."""
    told = {
        Event.RELEASE: (notifications.Kind.EVALUATION, found.owner),
        Event.SETTLE: (notifications.Kind.SETTLEMENT, found.owner),
        Event.DISPUTE: (notifications.Kind.OBJECTION, notifications.person_of(found.evaluator)),
    }
    kind, person = told.get(event, (None, None))
    if kind is not None and person is not None:
        about, recording_id = found.id, found.recording_id
        notifications.note(
            connection, scope.tenant_id, person, kind, about, recording_id=recording_id, now=now
        )


def concerns(catalogue: Catalogue, tenant_id: TenantId, evaluation_id: str, user_id: UserId) -> bool:
    """Return whether an evaluation that is released is about a person, or was made by them."""
    columns = evaluations.c
    statement = select(columns.id).where(
        columns.tenant_id == tenant_id,
        columns.id == evaluation_id,
        columns.state.in_(RELEASED_STATES),
        or_(columns.owner == user_id, columns.evaluator == f"user:{user_id}"),
    )
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).first() is not None


def _write(
    connection: Connection, scope: AccessScope, before: Evaluation, now: datetime, values: dict[str, object]
) -> Evaluation:
    of_it = evaluations.c.id == before.id
    # Whom it is about replies without the lock of the recording: what was read may not be there any more.
    as_read = update(evaluations).where(of_it, evaluations.c.revision == before.revision)
    if connection.execute(as_read.values({**values, **changed(scope, now)})).rowcount == 0:
        raise Conflict("Somebody else changed it meanwhile: look at it as it is now.")
    return _found(connection, scope, of_it)


def _answers(form: Form, answers: Mapping[str, Answer]) -> dict[str, object]:
    """Return the columns of answers and what they come to."""
    found = score(form, answers)
    kept: dict[str, Json] = {
        name: {"value": each.value, "atMs": each.at_ms, "comment": each.comment}
        for name, each in answers.items()
    }
    return {"answers": kept, "score_permille": found.permille, "failed": bool(found.failed_by)}


def _sees(connection: Connection, scope: AccessScope, recording: Recording, found: Evaluation) -> bool:
    """Return whether the scope may see it, and it is not one of few that the tenant wants hidden."""
    if not may_read_evaluation(scope, recording, found.evaluator, is_released=found.is_released):
        return False
    concerned = found.evaluator == scope.actor or found.owner == scope.user_id
    if concerned or found.state is State.DISPUTED or scope.role is Role.AUDITOR:
        return True
    return not evaluation_results.hides_person(connection, scope, found.owner)


def _seen(connection: Connection, scope: AccessScope, recording: Recording, evaluation_id: str) -> Evaluation:
    search.begin(connection, recording.id)
    columns = evaluations.c
    found = _found(connection, scope, (columns.id == evaluation_id) & (columns.recording_id == recording.id))
    if not _sees(connection, scope, recording, found):
        raise NotFound("There is no such evaluation.")
    return found


def _about(connection: Connection, scope: AccessScope, evaluation_id: str) -> Evaluation:
    columns = evaluations.c
    own = (columns.id == evaluation_id) & (columns.owner == (scope.user_id or ""))
    connection.execute(select(columns.id).where(own).with_for_update())
    found = _found(connection, scope, own)
    if not found.is_released:
        raise NotFound("There is no such evaluation.")
    return found


def _found(connection: Connection, scope: AccessScope, condition: ColumnElement[bool]) -> Evaluation:
    row = connection.execute(_statement(scope).where(condition)).one_or_none()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return evaluation_of(row)


def _statement(scope: AccessScope) -> Select[Any]:
    of_form, columns = evaluation_form_versions.c, evaluations.c
    return (
        select(evaluations, forms_table.c.name.label("form_name"), of_form.content)
        .join(
            evaluation_form_versions,
            (of_form.tenant_id == columns.tenant_id)
            & (of_form.form_id == columns.form_id)
            & (of_form.version == columns.form_version),
        )
        .join(forms_table, forms_table.c.id == columns.form_id)
        .where(columns.tenant_id == scope.tenant_id)
    )


def evaluation_of(row: Row[Any]) -> Evaluation:
    """Return the evaluation of a row of `evaluations` with `form_name` and `content` of its form."""
    answers = {
        name: Answer(each["value"], each["atMs"], each["comment"]) for name, each in row.answers.items()
    }
    return Evaluation(
        id=row.id,
        recording_id=RecordingId(row.recording_id),
        form_id=row.form_id,
        form_name=row.form_name,
        form_version=row.form_version,
        form=read(row.content),
        owner=UserId(row.owner),
        evaluator=row.evaluator,
        state=State(row.state),
        answers=answers,
        began_at=row.began_at,
        released_at=row.released_at,
        objection=row.objection,
        settlement=row.settlement,
        revision=row.revision,
        changed_at=row.changed_at,
    )
