"""Evaluation forms: sections of questions with weights, as what calls are judged by.

A question is answered by a whole number, the very digit that is pressed for it: yes is 1 and
no is 0, a scale goes from 1 to its steps, a choice is the number of what is chosen. What an
answer is worth is a fraction of its question, from 0 (the worst) to 1 (the best).

A question may be left out where it does not apply (`skippable`), fail all of it by its worst
answer (`fatal`), need words (`comment`), or be asked only after a certain answer to one that
stands before it (`when`): so no question waits for itself.

A form may name what scores are worth: performance categories, each from a whole percentage. They
are found by the thousandths a score is cut to and shown with, so that what is shown as 60.0 % is
in the category from 60 and 59.9 % below it; what fails all of it is 0 and in the lowest.

Rules: no I/O, no clock. A form that `read` returned keeps every rule here. Not here: answers
and scores (`archive.evaluation`), forms that are kept (`archive.catalogue.evaluation_forms`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from archive.audit_chain import Json
from archive.errors import Refused

SECTIONS_MAX = 12
"""More headings than that are no overview of a call any more."""

QUESTIONS_MAX = 60
"""Of the whole form: at five seconds each that is five minutes beside one call."""

TITLE_CHARS_MAX = 80
"""A heading in one line."""

QUESTION_CHARS_MAX = 300
"""Two sentences, read while somebody talks."""

CHOICE_CHARS_MAX = 80
"""It stands on a button."""

WEIGHT_MAX = 100
POINTS_MAX = 100
"""Shares of a whole: who thinks in percent needs no more."""

CATEGORY_CHARS_MAX = 40
"""A word or three beside a score."""

CATEGORIES_MIN, CATEGORIES_MAX = 2, 6
"""One tells nothing apart, and more than six are the score again. None at all is the rule."""

PERCENT_MAX = 100

CHOICES_MIN, CHOICES_MAX = 2, 9
"""Each answer is one digit of the keyboard; 0 is that of no."""

_ID = re.compile(r"[a-z0-9-]{1,40}")
_T = TypeVar("_T")


class QuestionKind(StrEnum):
    """How a question is answered."""

    YES_NO = "yes-no"
    SCALE = "scale"
    CHOICE = "choice"


class CommentRule(StrEnum):
    """When an answer needs words."""

    NEVER = "never"
    LOW = "low"
    """With every answer but the best, not applicable too."""
    ALWAYS = "always"


class Rule(StrEnum):
    """What a document breaks that is no form."""

    OBJECT = "object"
    LIST = "list"
    TEXT = "text"
    """Its length, or something in it that can't be shown."""
    NUMBER = "number"
    FLAG = "flag"
    WORD = "word"
    ID = "id"
    TWICE = "twice"
    SECTIONS = "sections"
    QUESTIONS = "questions"
    CHOICES = "choices"
    """Those three by how many there are."""
    NO_CHOICE = "no-choice"
    ALIKE = "alike"
    CONDITION = "condition"
    DIGITS = "digits"
    BEFORE = "before"
    ANSWER = "answer"
    CATEGORIES = "categories"
    LOWEST = "lowest"
    ASCENDING = "ascending"
    NAMESAKE = "namesake"
    """Those four of performance categories: how many, where they begin, and their names."""


class FormFault(Refused):
    """Why a document is no form: which rule it breaks and where, as a JSON pointer.

    `least` and `most` are the bounds of the rule, where it has any. The sentence is for programs;
    pages word the rule in the language of who reads.
    """

    def __init__(self, place: str, rule: Rule, sentence: str, least: int = 0, most: int = 0) -> None:
        super().__init__(f"{place or '/'}: {sentence}")
        self.place, self.rule, self.least, self.most = place, rule, least, most


@dataclass(frozen=True)
class Choice:
    """One of several answers, and what it is worth beside the others."""

    text: str
    points: int


@dataclass(frozen=True)
class Condition:
    """A question is asked once another one has one of these answers."""

    question: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """One question. `steps` counts for a scale alone, `choices` for a choice."""

    id: str
    text: str
    kind: QuestionKind
    weight: int = 1
    steps: int = 5
    choices: tuple[Choice, ...] = ()
    skippable: bool = False
    fatal: bool = False
    comment: CommentRule = CommentRule.NEVER
    when: Condition | None = None

    @property
    def values(self) -> tuple[int, ...]:
        """The answers it takes, as digits, in the order in which they are shown."""
        if self.kind is QuestionKind.YES_NO:
            return (1, 0)
        return tuple(range(1, (self.steps if self.kind is QuestionKind.SCALE else len(self.choices)) + 1))

    def worth(self, value: int) -> Fraction:
        """Return what an answer is worth, from 0 to 1."""
        if self.kind is QuestionKind.YES_NO:
            return Fraction(value)
        if self.kind is QuestionKind.SCALE:
            return Fraction(value - 1, self.steps - 1)
        points = [choice.points for choice in self.choices]
        return Fraction(points[value - 1], max(points))


@dataclass(frozen=True)
class Section:
    """Questions under one heading."""

    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Category:
    """What scores are called from a percentage on, up to where the next category begins."""

    name: str
    from_percent: int


@dataclass(frozen=True)
class Form:
    """What calls are judged by. `categories` go from the lowest up; none is the rule."""

    sections: tuple[Section, ...]
    categories: tuple[Category, ...] = ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """All questions in the order in which they are asked."""
        return tuple(question for section in self.sections for question in section.questions)

    def question(self, question_id: str) -> Question | None:
        """Return one question, None where there is no such one."""
        return next((each for each in self.questions if each.id == question_id), None)


def read(document: Json) -> Form:
    """Return the form that JSON describes; raises FormFault naming what is wrong and where."""
    sections = tuple(_section(each, place) for place, each in _items(_object(document, ""), "sections", ""))
    _between(len(sections), (1, SECTIONS_MAX), "/sections", Rule.SECTIONS)
    form = Form(sections, read_categories(_object(document, "").get("categories")))
    _between(len(form.questions), (1, QUESTIONS_MAX), "/sections", Rule.QUESTIONS)
    before: dict[str, Question] = {}
    for place, question in _placed(form):
        if question.id in before:
            raise FormFault(f"{place}/id", Rule.TWICE, f"Two questions have the id {question.id}.")
        _check_condition(question, before, f"{place}/when")
        before[question.id] = question
    return form


def read_categories(value: Json) -> tuple[Category, ...]:
    """Return the performance categories that JSON lists, None for none; raises FormFault as `read` does."""
    found = tuple(_category(each, place) for place, each in _items({"categories": value}, "categories", ""))
    if found:
        _between(len(found), (CATEGORIES_MIN, CATEGORIES_MAX), "/categories", Rule.CATEGORIES)
        if found[0].from_percent != 0:
            raise FormFault("/categories/0/fromPercent", Rule.LOWEST, "the lowest category begins at 0.")
    names: set[str] = set()
    for number, each in enumerate(found):
        place = f"/categories/{number}"
        if number and each.from_percent <= found[number - 1].from_percent:
            sentence = "each category begins higher than the one before it."
            raise FormFault(f"{place}/fromPercent", Rule.ASCENDING, sentence)
        if each.name.casefold() in names:
            raise FormFault(f"{place}/name", Rule.NAMESAKE, "two categories have the same name.")
        names.add(each.name.casefold())
    return found


def category_of(categories: Iterable[Category], permille: int | None) -> str | None:
    """Return the name of the highest category a score in thousandths reaches; None without either."""
    if permille is None:
        return None
    # A percentage is ten thousandths: nothing is rounded between what is shown and what it is called.
    reached = [each.name for each in categories if each.from_percent * 10 <= permille]
    return reached[-1] if reached else None


def categories_document(categories: Iterable[Category]) -> list[Json]:
    """Return performance categories as JSON, which `read_categories` reads back."""
    return [{"name": each.name, "fromPercent": each.from_percent} for each in categories]


def _category(value: Json, place: str) -> Category:
    members = _object(value, place)
    name = _text(members, "name", place, CATEGORY_CHARS_MAX)
    # Where it begins is never left out: 0 is a place like any other.
    return Category(name, _number(members, "fromPercent", place, (0, PERCENT_MAX), None))


def _placed(form: Form) -> Iterator[tuple[str, Question]]:
    """Yield the questions of a form with the places where they stand."""
    for section, each in enumerate(form.sections):
        for number, question in enumerate(each.questions):
            yield f"/sections/{section}/questions/{number}", question


def document_of(form: Form) -> dict[str, Json]:
    """Return a form as JSON, which `read` reads back."""
    return {
        "sections": [
            {"title": section.title, "questions": [_question_document(each) for each in section.questions]}
            for section in form.sections
        ],
        "categories": categories_document(form.categories),
    }


def _question_document(question: Question) -> dict[str, Json]:
    when = question.when
    return {
        "id": question.id,
        "text": question.text,
        "kind": question.kind.value,
        "weight": question.weight,
        "steps": question.steps if question.kind is QuestionKind.SCALE else None,
        "choices": [{"text": each.text, "points": each.points} for each in question.choices],
        "skippable": question.skippable,
        "fatal": question.fatal,
        "comment": question.comment.value,
        "when": None if when is None else {"question": when.question, "values": list(when.values)},
    }


def _section(value: Json, place: str) -> Section:
    members = _object(value, place)
    questions = tuple(_question(each, at) for at, each in _items(members, "questions", place))
    _between(len(questions), (1, QUESTIONS_MAX), place, Rule.QUESTIONS)
    return Section(_text(members, "title", place, TITLE_CHARS_MAX), questions)


def _question(value: Json, place: str) -> Question:
    members = _object(value, place)
    kind = _word(members, "kind", place, QuestionKind, None)
    choices = tuple(_choice(each, at) for at, each in _items(members, "choices", place))
    if kind is QuestionKind.CHOICE:
        _between(len(choices), (CHOICES_MIN, CHOICES_MAX), place, Rule.CHOICES)
        if len({choice.points for choice in choices}) == 1:
            raise FormFault(place, Rule.ALIKE, "choices that are all worth the same judge nothing.")
    elif choices:
        raise FormFault(place, Rule.NO_CHOICE, "only a choice has choices.")
    question_id = members.get("id")
    if not isinstance(question_id, str) or not _ID.fullmatch(question_id):
        raise FormFault(f"{place}/id", Rule.ID, "it has 1 to 40 small letters, digits and hyphens.")
    return Question(
        id=question_id,
        text=_text(members, "text", place, QUESTION_CHARS_MAX),
        kind=kind,
        weight=_number(members, "weight", place, (1, WEIGHT_MAX), 1),
        steps=_number(members, "steps", place, (CHOICES_MIN, CHOICES_MAX), 5),
        choices=choices,
        skippable=_flag(members, "skippable", place),
        fatal=_flag(members, "fatal", place),
        comment=_word(members, "comment", place, CommentRule, CommentRule.NEVER),
        when=_condition(members.get("when"), f"{place}/when"),
    )


def _choice(value: Json, place: str) -> Choice:
    members = _object(value, place)
    text = _text(members, "text", place, CHOICE_CHARS_MAX)
    return Choice(text, _number(members, "points", place, (0, POINTS_MAX), 0))


def _condition(value: Json, place: str) -> Condition | None:
    if value is None:
        return None
    members = _object(value, place)
    question, values = members.get("question"), members.get("values")
    if not isinstance(question, str) or not isinstance(values, list) or not values:
        sentence = "it names a question and the answers after which this one is asked."
        raise FormFault(place, Rule.CONDITION, sentence)
    digits = [each for each in values if isinstance(each, int) and not isinstance(each, bool)]
    if len(digits) != len(values):
        raise FormFault(f"{place}/values", Rule.DIGITS, "answers are digits.")
    return Condition(question, tuple(sorted(set(digits))))


def _check_condition(question: Question, before: Mapping[str, Question], place: str) -> None:
    if question.when is None:
        return
    asked = before.get(question.when.question)
    if asked is None:
        sentence = f"question {question.id} is asked after one that does not stand before it."
        raise FormFault(place, Rule.BEFORE, sentence)
    if not set(question.when.values) <= set(asked.values):
        sentence = f"question {question.id} is asked after an answer that {asked.id} does not take."
        raise FormFault(f"{place}/values", Rule.ANSWER, sentence)


def _object(value: Json, place: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise FormFault(place, Rule.OBJECT, "it is an object.")
    return value


def _items(members: Mapping[str, Json], name: str, place: str) -> Iterator[tuple[str, Json]]:
    found = members.get(name)
    if found is None:
        return
    if not isinstance(found, list):
        raise FormFault(f"{place}/{name}", Rule.LIST, "it is a list.")
    for number, each in enumerate(found):
        yield f"{place}/{name}/{number}", each


def _text(members: Mapping[str, Json], name: str, place: str, chars_max: int) -> str:
    value = members.get(name)
    found = " ".join(value.split()) if isinstance(value, str) else ""
    if not 1 <= len(found) <= chars_max or not found.isprintable():
        sentence = f"it has 1 to {chars_max} characters that can be shown."
        raise FormFault(f"{place}/{name}", Rule.TEXT, sentence, 1, chars_max)
    return found


def _number(
    members: Mapping[str, Json], name: str, place: str, bounds: tuple[int, int], default: int | None
) -> int:
    value, (least, most) = members.get(name), bounds
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        sentence = f"it is a whole number from {least} to {most}."
        raise FormFault(f"{place}/{name}", Rule.NUMBER, sentence, least, most)
    return value


def _flag(members: Mapping[str, Json], name: str, place: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise FormFault(f"{place}/{name}", Rule.FLAG, "it is true or false.")
    return value


def _word(
    members: Mapping[str, Json], name: str, place: str, words: Callable[[str], _T], default: _T | None
) -> _T:
    value = members.get(name)
    if value is None and default is not None:
        return default
    try:
        return words(str(value))
    except ValueError:
        raise FormFault(f"{place}/{name}", Rule.WORD, "there is no such word.") from None


def _between(found: int, bounds: tuple[int, int], place: str, rule: Rule) -> None:
    least, most = bounds
    if not least <= found <= most:
        raise FormFault(place, rule, f"it has {least} to {most} {rule.value}.", least, most)
