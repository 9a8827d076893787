"""Writing on recordings by the pages: what stands where, what is swapped, undone, and shown as text only."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import audit_entries
from archive.catalogue.comments import COMMENT_CHARS_MAX
from archive.catalogue.notes import NOTE_CHARS_MAX
from archive.model import Recording
from playback_portal.app import create_app
from playback_portal.pages.labels import BULK_COUNT_MAX
from tests.annotation_desk import Desk

UNDO = re.compile(r'data-close hx-post="([^"]+)"')


class Markup(HTMLParser):
    """The elements and attributes of a page as browsers read them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        scripted = tag == "script" and "src" not in found
        if scripted or tag in {"style", "img"} or any(name.startswith("on") for name in found):
            self.inline.append(tag)
        if "style" in found or any("javascript:" in (value or "").lower() for value in found.values()):
            self.inline.append(tag)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "=HYPERLINK(1)",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
)


@pytest.fixture
async def desk(house: Any, archive: Callable[..., Recording]) -> AsyncIterator[Desk]:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Desk(client, house, archive)


async def test_comments_stand_in_the_timeline_with_their_number_and_as_marks(desk: Desk) -> None:
    await desk.say("Later", 900)
    first = await desk.say("Eerst", 100)
    await desk.ask("POST", f"comments/{first['id']}/replies", "program", {"text": "Klopt"})
    text = await desk.page()
    marks = re.findall(r'data-marker-ms="(\d+)" data-marker-label="(\d+)" data-marker-href="#([^"]+)"', text)
    assert marks[0] == ("100", "1", f"comment-{first['id']}")
    assert [(ms, number) for ms, number, _ in marks] == [("100", "1"), ("900", "2")]
    for told in ("Commentaar 1", "Commentaar 2", "Een programma", "Klopt", "Antwoord op commentaar 1"):
        assert told in text
    assert text.index("Eerst") < text.index("Klopt") < text.index("Later")
    assert Markup(text).inline == []


async def test_a_comment_is_placed_answered_changed_deleted_and_brought_back(desk: Desk) -> None:
    status, text = await desk.form("comments", text="Hier de prijs", at_ms="700")
    assert status == 200
    assert text.lstrip().startswith("<li")
    (comment,) = (await desk.get("comments"))["items"]
    assert (comment["text"], comment["atMs"]) == ("Hier de prijs", 700)
    base = f"comments/{comment['id']}"
    assert f'id="comment-{comment["id"]}" tabindex="-1" data-focus' in text
    _, text = await desk.form(f"{base}/replies", text="Zonder btw")
    assert "Zonder btw" in text
    status, text = await desk.form(base, text="Hier noem ik de prijs", revision="1")
    assert "gewijzigd" in text
    history = html.unescape(await desk.page(f"{base}/history"))
    assert history.index("Hier noem ik de prijs") < history.index("Hier de prijs")
    status, text = await desk.form(f"{base}/deletion")
    assert "Het commentaar is gewist." in text
    undo = UNDO.search(text)
    assert undo is not None
    assert undo[1] == f"/recordings/{desk.recording.id}/{base}/restoration"
    status, text = await desk.form(undo[1])
    assert "Hier noem ik de prijs" in text
    assert [each.action for each in desk.log()[-5:]] == [
        "comment.answered",
        "comment.changed",
        "comment.history-viewed",
        "comment.deleted",
        "comment.restored",
    ]


@pytest.mark.parametrize("what", ["comment", "note"])
async def test_what_is_opened_for_a_change_and_saved_again_is_the_same(desk: Desk, what: str) -> None:
    text = "Hij zei \u2067\u05e9\u05dc\u05d5\u05dd\u2069 & \u202b<b>\u202c, en <script>"
    if what == "comment":
        path, field = f"comments/{(await desk.say(text))['id']}", 'id="edit-'
    else:
        path, field = "note", 'id="note-text"'
        await desk.form("note", text=text, revision="0")
    page = await desk.page()
    assert "\u2067" not in page
    box = re.search(rf"<textarea[^>]* {field}[^>]*>([^<]*)</textarea>", page)
    assert box is not None
    assert (await desk.form(path, text=html.unescape(box[1]), revision="1"))[0] == 200
    assert (await desk.get(path))["text"] == text


async def test_a_change_of_what_somebody_changed_meanwhile_is_refused(desk: Desk) -> None:
    comment = await desk.say()
    base = f"comments/{comment['id']}"
    assert (await desk.form(base, text="one", revision="1"))[0] == 200
    assert (await desk.form(base, text="two", revision="1"))[0] == 409
    assert (await desk.get(base))["text"] == "one"


async def test_without_scripts_a_form_leads_back_to_the_page(desk: Desk) -> None:
    comment = await desk.say()
    label = await (await desk.ask("POST", "labels", body={"name": "Klacht"})).json()
    for path, fields in (
        ("comments", {"text": "x"}),
        (f"comments/{comment['id']}", {"text": "y"}),
        (f"comments/{comment['id']}/replies", {"text": "y"}),
        (f"comments/{comment['id']}/deletion", {}),
        (f"comments/{comment['id']}/restoration", {}),
        ("note", {"text": "x"}),
        ("labels", {"name": "x"}),
        (f"labels/{label['id']}/removal", {}),
        ("favourite", {"on": "true"}),
    ):
        status, _ = await desk.form(path, htmx=False, **fields)
        assert status == 303, path


async def test_only_its_author_is_offered_to_change_a_comment(desk: Desk) -> None:
    comment = await desk.say(who="program")
    text = await desk.page()
    assert f'/comments/{comment["id"]}/replies"' in text
    assert f'/comments/{comment["id"]}/deletion"' not in text
    assert (await desk.form(f"comments/{comment['id']}", text="mine"))[0] == 403
    assert (await desk.form(f"comments/{comment['id']}/deletion"))[0] == 403


async def test_an_auditor_reads_and_is_offered_nothing_to_write(desk: Desk) -> None:
    await desk.say("Mooi gesprek")
    await desk.ask("PUT", "note", body={"text": "Monteur komt"})
    await desk.ask("POST", "labels", body={"name": "Klacht"})
    text = await desk.page(who="otto")
    for told in ("Mooi gesprek", "Monteur komt", "Klacht"):
        assert told in text
    for offered in ('id="compose"', "/replies", '/note"', "label-choice", "data-star", "/removal"):
        assert offered not in text
    for path, fields in (("comments", {"text": "x"}), ("note", {"text": "x"}), ("labels", {"name": "x"})):
        assert (await desk.form(path, "otto", **fields))[0] == 403


async def test_the_note_is_saved_and_two_who_write_at_once_see_both_texts(desk: Desk) -> None:
    status, text = await desk.form("note", text="Monteur komt dinsdag", revision="0")
    assert status == 200
    assert "Opgeslagen" in text
    assert 'name="revision" value="1"' in text
    await desk.ask("PUT", "note", "program", {"text": "Al opgelost"})
    status, text = await desk.form("note", text="Monteur komt woensdag", revision="1")
    assert status == 409
    assert "Iemand anders wijzigde de notitie intussen." in text
    assert text.index("Al opgelost") < text.index("Monteur komt woensdag</textarea>")
    assert (await desk.get("note"))["text"] == "Al opgelost"
    assert (desk.log()[-2].action, desk.log()[-2].result) == ("note.changed", "refused")
    status, text = await desk.form("note", text="Opgelost, woensdag", revision="2")
    assert (status, "Eerdere teksten" in text) == (200, True)
    history = html.unescape(await desk.page("note/history"))
    assert history.index("Opgelost, woensdag") < history.index("Al opgelost") < history.index("dinsdag")


async def test_of_very_many_words_the_note_is_found_and_the_page_tells_that_the_rest_is_not(
    desk: Desk,
) -> None:
    """A note of as many different words as it can hold, and a comment made before it."""
    comment = await desk.say("kraanvogel")
    written = [chr(0x4E00 + number) for number in range(NOTE_CHARS_MAX // 2)]
    status, _ = await desk.form("note", text=" ".join(written[:-1]), revision="0")
    assert status == 200
    assert 'id="overflow"' not in await desk.page()
    assert await desk.found("kraanvogel")
    await desk.form("note", text=" ".join(written), revision="1")
    assert 'id="overflow"' in await desk.page()
    assert await desk.found(written[-1])
    assert not await desk.found("kraanvogel")
    await desk.form(f"comments/{comment['id']}/deletion")
    assert 'id="overflow"' not in await desk.page()


async def test_a_label_is_made_or_chosen_and_taken_off_with_a_way_back(desk: Desk) -> None:
    status, text = await desk.form("labels", name="Boze klant", colour="pink", shape="dot")
    assert status == 200
    assert 'class="tag label c-pink s-dot"' in text
    undo = UNDO.search(text)
    assert undo is not None
    status, text = await desk.form(undo[1])
    assert 'class="tag label c-pink s-dot"' in text.partition("label-choice")[2]
    assert "Nog geen labels" in text
    (label,) = (await desk.get("/v1/labels"))["items"]
    status, text = await desk.form("labels", label=label["id"])
    assert "Nog geen labels" not in text
    status, _ = await desk.form("labels", name="x", colour="red")
    assert status == 400
    assert (await desk.form("labels", name=""))[0] == 400


async def test_a_star_is_each_persons_own(desk: Desk) -> None:
    assert 'aria-pressed="false" aria-label="Favoriet" data-star' in await desk.page()
    assert await desk.form("favourite", on="true") == (204, "")
    assert 'aria-pressed="true" aria-label="Favoriet" data-star' in await desk.page()
    assert "data-star" not in await desk.page(who="program")
    listed = await desk.page("/recordings?has=favourite")
    assert f'id="star-row-{desk.recording.id}" aria-pressed="true"' in listed
    await desk.form("favourite", on="false")
    assert (await desk.get("/v1/recordings?has=favourite"))["items"] == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_shown_as_text(desk: Desk, text: str) -> None:
    comment = await desk.say(text)
    await desk.ask("PUT", "note", body={"text": text})
    name = text.replace("\N{RIGHT-TO-LEFT OVERRIDE}", "")[:40]
    await desk.ask("POST", "labels", body={"name": name})
    _, swapped = await desk.form("comments", text=text)
    for page in (
        await desk.page(),
        await desk.page("/recordings?sort=-start"),
        await desk.page("/admin/labels", "ada"),
        await desk.page(f"comments/{comment['id']}/history"),
    ):
        assert Markup(page).inline == []
        assert name in html.unescape(page) or text in html.unescape(page)
    assert 'class="said" dir="auto"' in swapped


@pytest.mark.parametrize(("path", "chars_max"), [("comments", COMMENT_CHARS_MAX), ("note", NOTE_CHARS_MAX)])
async def test_texts_as_long_as_they_may_be_are_taken_and_longer_ones_not(
    desk: Desk, path: str, chars_max: int
) -> None:
    assert (await desk.form(path, text="€" * chars_max))[0] == 200
    assert (await desk.form(path, text="€" * (chars_max + 1)))[0] == 400
    assert (await desk.form(path, text="a\x1bb"))[0] == 400


@pytest.mark.parametrize("at_ms", ["-1", "x", "٣", "9" * 30, "", "1e3"])
async def test_an_offset_that_is_none_is_the_beginning(desk: Desk, at_ms: str) -> None:
    assert (await desk.form("comments", text="x", at_ms=at_ms))[0] == 200
    assert (await desk.get("comments"))["items"][0]["atMs"] == 0


async def test_a_label_is_put_on_all_rows_that_are_ticked_and_taken_off_again(
    desk: Desk, archive: Callable[..., Recording]
) -> None:
    other = archive(desk.tenant.id, 2, owner=desk.people["anna"].id)
    theirs = archive(desk.tenant.id, 3, owner=desk.people["bert"].id)
    ids = ",".join(each.id for each in (desk.recording, other, theirs))
    status, text = await desk.form("/recordings/labels", ids=ids, name="Klacht")
    assert status == 200
    assert "Label ‘Klacht’ staat op 2 opnames. 1 bleef zoals die was." in text
    assert text.count('hx-swap-oob="true"') == 2
    for each, times in ((desk.recording, 1), (other, 1), (theirs, 0)):
        assert labelled(desk, each) == ["recording.labelled"] * times
    assert '<span aria-hidden="true"><bdi>K</bdi></span>' in text
    (label,) = (await desk.get("/v1/labels"))["items"]
    listed = html.unescape(await desk.page(f"/recordings?label={label['id']}"))
    assert "Label: Klacht" in listed
    assert listed.count('<tr id="row-') == 2
    status, text = await desk.form("/recordings/labels/removal", ids=ids, label=label["id"])
    assert "Label ‘Klacht’ is van 2 opnames gehaald." in text
    for each in (desk.recording, other):
        assert labelled(desk, each) == ["recording.labelled", "recording.unlabelled"]
    assert (await desk.get(f"/v1/recordings?label={label['id']}"))["items"] == []


def labelled(desk: Desk, recording: Recording) -> list[str]:
    """Return what the history of a recording tells of its labels."""
    log = audit_entries.of_object(desk.house.portal, desk.tenant.id, f"recording:{recording.id}")
    return [entry.action for entry in log if entry.action.endswith("labelled") and entry.result == "ok"]


async def test_what_carries_a_label_already_keeps_it_when_the_rest_is_taken_back(
    desk: Desk, archive: Callable[..., Recording]
) -> None:
    other = archive(desk.tenant.id, 2, owner=desk.people["anna"].id)
    await desk.form("labels", name="Klacht")
    ids = f"{desk.recording.id},{other.id}"
    _, text = await desk.form("/recordings/labels", ids=ids, name="Klacht")
    assert "Label ‘Klacht’ staat op 1 opname. 1 bleef zoals die was." in text
    assert labelled(desk, desk.recording) == ["recording.labelled"]
    assert labelled(desk, other) == ["recording.labelled"]


async def test_so_many_rows_are_labelled_at_once_and_no_more(desk: Desk) -> None:
    for count, status in ((0, 400), (BULK_COUNT_MAX, 200), (BULK_COUNT_MAX + 1, 400)):
        ids = ",".join(f"{n:08x}-0000-7000-8000-000000000000" for n in range(count))
        assert (await desk.form("/recordings/labels", ids=ids, name="Klacht"))[0] == status
    assert (await desk.form("/recordings/labels", ids="x", name="Klacht"))[0] == 404
    one = desk.recording.id
    assert (await desk.form("/recordings/labels", "otto", ids=one, name="Ander"))[0] == 403


async def test_administrators_add_rename_and_retire_labels(desk: Desk) -> None:
    assert "Nog geen labels" in await desk.page("/admin/labels", "ada")
    assert (await desk.form("/admin/labels", "ada", name="Klacht", colour="blue", shape="bar"))[0] == 200
    status, text = await desk.form("/admin/labels", "ada", name="KLACHT")
    assert (status, "Er is al een label met deze naam" in text) == (400, True)
    (label,) = (await desk.get("/v1/labels"))["items"]
    await desk.form("labels", name="klacht")
    path = f"/admin/labels/{label['id']}"
    assert (await desk.form(path, "ada", name="Boos", colour="pink", shape="dot"))[0] == 200
    page = await desk.page("/admin/labels", "ada")
    assert 'class="tag label c-pink s-dot"' in page
    assert f'<a href="/recordings?label={label["id"]}">1</a>' in page
    status, text = await desk.form(f"{path}/offer", "ada", on="false")
    assert "Het blijft staan op 1 opnames." in text
    undo = UNDO.search(text)
    assert undo is not None
    assert "vervallen" in await desk.page()
    status, text = await desk.form(undo[1], "ada", on="true")
    assert "weer te kiezen" in text
    for who in ("anna", "otto"):
        assert (await desk.form(path, who, name="x"))[0] == 403


async def test_the_history_of_a_recording_tells_of_annotations_in_words(desk: Desk) -> None:
    await desk.form("comments", text="x")
    await desk.form("labels", name="Klacht")
    told = html.unescape(await desk.page("history"))
    assert "plaatste commentaar" in told
    assert "voegde een label toe" in told
