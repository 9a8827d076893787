"""The JSON, parameters and operations of evaluations and their forms, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.evaluation_forms import NAME_CHARS_MAX, VERSIONS_MAX
from archive.catalogue.evaluations import WORDS_CHARS_MAX
from archive.evaluation import ANSWER_COMMENT_CHARS_MAX, State
from archive.evaluation_form import (
    CATEGORIES_MAX,
    CATEGORIES_MIN,
    CATEGORY_CHARS_MAX,
    CHOICE_CHARS_MAX,
    CHOICES_MAX,
    CHOICES_MIN,
    PERCENT_MAX,
    POINTS_MAX,
    QUESTION_CHARS_MAX,
    QUESTIONS_MAX,
    SECTIONS_MAX,
    TITLE_CHARS_MAX,
    WEIGHT_MAX,
    CommentRule,
    QuestionKind,
)
from archive.sample import PER_PERSON_MAX
from playback_portal.comments import OFFSET_MS_MAX
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    Schema,
    list_of,
    maybe,
    object_of,
    page_of,
    words_of,
)

_FLAG: Final[Schema] = {"type": "boolean"}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_REVISION: Final[Schema] = {**COUNT, "description": "how often it was changed, its making among them"}
_PERCENT: Final[Schema] = {"type": ["number", "null"], "minimum": 0, "maximum": 100}


def _text(chars_max: int, chars_min: int = 1) -> Schema:
    return {"type": "string", "minLength": chars_min, "maxLength": chars_max}


def _number(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _open(*required: str, **properties: Schema) -> Schema:
    """Return an object of which not all is needed."""
    return {**object_of(**properties), "required": list(required)}


_NAME = _text(NAME_CHARS_MAX)
_SECTIONS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "maxItems": SECTIONS_MAX,
    "items": {"$ref": "#/components/schemas/EvaluationSection"},
}
_CATEGORIES: Final[Schema] = {
    "type": ["array", "null"],
    "maxItems": CATEGORIES_MAX,
    "items": {"$ref": "#/components/schemas/EvaluationCategory"},
    "description": f"none, or {CATEGORIES_MIN} to {CATEGORIES_MAX} from the lowest up, which begins at 0",
}
_CATEGORY: Final[Schema] = {
    **MAYBE_TEXT,
    "description": "what the form calls that score; null without categories, or where there is no score",
}
_ANSWER: Final[Schema] = {
    **_open(
        value={
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": CHOICES_MAX,
            "description": "1 yes, 0 no; the step of a scale; the number of a choice; null: does not apply",
        },
        atMs={**_number(0, OFFSET_MS_MAX), "description": "where the sound was, in ms from the beginning"},
        comment=_text(ANSWER_COMMENT_CHARS_MAX, 0),
    ),
}

_OWNER: Final[Schema] = {**TEXT, "description": "id of the person it is about"}
_EVALUATOR: Final[Schema] = {**TEXT, "description": "`user:<id>` or `api-client:<id>`"}
_MONTH: Final[Schema] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}
_SAMPLE: Final[dict[str, Schema]] = {
    "id": ID,
    "teamId": ID,
    "formId": ID,
    "formName": TEXT,
    "month": _MONTH,
    "perPerson": _number(1, PER_PERSON_MAX),
    "seed": {**TEXT, "description": "who knows it draws the same calls"},
    "drawnBy": _EVALUATOR,
    "drawnAt": TIME,
    "calls": {**COUNT, "description": "of the sample that are still there"},
    "evaluated": COUNT,
}

EVALUATION_SCHEMAS: Final[dict[str, Schema]] = {
    "EvaluationQuestion": _open(
        "id",
        "text",
        "kind",
        id={"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        text=_text(QUESTION_CHARS_MAX),
        kind=words_of(QuestionKind),
        weight={**_number(1, WEIGHT_MAX), "default": 1},
        steps={
            "type": ["integer", "null"],
            "minimum": CHOICES_MIN,
            "maximum": CHOICES_MAX,
            "description": "of a scale, 5 when it is not said",
        },
        choices={
            "type": "array",
            "maxItems": CHOICES_MAX,
            "items": object_of(text=_text(CHOICE_CHARS_MAX), points=_number(0, POINTS_MAX)),
        },
        skippable={**_FLAG, "description": "whether it may be left out as not applicable"},
        fatal={**_FLAG, "description": "whether its worst answer makes the whole score 0"},
        comment={**words_of(CommentRule), "description": "when an answer needs words"},
        when=maybe(object_of(question=TEXT, values=list_of(_number(0, CHOICES_MAX)))),
    ),
    "EvaluationSection": object_of(
        title=_text(TITLE_CHARS_MAX),
        questions={
            "type": "array",
            "minItems": 1,
            "maxItems": QUESTIONS_MAX,
            "items": {"$ref": "#/components/schemas/EvaluationQuestion"},
        },
    ),
    "EvaluationCategory": object_of(
        name=_text(CATEGORY_CHARS_MAX),
        fromPercent={
            **_number(0, PERCENT_MAX),
            "description": "the lowest score it is for, up to where the next one begins",
        },
    ),
    "EvaluationForm": object_of(
        id=ID,
        name=_NAME,
        version={**_number(1, VERSIONS_MAX), "description": "the version that is shown"},
        newestVersion=_number(1, VERSIONS_MAX),
        retired={**_FLAG, "description": "offered no more; evaluations made by it keep it"},
        revision=_REVISION,
        sections=_SECTIONS,
        categories={**_CATEGORIES, "type": "array"},
    ),
    "EvaluationFormPage": page_of("EvaluationForm"),
    "NewEvaluationForm": _open("name", "sections", name=_NAME, sections=_SECTIONS, categories=_CATEGORIES),
    "EvaluationFormPatch": _open(name=_NAME, sections=_SECTIONS, categories=_CATEGORIES, retired=_FLAG),
    "EvaluationFormVersion": object_of(
        version=_number(1, VERSIONS_MAX),
        madeBy=TEXT,
        madeAt=TIME,
        evaluations={**COUNT, "description": "made by it and released"},
    ),
    "EvaluationFormVersionPage": page_of("EvaluationFormVersion"),
    "EvaluationAnswer": _ANSWER,
    "Evaluation": object_of(
        id=ID,
        recordingId=ID,
        formId=ID,
        formName=TEXT,
        formVersion=_number(1, VERSIONS_MAX),
        owner=_OWNER,
        evaluator=_EVALUATOR,
        state=words_of(State),
        answers={
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/EvaluationAnswer"},
        },
        asked={**list_of(TEXT), "description": "the questions that are asked, given the answers so far"},
        lacks={
            **list_of(object_of(question=TEXT, what={"enum": ["answer", "comment"]})),
            "description": "what must be there yet before it is released",
        },
        score=object_of(
            percent={
                **_PERCENT,
                "description": "cut to a tenth; null while nothing counts",
            },
            category=_CATEGORY,
            failedBy={**list_of(TEXT), "description": "fatal questions with their worst answer"},
            sections={**list_of(_PERCENT), "description": "those of the form, in its order"},
        ),
        beganAt=TIME,
        releasedAt=_MAYBE_TIME,
        objection=MAYBE_TEXT,
        settlement=MAYBE_TEXT,
        revision=_REVISION,
        changedAt=TIME,
    ),
    "EvaluationPage": page_of("Evaluation"),
    "NewEvaluation": object_of(formId=ID),
    "EvaluationPatch": object_of(
        answers={
            "type": "object",
            "minProperties": 1,
            "maxProperties": QUESTIONS_MAX,
            "additionalProperties": maybe({"$ref": "#/components/schemas/EvaluationAnswer"}),
        }
    ),
    "EvaluationWords": object_of(text=_text(WORDS_CHARS_MAX)),
    "EvaluationResult": object_of(
        id=ID,
        recordingId=ID,
        formId=ID,
        formName=TEXT,
        formVersion=_number(1, VERSIONS_MAX),
        owner=_OWNER,
        evaluator=_EVALUATOR,
        state=words_of(State),
        told={**_FLAG, "description": "false where the tenant hides results of fewer than five"},
        percent={**_PERCENT, "description": "cut to a tenth; null where nothing counts, or it is not told"},
        category=_CATEGORY,
        failed={"type": ["boolean", "null"], "description": "by a fatal question; null where it is not told"},
        releasedAt=TIME,
    ),
    "EvaluationResultPage": page_of("EvaluationResult"),
    "EvaluationSample": object_of(**_SAMPLE),
    "EvaluationSamplePage": page_of("EvaluationSample"),
    "EvaluationSampleCalls": object_of(
        **_SAMPLE,
        items={
            **list_of(
                object_of(
                    recordingId=ID,
                    owner=_OWNER,
                    startedAt=TIME,
                    state=maybe(words_of(State)),
                )
            ),
            "description": "those the caller may evaluate, with the state of an evaluation by the form",
        },
    ),
    "NewEvaluationSample": _open(
        "teamId",
        "formId",
        "month",
        teamId=ID,
        formId=ID,
        month=_MONTH,
        perPerson={**_number(1, PER_PERSON_MAX), "default": 4},
    ),
}


def _path(name: str, description: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": ID, "description": description}


def _query(name: str, description: str, schema: Schema = TEXT) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


EVALUATION_PARAMETERS: Final[dict[str, Schema]] = {
    "evaluationOwner": _query("owner", "only those about this person", ID),
    "evaluationFormAsked": _query("formId", "only those by this form", ID),
    "evaluationState": _query("state", "only those in this state", words_of(State)),
    "evaluationFrom": _query("from", "released not before this: a time with offset, or a date", TEXT),
    "evaluationTo": _query("to", "released before this: a time with offset, or a date", TEXT),
    "evaluationCategory": _query(
        "category", "only those whose score is told and is called this", _text(CATEGORY_CHARS_MAX)
    ),
    "evaluationFormat": _query(
        "format", "json, or csv for a file of all of them", {"type": "string", "enum": ["json", "csv"]}
    ),
    "evaluationLanguage": _query(
        "language",
        "of a file: nl with semicolons and decimal commas, en (usual) with commas and points",
        {"type": "string", "enum": ["nl", "en"]},
    ),
    "evaluationSampleId": _path("id", "id of the sample"),
    "evaluationFormId": _path("id", "id of the form"),
    "evaluation": _path("evaluation", "id of the evaluation"),
    "version": {
        "name": "version",
        "in": "query",
        "schema": _number(1, VERSIONS_MAX),
        "description": "the version to show, the newest when it is not said",
    },
}

_FORM, _ALL = ("evaluationFormId",), ("id", "purpose")
_ONE = ("id", "evaluation", "purpose")
_PATCHED: Final = (MERGE_PATCH, JSON)
_MOVED = (400, 404, 409, 412)


def _moved(summary: str, body: str | None = None) -> Operation:
    return Operation(summary, (*_ONE, "ifMatch"), "Evaluation", status=201, body=body, refusals=_MOVED)


EVALUATION_OPERATIONS: Final = {
    "list_evaluation_forms": Operation(
        "The evaluation forms of the tenant by name", ("retired",), "EvaluationFormPage", refusals=(400,)
    ),
    "post_evaluation_form": Operation(
        "Make an evaluation form",
        (),
        "EvaluationForm",
        status=201,
        body="NewEvaluationForm",
        refusals=(409,),
    ),
    "get_evaluation_form": Operation(
        "One evaluation form", (*_FORM, "version"), "EvaluationForm", refusals=(400, 404)
    ),
    "get_evaluation_form_versions": Operation(
        "The versions of an evaluation form, newest first",
        _FORM,
        "EvaluationFormVersionPage",
        refusals=(400, 404),
    ),
    "patch_evaluation_form": Operation(
        "Change an evaluation form; other sections or categories make another version",
        (*_FORM, "ifMatch"),
        "EvaluationForm",
        body="EvaluationFormPatch",
        body_media_types=_PATCHED,
        refusals=(404, 409, 412),
    ),
    "list_evaluations": Operation(
        "The evaluations of a recording that you may see", _ALL, "EvaluationPage", refusals=(400, 404)
    ),
    "post_evaluation": Operation(
        "Begin to evaluate a recording; once begun it is the same one again",
        _ALL,
        "Evaluation",
        status=201,
        body="NewEvaluation",
        refusals=(404, 409),
    ),
    "get_evaluation": Operation("One evaluation", _ONE, "Evaluation", refusals=(400, 404)),
    "get_evaluation_history": Operation(
        "Every value it had since it was released", _ONE, "RevisionPage", refusals=(400, 404)
    ),
    "patch_evaluation": Operation(
        "Answer questions; null takes an answer back",
        (*_ONE, "ifMatch"),
        "Evaluation",
        body="EvaluationPatch",
        body_media_types=_PATCHED,
        refusals=(404, 409, 412),
    ),
    "list_evaluation_results": Operation(
        "Released evaluations of the people you may evaluate, newest first",
        (
            "evaluationOwner",
            "evaluationFormAsked",
            "evaluationState",
            "evaluationFrom",
            "evaluationTo",
            "evaluationCategory",
            "evaluationFormat",
            "evaluationLanguage",
            "limit",
            "cursor",
        ),
        "EvaluationResultPage",
        refusals=(400,),
    ),
    "list_own_evaluations": Operation(
        "What was released about you, newest first", (), "EvaluationResultPage", refusals=(400,)
    ),
    "list_evaluation_samples": Operation(
        "Samples of the teams in which you may evaluate somebody, newest first",
        (),
        "EvaluationSamplePage",
        refusals=(400,),
    ),
    "post_evaluation_sample": Operation(
        "Draw a sample: so many calls of each person of a team that began in a month, once",
        (),
        "EvaluationSample",
        status=201,
        body="NewEvaluationSample",
        refusals=(404, 409),
    ),
    "get_evaluation_sample": Operation(
        "One sample, with its calls that you may evaluate",
        ("evaluationSampleId",),
        "EvaluationSampleCalls",
        refusals=(400, 404),
    ),
    "post_release": _moved("Release an evaluation that lacks nothing"),
    "post_withdrawal": _moved("Take a draft back"),
    "post_acknowledgement": _moved("Say, as the person it is about, that one has seen it"),
    "post_dispute": _moved("Say, as the person it is about, what is wrong with it", "EvaluationWords"),
    "post_settlement": _moved("Answer a dispute", "EvaluationWords"),
}
