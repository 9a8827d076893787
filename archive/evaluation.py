"""Evaluations: how a form and its answers make a score, and the life of one from draft to settled.

    draft -> released -> acknowledged
      |         |             |
      |         +-------------+-> disputed -> settled
      +-> withdrawn

Who has seen an evaluation did not thereby agree to it: it can still be disputed.

A score is a pure function of the form and the answers: of each question that is asked and
applies, what its answer is worth times its weight, by the weights of those questions. A
question that does not apply takes its weight with it; the worst answer to a fatal one makes
all of it 0. Scores are cut to thousandths, never rounded up: only what is perfect is 1000.

Rules: no I/O, no clock. Answers to questions that are not asked (any more) count for nothing.
Not here: who may do what (`archive.access`), what is kept (`archive.catalogue.evaluations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from archive.errors import Conflict, Refused
from archive.evaluation_form import CommentRule, Form, Question

PERFECT = 1000
"""Scores are in thousandths: one decimal of a percentage."""

ANSWER_COMMENT_CHARS_MAX = 1000
"""Half a page; what is longer is a comment on the call itself."""


class State(StrEnum):
    """Where an evaluation stands."""

    DRAFT = "draft"
    RELEASED = "released"
    ACKNOWLEDGED = "acknowledged"
    DISPUTED = "disputed"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    """What somebody does with it as a whole."""

    RELEASE = "release"
    WITHDRAW = "withdraw"
    ACKNOWLEDGE = "acknowledge"
    DISPUTE = "dispute"
    SETTLE = "settle"


TABLE: Mapping[tuple[State, Event], State] = {
    (State.DRAFT, Event.RELEASE): State.RELEASED,
    (State.DRAFT, Event.WITHDRAW): State.WITHDRAWN,
    (State.RELEASED, Event.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.RELEASED, Event.DISPUTE): State.DISPUTED,
    (State.ACKNOWLEDGED, Event.DISPUTE): State.DISPUTED,
    (State.DISPUTED, Event.SETTLE): State.SETTLED,
}

RELEASED_STATES = frozenset({State.RELEASED, State.ACKNOWLEDGED, State.DISPUTED, State.SETTLED})
"""What the person it is about may see."""

ANSWERABLE_STATES = frozenset({State.DRAFT, State.DISPUTED})
"""Answers change before it is released, and while it is being settled."""


@dataclass(frozen=True)
class Answer:
    """What was answered: one of the question's values, or None where it does not apply.

    `at_ms` is where the sound was when it was given: the place that proves it.
    """

    value: int | None
    at_ms: int = 0
    comment: str = ""


Answers = Mapping[str, Answer]
"""Answers by the ids of their questions."""


@dataclass(frozen=True)
class Lack:
    """What a form still needs: an answer to a question, or the words that belong to one."""

    question: str
    is_comment: bool = False


@dataclass(frozen=True)
class Score:
    """What answers come to. None is no figure: nothing was asked that applies, or nothing answered yet.

    `failed_by` are the fatal questions that had their worst answer; `sections` are those of
    the form, in its order, without regard to them.
    """

    permille: int | None
    failed_by: tuple[str, ...] = ()
    sections: tuple[int | None, ...] = ()


def after(state: State, event: Event) -> State:
    """Return the state an event leads to; raises Conflict for one that does not belong there."""
    if (state, event) not in TABLE:
        raise Conflict(f"An evaluation that is {state} has no {event}.")
    return TABLE[state, event]


def asked(form: Form, answers: Answers) -> tuple[Question, ...]:
    """Return the questions that are asked, given the answers so far."""
    found: dict[str, Question] = {}
    for question in form.questions:
        when = question.when
        if when is not None:
            given = answers.get(when.question) if when.question in found else None
            if given is None or given.value not in when.values:
                continue
        found[question.id] = question
    return tuple(found.values())


def require_fit(form: Form, question_id: str, answer: Answer) -> None:
    """Raise Refused for an answer the form does not take."""
    question = form.question(question_id)
    if question is None:
        raise Refused("There is no such question in this version of the form.")
    if answer.value is None and not question.skippable:
        raise Refused("This question always applies.")
    if answer.value is not None and answer.value not in question.values:
        raise Refused("This question does not take that answer.")
    if len(answer.comment) > ANSWER_COMMENT_CHARS_MAX or answer.at_ms < 0:
        raise Refused(f"A comment has at most {ANSWER_COMMENT_CHARS_MAX} characters.")


def needs_comment(question: Question, answer: Answer) -> bool:
    """Return whether an answer needs words."""
    if question.comment is CommentRule.LOW:
        return answer.value is None or question.worth(answer.value) < 1
    return question.comment is CommentRule.ALWAYS


def lacks(form: Form, answers: Answers) -> tuple[Lack, ...]:
    """Return what must be there yet before it may be released, in the order of the form."""
    found: list[Lack] = []
    for question in asked(form, answers):
        answer = answers.get(question.id)
        if answer is None:
            found.append(Lack(question.id))
        elif needs_comment(question, answer) and not answer.comment:
            found.append(Lack(question.id, is_comment=True))
    return tuple(found)


def score(form: Form, answers: Answers) -> Score:
    """Return what the answers come to; of a draft, those that are there."""
    counted = [
        (question, question.worth(answer.value))
        for question in asked(form, answers)
        if (answer := answers.get(question.id)) is not None and answer.value is not None
    ]
    failed = tuple(question.id for question, worth in counted if question.fatal and worth == 0)
    sections = tuple(
        _permille((question, worth) for question, worth in counted if question in section.questions)
        for section in form.sections
    )
    return Score(0 if failed else _permille(counted), failed, sections)


def _permille(counted: Iterable[tuple[Question, Fraction]]) -> int | None:
    found = list(counted)
    weights = sum(question.weight for question, _ in found)
    if not weights:
        return None
    reached = sum((worth * question.weight for question, worth in found), Fraction())
    return int(reached * PERFECT / weights)
