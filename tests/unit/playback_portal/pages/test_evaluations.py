"""Pages of evaluations: filling in, results, the making of forms, and samples; and who is not let in."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import audit_entries, directory, evaluation_forms, policies
from archive.model import Recording
from playback_portal.app import create_app
from tests.annotation_desk import NOW
from tests.evaluation_desk import CATEGORIES, EvaluationDesk

NOTHING = "01990000-0000-7000-8000-000000000000"


@pytest.fixture
async def desk(house: Any, archive: Callable[..., Recording]) -> AsyncIterator[EvaluationDesk]:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield EvaluationDesk(client, house, archive)


def current(text: str) -> str:
    found = re.search(r'class="question current" id="question-(\w+)"', text)
    return found[1] if found else ""


async def answer(desk: EvaluationDesk, path: str, question: str, value: str, **more: str) -> str:
    fields = {"question": question, "value": value, "at_ms": "700", **more}
    status, text = await desk.form(path, "bert", **fields)
    assert status == 200, text
    return text


async def begun(desk: EvaluationDesk) -> str:
    """Return the path of an evaluation that Bert began by its first answer."""
    form = await desk.new_form()
    text = await answer(desk, "evaluations", "name", "1", form=form["id"])
    found = re.search(r'action="/recordings/[^/]+/(evaluations/[0-9a-f-]{36})"', text)
    assert found is not None
    return found[1]


async def test_looking_at_a_form_leaves_nothing_and_the_first_answer_begins(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    text = await desk.page("evaluations", "bert")
    assert current(text) == "name"
    assert (await desk.get("evaluations", "bert"))["items"] == []
    text = await answer(desk, "evaluations", "name", "1", form=form["id"])
    assert current(text) == "tone"
    assert 'id="question-offer"' in text
    (found,) = (await desk.get("evaluations", "bert"))["items"]
    assert found["answers"]["name"] == {"value": 1, "atMs": 700, "comment": ""}


async def test_answers_show_hide_and_release(desk: EvaluationDesk) -> None:
    path = await begun(desk)
    text = await answer(desk, path, "name", "0")
    assert 'id="question-offer"' not in text
    text = await answer(desk, path, "name", "1")
    text = await answer(desk, path, "tone", "2")
    # A low answer wants words before the next question is due.
    assert current(text) == "tone"
    assert "Waarom?" in text
    text = await answer(desk, path, "tone", "", comment="Te vlug")
    assert current(text) == "offer"
    assert "data-release" not in text
    text = await answer(desk, path, "offer", "2")
    assert "data-release" in text
    status, text = await desk.form(f"{path}/release", "bert")
    assert status == 200
    assert "De evaluatie is vrijgegeven." in text
    assert "55,0" in text
    (found,) = (await desk.get("evaluations"))["items"]
    assert found["answers"]["tone"] == {"value": 2, "atMs": 700, "comment": "Te vlug"}


async def test_without_scripts_every_answer_leads_back(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    status, _ = await desk.form(
        "evaluations", "bert", htmx=False, form=form["id"], question="name", value="1"
    )
    assert status == 303


async def test_an_answer_to_a_form_that_was_changed_meanwhile_goes_to_no_question(
    desk: EvaluationDesk,
) -> None:
    """The panel comes back with what is asked now, and says that the last press was not kept."""
    form = await desk.new_form()
    first = {"form": form["id"], "version": "1", "question": "name", "value": "1"}
    other = [{"title": "Anders", "questions": [{"id": "name", "text": "Bedankt?", "kind": "yes-no"}]}]
    await desk.made("PATCH", f"/v1/evaluation-forms/{form['id']}", "ada", {"sections": other}, 200)
    status, text = await desk.form("evaluations", "bert", **first)
    assert status == 409
    assert "intussen" in text
    assert "Bedankt?" in text
    assert (await desk.get("evaluations", "bert"))["items"] == []
    assert (await desk.form("evaluations", "bert", htmx=False, **first))[0] == 409
    assert desk.log()[-1].result == "refused"
    assert 'name="version" value="2"' in text
    assert (await desk.form("evaluations", "bert", **{**first, "version": "2"}))[0] == 200


async def test_a_first_answer_that_can_not_be_begins_nothing(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    assert (await desk.form("evaluations", "bert", form=form["id"], question="name", value="7"))[0] == 403
    assert (await desk.get("evaluations", "bert"))["items"] == []


async def test_what_a_colleague_settled_meanwhile_is_shown_as_it_stands(desk: EvaluationDesk) -> None:
    found = await desk.released()
    await desk.form(f"/evaluations/{found['id']}/dispute", "anna", htmx=False, text="Onwaar")
    path = f"evaluations/{found['id']}"
    assert (await desk.form(f"{path}/settlement", "mark", text="Klopt"))[0] == 200
    for last in ({"question": "tone", "value": "1"}, {}):
        status, text = await desk.form(
            path if last else f"{path}/settlement", "bert", text="Toch niet", **last
        )
        assert status == 409
        assert "intussen" in text
        assert "Afgehandeld" in text


async def test_a_dispute_is_not_settled_while_words_are_missing_and_what_was_written_stays(
    desk: EvaluationDesk,
) -> None:
    found = await desk.released()
    await desk.form(f"/evaluations/{found['id']}/dispute", "anna", htmx=False, text="Onwaar")
    path = f"evaluations/{found['id']}"
    written = "Klopt, <b>ik</b> hoorde het."
    status, text = await desk.form(path, "mark", question="tone", value="1", settling=written)
    assert (status, current(text)) == (200, "tone")
    assert f"{written}</textarea>" in text
    assert "Er ontbreekt 1 antwoord of toelichting." in text
    status, text = await desk.form(f"{path}/settlement", "mark", text=written)
    assert (status, current(text)) == (409, "tone")
    assert f"{written}</textarea>" in text
    assert "Er ontbreken antwoorden of toelichtingen." in text
    assert "intussen" not in text
    assert (await desk.form(f"{path}/settlement", "mark", htmx=False, text=written))[0] == 409
    said = {"said.tone": "Wel vlug"}
    assert (await desk.form(f"{path}/settlement", "mark", text=written, **said))[0] == 200
    assert "Wel vlug" in await desk.page(f"/evaluations/{found['id']}", "anna")


async def test_words_beside_an_answer_come_along_with_whatever_is_pressed(desk: EvaluationDesk) -> None:
    """With another answer and with the release, kept with it or not at all; of no question that has none."""
    path = await begun(desk)
    await answer(desk, path, "tone", "3")
    elsewhere = {"said.tone": "Rustig", "said.offer": "Nergens", "said.<b>": "x"}
    text = await answer(desk, path, "name", "1", **elsewhere)
    assert "Rustig</textarea>" in text
    (found,) = (await desk.get("evaluations", "bert"))["items"]
    assert found["answers"]["tone"] == {"value": 3, "atMs": 700, "comment": "Rustig"}
    assert "offer" not in found["answers"]
    status, _ = await desk.form(path, "bert", question="offer", value="7", **{"said.tone": "Weg"})
    assert status == 403
    status, _ = await desk.form(f"{path}/release", "bert", **{"said.tone": "Weg"})
    assert status == 409
    (found,) = (await desk.get("evaluations", "bert"))["items"]
    assert found["answers"]["tone"]["comment"] == "Rustig"
    await answer(desk, path, "offer", "2")
    assert (await desk.form(f"{path}/release", "bert", **{"said.tone": "Vriendelijk"}))[0] == 200
    (found,) = (await desk.get("evaluations", "anna"))["items"]
    assert (found["state"], found["answers"]["tone"]["comment"]) == ("released", "Vriendelijk")


async def test_another_form_is_chosen_beside_a_draft_and_beside_a_dispute(desk: EvaluationDesk) -> None:
    """Neither a call that was begun by one form nor a dispute nobody settles keeps a call from another form."""
    first, second = await desk.new_form("Eerste"), await desk.new_form("Tweede")
    offered = r'<option value="([^"]+)"( selected)?>(?:Eerste|Tweede)</option>'
    await answer(desk, "evaluations", "name", "1", form=first["id"])
    assert re.findall(offered, await desk.page("evaluations", "bert")) == [
        (first["id"], " selected"),
        (second["id"], ""),
    ]
    found = await desk.released(first)
    await desk.form(f"/evaluations/{found['id']}/dispute", "anna", htmx=False, text="Onwaar")
    await desk.made("PATCH", f"/v1/evaluation-forms/{first['id']}", "ada", {"retired": True}, 200)
    text = await desk.page("evaluations", "mark")
    assert 'id="settlement"' in text
    assert re.findall(offered, text) == [(first["id"], " selected"), (second["id"], "")]
    text = await desk.page(f"evaluations?form={second['id']}", "mark")
    assert 'id="settlement"' not in text
    assert current(text) == "name"


async def test_a_result_of_somebody_else_is_opened_with_a_purpose_where_the_tenant_wants_one(
    desk: EvaluationDesk,
) -> None:
    found = await desk.released(tone={"value": 1, "comment": "Kortaf"})
    policies.set_policy(desk.house.operator, desk.tenant.id, purpose_required=True)
    path = f"/evaluations/{found['id']}"
    for who in ("mark", "otto", "bert"):
        answer = await desk.client.get(path, headers=desk.headers[who], allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (
            303,
            f"/recordings/{desk.recording.id}#evaluations",
        )
        assert "Kortaf" not in await answer.text()
    assert "Kortaf" in await desk.page(path, "anna")
    said = {**desk.headers["mark"], "X-Purpose": "Coaching"}
    assert "Kortaf" in await (await desk.client.get(path, headers=said)).text()
    kept = audit_entries.of_object(desk.house.portal, desk.tenant.id, f"evaluation:{found['id']}")
    assert [each.result for each in kept] == ["ok"] * 2
    assert (kept[-1].body or {})["purpose"] == "Coaching"


async def test_of_few_no_score_stands_in_any_list_file_or_answer_of_a_colleague(
    desk: EvaluationDesk,
) -> None:
    form = await desk.new_form(categories=CATEGORIES)
    found = await desk.released(form, tone={"value": 3, "comment": "Kortaf"})
    await desk.form("/evaluations/policy", "ada", htmx=False, hides="true")
    listed = await desk.page("/evaluations", "mark")
    assert "70,0" not in listed
    assert 'class="category"' not in listed
    assert listed.count("minder dan vijf") == 2
    assert f"/evaluations/{found['id']}" not in listed
    assert (await desk.ask("GET", f"/evaluations/{found['id']}", "mark")).status == 404
    panel = await desk.page("evaluations", "mark")
    assert "70,0" not in panel
    assert "Midden" not in panel
    for path in ("", "/history"):
        assert (await desk.ask("GET", f"evaluations/{found['id']}{path}", "mark")).status == 404
    (told,) = (await desk.get("/v1/evaluations", "mark"))["items"]
    assert (told["told"], told["percent"], told["failed"]) == (False, None, None)
    assert told["category"] is None
    file = await (await desk.ask("GET", "/v1/evaluations?format=csv", "mark")).text()
    assert "70.0" not in file
    assert "Midden" not in file
    assert ",,,false,released," in file
    for told_to in (
        await desk.page("/evaluations", "bert"),
        await desk.page(f"/evaluations/{found['id']}", "anna"),
    ):
        assert "70,0" in told_to
        assert '<bdi class="category">=Midden</bdi>' in told_to


async def test_results_are_chosen_by_category_which_tells_nothing_that_is_hidden(
    desk: EvaluationDesk,
) -> None:
    found = await desk.released(await desk.new_form(categories=CATEGORIES), tone={"value": 4, "comment": "x"})
    chosen = f"/evaluations?category={quote('<b>Hoog')}"
    text = await desk.page(chosen, "mark")
    assert '<option value="&lt;b&gt;Hoog" selected>&lt;b&gt;Hoog</option>' in text
    assert f"/evaluations/{found['id']}" in text
    link = html.unescape(re.search(r'href="(/v1/evaluations[^"]*)"', text)[1])  # type: ignore[index]
    assert "category=%3Cb%3EHoog" in link
    assert len((await (await desk.ask("GET", link, "mark")).text()).splitlines()) == 2
    for other in ("Laag", "x" * 41, "\0"):
        text = await desk.page(f"/evaluations?category={quote(other)}", "mark")
        assert (f"/evaluations/{found['id']}" in text) == (other != "Laag"), other
    await desk.form("/evaluations/policy", "ada", htmx=False, hides="true")
    for path in (chosen, "/evaluations?category=Laag"):
        text = await desk.page(path, "mark")
        assert f"/evaluations/{found['id']}" not in text
        assert "Geen resultaten" in text
        assert "Verborgen resultaten staan in geen categorie." in text
    assert "Verborgen" not in await desk.page("/evaluations", "mark")
    assert f"/evaluations/{found['id']}" in await desk.page(chosen, "bert")


async def test_results_are_chosen_in_the_address_and_taken_along(desk: EvaluationDesk) -> None:
    found = await desk.released()
    anna, day = desk.people["anna"].id, found["releasedAt"][:10]
    of_anna = f"?person={anna}&form={found['formId']}&state=released&from={day}&to={day}"
    text = await desk.page(f"/evaluations{of_anna}", "mark")
    assert f"/evaluations/{found['id']}" in text
    assert f'<option value="{anna}" selected>anna</option>' in text
    link = html.unescape(re.search(r'href="(/v1/evaluations[^"]*)"', text)[1])  # type: ignore[index]
    answer = await desk.ask("GET", link, "mark")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO((await answer.text()).removeprefix("\ufeff")), delimiter=";"))
    assert [row[1:3] for row in rows] == [["person", "evaluator"], ["anna", "bert"]]
    for none in ("?state=disputed", f"?from={int(day[:4]) + 1}-01-01", f"?person={NOTHING}"):
        text = await desk.page(f"/evaluations{none}", "mark")
        assert f"/evaluations/{found['id']}" not in text
        assert "Geen resultaten" in text
    # What can't be is as if it were not said.
    text = await desk.page("/evaluations?person=x&state=draft&from=gisteren&to=9999-12-31", "mark")
    assert f"/evaluations/{found['id']}" in text


@pytest.mark.parametrize("value", ["7", "x", "11", "", "na"])
async def test_an_answer_that_can_not_be_is_refused(desk: EvaluationDesk, value: str) -> None:
    path = await begun(desk)
    status, _ = await desk.form(path, "bert", question="offer", value=value)
    assert status in {400, 403}


async def test_a_draft_is_withdrawn(desk: EvaluationDesk) -> None:
    path = await begun(desk)
    status, text = await desk.form(f"{path}/withdrawal", "bert")
    assert status == 200
    assert "Het concept is ingetrokken." in text
    assert current(text) == "name"


async def test_whom_it_is_about_reads_acknowledges_or_disputes_and_it_is_settled(
    desk: EvaluationDesk,
) -> None:
    found = await desk.released(tone={"value": 1, "comment": "Kortaf"})
    listed = await desk.page("/evaluations", "anna")
    assert f"/evaluations/{found['id']}" in listed
    text = await desk.page(f"/evaluations/{found['id']}", "anna")
    assert "Kortaf" in text
    assert "Ik heb het gezien" in text
    for who in ("dora", "ada", "reader"):
        assert (await desk.ask("GET", f"/evaluations/{found['id']}", who)).status == 404, who
    assert (await desk.form(f"/evaluations/{found['id']}/dispute", "bert", text="Nee"))[0] == 404
    assert (await desk.form(f"/evaluations/{found['id']}/dispute", "anna", text=" "))[0] == 400
    assert (await desk.form(f"/evaluations/{found['id']}/dispute", "anna", htmx=False, text="Onwaar"))[
        0
    ] == 303
    for who, settles in (("mark", True), ("bert", True), ("otto", False), ("anna", False)):
        listed = await desk.page("/evaluations", who)
        assert ("Bezwaren om af te handelen" in listed) == settles, who
        assert (f'<a href="/recordings/{desk.recording.id}#evaluations"><bdi>anna</bdi>' in listed) == settles
    text = await desk.page("evaluations", "mark")
    assert "anna</bdi> maakt bezwaar tegen deze evaluatie." in text
    await desk.form(f"evaluations/{found['id']}", "mark", question="tone", value="5")
    status, text = await desk.form(f"evaluations/{found['id']}/settlement", "mark", text="Klopt")
    assert status == 200
    assert "Het bezwaar is afgehandeld." in text
    assert "Bezwaren om af te handelen" not in await desk.page("/evaluations", "mark")
    text = await desk.page(f"/evaluations/{found['id']}", "anna")
    assert "Klopt" in text
    assert "100,0" in text


async def test_whom_it_is_about_acknowledges_without_hearing_the_call(desk: EvaluationDesk) -> None:
    found = await desk.released()
    directory.set_user(desk.house.operator, desk.tenant.id, "anna", now=NOW, access="none")
    text = await desk.page(f"/evaluations/{found['id']}", "anna")
    assert f"/recordings/{desk.recording.id}" not in text
    assert (await desk.form(f"/evaluations/{found['id']}/acknowledgement", "anna", htmx=False))[0] == 303
    assert "Gezien" in await desk.page(f"/evaluations/{found['id']}", "anna")


async def test_who_has_seen_an_evaluation_did_not_agree_to_it(desk: EvaluationDesk) -> None:
    """It can be disputed afterwards; and what is pressed twice leads back to the page."""
    found = await desk.released()
    page = f"/evaluations/{found['id']}"
    for _ in range(2):
        assert (await desk.form(f"{page}/acknowledgement", "anna", htmx=False))[0] == 303
    text = await desk.page(page, "anna")
    assert "Gezien" in text
    assert "Ik heb het gezien" not in text
    assert (await desk.form(f"{page}/dispute", "anna", htmx=False, text="Toch niet"))[0] == 303
    text = await desk.page(page, "anna")
    assert "Toch niet" in text
    assert "Je reactie" not in text


async def test_averages_of_few_are_hidden_where_the_tenant_wants_it(desk: EvaluationDesk) -> None:
    await desk.released(tone={"value": 3, "comment": "x"})
    assert "70,0" in await desk.page("/evaluations", "mark")
    for who, status in (("mark", 403), ("ada", 303)):
        assert (await desk.form("/evaluations/policy", who, htmx=False, hides="true"))[0] == status
    text = await desk.page("/evaluations", "mark")
    assert "minder dan vijf" in text
    await desk.form("/evaluations/policy", "ada", htmx=False, hides="false")
    assert "minder dan vijf" not in await desk.page("/evaluations", "mark")


async def test_who_makes_no_forms_is_kept_out(desk: EvaluationDesk) -> None:
    form = await desk.new_form()
    for path in ("/evaluations/forms", "/evaluations/forms/new", f"/evaluations/forms/{form['id']}"):
        for who, status in (("ada", 200), ("mark", 200), ("bert", 403), ("anna", 403), ("otto", 403)):
            assert (await desk.ask("GET", path, who)).status == status, (path, who)
    assert (await desk.form("/evaluations/forms", "bert", name="x"))[0] == 403


FIELDS = {
    "name": "Gesprek",
    "s0.title": "Begin",
    "s0.q0.id": "q1",
    "s0.q0.text": "Eerste?",
    "s0.q0.kind": "yes-no",
    "s0.q0.weight": "2",
    "s0.q1.id": "q2",
    "s0.q1.text": "Aanbod",
    "s0.q1.kind": "choice",
    "s0.q1.choices": "Geen = 0\r\nGoed = 5",
    "s0.q1.when": "q1",
    "s0.q1.values": "1",
    "s0.q1.skippable": "on",
}


async def test_a_form_is_built_by_presses_and_kept_once_it_is_one(desk: EvaluationDesk) -> None:
    page = "/evaluations/forms"
    status, text = await desk.form(page, "mark", **FIELDS, do="add:0")
    assert status == 200
    assert 'value="q3"' in text
    status, text = await desk.form(page, "mark", **{**FIELDS, "s0.q0.text": ""}, do="save")
    assert status == 400
    assert '<a href="#s0-q0-text">Vraag 1.1</a>: Schrijf hier 1 tot 300 tekens.' in text
    status, text = await desk.form(page, "mark", **FIELDS, do="preview")
    assert status == 200
    assert (await desk.get("/v1/evaluation-forms"))["items"] == []
    assert (await desk.form(page, "mark", htmx=False, **FIELDS, do="save"))[0] == 303
    (made,) = (await desk.get("/v1/evaluation-forms"))["items"]
    assert made["sections"][0]["questions"][1]["choices"][1] == {"text": "Goed", "points": 5}
    one = f"{page}/{made['id']}"
    assert (await desk.form(one, "ada", htmx=False, **{**FIELDS, "s0.title": "Anders"}, do="save"))[0] == 303
    assert (await desk.get(f"/v1/evaluation-forms/{made['id']}"))["version"] == 2
    assert "Goed = 5" in await desk.page(f"{one}?version=1", "ada")
    await desk.form(f"{one}/offer", "ada", htmx=False, on="false")
    assert (await desk.get("/v1/evaluation-forms"))["items"] == []


async def test_a_question_that_waits_for_one_that_was_removed_waits_for_no_other(
    desk: EvaluationDesk,
) -> None:
    """Neither is it asked always from then on, nor after a question that is made later."""
    fields = {**FIELDS, "s1.title": "Afloop"} | {
        name.replace("s0.q1", "s1.q0"): value for name, value in FIELDS.items() if "q1." in name
    }
    fields = {name: value for name, value in fields.items() if not name.startswith("s0.q1")}
    _, text = await desk.form("/evaluations/forms", "mark", **fields, do="remove:0:0")
    assert '<option value="q1" selected>een vraag die weg is</option>' in text
    left = {name: value for name, value in fields.items() if not name.startswith("s0.q0")}
    _, text = await desk.form("/evaluations/forms", "mark", **left, do="add:0")
    assert 'name="s0.q0.id" value="q3"' in text
    asked = {**left, "s0.q0.id": "q3", "s0.q0.text": "Nieuw?", "s0.q0.kind": "yes-no"}
    status, text = await desk.form("/evaluations/forms", "mark", **asked, do="save")
    assert (status, "De vraag waarop ze wacht, moet ervoor" in text) == (400, True)


GRADES = {"c0.name": "Laag", "c0.from": "0", "c1.name": "<b>Hoog", "c1.from": "60"}


async def test_categories_are_added_put_in_order_and_removed_without_scripts(desk: EvaluationDesk) -> None:
    page = "/evaluations/forms"
    _, text = await desk.form(page, "mark", **FIELDS, do="grade")
    assert re.findall(r'name="(c[0-9]\.[a-z]+)" type="\w+" value="([^"]*)"', text) == [
        ("c0.name", ""),
        ("c0.from", "0"),
        ("c1.name", ""),
        ("c1.from", ""),
    ]
    between = {**GRADES, "c2.name": "Midden", "c2.from": "30", "c3.name": "", "c3.from": ""}
    for pressed, focused in (("ungrade:1", "c1-name"), ("ungrade:3", "c2-name"), ("ungrade:9", "c3-name")):
        _, text = await desk.form(page, "mark", **FIELDS, **between, do=pressed)
        assert re.findall(r'id="([^"]+)"[^>]* autofocus', text) == [focused]
    _, text = await desk.form(page, "mark", **FIELDS, **between, do="ungrade:2")
    names = r'name="c[0-9]\.name" type="text" value="([^"]*)"'
    assert re.findall(names, text) == ["Laag", "<b>Hoog", ""]
    _, text = await desk.form(page, "mark", **FIELDS, **between, do="preview")
    assert re.findall(names, text) == ["Laag", "Midden", "<b>Hoog", ""]
    assert '<bdi class="category"><b>Hoog</bdi> vanaf 60,0' in text
    assert (await desk.form(page, "mark", htmx=False, **FIELDS, **between, do="save"))[0] == 303
    (made,) = (await desk.get("/v1/evaluation-forms"))["items"]
    assert [(each["name"], each["fromPercent"]) for each in made["categories"]] == [
        ("Laag", 0),
        ("Midden", 30),
        ("<b>Hoog", 60),
    ]
    one = f"{page}/{made['id']}"
    assert 'value="&lt;b&gt;Hoog"' in await desk.page(one, "ada")
    assert (await desk.form(one, "ada", htmx=False, **FIELDS, do="save"))[0] == 303
    after = await desk.get(f"/v1/evaluation-forms/{made['id']}")
    assert (after["version"], after["categories"]) == (2, [])


async def test_categories_that_are_as_they_were_offered_are_none(desk: EvaluationDesk) -> None:
    offered = {"c0.name": "", "c0.from": "0", "c1.name": " ", "c1.from": ""}
    assert (await desk.form("/evaluations/forms", "mark", htmx=False, **FIELDS, **offered, do="save"))[
        0
    ] == 303
    (made,) = (await desk.get("/v1/evaluation-forms"))["items"]
    assert made["categories"] == []
    halfway = {**offered, "c1.name": "Goed", "c1.from": "60"}
    status, text = await desk.form("/evaluations/forms", "mark", **FIELDS, **halfway, do="save")
    assert (status, "Categorie 1</a>: Schrijf hier 1 tot 40 tekens." in text) == (400, True)


async def test_nobody_replaces_unseen_what_another_made_of_a_form(desk: EvaluationDesk) -> None:
    """What both made stays: the one on the page, to be saved again, and the other as a version."""
    await desk.form("/evaluations/forms", "mark", htmx=False, **FIELDS, do="save")
    (made,) = (await desk.get("/v1/evaluation-forms"))["items"]
    one = f"/evaluations/forms/{made['id']}"

    def seen(text: str) -> dict[str, str]:
        return dict(re.findall(r'type="hidden" name="(seen)" value="(\d+)"', text))

    opened = seen(await desk.page(one, "ada"))
    theirs = {**FIELDS, **opened, "s0.title": "Van Mark"}
    assert (await desk.form(one, "mark", htmx=False, **theirs, do="save"))[0] == 303
    mine = {**FIELDS, **opened, "s0.title": "Van Ada"}
    _, text = await desk.form(one, "ada", **mine, do="add:0")
    assert seen(text) == opened
    status, text = await desk.form(one, "ada", **mine, do="save")
    assert status == 400
    assert "intussen gewijzigd" in text
    assert "Van Ada" in text
    assert (await desk.get(f"/v1/evaluation-forms/{made['id']}"))["sections"][0]["title"] == "Van Mark"
    assert (await desk.form(one, "ada", htmx=False, **{**mine, **seen(text)}, do="save"))[0] == 303
    titles = [
        (await desk.get(f"/v1/evaluation-forms/{made['id']}?version={number}"))["sections"][0]["title"]
        for number in (1, 2, 3)
    ]
    assert titles == ["Begin", "Van Mark", "Van Ada"]


async def test_a_hostile_category_is_text_wherever_a_score_is_shown(desk: EvaluationDesk) -> None:
    form = await desk.new_form(categories=CATEGORIES)
    found = await desk.released(form, tone={"value": 4, "comment": "x"})
    shown = '<bdi class="category">&lt;b&gt;Hoog</bdi>'
    for path, who in (
        ("/evaluations", "mark"),
        ("/evaluations", "anna"),
        (f"/evaluations/{found['id']}", "anna"),
        ("evaluations", "mark"),
    ):
        text = await desk.page(path, who)
        assert shown in text, (path, who)
        assert "<b>Hoog" not in text


async def test_the_running_score_of_a_draft_has_its_category(desk: EvaluationDesk) -> None:
    form = await desk.new_form(categories=CATEGORIES)
    text = await answer(desk, "evaluations", "name", "0", form=form["id"])
    assert ', <bdi class="category">Laag</bdi></span>' in text


@pytest.mark.parametrize(
    ("wrong", "told", "field"),
    [
        ({**GRADES, "c1.name": ""}, "Categorie 2</a>: Schrijf hier 1 tot 40 tekens.", "c1-name"),
        ({**GRADES, "c1.from": "x"}, "Categorie 2</a>: Dit is een geheel getal van 0 tot 100.", "c1-from"),
        ({**GRADES, "c1.from": ""}, "Categorie 2</a>: Dit is een geheel getal van 0 tot 100.", "c1-from"),
        ({**GRADES, "c0.from": "5"}, "Categorie 1</a>: De laagste categorie begint bij 0.", "c0-from"),
        ({**GRADES, "c1.from": "0"}, "Categorie 2</a>: Twee categorieën beginnen bij", "c1-from"),
        ({**GRADES, "c1.name": "laag"}, "Categorie 2</a>: Twee categorieën hebben dezelfde naam.", "c1-name"),
        ({"c0.name": "Een", "c0.from": "0"}, "Categorie 1</a>: Geef 2 tot 6 categorieën", "c0-name"),
        ({"name": " "}, "Schrijf hier 1 tot 80 tekens.", "f-name"),
        ({"s0.title": "x" * 81}, "Onderdeel 1</a>: Schrijf hier 1 tot 80 tekens.", "s0-title"),
        ({"s0.q0.weight": "0"}, "Vraag 1.1</a>: Dit is een geheel getal van 1 tot 100.", "s0-q0-weight"),
        ({"s0.q0.kind": "scale", "s0.q0.steps": "x"}, "Dit is een geheel getal van 2 tot 9.", "s0-q0-steps"),
        ({"s0.q1.choices": "Geen = 0"}, "Vraag 1.2</a>: Er horen 2 tot 9 keuzes te zijn", "s0-q1-choices"),
        ({"s0.q1.choices": "Geen = 1\nGoed = 1"}, "Alle keuzes hebben evenveel punten.", "s0-q1-choices"),
        ({"s0.q1.choices": "Geen = 0\nGoed"}, "Elke keuze eindigt met haar punten", "s0-q1-choices"),
        ({"s0.q1.choices": "Geen = 0\nGoed = veel"}, "Elke keuze eindigt met haar punten", "s0-q1-choices"),
        ({"s0.q1.values": ""}, "Vraag 1.2</a>: Zeg na welke antwoorden", "s0-q1-values"),
        ({"s0.q1.values": "ja"}, "Antwoorden zijn cijfers met komma's", "s0-q1-values"),
        ({"s0.q1.values": "5"}, "De vraag waarop ze wacht, kent dat antwoord niet.", "s0-q1-values"),
        ({"s0.q0.when": "q2", "s0.q0.values": "1"}, "De vraag waarop ze wacht, moet ervoor", "s0-q0-values"),
    ],
)
async def test_what_is_wrong_with_a_form_is_told_in_the_language_of_who_makes_it_where_it_is(
    desk: EvaluationDesk, wrong: dict[str, str], told: str, field: str
) -> None:
    """The notice leads to the field, which has the focus and says what is wrong with it."""
    status, text = await desk.form("/evaluations/forms", "mark", **{**FIELDS, **wrong}, do="save")
    assert status == 400
    notice = text.split('role="alert"')[1].split("</div></div>")[0]
    assert told in notice
    assert "/sections" not in text
    assert "/categories" not in text
    (of_field,) = re.findall(rf'<(?:input|textarea) class="input" id="{field}"[^>]*>', text)
    assert 'aria-invalid="true"' in of_field
    assert "autofocus" in of_field
    assert f"{field}-error" in of_field
    assert (await desk.get("/v1/evaluation-forms"))["items"] == []


async def test_a_form_too_many_is_told_in_the_language_of_who_makes_it(
    desk: EvaluationDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_forms, "FORMS_PER_TENANT_MAX", 0)
    status, text = await desk.form("/evaluations/forms", "mark", **FIELDS, do="save")
    assert (status, "Er zijn al te veel formulieren" in text) == (400, True)


async def test_a_sample_is_drawn_once_worked_through_and_seen_by_who_may_evaluate(
    desk: EvaluationDesk,
) -> None:
    form = await desk.new_form()
    wanted = {"team": desk.team_id, "form": form["id"], "month": "2026-11", "per_person": "4"}
    for who in ("dora", "anna", "ada"):
        assert (await desk.form("/evaluations/samples", who, htmx=False, **wanted))[0] == 403, who
    answered = await desk.client.post(
        "/evaluations/samples", data=wanted, headers=desk.headers["bert"], allow_redirects=False
    )
    assert answered.status == 303
    path = answered.headers["Location"]
    status, text = await desk.form("/evaluations/samples", "mark", htmx=False, **wanted)
    assert status == 409
    assert "al getrokken" in text
    text = await desk.page(path, "mark")
    assert f"/recordings/{desk.recording.id}#evaluations" in text
    assert "0 van 1" in text
    for who in ("dora", "anna"):
        assert (await desk.ask("GET", path, who)).status == 404, who
    made = await desk.made("POST", "evaluations", "bert", {"formId": form["id"]})
    given = {"name": {"value": 1}, "tone": {"value": 5}, "offer": {"value": 2}}
    await desk.made("PATCH", f"evaluations/{made['id']}", "bert", {"answers": given}, 200)
    await desk.made("POST", f"evaluations/{made['id']}/releases", "bert")
    assert "1 van 1" in await desk.page(path, "mark")
    for wrong in ({"month": "2026-13"}, {"per_person": "x"}, {"per_person": "0"}, {"per_person": "51"}):
        assert (await desk.form("/evaluations/samples", "bert", **{**wanted, **wrong}))[0] == 400
    assert (await desk.form("/evaluations/samples", "bert", **{**wanted, "month": "2025-01"}))[0] == 409
    assert (await desk.ask("GET", f"/evaluations/samples/{NOTHING}", "bert")).status == 404
