"""What a recording is found by, and what a text somebody types asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.catalogue import lexemes
from archive.catalogue.lexemes import (
    ASKED_WORDS_MAX,
    DOCUMENT_WORDS_MAX,
    GAP_MS_MIN,
    IDENTIFIER_CHARS_MAX,
    NAME_WORDS_MAX,
    SILENCE_MS_MIN,
    WORD_CHARS_MAX,
    Annotations,
    Facet,
)
from archive.model import Direction, Party, RecordingMode, Span, SpanKind, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_name_is_known_by_its_words_and_their_endings_without_case_or_marks() -> None:
    assert lexemes.of_name("José Jansen-Ruiz") >= {"jose", "ose", "jansen", "sen", "ruiz", "uiz"}
    assert "en" not in lexemes.of_name("Jansen")


@pytest.mark.parametrize("words", [NAME_WORDS_MAX, NAME_WORDS_MAX + 1])
def test_a_name_has_a_limit(words: int) -> None:
    found = lexemes.of_name(" ".join(f"w{n}" for n in range(words)))
    assert len(found) == NAME_WORDS_MAX


def test_a_word_has_a_limit() -> None:
    assert lexemes.words("x" * (WORD_CHARS_MAX + 1)) == ["x" * WORD_CHARS_MAX]


def test_a_number_is_known_by_every_ending_and_as_it_is_dialled_in_the_country() -> None:
    found = lexemes.of_number("+31201234567")
    assert {"31201234567", "201234567", "567", "0201234567"} <= found
    assert "67" not in found
    assert "0442079460000" not in lexemes.of_number("+442079460000")


def test_an_address_that_is_no_number_is_known_by_its_words() -> None:
    assert {"sales", "example"} <= lexemes.of_number("sales@example.com")


def test_an_id_is_one_lexeme_and_a_long_one_its_hash() -> None:
    assert lexemes.of_identifier(" AbC@192.0.2.7 ") == "#id:abc@192.0.2.7"
    fits, long = "x" * IDENTIFIER_CHARS_MAX, "x" * (IDENTIFIER_CHARS_MAX + 1)
    assert lexemes.of_identifier(fits) == f"#id:{fits}"
    assert len(lexemes.of_identifier(long)) == len("#id:") + 64


def test_a_call_has_its_facets() -> None:
    spans = (Span(SpanKind.PAUSE, "both", 0, 10), Span(SpanKind.LOSS, "a", 0, GAP_MS_MIN))
    found = lexemes.of_call(
        ["one", ""], [Party("a", "112233", "Ans")], spans, RecordingMode.ALWAYS, Direction.IN
    )
    assert {"#id:one", "#has:pause", "#has:gap", "#mode:always", "#direction:in", "ans", "2233"} <= found
    assert "#id:" not in found


@pytest.mark.parametrize(
    ("spans", "long"),
    [
        ((("a", 0, 20_000), ("b", 5000, 5000 + SILENCE_MS_MIN)), True),
        ((("a", 0, 20_000), ("b", 5000, 4999 + SILENCE_MS_MIN)), False),
        # Long enough on each channel, and never on both.
        ((("a", 0, 12_000), ("b", 12_000, 24_000)), False),
        # Somebody speaks on the other one all the time.
        ((("a", 0, 20_000),), False),
        ((("mixed", 0, SILENCE_MS_MIN),), True),
    ],
)
def test_a_call_in_which_nobody_speaks_for_long_is_found_by_that(
    spans: tuple[tuple[str, int, int], ...], long: bool
) -> None:
    silent = [Span(SpanKind.SILENCE, *each) for each in spans]
    others = [] if spans[0][0] == "mixed" else [Span(SpanKind.SPEECH, "b", 24_000, 30_000)]
    found = lexemes.of_call(["one"], (), [*silent, *others], RecordingMode.ALWAYS, Direction.IN)
    assert ("#has:silence" in found) is long


def test_a_pause_is_no_silence() -> None:
    """Nobody knows what was said in it, nor on hold, nor where nothing arrived."""
    kinds = (SpanKind.PAUSE, SpanKind.HOLD, SpanKind.LOSS)
    spans = [Span(kind, channel, 0, 60_000) for kind in kinds for channel in ("a", "b", "both")]
    found = lexemes.of_call(["one"], (), spans, RecordingMode.ALWAYS, Direction.IN)
    assert "#has:silence" not in found


@pytest.mark.parametrize("lost_ms", [GAP_MS_MIN - 1, GAP_MS_MIN])
def test_a_loss_nobody_hears_is_no_gap(lost_ms: int) -> None:
    found = lexemes.facets_of([Span(SpanKind.LOSS, "a", 1000, 1000 + lost_ms)])
    assert found == (frozenset({Facet.GAP}) if lost_ms == GAP_MS_MIN else frozenset())


def test_what_was_written_gives_facets_and_words_that_may_be_inflected() -> None:
    annotations = Annotations(("Twee offertes", "twee"), ("l1",), (UserId("u1"),), frozenset({Facet.NOTE}))
    known, inflected = lexemes.of_annotations(annotations)
    assert known == {"#has:note", "#label:l1", "#favourite:u1"}
    assert inflected == ["twee", "offertes"]


def test_the_words_of_what_was_written_have_a_limit() -> None:
    text = " ".join(f"w{n}" for n in range(DOCUMENT_WORDS_MAX + 1))
    assert len(lexemes.of_annotations(Annotations((text,)))[1]) == DOCUMENT_WORDS_MAX


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Jansen", ["('jansen':* | '#id:jansen')"]),
        ("M", ["('m' | '#id:m')"]),
        ("de Vries", ["'de':*", "'vries':*"]),
        ("o'neill", ["('o' & 'neill':* | '#id:o''neill')"]),
        ("offertes", ["(('offertes':* | 'offert') | '#id:offertes')"]),
        ("12", ["(('12') | '#id:12')"]),
        ("0612", ["(('0612':*) | '#id:0612')"]),
        ("jansen 2023", ["'jansen':*", "('2023':*)"]),
        ("%", ["'#id:%'"]),
        ("", []),
        ("  ", []),
        ("?! --", []),
    ],
)
def test_a_text_asks_for_all_of_its_words_or_for_an_id(text: str, wanted: list[str]) -> None:
    assert lexemes.asked(text, {"offertes": "offert"}) == wanted


@pytest.mark.parametrize(
    ("term", "count"), [("'a':*", 1), ("('o''neill':* | '#id:\\\\''x')", 2), ("('1' | ('2' & '3':*))", 3)]
)
def test_a_term_names_so_many_lexemes(term: str, count: int) -> None:
    assert lexemes.alternatives(term) == count


@pytest.mark.parametrize(
    "text", ["020 123 45 67", "020-1234567", "+31 20 123 4567", "0031201234567", "+31(0)20 1234567"]
)
def test_a_number_in_any_spelling_asks_for_the_one_form_of_it(text: str) -> None:
    assert "'31201234567':*" in " & ".join(lexemes.asked(text, {}))


def test_digits_apart_are_one_number_or_several() -> None:
    assert lexemes.asked("2023 4711", {}) == ["('20234711':* | ('2023':* & '4711':*))"]


def test_a_text_asks_for_so_many_words_and_no_more() -> None:
    asked = lexemes.asked(" ".join("abcdefgh"[n % 8] * 2 + chr(97 + n // 8) for n in range(64)), {})
    assert len(asked) == ASKED_WORDS_MAX


def test_a_word_means_the_labels_whose_names_have_one_that_begins_with_it() -> None:
    names = {"1": "Boze klanten", "2": "Klacht 2026", "3": "Offertes"}
    stems = {"klanten": "klant", "offerte": "offert"}
    for text, wanted in (
        ("kla", {"kla": ("#label:1", "#label:2")}),
        ("klanten", {"klanten": ("#label:1",)}),
        ("k", {}),
        ("20", {}),
        ("2026", {"2026": ("#label:2",)}),
        ("offerte", {"offerte": ("#label:3",)}),
        ("boze x", {"boze": ("#label:1",)}),
    ):
        assert lexemes.labelled(text, stems, names) == wanted
    meant = lexemes.labelled("boze 2026", {}, names)
    assert lexemes.asked("boze 2026", {}, meant) == [
        "('boze':* | ('#label:1'))",
        "(('2026':*) | ('#label:2'))",
    ]


@given(st.text(max_size=200), st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_whatever_labels_are_called_it_becomes_no_operator(text: str, name: str) -> None:
    asked = " & ".join(lexemes.asked(text, {}, lexemes.labelled(text, {}, {"1": name})))
    outside = "".join(asked.replace("\\\\", "").replace("''", "").split("'")[::2])
    assert set(outside) <= set("()|&:* ")


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_whatever_is_typed_becomes_no_operator_and_no_facet(text: str) -> None:
    asked = " & ".join(lexemes.asked(text, {}))
    outside = "".join(asked.replace("\\\\", "").replace("''", "").split("'")[::2])
    assert set(outside) <= set("()|&:* ")
    assert "#has:" not in asked.replace("#id:has:", "")


@given(st.from_regex(r"\+31[1-9][0-9]{8}", fullmatch=True), st.integers(0, 8), st.integers(3, 9))
@settings(max_examples=100, deadline=None)
def test_every_part_of_a_number_is_the_beginning_of_a_lexeme(number: str, first: int, length: int) -> None:
    part = number[1:][first : first + length]
    if len(part) >= 3:
        assert any(lexeme.startswith(part) for lexeme in lexemes.of_number(number))
