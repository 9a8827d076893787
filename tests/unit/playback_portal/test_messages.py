"""Files of messages: brought up to date without losing what was translated, and without guessing."""

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from playback_portal import messages


@pytest.fixture
def locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(messages, "LOCALE", tmp_path)
    (tmp_path / "nl").mkdir()
    return tmp_path / "nl"


def of(*ids: str | tuple[str, str], **translated: str) -> Catalog:
    catalogue = Catalog(locale="nl")
    for each in ids:
        catalogue.add(each, translated.get(each if isinstance(each, str) else each[0]))
    return catalogue


def test_what_was_translated_stays_what_is_new_is_missing_and_what_is_gone_goes(locale: Path) -> None:
    messages.write("people", of("Name", "Gone", Name="Naam", Gone="Weg"))
    fresh = messages.update("people", of("Name", "Names"))
    assert {each.id: each.string for each in fresh if each.id} == {"Name": "Naam", "Names": None}
    assert messages.untranslated(fresh) == ["Names"]


def test_the_dutch_of_another_part_is_taken_over_but_not_before_the_own(locale: Path) -> None:
    messages.write("a", of("Name", "Team", Name="Naam van a", Team="Team"))
    messages.write("b", of("Name", Name="Naam van b"))
    fresh = messages.update("b", of("Name", "Team"))
    assert {message.id: message.string for message in fresh if message.id} == {
        "Name": "Naam van b",
        "Team": "Team",
    }


def test_a_message_with_two_forms_needs_both(locale: Path) -> None:
    catalogue = of(("one call", "%(n)s calls"))
    assert messages.untranslated(catalogue) == ["('one call', '%(n)s calls')"]
    catalogue["one call"].string = ("één gesprek", "%(n)s gesprekken")
    messages.write("calls", catalogue)
    assert messages.untranslated(messages.catalogue_at(locale / "calls.po")) == []


def test_writing_twice_gives_the_same_file(locale: Path) -> None:
    messages.write("people", of("B", "A", A="a", B="b"))
    first = (locale / "people.po").read_text()
    messages.write("people", messages.update("people", of("A", "B")))
    assert (locale / "people.po").read_text() == first
    assert first.index('msgid "A"') < first.index('msgid "B"')


def test_the_command_tells_what_is_missing_and_drops_files_of_parts_that_are_gone(
    locale: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    messages.write("old", of("Old", Old="Oud"))
    monkeypatch.setattr(messages, "extracted", lambda: {"a": of("Name"), "b": of("Team")})
    assert messages.main(["a"]) == 0
    assert capsys.readouterr().out == "a.po: 1 messages, 1 without Dutch\n  Name\n"
    assert {path.name for path in locale.iterdir()} == {"a.po", "old.po"}
    assert messages.main([]) == 0
    assert {path.name for path in locale.iterdir()} == {"a.po", "b.po"}
