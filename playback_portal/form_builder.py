"""A form in the making: what the fields of its page say, and what one press does to it.

The page sends everything with each press and gets it back changed, so that nothing is kept
before it is saved, and a keyboard and a browser without scripts are enough.

Fields: `name`; of each section `s0.title`; of each question `s0.q0.text` and so on; of each category
`c0.name` and `c0.from`. Choices are lines such as `Passend = 5`, answers of a condition digits with
commas. A category of which nothing is filled in is none, and categories that are as they were
offered are none either. `seen` is the revision of the form that was there when the page was opened.

Rules: pure. What can't be a form is told by `archive.evaluation_form.read`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from archive.audit import Json
from archive.evaluation_form import (
    CATEGORIES_MAX,
    QUESTIONS_MAX,
    SECTIONS_MAX,
    CommentRule,
    Form,
    Question,
    QuestionKind,
)

FIELDS = (
    "id",
    "text",
    "kind",
    "weight",
    "steps",
    "choices",
    "comment",
    "when",
    "values",
    "skippable",
    "fatal",
)


@dataclass(frozen=True)
class Draft:
    """A question in the making, as texts; "on" or "" for what is switched."""

    id: str
    text: str = ""
    kind: str = QuestionKind.YES_NO.value
    weight: str = "1"
    steps: str = "5"
    choices: str = ""
    comment: str = CommentRule.NEVER.value
    when: str = ""
    values: str = ""
    skippable: str = ""
    fatal: str = ""


@dataclass(frozen=True)
class Part:
    """A section in the making."""

    title: str = ""
    questions: tuple[Draft, ...] = ()


@dataclass(frozen=True)
class Grade:
    """A performance category in the making, as texts."""

    name: str = ""
    from_percent: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is filled in."""
        return not self.name.strip() and not self.from_percent.strip()


OFFERED = (Grade("", "0"), Grade())
"""What stands there once somebody wants categories: the lowest, which begins at 0, and another one."""


@dataclass(frozen=True)
class Making:
    """A form in the making; `focus` is the field that is next, `seen` the revision it was begun from."""

    name: str = ""
    parts: tuple[Part, ...] = field(default=(Part("", (Draft("q1"),)),))
    grades: tuple[Grade, ...] = ()
    focus: str = "name"
    seen: int | None = None

    @property
    def filled(self) -> tuple[Grade, ...]:
        """The categories of which something is filled in; none where they are as they were offered."""
        filled = tuple(each for each in self.grades if not each.is_empty)
        return () if all(each in OFFERED for each in filled) else filled


def of_form(name: str, form: Form, seen: int) -> Making:
    """Return a form that exists in a revision, to be changed."""
    parts = (Part(each.title, tuple(map(_draft, each.questions))) for each in form.sections)
    grades = (Grade(each.name, str(each.from_percent)) for each in form.categories)
    return Making(name, tuple(parts), tuple(grades), seen=seen)


def of_fields(fields: Mapping[str, str]) -> Making:
    """Return what a page says; whatever is missing is empty."""
    parts: list[Part] = []
    for section in range(SECTIONS_MAX + 1):
        if f"s{section}.title" not in fields:
            break
        questions: list[Draft] = []
        for number in range(QUESTIONS_MAX + 1):
            place = f"s{section}.q{number}"
            if f"{place}.id" not in fields:
                break
            questions.append(Draft(**{each: fields.get(f"{place}.{each}", "") for each in FIELDS}))
        parts.append(Part(fields[f"s{section}.title"], tuple(questions)))
    seen = _number(fields.get("seen", ""))
    return Making(
        fields.get("name", ""), tuple(parts), _grades(fields), seen=seen if isinstance(seen, int) else None
    )


def _grades(fields: Mapping[str, str]) -> tuple[Grade, ...]:
    found: list[Grade] = []
    for number in range(CATEGORIES_MAX + 1):
        if f"c{number}.name" not in fields:
            break
        found.append(Grade(fields[f"c{number}.name"], fields.get(f"c{number}.from", "")))
    return tuple(found)


def ordered(making: Making) -> Making:
    """Return the form with its categories from the lowest up, those of which nothing is filled in last.

    Where one begins at no number they stay as they are, so that its fault is told where it was typed.
    """
    filled = [each for each in making.grades if not each.is_empty]
    numbers = [_number(each.from_percent.strip()) for each in filled]
    if all(isinstance(each, int) for each in numbers):
        filled.sort(key=lambda each: int(each.from_percent))
    return replace(making, grades=(*filled, *(each for each in making.grades if each.is_empty)))


def pressed(making: Making, what: str) -> Making:
    """Return the form after a press such as `add:0`, `up:0:1` or `remove:2`; one unknown does nothing."""
    verb, *numbers = what.split(":")
    places = [int(each) for each in numbers if each.isascii() and each.isdecimal() and len(each) < 4]
    if verb == "add" and not places:
        return _with_section(making)
    if verb == "grade":
        return _with_grade(making)
    if verb == "ungrade" and places:
        return _without_grade(making, places[0])
    if not places or places[0] >= len(making.parts):
        return making
    if len(places) == 1:
        return _with_question(making, places[0]) if verb == "add" else _moved_part(making, verb, places[0])
    return _moved_question(making, verb, places[0], places[1])


def document_of(making: Making) -> dict[str, Json]:
    """Return the form as JSON, to be read; what is no number goes as it is, to be refused with its place."""
    return {
        "sections": [
            {"title": part.title, "questions": [_question(each) for each in part.questions]}
            for part in making.parts
        ],
        "categories": [
            {"name": each.name, "fromPercent": _number(each.from_percent.strip())} for each in making.filled
        ],
    }


def _question(draft: Draft) -> Json:
    kind, values = draft.kind, [_number(each) for each in draft.values.replace(" ", "").split(",") if each]
    return {
        "id": draft.id,
        "text": draft.text,
        "kind": kind,
        "weight": _number(draft.weight),
        "steps": _number(draft.steps) if kind == QuestionKind.SCALE else None,
        "choices": [_choice(line) for line in draft.choices.splitlines() if line.strip()]
        if kind == QuestionKind.CHOICE
        else [],
        "skippable": bool(draft.skippable),
        "fatal": bool(draft.fatal),
        "comment": draft.comment or None,
        "when": {"question": draft.when, "values": values} if draft.when else None,
    }


def _choice(line: str) -> Json:
    text, equals, points = line.rpartition("=")
    if not equals:
        # Without its points a choice is no number either, and is refused as such.
        return {"text": line.strip(), "points": line}
    return {"text": text.strip(), "points": _number(points.strip()) or 0}


def _number(text: str) -> Json:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else text or None


def _draft(question: Question) -> Draft:
    when = question.when
    return Draft(
        question.id,
        question.text,
        question.kind.value,
        str(question.weight),
        str(question.steps),
        "\n".join(f"{each.text} = {each.points}" for each in question.choices),
        question.comment.value,
        "" if when is None else when.question,
        "" if when is None else ", ".join(map(str, when.values)),
        "on" if question.skippable else "",
        "on" if question.fatal else "",
    )


def _new(making: Making) -> Draft:
    # What waits for a question that was removed is not to wait for another one.
    taken = {name for part in making.parts for each in part.questions for name in (each.id, each.when)}
    return Draft(next(name for number in itertools.count(1) if (name := f"q{number}") not in taken))


def _without_grade(making: Making, number: int) -> Making:
    """Return the form without a category; what took its place is next, or the last one."""
    left = making.grades[:number] + making.grades[number + 1 :]
    return replace(making, grades=left, focus=f"c{min(number, len(left) - 1)}.name" if left else "grade")


def _with_grade(making: Making) -> Making:
    """Return the form with one more category, two where there was none."""
    if len(making.grades) >= CATEGORIES_MAX:
        return making
    more = (Grade(),) if making.grades else OFFERED
    at = len(making.grades)
    return replace(making, grades=(*making.grades, *more), focus=f"c{at}.name")


def _with_section(making: Making) -> Making:
    if len(making.parts) >= SECTIONS_MAX:
        return making
    parts = (*making.parts, Part("", (_new(making),)))
    return replace(making, parts=parts, focus=f"s{len(parts) - 1}.title")


def _with_question(making: Making, section: int) -> Making:
    if sum(len(part.questions) for part in making.parts) >= QUESTIONS_MAX:
        return making
    part = making.parts[section]
    questions = (*part.questions, _new(making))
    return _put(making, section, replace(part, questions=questions), f"s{section}.q{len(questions) - 1}.text")


def _moved_part(making: Making, verb: str, section: int) -> Making:
    parts = list(making.parts)
    if verb == "remove":
        del parts[section]
        return replace(making, parts=tuple(parts), focus="name")
    to = section + {"up": -1, "down": 1}.get(verb, 0)
    if to == section or not 0 <= to < len(parts):
        return making
    parts.insert(to, parts.pop(section))
    return replace(making, parts=tuple(parts), focus=f"s{to}.title")


def _moved_question(making: Making, verb: str, section: int, number: int) -> Making:
    questions = list(making.parts[section].questions)
    if number >= len(questions):
        return making
    if verb == "remove":
        del questions[number]
        return _put(
            making, section, replace(making.parts[section], questions=tuple(questions)), f"s{section}.title"
        )
    to = number + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= to < len(questions):
        questions.insert(to, questions.pop(number))
        part = replace(making.parts[section], questions=tuple(questions))
        return _put(making, section, part, f"s{section}.q{to}.text")
    # Beyond its section a question goes on in the next one, or the one before.
    other = section + (1 if to > number else -1)
    if not 0 <= other < len(making.parts):
        return making
    question = questions.pop(number)
    there = making.parts[other].questions
    there = (question, *there) if other > section else (*there, question)
    left = _put(making, section, replace(making.parts[section], questions=tuple(questions)), "")
    at = 0 if other > section else len(there) - 1
    return _put(left, other, replace(making.parts[other], questions=there), f"s{other}.q{at}.text")


def _put(making: Making, section: int, part: Part, focus: str) -> Making:
    parts = list(making.parts)
    parts[section] = part
    return replace(making, parts=tuple(parts), focus=focus)
