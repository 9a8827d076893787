"""Comments, notes, labels and favourites: who writes them, what stays, and how they are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Scope
from archive.catalogue import (
    comments,
    directory,
    favourites,
    labels,
    listing,
    notes,
    recordings,
    revisions,
)
from archive.catalogue.comments import COMMENT_CHARS_MAX
from archive.catalogue.engine import Catalogue
from archive.catalogue.labels import LABELS_PER_RECORDING_MAX, NAME_CHARS_MAX, Colour, NewLabel, Shape
from archive.catalogue.lexemes import Facet
from archive.catalogue.notes import NOTE_CHARS_MAX
from archive.catalogue.recordings import RecordingQuery
from archive.catalogue.revisions import Kind
from archive.errors import Conflict, NotFound, Refused
from archive.model import ArchivedRecording, Recording, RecordingState, Role, Tenant, User

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x.example")',
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "'); DROP TABLE comments; --",
    "a\nb\tc",
    "\N{PILE OF POO} José",
)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW)


@pytest.fixture
def own(anna: User) -> AccessScope:
    """Anna, who hears her own recordings."""
    return AccessScope(anna.tenant_id, f"user:{anna.id}", Role.USER, anna.id, "own")


@pytest.fixture
def program(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "api-client:crm", scopes=frozenset(Scope))


@pytest.fixture
def auditor(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:otto", Role.AUDITOR)


@pytest.fixture
def insert(
    recorder: Catalogue, make_recording: Callable[..., ArchivedRecording], bakery: Tenant, anna: User
) -> Callable[..., Recording]:
    """Return a maker of recordings of Anna in the catalogue."""

    def make(**fields: Any) -> Recording:
        archived = make_recording(bakery.id, owner=anna.id, **fields)
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)
        return archived.recording

    return make


@pytest.fixture
def recording(insert: Callable[..., Recording]) -> Recording:
    return insert()


def found(portal: Catalogue, scope: AccessScope, **query: Any) -> int:
    return len(recordings.find(portal, scope, RecordingQuery(**query)).items)


def texts(portal: Catalogue, scope: AccessScope, recording: Recording) -> list[tuple[str, list[str]]]:
    threads = comments.of_recording(portal, scope, recording)
    return [(each.first.text, [reply.text for reply in each.replies]) for each in threads]


def test_threads_stand_in_the_order_of_the_sound_and_replies_with_their_comment(
    portal: Catalogue, own: AccessScope, program: AccessScope, recording: Recording
) -> None:
    late = comments.add(portal, own, recording, "later", 900, now=NOW)
    comments.add(portal, program, recording, "early", 100, now=LATER)
    reply = comments.add(portal, program, recording, "yes", 5, reply_to=late.id, now=NOW)
    assert (reply.reply_to, reply.at_ms, reply.author) == (late.id, 900, "api-client:crm")
    again = comments.add(portal, own, recording, "no", reply_to=reply.id, now=LATER)
    assert (again.reply_to, again.at_ms) == (late.id, 900)
    assert texts(portal, own, recording) == [("early", []), ("later", ["yes", "no"])]
    comments.edit(portal, own, recording, late.id, at_ms=50, now=LATER)
    assert texts(portal, own, recording) == [("later", ["yes", "no"]), ("early", [])]
    assert comments.get(portal, own, recording, reply.id).at_ms == 50
    beyond = comments.add(portal, own, recording, "end", recording.duration_ms + 1, now=NOW)
    assert beyond.at_ms == recording.duration_ms


def test_every_earlier_text_of_a_comment_stays(
    portal: Catalogue, own: AccessScope, recording: Recording
) -> None:
    made = comments.add(portal, own, recording, "one", 100, now=NOW)
    comments.edit(portal, own, recording, made.id, text="two", now=LATER)
    comments.edit(portal, own, recording, made.id, text="two", now=LATER)
    comments.delete(portal, own, recording, made.id, now=LATER)
    gone = comments.get(portal, own, recording, made.id)
    assert (gone.text, gone.deleted, gone.revision) == ("", True, 3)
    comments.restore(portal, own, recording, made.id, now=LATER)
    history = revisions.of_object(portal, own, Kind.COMMENT, made.id)
    assert [(each.number, each.content["text"], each.content["deleted"]) for each in history] == [
        (1, "one", False),
        (2, "two", False),
        (3, "two", True),
        (4, "two", False),
    ]
    assert {each.actor for each in history} == {own.actor}
    assert [each.at for each in history] == [NOW, LATER, LATER, LATER]


def test_a_deleted_comment_keeps_its_place_while_somebody_answered_it(
    portal: Catalogue, own: AccessScope, program: AccessScope, recording: Recording
) -> None:
    first = comments.add(portal, own, recording, "first", 100, now=NOW)
    reply = comments.add(portal, program, recording, "reply", reply_to=first.id, now=NOW)
    comments.delete(portal, own, recording, first.id, now=NOW)
    assert texts(portal, own, recording) == [("", ["reply"])]
    comments.delete(portal, program, recording, reply.id, now=NOW)
    assert texts(portal, own, recording) == []
    with pytest.raises(Conflict, match="restore"):
        comments.edit(portal, own, recording, first.id, text="x", now=NOW)


def test_only_its_author_changes_a_comment_and_whoever_no_longer_hears_the_call_does_not(
    portal: Catalogue, own: AccessScope, program: AccessScope, auditor: AccessScope, recording: Recording
) -> None:
    made = comments.add(portal, own, recording, "mine", 100, now=NOW)
    left = dataclasses.replace(own, access="none")
    for other in (program, auditor, left):
        for change in (
            lambda: comments.edit(portal, other, recording, made.id, text="theirs", now=NOW),  # noqa: B023
            lambda: comments.delete(portal, other, recording, made.id, now=NOW),  # noqa: B023
            lambda: comments.restore(portal, other, recording, made.id, now=NOW),  # noqa: B023
        ):
            with pytest.raises(Refused, match="who wrote it"):
                change()
    assert comments.get(portal, own, recording, made.id).revision == 1


def test_auditors_and_who_does_not_hear_a_recording_write_nothing_on_it(
    portal: Catalogue, own: AccessScope, auditor: AccessScope, recording: Recording
) -> None:
    administrator = AccessScope(own.tenant_id, "user:ada", Role.ADMINISTRATOR)
    reader = AccessScope(own.tenant_id, "api-client:x", scopes=frozenset({Scope.RECORDINGS_READ}))
    stranger = AccessScope(own.tenant_id, "user:x", Role.USER, recording.owner, "none")
    for scope in (auditor, administrator, reader, stranger):
        for change in (
            lambda: comments.add(portal, scope, recording, "x", now=NOW),  # noqa: B023
            lambda: notes.put(portal, scope, recording, "x", now=NOW),  # noqa: B023
            lambda: labels.attach_named(portal, scope, recording, NewLabel("x"), now=NOW),  # noqa: B023
            lambda: favourites.mark(portal, scope, recording, marked=True, now=NOW),  # noqa: B023
        ):
            with pytest.raises(Refused):
                change()
    assert labels.of_tenant(portal, own) == []


def test_a_recording_without_sound_takes_no_annotations(
    portal: Catalogue, program: AccessScope, insert: Callable[..., Recording]
) -> None:
    with pytest.raises(Refused):
        notes.put(portal, program, insert(state=RecordingState.PROCESSING), "x", now=NOW)


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_kept_as_they_were_written(
    portal: Catalogue, own: AccessScope, recording: Recording, text: str
) -> None:
    assert comments.add(portal, own, recording, text, now=NOW).text == text
    assert notes.put(portal, own, recording, text, now=NOW).text == text


@pytest.mark.parametrize("text", ["", "  \n ", "a\0b", "a\x1b[2Jb", "a\x85b"])
def test_a_text_says_something_that_can_be_shown(
    portal: Catalogue, own: AccessScope, recording: Recording, text: str
) -> None:
    if "\0" in text:
        assert comments.add(portal, own, recording, text, now=NOW).text == "a\N{REPLACEMENT CHARACTER}b"
    else:
        with pytest.raises(Refused):
            comments.add(portal, own, recording, text, now=NOW)


def test_texts_have_a_length(portal: Catalogue, own: AccessScope, recording: Recording) -> None:
    comments.add(portal, own, recording, "x" * COMMENT_CHARS_MAX, now=NOW)
    notes.put(portal, own, recording, "x" * NOTE_CHARS_MAX, now=NOW)
    with pytest.raises(Refused, match=str(COMMENT_CHARS_MAX)):
        comments.add(portal, own, recording, "x" * (COMMENT_CHARS_MAX + 1), now=NOW)
    with pytest.raises(Refused, match=str(NOTE_CHARS_MAX)):
        notes.put(portal, own, recording, "x" * (NOTE_CHARS_MAX + 1), now=NOW)


def test_a_recording_has_so_many_comments_and_no_more(
    portal: Catalogue, own: AccessScope, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comments, "COMMENTS_PER_RECORDING_MAX", 2)
    made = [comments.add(portal, own, recording, "x", now=NOW) for _ in range(2)]
    comments.delete(portal, own, recording, made[0].id, now=NOW)
    with pytest.raises(Conflict, match="2 comments"):
        comments.add(portal, own, recording, "x", now=NOW)


def test_a_thing_is_changed_so_often_and_no_more(
    portal: Catalogue, own: AccessScope, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "REVISIONS_MAX", 2)
    for n in range(2):
        notes.put(portal, own, recording, str(n), now=NOW)
        favourites.mark(portal, own, recording, marked=n == 0, now=NOW)
    for change in (
        lambda: notes.put(portal, own, recording, "x", now=NOW),
        lambda: favourites.mark(portal, own, recording, marked=True, now=NOW),
    ):
        with pytest.raises(Conflict, match="any more"):
            change()


def test_a_note_is_one_text_of_everybody_and_what_it_said_stays(
    portal: Catalogue, own: AccessScope, program: AccessScope, recording: Recording
) -> None:
    assert notes.of_recording(portal, own, recording).revision == 0
    first = notes.put(portal, own, recording, " Klacht\r\nvan maandag ", now=NOW)
    assert (first.text, first.revision, first.changed_by) == ("Klacht\nvan maandag", 1, own.actor)
    notes.put(portal, program, recording, "Opgelost", revision=1, now=LATER)
    with pytest.raises(Conflict, match="meanwhile"):
        notes.put(portal, own, recording, "Nog niet", revision=1, now=LATER)
    assert notes.of_recording(portal, own, recording).text == "Opgelost"
    # Who names no revision overwrites; nothing is lost by it.
    notes.put(portal, own, recording, "", now=LATER)
    notes.put(portal, own, recording, "", now=LATER)
    history = revisions.of_object(portal, own, Kind.NOTE, recording.id)
    assert [each.content for each in history] == [
        {"text": "Klacht\nvan maandag"},
        {"text": "Opgelost"},
        {"text": ""},
    ]


def test_two_who_write_at_the_same_moment_both_keep_what_they_wrote_and_are_found_by_it(
    portal: Catalogue, own: AccessScope, recording: Recording
) -> None:
    words = ("appel", "peer", "kers", "druif", "pruim", "braam")

    def write(word: str) -> None:
        comments.add(portal, own, recording, word, now=NOW)
        notes.put(portal, own, recording, f"n{word}", now=NOW)
        labels.attach_named(portal, own, recording, NewLabel(f"l{word}"), now=NOW)

    with ThreadPoolExecutor(len(words)) as pool:
        list(pool.map(write, words))
    assert sorted(text for text, _ in texts(portal, own, recording)) == sorted(words)
    history = revisions.of_object(portal, own, Kind.NOTE, recording.id)
    assert sorted(each.content["text"] for each in history) == sorted(f"n{word}" for word in words)
    assert [each.number for each in sorted(history, key=lambda each: each.number)] == list(range(1, 7))
    for word in words:
        assert found(portal, own, text=word) == 1
        assert found(portal, own, text=f"l{word}") == 1


def test_a_recording_is_found_by_what_was_written_as_long_as_it_stands_there(
    portal: Catalogue, own: AccessScope, recording: Recording
) -> None:
    comment = comments.add(portal, own, recording, "De offertes zijn besproken", now=NOW)
    notes.put(portal, own, recording, "Monteur komt dinsdag", now=NOW)
    assert found(portal, own, text="offerte monteur") == 1
    assert found(portal, own, has=frozenset({Facet.COMMENT, Facet.NOTE})) == 1
    comments.delete(portal, own, recording, comment.id, now=NOW)
    assert found(portal, own, text="offerte") == 0
    assert found(portal, own, has=frozenset({Facet.COMMENT})) == 0
    comments.restore(portal, own, recording, comment.id, now=NOW)
    assert found(portal, own, text="offerte") == 1
    notes.put(portal, own, recording, "", now=NOW)
    assert found(portal, own, has=frozenset({Facet.NOTE})) == 0


def test_a_recording_is_found_by_its_label_whatever_that_is_called_today(
    portal: Catalogue, own: AccessScope, recording: Recording, insert: Callable[..., Recording]
) -> None:
    insert()
    administrator = AccessScope(own.tenant_id, "user:ada", Role.ADMINISTRATOR)
    label = labels.attach_named(portal, own, recording, NewLabel("Boze klanten 2026"), now=NOW)
    for text in ("boze", "klant", "boze klanten", "2026", label.id):
        wanted = {"label": label.id} if text == label.id else {"text": text}
        assert found(portal, own, **wanted) == 1, text
    assert found(portal, own, text="boos") == 0
    assert found(portal, own, unlabelled=True) == 1
    labels.change(portal, administrator, label.id, name="Tevreden", now=NOW)
    assert found(portal, own, text="klant") == 0
    assert found(portal, own, text="tevreden") == 1
    labels.change(portal, administrator, label.id, retired=True, now=NOW)
    assert found(portal, own, text="tevreden") == 1
    labels.detach(portal, own, recording, label.id, now=NOW)
    assert found(portal, own, text="tevreden") == 0
    assert found(portal, own, label=label.id) == 0
    assert found(portal, own, unlabelled=True) == 2


def test_labels_differ_by_themselves_in_colour_or_shape(portal: Catalogue, own: AccessScope) -> None:
    made = [labels.make(portal, own, NewLabel(f"label {n}"), now=NOW) for n in range(24)]
    assert len({(label.colour, label.shape) for label in made}) == 24
    chosen = labels.make(portal, own, NewLabel("chosen", Colour.PINK, Shape.BAR), now=NOW)
    assert (chosen.colour, chosen.shape) == (Colour.PINK, Shape.BAR)


def test_a_name_is_offered_once_and_again_when_its_label_is_retired(
    portal: Catalogue, own: AccessScope, recording: Recording
) -> None:
    administrator = AccessScope(own.tenant_id, "user:ada", Role.ADMINISTRATOR)
    first = labels.make(portal, own, NewLabel(" Boze   klant "), now=NOW)
    assert first.name == "Boze klant"
    for same in ("boze KLANT", "Boze klant"):
        with pytest.raises(Conflict, match="already"):
            labels.make(portal, own, NewLabel(same), now=NOW)
    assert labels.attach_named(portal, own, recording, NewLabel("BOZE klant"), now=NOW) == first
    labels.change(portal, administrator, first.id, retired=True, now=NOW)
    assert labels.of_tenant(portal, own) == []
    # It stays where it is, and is put nowhere else.
    assert [each.id for each in labels.of_recording(portal, own, recording)] == [first.id]
    labels.detach(portal, own, recording, first.id, now=NOW)
    with pytest.raises(Conflict, match="not offered"):
        labels.attach(portal, own, recording, first.id, now=NOW)
    second = labels.make(portal, own, NewLabel("Boze klant"), now=NOW)
    with pytest.raises(Conflict, match="already"):
        labels.change(portal, administrator, first.id, retired=False, now=NOW)
    assert labels.of_tenant(portal, own) == [second]
    assert len(labels.of_tenant(portal, own, retired=True)) == 2


def test_labels_are_changed_by_administrators_and_their_values_stay(
    portal: Catalogue, own: AccessScope, auditor: AccessScope
) -> None:
    administrator = AccessScope(own.tenant_id, "user:ada", Role.ADMINISTRATOR)
    label = labels.make(portal, own, NewLabel("Klacht", Colour.BLUE, Shape.DOT), now=NOW)
    for other in (own, auditor):
        with pytest.raises(Refused):
            labels.change(portal, other, label.id, name="x", now=NOW)
    with pytest.raises(Refused):
        labels.make(portal, auditor, NewLabel("x"), now=NOW)
    changed = labels.change(portal, administrator, label.id, colour=Colour.PINK, revision=1, now=LATER)
    assert (changed.colour, changed.revision) == (Colour.PINK, 2)
    with pytest.raises(Conflict, match="meanwhile"):
        labels.change(portal, administrator, label.id, name="x", revision=1, now=LATER)
    history = revisions.of_object(portal, own, Kind.LABEL, label.id)
    assert [(each.content["colour"], each.actor) for each in history] == [
        ("blue", own.actor),
        ("pink", "user:ada"),
    ]


@pytest.mark.parametrize(
    "name", ["", " ", "x" * (NAME_CHARS_MAX + 1), "a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\0b"]
)
def test_a_name_of_a_label_can_be_shown(portal: Catalogue, own: AccessScope, name: str) -> None:
    with pytest.raises(Refused):
        labels.make(portal, own, NewLabel(name), now=NOW)
    assert labels.make(portal, own, NewLabel("x" * NAME_CHARS_MAX), now=NOW).name


def test_tenants_and_recordings_have_so_many_labels_and_no_more(
    portal: Catalogue, own: AccessScope, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "LABELS_PER_TENANT_MAX", LABELS_PER_RECORDING_MAX + 1)
    for n in range(LABELS_PER_RECORDING_MAX):
        labels.attach_named(portal, own, recording, NewLabel(str(n)), now=NOW)
    with pytest.raises(Conflict, match="at most"):
        labels.attach_named(portal, own, recording, NewLabel("one more"), now=NOW)
    # What was refused left no label behind either.
    labels.make(portal, own, NewLabel("one more"), now=NOW)
    with pytest.raises(Conflict, match="labels already"):
        labels.make(portal, own, NewLabel("two more"), now=NOW)


def test_labels_of_another_tenant_are_not_there(
    portal: Catalogue, own: AccessScope, florist: Tenant, recording: Recording
) -> None:
    theirs = AccessScope(florist.id, "api-client:x", scopes=frozenset(Scope))
    label = labels.make(portal, theirs, NewLabel("Klacht"), now=NOW)
    for ask in (
        lambda: labels.get(portal, own, label.id),
        lambda: labels.attach(portal, own, recording, label.id, now=NOW),
        lambda: labels.change(portal, dataclasses.replace(own, role=Role.ADMINISTRATOR), label.id, now=NOW),
        lambda: labels.detach(portal, own, recording, label.id, now=NOW),
    ):
        with pytest.raises(NotFound):
            ask()
    assert labels.of_tenant(portal, own) == []
    assert labels.uses(portal, theirs) == {}


def test_favourites_are_of_one_person_alone(
    portal: Catalogue, own: AccessScope, program: AccessScope, recording: Recording
) -> None:
    favourites.mark(portal, own, recording, marked=True, now=NOW)
    favourites.mark(portal, own, recording, marked=True, now=NOW)
    assert favourites.is_favourite(portal, own, recording)
    assert not favourites.is_favourite(portal, program, recording)
    assert found(portal, own, favourite_of=own.user_id) == 1
    assert found(portal, own, favourite_of="somebody") == 0
    with pytest.raises(Refused, match="people"):
        favourites.mark(portal, program, recording, marked=True, now=NOW)
    favourites.mark(portal, own, recording, marked=False, now=LATER)
    assert found(portal, own, favourite_of=own.user_id) == 0
    history = revisions.of_recording(portal, own, Kind.FAVOURITE, recording)
    assert [each.content["marked"] for each in history] == [True, False]


def test_a_list_shows_labels_and_favourites_beside_its_recordings(
    portal: Catalogue, own: AccessScope, recording: Recording, insert: Callable[..., Recording]
) -> None:
    plain = insert()
    label = labels.attach_named(portal, own, recording, NewLabel("Klacht"), now=NOW)
    favourites.mark(portal, own, recording, marked=True, now=NOW)
    beside = listing.page(portal, own, RecordingQuery(), now=NOW).beside
    assert (beside[recording.id].labels, beside[recording.id].favourite) == ((label,), True)
    assert (beside[plain.id].labels, beside[plain.id].favourite) == ((), False)
