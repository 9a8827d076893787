"""Evaluations and their forms over the API: shapes, refusals, the whole life of one, and what the log says."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive import evaluation_form
from archive.catalogue import audit_entries, evaluation_forms
from archive.catalogue.evaluation_forms import NAME_CHARS_MAX
from archive.catalogue.evaluations import WORDS_CHARS_MAX
from archive.model import Recording
from playback_portal import evaluation_results
from playback_portal.app import create_app
from playback_portal.openapi import document
from playback_portal.routes import ROUTES
from tests.evaluation_desk import CATEGORIES, SECTIONS, EvaluationDesk

DOCUMENT = document(ROUTES)
NOTHING = "01990000-0000-7000-8000-000000000000"


@pytest.fixture
async def desk(house: Any, archive: Callable[..., Recording]) -> AsyncIterator[EvaluationDesk]:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield EvaluationDesk(client, house, archive)


def check(schema: str, told: Any) -> None:
    jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]},
        format_checker=jsonschema.FormatChecker(),
    ).validate(told)


async def test_a_form_is_made_changed_and_retired(desk: EvaluationDesk) -> None:
    made = await desk.new_form("  Gesprek  ")
    check("EvaluationForm", made)
    check("NewEvaluationForm", {"name": made["name"], "sections": made["sections"]})
    assert (made["name"], made["version"], made["revision"]) == ("Gesprek", 1, 1)
    path, other = f"/v1/evaluation-forms/{made['id']}", copy.deepcopy(SECTIONS[:1])
    after = await desk.made("PATCH", path, "mark", {"sections": other}, 200)
    assert (after["version"], len(after["sections"])) == (2, 1)
    first = await desk.get(f"{path}?version=1", "anna")
    assert (first["version"], first["newestVersion"], len(first["sections"])) == (1, 2, 2)
    versions = await desk.get(f"{path}/versions", "bert")
    check("EvaluationFormVersionPage", versions)
    assert [each["version"] for each in versions["items"]] == [2, 1]
    await desk.made("PATCH", path, "ada", {"retired": True}, 200)
    assert (await desk.get("/v1/evaluation-forms"))["items"] == []
    listed = await desk.get("/v1/evaluation-forms?retired=1")
    check("EvaluationFormPage", listed)
    assert [each["retired"] for each in listed["items"]] == [True]
    answer = await desk.ask("PATCH", path, "ada", {"name": "x"}, If_Match='"other"')
    assert answer.status == 412


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "x"}, "/sections"),
        ({"name": "x", "sections": []}, "/sections"),
        ({"name": "x", "sections": [{"title": "Begin", "questions": []}]}, "/sections"),
        ({"name": "x", "sections": "x"}, "/sections"),
        ({"name": "x", "sections": SECTIONS, "categories": CATEGORIES[:1]}, "/categories"),
        ({"name": "x", "sections": SECTIONS, "categories": "x"}, "/categories"),
        ({"name": " ", "sections": SECTIONS}, "/name"),
        ({"name": "x" * (NAME_CHARS_MAX + 1), "sections": SECTIONS}, "/name"),
        ({"name": "x", "sections": SECTIONS, "version": 3}, "/version"),
    ],
)
async def test_what_is_no_form_is_told_at_once(desk: EvaluationDesk, body: Any, pointer: str) -> None:
    problem = await desk.made("POST", "/v1/evaluation-forms", "ada", body, 400)
    assert pointer in {each["parameter"] for each in problem["errors"]}


async def test_a_call_is_evaluated_released_disputed_and_settled(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    begun = await desk.made("POST", "evaluations", "bert", {"formId": form["id"]})
    check("Evaluation", begun)
    assert (begun["state"], begun["asked"], begun["score"]["percent"]) == ("draft", ["name", "tone"], None)
    again = await desk.made("POST", "evaluations", "bert", {"formId": form["id"]})
    assert again["id"] == begun["id"]
    path = f"evaluations/{begun['id']}"
    given = {"name": {"value": 1, "atMs": 300}, "tone": {"value": 3, "atMs": 999_999}}
    check("EvaluationPatch", {"answers": given})
    half = await desk.made("PATCH", path, "bert", {"answers": given}, 200)
    assert half["asked"] == ["name", "tone", "offer"]
    assert half["lacks"] == [
        {"question": "tone", "what": "comment"},
        {"question": "offer", "what": "answer"},
    ]
    assert half["answers"]["tone"]["atMs"] == desk.recording.duration_ms
    assert (await desk.ask("POST", f"{path}/releases", "bert")).status == 409
    rest = {"tone": {"value": 3, "atMs": 800, "comment": "Kortaf"}, "offer": {"value": 2}}
    await desk.made("PATCH", path, "bert", {"answers": rest}, 200)
    assert (await desk.ask("GET", path, "anna")).status == 404
    out = await desk.made("POST", f"{path}/releases", "bert")
    # (1 x 1 + 3 x 1/2 + 1 x 1) / 5
    assert (out["state"], out["score"]["percent"]) == ("released", 70.0)
    said = await desk.made("POST", f"{path}/disputes", "anna", {"text": "Hij begon"})
    assert (said["state"], said["objection"]) == ("disputed", "Hij begon")
    await desk.made("PATCH", path, "mark", {"answers": {"tone": {"value": 5}}}, 200)
    done = await desk.made("POST", f"{path}/settlements", "mark", {"text": "Klopt"})
    assert (done["state"], done["settlement"], done["score"]["percent"]) == ("settled", "Klopt", 100.0)
    history = await desk.get(f"{path}/history")
    check("RevisionPage", history)
    assert [each["content"]["state"] for each in history["items"]] == [
        "released",
        "disputed",
        "disputed",
        "settled",
    ]
    listed = await desk.get("evaluations", "otto")
    check("EvaluationPage", listed)
    assert [each["id"] for each in listed["items"]] == [begun["id"]]


async def test_a_failed_fatal_question_and_one_that_does_not_apply(desk: EvaluationDesk) -> None:
    none = {"value": None, "comment": "Geen gelegenheid"}
    found = await desk.released(name={"value": 0}, tone=none, offer=None)
    assert (found["score"]["percent"], found["score"]["failedBy"]) == (0.0, ["name"])
    assert found["asked"] == ["name", "tone"]


async def test_who_may_not_is_told_so_and_who_may_not_know_that_there_is_none(desk: EvaluationDesk) -> None:
    found = await desk.released()
    path = f"evaluations/{found['id']}"
    for who, status in (("anna", 200), ("bert", 200), ("mark", 200), ("otto", 200), ("program", 200)):
        assert (await desk.ask("GET", path, who)).status == status, who
    assert (await desk.get("evaluations", "dora"))["items"] == []
    for who in ("dora", "reader", "ada"):
        assert (await desk.ask("GET", path, who)).status == 404, who
    form = {"formId": found["formId"]}
    for who, status in (("anna", 403), ("dora", 403), ("otto", 403), ("ada", 404)):
        assert (await desk.ask("POST", "evaluations", who, form)).status == status, who
    assert (await desk.ask("POST", f"{path}/acknowledgements", "bert")).status == 403
    assert (await desk.ask("PATCH", path, "bert", {"answers": {"name": {"value": 0}}})).status == 409
    assert (await desk.ask("POST", f"{path}/withdrawals", "bert")).status == 409
    assert (await desk.made("POST", f"{path}/acknowledgements", "anna"))["state"] == "acknowledged"


@pytest.mark.parametrize(
    "answers",
    [
        {},
        [],
        {"name": {"value": 2}},
        {"name": {"value": True}},
        {"name": {"value": None}},
        {"name": {"value": 1, "atMs": -1}},
        {"name": {"value": 1, "points": 3}},
        {"name": 1},
        {"other": {"value": 1}},
        {"name": {"value": 1, "comment": "\x01"}},
    ],
)
async def test_an_answer_that_can_not_be_is_refused(desk: EvaluationDesk, answers: Any) -> None:
    form = await desk.new_form()
    begun = await desk.made("POST", "evaluations", "bert", {"formId": form["id"]})
    answer = await desk.ask("PATCH", f"evaluations/{begun['id']}", "bert", {"answers": answers})
    assert answer.status in {400, 403}, await answer.text()
    assert (await desk.get(f"evaluations/{begun['id']}", "bert"))["answers"] == {}


async def test_a_dispute_needs_words_within_a_limit(desk: EvaluationDesk) -> None:
    found = await desk.released()
    for body in ({}, {"text": " "}, {"text": "x" * (WORDS_CHARS_MAX + 1)}):
        answer = await desk.ask("POST", f"evaluations/{found['id']}/disputes", "anna", body)
        assert answer.status == 400
    answer = await desk.ask(
        "POST", f"evaluations/{found['id']}/disputes", "anna", {"text": "x"}, If_Match='"x"'
    )
    assert answer.status == 412


async def test_the_log_tells_which_evaluation_and_never_what_was_answered_or_said(
    desk: EvaluationDesk,
) -> None:
    found = await desk.released(tone={"value": 1, "comment": "Onbeschoft"})
    await desk.made("POST", f"evaluations/{found['id']}/disputes", "anna", {"text": "Onwaar"})
    entries = audit_entries.of_object(desk.house.portal, desk.tenant.id, f"recording:{desk.recording.id}")
    told = [each for each in entries if each.action.startswith("evaluation.")]
    assert [each.action for each in told] == [
        "evaluation.begun",
        "evaluation.answered",
        "evaluation.released",
        "evaluation.disputed",
    ]
    assert all((each.body or {})["evaluation"] == found["id"] for each in told)
    assert not [each for each in told if "Onbeschoft" in str(each) or "Onwaar" in str(each)]


async def test_ids_of_nothing_and_of_no_kind_are_not_found(desk: EvaluationDesk) -> None:
    found = await desk.released()
    for path in (f"evaluations/{NOTHING}", "evaluations/0", f"/v1/evaluation-forms/{NOTHING}"):
        assert (await desk.ask("GET", path, "bert")).status == 404
    assert (await desk.ask("POST", "evaluations", "bert", {"formId": NOTHING})).status == 404
    gone = await desk.made("PATCH", f"/v1/evaluation-forms/{found['formId']}", "ada", {"retired": True}, 200)
    assert (await desk.ask("POST", "evaluations", "mark", {"formId": gone["id"]})).status == 409


async def test_results_of_others_and_of_oneself_are_listed(desk: EvaluationDesk) -> None:
    found = await desk.released(tone={"value": 3, "comment": "Kortaf"})
    for who in ("bert", "mark", "otto", "program"):
        listed = await desk.get("/v1/evaluations", who)
        check("EvaluationResultPage", listed)
        (one,) = listed["items"]
        assert (one["id"], one["percent"], one["told"]) == (found["id"], 70.0, True), who
    for who in ("anna", "dora", "ada", "reader"):
        assert (await desk.get("/v1/evaluations", who))["items"] == [], who
    mine = await desk.get("/v1/me/evaluations", "anna")
    check("EvaluationResultPage", mine)
    assert [each["id"] for each in mine["items"]] == [found["id"]]
    assert (await desk.get("/v1/me/evaluations", "bert"))["items"] == []
    chosen = f"?owner={found['owner']}&formId={found['formId']}&state=released&from=2026-01-01"
    assert len((await desk.get(f"/v1/evaluations{chosen}", "mark"))["items"]) == 1
    assert (await desk.get("/v1/evaluations?to=2020-01-01", "mark"))["items"] == []


@pytest.mark.parametrize(
    "asked",
    [
        "owner=x",
        "formId=1",
        "state=draft",
        "state=",
        "from=x",
        "to=1",
        "format=xlsx",
        "cursor=x",
        "who=me",
        "category=",
        f"category={'x' * 41}",
        "category=%00",
        "category=%E2%80%AE",
    ],
)
async def test_what_can_not_be_asked_of_results_is_told(desk: EvaluationDesk, asked: str) -> None:
    answer = await desk.ask("GET", f"/v1/evaluations?{asked}", "mark")
    assert answer.status == 400
    assert asked.partition("=")[0] in await answer.text()


async def test_a_file_has_every_result_and_no_formula(
    desk: EvaluationDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_results, "RESULTS_MAX", 1)
    for name in ("=1+1", "Gesprek"):
        form = await desk.new_form(name)
        begun = await desk.made("POST", "evaluations", "bert", {"formId": form["id"]})
        given = {"name": {"value": 1}, "tone": {"value": 5}, "offer": {"value": 2}}
        await desk.made("PATCH", f"evaluations/{begun['id']}", "bert", {"answers": given}, 200)
        await desk.made("POST", f"evaluations/{begun['id']}/releases", "bert")
    answer = await desk.ask("GET", "/v1/evaluations?format=csv", "mark")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="evaluations.csv"'
    text = await answer.text()
    assert len(text.splitlines()) == 1 + 2
    assert ",'=1+1," in text
    dutch = await (await desk.ask("GET", "/v1/evaluations?format=csv&language=nl", "mark")).text()
    rows = list(csv.reader(io.StringIO(dutch.removeprefix("\ufeff"), newline=""), delimiter=";"))
    assert {len(row) for row in rows} == {11}
    assert {row[3] for row in rows[1:]} == {"'=1+1", "Gesprek"}
    assert "," in rows[1][5]
    assert (await desk.ask("GET", "/v1/evaluations?format=csv&language=de", "mark")).status == 400
    monkeypatch.setattr(evaluation_results, "CSV_ROWS_MAX", 1)
    assert (await desk.ask("GET", "/v1/evaluations?format=csv", "mark")).status == 400


async def test_categories_belong_to_a_version_of_a_form_and_are_changed_apart_from_its_questions(
    desk: EvaluationDesk,
) -> None:
    plain = await desk.new_form("Zonder")
    assert plain["categories"] == []
    body = {"name": "Met", "sections": SECTIONS, "categories": CATEGORIES}
    check("NewEvaluationForm", body)
    made = await desk.made("POST", "/v1/evaluation-forms", "ada", body)
    check("EvaluationForm", made)
    assert made["categories"] == CATEGORIES
    path = f"/v1/evaluation-forms/{made['id']}"
    other = await desk.made("PATCH", path, "ada", {"sections": SECTIONS[:1]}, 200)
    assert (other["version"], other["categories"]) == (2, CATEGORIES)
    check("EvaluationFormPatch", {"categories": CATEGORIES[:2]})
    fewer = await desk.made("PATCH", path, "ada", {"categories": CATEGORIES[:2]}, 200)
    assert (fewer["version"], len(fewer["sections"]), len(fewer["categories"])) == (3, 1, 2)
    same = await desk.made("PATCH", path, "ada", {"categories": CATEGORIES[:2]}, 200)
    assert same["version"] == 3
    none = await desk.made("PATCH", path, "ada", {"categories": None}, 200)
    assert (none["version"], none["categories"]) == (4, [])
    assert (await desk.get(f"{path}?version=1"))["categories"] == CATEGORIES


@pytest.mark.parametrize(
    ("tone", "name", "percent", "category"),
    [(2, 1, 55.0, "Laag"), (3, 1, 70.0, "=Midden"), (4, 1, 85.0, "<b>Hoog"), (5, 0, 0.0, "Laag")],
)
async def test_a_category_stands_beside_the_score_of_every_answer_and_is_no_formula(
    desk: EvaluationDesk, tone: int, name: int, percent: float, category: str
) -> None:
    """Also where a fatal answer fails all of it; and a later version changes nothing of it."""
    form = await desk.new_form(categories=CATEGORIES)
    answers = {"name": {"value": name}, "tone": {"value": tone, "comment": "x"}}
    found = await desk.released(form, **answers)
    check("Evaluation", found)
    assert (found["score"]["percent"], found["score"]["category"]) == (percent, category)
    await desk.made("PATCH", f"/v1/evaluation-forms/{form['id']}", "ada", {"categories": []}, 200)
    for path, who in (("/v1/evaluations", "mark"), ("/v1/me/evaluations", "anna")):
        listed = await desk.get(path, who)
        check("EvaluationResultPage", listed)
        assert [(each["percent"], each["category"]) for each in listed["items"]] == [(percent, category)]
    text = await (await desk.ask("GET", "/v1/evaluations?format=csv", "mark")).text()
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert row["category"] == ("'=Midden" if category == "=Midden" else category)
    # It came last, so that who reads the others by their places goes on reading them.
    assert [*row][-2:] == ["recording", "category"]
    for asked, count in ((category, 1), ("Top", 0)):
        chosen = f"/v1/evaluations?category={quote(asked)}"
        assert len((await desk.get(chosen, "mark"))["items"]) == count, asked
        file = await (await desk.ask("GET", f"{chosen}&format=csv", "mark")).text()
        assert len(file.splitlines()) == 1 + count
    assert (await desk.get(f"evaluations/{found['id']}", "anna"))["score"]["category"] == category


async def test_a_form_kept_before_there_were_categories_has_none(
    desk: EvaluationDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluation_form.document_of
    monkeypatch.setattr(evaluation_forms, "document_of", lambda form: {"sections": before(form)["sections"]})
    found = await desk.released()
    assert (found["score"]["percent"], found["score"]["category"]) == (100.0, None)
    (listed,) = (await desk.get("/v1/evaluations", "mark"))["items"]
    assert (listed["percent"], listed["category"]) == (100.0, None)
    assert (await desk.get(f"/v1/evaluation-forms/{found['formId']}"))["categories"] == []


async def test_a_sample_is_drawn_by_who_may_and_told_with_its_calls(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    wanted = {"teamId": desk.team_id, "formId": form["id"], "month": "2026-11"}
    check("NewEvaluationSample", wanted)
    for who in ("dora", "anna", "ada", "program"):
        assert (await desk.ask("POST", "/v1/evaluation-samples", who, wanted)).status == 403, who
    drawn = await desk.made("POST", "/v1/evaluation-samples", "bert", wanted)
    check("EvaluationSample", drawn)
    assert (drawn["perPerson"], drawn["calls"], drawn["evaluated"], drawn["month"]) == (4, 1, 0, "2026-11")
    assert (await desk.ask("POST", "/v1/evaluation-samples", "mark", wanted)).status == 409
    whole = await desk.get(f"/v1/evaluation-samples/{drawn['id']}", "mark")
    check("EvaluationSampleCalls", whole)
    assert [each["recordingId"] for each in whole["items"]] == [desk.recording.id]
    listed = await desk.get("/v1/evaluation-samples", "mark")
    check("EvaluationSamplePage", listed)
    assert [each["id"] for each in listed["items"]] == [drawn["id"]]
    for who in ("dora", "anna"):
        assert (await desk.get("/v1/evaluation-samples", who))["items"] == []
        assert (await desk.ask("GET", f"/v1/evaluation-samples/{drawn['id']}", who)).status == 404
    written = audit_entries.of_object(desk.house.portal, desk.tenant.id, f"evaluation-sample:{drawn['id']}")
    assert written[0].action == "evaluation-sample.drawn"
    assert (written[0].body or {})["seed"] == drawn["seed"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"teamId": "x"}, "/teamId"),
        ({"formId": 1}, "/formId"),
        ({"month": "2026-13"}, "/month"),
        ({"month": "2026-11-02"}, "/month"),
        ({"month": "0001-01"}, "/month"),
        ({"perPerson": 0}, "/perPerson"),
        ({"perPerson": 51}, "/perPerson"),
        ({"seed": "x"}, "/seed"),
    ],
)
async def test_what_is_no_sample_is_told(desk: EvaluationDesk, wrong: Any, pointer: str) -> None:
    wanted = {"teamId": desk.team_id, "formId": NOTHING, "month": "2026-11", **wrong}
    problem = await desk.made("POST", "/v1/evaluation-samples", "bert", wanted, 400)
    assert pointer in {each["parameter"] for each in problem["errors"]}
