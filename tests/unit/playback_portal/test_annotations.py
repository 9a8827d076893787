"""Comments, notes, labels and favourites over the API: shapes, histories, refusals and what the log says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import jsonschema
import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.access import Scope
from archive.catalogue import policies
from archive.catalogue.comments import COMMENT_CHARS_MAX
from archive.catalogue.labels import NAME_CHARS_MAX
from archive.catalogue.notes import NOTE_CHARS_MAX
from archive.model import Recording
from playback_portal.app import create_app
from playback_portal.comments import COMMENT_ROUTES, OFFSET_MS_MAX
from playback_portal.labels import LABEL_ROUTES
from playback_portal.openapi import document
from playback_portal.routes import ROUTES
from tests.annotation_desk import Desk

DOCUMENT = document(ROUTES)
NOTHING = "01990000-0000-7000-8000-000000000000"
HOSTILE = ("<script>alert(1)</script>", "=1+1", "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "a\r\nSet-Cookie: x")


@pytest.fixture
async def desk(house: Any, archive: Callable[..., Recording]) -> AsyncIterator[Desk]:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Desk(client, house, archive)


def check(schema: str, told: Any) -> None:
    jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]},
        format_checker=jsonschema.FormatChecker(),
    ).validate(told)


async def test_a_conversation_about_a_moment(desk: Desk) -> None:
    first = await desk.say("Hier noem ik de prijs", 700)
    check("Comment", first)
    assert (first["author"], first["atMs"]) == (f"user:{desk.people['anna'].id}", 700)
    answer = await desk.ask("POST", f"comments/{first['id']}/replies", "program", {"text": "Zonder btw"})
    reply = await answer.json()
    check("Comment", reply)
    assert (answer.status, reply["replyTo"], reply["atMs"]) == (201, first["id"], 700)
    assert answer.headers["Location"].endswith(f"/comments/{reply['id']}")
    await desk.say("Begroeting", 0, "program")
    listed = await desk.get("comments", "reader")
    check("CommentPage", listed)
    assert [each["text"] for each in listed["items"]] == ["Begroeting", "Hier noem ik de prijs", "Zonder btw"]
    answer = await desk.ask("PATCH", f"comments/{first['id']}", body={"text": "Hier noemde ik de prijs"})
    assert (answer.status, (await answer.json())["revision"]) == (200, 2)
    assert (await desk.ask("DELETE", f"comments/{first['id']}")).status == 204
    shown = await desk.get(f"comments/{first['id']}", "otto")
    assert (shown["text"], shown["deleted"]) == ("", True)
    history = await desk.get(f"comments/{first['id']}/history", "otto")
    check("RevisionPage", history)
    assert [(each["content"]["text"], each["content"]["deleted"]) for each in history["items"]] == [
        ("Hier noem ik de prijs", False),
        ("Hier noemde ik de prijs", False),
        ("Hier noemde ik de prijs", True),
    ]
    assert history["items"][0]["content"]["atMs"] == 700


async def test_the_log_says_who_wrote_and_never_what(desk: Desk) -> None:
    made = await desk.say("Geheim", 700)
    await desk.ask("PATCH", f"comments/{made['id']}", body={"text": "Heel geheim"})
    await desk.ask("PUT", "note", body={"text": "Geheime notitie"})
    await desk.ask("POST", "labels", body={"name": "Geheim label"})
    await desk.ask("PUT", "favourite")
    entries = desk.log()[-5:]
    assert [(each.action, each.result) for each in entries] == [
        ("comment.added", "ok"),
        ("comment.changed", "ok"),
        ("note.changed", "ok"),
        ("recording.labelled", "ok"),
        ("favourite.marked", "ok"),
    ]
    assert {each.actor for each in entries} == {f"user:{desk.people['anna'].id}"}
    assert "eheim" not in str([each.body for each in entries])
    assert entries[0].body["comment"] == made["id"]
    assert entries[1].body["revision"] == 2


async def test_who_may_write_what(desk: Desk) -> None:
    """A user who does not hear the call finds nothing; an auditor and a reading key read only."""
    made = await desk.say()
    label = await (await desk.ask("POST", "labels", body={"name": "Klacht"})).json()
    writes: list[tuple[str, str, Any]] = [
        ("POST", "comments", {"text": "x"}),
        ("POST", f"comments/{made['id']}/replies", {"text": "x"}),
        ("PATCH", f"comments/{made['id']}", {"text": "x"}),
        ("DELETE", f"comments/{made['id']}", None),
        ("PUT", "note", {"text": "x"}),
        ("DELETE", "note", None),
        ("POST", "labels", {"name": "x"}),
        ("DELETE", f"labels/{label['id']}", None),
        ("PUT", "favourite", None),
        ("DELETE", "favourite", None),
        ("POST", "/v1/labels", {"name": "y"}),
    ]
    expected = {
        "bert": [404] * 10 + [201],
        "otto": [403] * 11,
        "reader": [403] * 11,
        # Administrators hear nothing by their role alone, and write nothing; labels are theirs.
        "ada": [404] * 10 + [409],
        # Somebody else's comment stays as it is, whoever hears it; favourites are of people.
        "program": [201, 201, 403, 403, 200, 204, 201, 204, 403, 403, 409],
    }
    for who, statuses in expected.items():
        assert [
            (await desk.ask(method, path, who, body)).status for method, path, body in writes
        ] == statuses, who
    for path in ("comments", f"comments/{made['id']}", "note", "labels", "favourite"):
        for who, status in (("otto", 200), ("reader", 200), ("bert", 404), ("ada", 404)):
            await desk.get(path, who, status)
    for method, body in (("PATCH", {"name": "Boos"}), ("DELETE", None)):
        for who, status in (("anna", 403), ("otto", 403), ("ada", 200 if body else 204)):
            assert (await desk.ask(method, f"/v1/labels/{label['id']}", who, body)).status == status, who


async def test_a_change_with_if_match_fails_when_somebody_was_first(desk: Desk) -> None:
    made = await desk.say()
    path = f"comments/{made['id']}"
    seen = (await desk.ask("GET", path)).headers["ETag"]
    answer = await desk.ask("PATCH", path, body={"text": "one"}, If_Match=seen)
    assert answer.status == 200
    assert (await desk.ask("PATCH", path, body={"text": "two"}, If_Match=seen)).status == 412
    assert (await desk.ask("DELETE", path, If_Match=seen)).status == 412
    assert (await desk.ask("DELETE", path, If_Match=answer.headers["ETag"])).status == 204
    empty = (await desk.ask("GET", "note")).headers["ETag"]
    assert (await desk.ask("PUT", "note", body={"text": "one"}, If_Match=empty)).status == 200
    assert (await desk.ask("PUT", "note", "program", {"text": "two"}, If_Match=empty)).status == 412
    # Without it the last one counts, and the earlier value stays.
    assert (await desk.ask("PUT", "note", "program", {"text": "two"})).status == 200
    history = await desk.get("note/history")
    assert [each["content"]["text"] for each in history["items"]] == ["one", "two"]
    label = await (await desk.ask("POST", "/v1/labels", body={"name": "Klacht"})).json()
    seen = (await desk.ask("GET", f"/v1/labels/{label['id']}")).headers["ETag"]
    for status in (200, 412):
        answer = await desk.ask(
            "PATCH", f"/v1/labels/{label['id']}", "ada", {"colour": "pink"}, If_Match=seen
        )
        assert answer.status == status


async def test_the_note(desk: Desk) -> None:
    none = await desk.get("note")
    check("Note", none)
    assert none == {"text": "", "revision": 0, "changedBy": None, "changedAt": None}
    answer = await desk.ask("PUT", "note", body={"text": " Monteur\r\nkomt "})
    note = await answer.json()
    check("Note", note)
    assert (note["text"], note["revision"]) == ("Monteur\nkomt", 1)
    assert (await desk.ask("DELETE", "note")).status == 204
    assert (await desk.get("note"))["text"] == ""
    assert len((await desk.get("note/history", "otto"))["items"]) == 2


async def test_labels_of_the_tenant_and_of_a_recording(desk: Desk) -> None:
    answer = await desk.ask("POST", "/v1/labels", body={"name": "Klacht", "colour": "blue", "shape": "dot"})
    label = await answer.json()
    check("Label", label)
    assert answer.headers["Location"] == f"/v1/labels/{label['id']}"
    assert (await desk.ask("POST", "/v1/labels", body={"name": "KLACHT"})).status == 409
    for body in ({"labelId": label["id"]}, {"name": "klacht"}, {"labelId": label["id"]}):
        answer = await desk.ask("POST", "labels", body=body)
        assert (answer.status, (await answer.json())["id"]) == (201, label["id"])
    carried = await desk.get("labels", "otto")
    check("LabelPage", carried)
    assert carried["items"] == [label]
    found = await desk.get(f"/v1/recordings?label={label['id']}&q=klacht")
    assert [each["id"] for each in found["items"]] == [desk.recording.id]
    assert (await desk.ask("DELETE", f"/v1/labels/{label['id']}", "ada")).status == 204
    assert (await desk.get("/v1/labels"))["items"] == []
    (retired,) = (await desk.get("/v1/labels?retired=1"))["items"]
    assert retired["retired"] is True
    assert (await desk.get("labels"))["items"] == [retired]
    for _ in range(2):
        assert (await desk.ask("DELETE", f"labels/{label['id']}")).status == 204
    assert (await desk.ask("DELETE", f"labels/{NOTHING}")).status == 404
    assert (await desk.ask("POST", "labels", body={"labelId": label["id"]})).status == 409
    history = await desk.get("labels/history")
    check("RevisionPage", history)
    assert [each["content"] for each in history["items"]] == [
        {"labelId": label["id"], "attached": True},
        {"labelId": label["id"], "attached": False},
    ]
    history = await desk.get(f"/v1/labels/{label['id']}/history", "otto")
    assert [each["content"]["retired"] for each in history["items"]] == [False, True]


async def test_favourites_are_found_by_who_marked_them(desk: Desk) -> None:
    check("Favourite", await desk.get("favourite"))
    answer = await desk.ask("PUT", "favourite")
    assert await answer.json() == {"favourite": True}
    assert len((await desk.get("/v1/recordings?has=favourite"))["items"]) == 1
    assert (await desk.get("/v1/recordings?has=favourite", "otto"))["items"] == []
    assert await desk.get("favourite", "otto") == {"favourite": False}
    assert (await desk.ask("DELETE", "favourite")).status == 204
    assert (await desk.get("/v1/recordings?has=favourite"))["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "faults"),
    [
        ("POST", "comments", {}, {"/text"}),
        ("POST", "comments", {"text": " "}, {"/text"}),
        ("POST", "comments", {"text": "a\x1bb"}, {"/text"}),
        ("POST", "comments", {"text": "x" * (COMMENT_CHARS_MAX + 1)}, {"/text"}),
        ("POST", "comments", {"text": 1, "atMs": -1}, {"/text", "/atMs"}),
        ("POST", "comments", {"text": "x", "atMs": OFFSET_MS_MAX + 1}, {"/atMs"}),
        ("POST", "comments", {"text": "x", "atMs": 1.5}, {"/atMs"}),
        ("POST", "comments", {"text": "x", "author": "user:1"}, {"/author"}),
        ("PUT", "note", {}, {"/text"}),
        ("PUT", "note", {"text": "x" * (NOTE_CHARS_MAX + 1)}, {"/text"}),
        ("POST", "labels", {}, {"/name"}),
        ("POST", "labels", {"labelId": "x"}, {"/labelId"}),
        ("POST", "labels", {"labelId": NOTHING, "name": "x"}, {"/name"}),
        ("POST", "labels", {"name": "x" * (NAME_CHARS_MAX + 1), "colour": "red"}, {"/name", "/colour"}),
        (
            "POST",
            "/v1/labels",
            {"name": "a\N{RIGHT-TO-LEFT OVERRIDE}b", "shape": "star"},
            {"/name", "/shape"},
        ),
    ],
)
async def test_what_can_not_be_kept_is_told_field_by_field(
    desk: Desk, method: str, path: str, body: Any, faults: set[str]
) -> None:
    answer = await desk.ask(method, path, body=body)
    assert answer.status == 400, await answer.text()
    assert {each["parameter"] for each in (await answer.json(content_type=None))["errors"]} == faults


async def test_texts_as_long_as_they_may_be_are_taken(desk: Desk) -> None:
    widest = "\N{PILE OF POO}"
    assert (await desk.say(widest * COMMENT_CHARS_MAX))["text"] == widest * COMMENT_CHARS_MAX
    answer = await desk.ask("PUT", "note", body={"text": widest * NOTE_CHARS_MAX})
    # Escaped as JSON may be, five pages of such signs are more than a body may hold.
    assert answer.status in {200, 413}
    assert (await desk.ask("PUT", "note", body={"text": "é" * NOTE_CHARS_MAX})).status == 200


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_come_back_as_texts(desk: Desk, text: str) -> None:
    kept = text.replace("\r\n", "\n")
    assert (await desk.say(text))["text"] == kept
    await desk.ask("PUT", "note", body={"text": text})
    answer = await desk.ask("GET", "note")
    assert (await answer.json())["text"] == kept
    assert answer.content_type == "application/json"
    assert "Set-Cookie" not in answer.headers


async def test_things_that_are_not_there_are_not_found(desk: Desk) -> None:
    made = await desk.say()
    other = desk.house.recordings["two-party"].id
    for path in (
        f"comments/{NOTHING}",
        "comments/x",
        f"comments/{NOTHING}/history",
        f"/v1/recordings/{other}/comments/{made['id']}",
        f"/v1/recordings/{NOTHING}/note",
        f"/v1/labels/{NOTHING}",
    ):
        await desk.get(path, status=404)
    assert (await desk.ask("POST", "labels", body={"labelId": NOTHING})).status == 404
    assert (await desk.ask("POST", f"comments/{NOTHING}/replies", body={"text": "x"})).status == 404


async def test_what_was_written_takes_a_purpose_where_the_tenant_wants_one(desk: Desk) -> None:
    await desk.say()
    policies.set_policy(desk.house.operator, desk.tenant.id, purpose_required=True)
    for path in ("comments", "note", "labels", "favourite"):
        problem = await desk.get(path, "otto", 403)
        assert problem["type"] == "urn:earwitness:problem:purpose-required"
        answer = await desk.ask("GET", path, "otto", X_Purpose="Klacht")
        assert answer.status == 200
        assert desk.log()[-1].body["purpose"] == "Klacht"
        await desk.get(path)
    assert (await desk.ask("POST", "comments", "program", {"text": "x"})).status == 403
    assert (desk.log()[-1].action, desk.log()[-1].result) == ("comment.added", "refused")


@pytest.mark.parametrize(
    "route", [*COMMENT_ROUTES, *LABEL_ROUTES], ids=lambda route: f"{route.method} {route.path}"
)
async def test_every_answer_is_described(desk: Desk, route: Any) -> None:
    made = await desk.say()
    label = await (await desk.ask("POST", "labels", body={"name": "Klacht"})).json()
    await desk.ask("PUT", "note", body={"text": "x"})
    path = route.path.replace("{comment}", made["id"]).replace("{label}", label["id"])
    path = path.replace("{id}", label["id"] if path.startswith("/v1/labels") else desk.recording.id)
    bodies = {"POST": {"text": "x"}, "PUT": {"text": "x"}, "PATCH": {}}
    body = {"name": "Ander"} if route.method == "POST" and "labels" in path else bodies.get(route.method)
    if "favourite" in path:
        body = None
    who = "ada" if route.permission is Scope.ADMINISTRATION else "anna"
    answer = await desk.ask(route.method, path, who, body)
    described = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    assert str(answer.status) in described
    assert answer.status in {200, 201, 204}
    if answer.status != 204:
        (schema,) = (each["schema"]["$ref"] for each in described[str(answer.status)]["content"].values())
        check(schema.rpartition("/")[2], await answer.json())
