"""What the page of a recording shows of its evaluations: the form that is being filled in, and the results.

Rules: reads only. What may be done is asked of the archive; nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.access import AccessScope, may_evaluate
from archive.catalogue import evaluation_forms, evaluations
from archive.catalogue.engine import Catalogue
from archive.catalogue.evaluation_forms import KeptForm
from archive.catalogue.evaluations import WORDS_CHARS_MAX, Evaluation
from archive.evaluation import (
    ANSWER_COMMENT_CHARS_MAX,
    ANSWERABLE_STATES,
    Answer,
    Answers,
    Lack,
    Score,
    State,
    asked,
    lacks,
    needs_comment,
    score,
)
from archive.evaluation_form import CommentRule, Form, Question, Section, category_of
from archive.model import Recording
from playback_portal import logins
from playback_portal.language import mark

STATES = {
    State.DRAFT: mark("Draft"),
    State.RELEASED: mark("Released"),
    State.ACKNOWLEDGED: mark("Seen"),
    State.DISPUTED: mark("Disputed"),
    State.SETTLED: mark("Settled"),
    State.WITHDRAWN: mark("Withdrawn"),
}
LIMITS = {"answer": ANSWER_COMMENT_CHARS_MAX, "words": WORDS_CHARS_MAX}


@dataclass(frozen=True)
class Sheet:
    """A form with answers: what is asked of it now, what it lacks, and what it comes to."""

    form: Form
    answers: Answers

    @property
    def sections(self) -> list[tuple[Section, list[Question]]]:
        """The headings that have something to ask now, each with its questions."""
        shown = {each.id for each in asked(self.form, self.answers)}
        found = [(each, [one for one in each.questions if one.id in shown]) for each in self.form.sections]
        return [(section, questions) for section, questions in found if questions]

    @property
    def count(self) -> int:
        """How many questions are asked now."""
        return len(asked(self.form, self.answers))

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """What must be there yet, in the order of the form."""
        return lacks(self.form, self.answers)

    @property
    def done(self) -> int:
        """How many questions lack nothing."""
        return self.count - len({each.question for each in self.lacks})

    @property
    def current(self) -> str:
        """The question the keyboard answers: the first that lacks something."""
        return self.lacks[0].question if self.lacks else ""

    @property
    def score(self) -> Score:
        """What it comes to."""
        return score(self.form, self.answers)

    @property
    def category(self) -> str | None:
        """What the form calls that score."""
        return category_of(self.form.categories, self.score.permille)

    def answer(self, question: Question) -> Answer | None:
        """Return the answer to a question."""
        return self.answers.get(question.id)

    def wants_words(self, question: Question) -> bool:
        """Return whether the answer given needs words."""
        answer = self.answer(question)
        return answer is not None and needs_comment(question, answer)

    @staticmethod
    def takes_words(question: Question) -> bool:
        """Return whether a comment belongs to the question in some case."""
        return question.comment is not CommentRule.NEVER


@dataclass(frozen=True)
class Desk:
    """The evaluations of a recording as somebody sees them, and what they fill in now.

    `sheet` is None where nothing can be filled in; `open` is the evaluation it belongs to, None
    for one that begins with its first answer. `names` are logins by actor.
    """

    evaluates: bool
    forms: tuple[KeptForm, ...]
    kept: KeptForm | None
    open: Evaluation | None
    sheet: Sheet | None
    others: tuple[Evaluation, ...]
    names: dict[str, str]

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The forms to choose from, by id and name: that of what is open, and those that are offered."""
        found = [(each.id, each.name) for each in self.forms]
        shown = [] if self.open is None else [(self.open.form_id, self.open.form_name)]
        return [*(each for each in shown if each not in found), *found]


def read(catalogue: Catalogue, scope: AccessScope, recording: Recording, form_id: str = "") -> Desk:
    """Return the evaluations of a recording; its caller knows that it may be read.

    What is filled in is a dispute to settle, else a draft of theirs, else the form named or the
    first one; a form they are done with is not offered again.
    """
    found = evaluations.of_recording(catalogue, scope, recording)
    evaluates = may_evaluate(scope, recording)
    forms = tuple(evaluation_forms.of_tenant(catalogue, scope)) if evaluates else ()
    mine = {each.form_id for each in found if each.evaluator == scope.actor and each.state is not State.DRAFT}
    offered = tuple(each for each in forms if each.id not in mine)
    open_now = _open(scope, found, form_id) if evaluates else None
    kept = next((each for each in offered if each.id == form_id), offered[0] if offered else None)
    sheet = None
    if open_now is not None:
        sheet = Sheet(open_now.form, open_now.answers)
    elif kept is not None:
        sheet = Sheet(kept.form, {})
    others = tuple(each for each in found if open_now is None or each.id != open_now.id)
    people = [f"user:{each.owner}" for each in found] + [each.evaluator for each in found]
    names = logins.names_of(catalogue, scope, people)
    return Desk(evaluates, offered, kept, open_now, sheet, others, names)


def _open(scope: AccessScope, found: list[Evaluation], form_id: str) -> Evaluation | None:
    """Return what is to be filled in: a dispute, or a draft of theirs, that of a form when one is named."""
    answerable = [
        each
        for each in found
        if each.state in ANSWERABLE_STATES and (each.state is State.DISPUTED or each.evaluator == scope.actor)
    ]
    if form_id:
        answerable = [each for each in answerable if each.form_id == form_id]
    return min(answerable, key=lambda each: each.state is State.DRAFT, default=None)


def words() -> dict[str, object]:
    """Return what the templates of evaluations need beside the desk."""
    return {"states": STATES, "eval_limits": LIMITS}
