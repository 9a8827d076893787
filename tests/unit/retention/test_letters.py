"""What mails say: every kind in both languages, and nothing of a field read as a place to be filled."""

from __future__ import annotations

import pytest

from archive.errors import Refused
from retention.letters import LETTERS, PROVING, filled

FIELDS = {
    "organisation": "De Warme Bakker",
    "link": "https://opname.example/s/x",
    "login": "anna@bakery.example",
    "by": "beheer@bakery.example",
    "code": "482913",
    "title": "Afspraak",
    "message": "Zie minuut 2.",
    "proof": "pin",
    "endsAt": "2026-11-27T23:30:00.000Z",
    "startedAt": "2026-11-20T23:30:00.000Z",
    "named": "Gebruik",
    "period": "16 november 2026 t/m 22 november 2026",
    "choosing": "https://opname.example/me",
    "ending": "https://opname.example/reports/mails",
}


@pytest.mark.parametrize("kind", LETTERS)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_letter_has_words_in_both_languages(kind: str, language: str) -> None:
    said = filled(kind, language, FIELDS)
    assert said.subject
    assert "{" not in said.subject + said.text
    assert LETTERS[kind][language].text.count("{link}") == said.text.count(FIELDS["link"])


def test_the_mail_of_a_link_says_until_when_and_what_it_asks() -> None:
    said = filled("share", "nl", FIELDS)
    # Half an hour before midnight in London is the next day in Amsterdam.
    assert "28 november 2026" in said.text
    assert "“Afspraak”" in said.text
    assert "pincode" in said.text
    assert said.text.rstrip().endswith("Zie minuut 2.")
    plain = filled("share", "en", {**FIELDS, "title": "", "message": " ", "proof": "none"})
    assert "“" not in plain.text
    assert plain.text.rstrip().endswith("There is no file to download.")


def test_what_a_field_holds_is_not_filled_again() -> None:
    said = filled("share", "en", {**FIELDS, "title": "{link}{organisation.__class__}", "message": "{code}"})
    assert "{link}{organisation.__class__}" in said.text
    assert "{code}" in said.text
    assert "482913" not in said.text


@pytest.mark.parametrize(("kind", "language"), [("nothing", "nl"), ("share", "fr")])
def test_a_letter_nobody_wrote_is_refused(kind: str, language: str) -> None:
    with pytest.raises(Refused, match="no words"):
        filled(kind, language, FIELDS)


def test_a_letter_without_its_fields_is_refused() -> None:
    with pytest.raises(Refused, match="needs the field 'link'"):
        filled("reset", "nl", {"login": "x"})


def test_every_proof_is_told_in_both_languages() -> None:
    assert {language for each in PROVING.values() for language in each} == {"nl", "en"}
