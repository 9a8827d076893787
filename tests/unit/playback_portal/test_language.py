"""Which language a page has, and that no text was forgotten in either."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from aiohttp.test_utils import make_mocked_request
from babel.messages.catalog import Message

from playback_portal import messages
from playback_portal.language import (
    COOKIE,
    HEADER_CHARS_MAX,
    LOCALE,
    Language,
    catalogue_at,
    language_of,
    preferred,
    translated,
    translations_of,
)
from playback_portal.rendering import TEMPLATES

FILES = sorted((LOCALE / "nl").glob("*.po"))
TEMPLATE_FILES = sorted(TEMPLATES.rglob("*.html"))
PLACES = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "nl"),
        ("", "nl"),
        ("nl", "nl"),
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("en-GB,en;q=0.9,nl;q=0.8", "en"),
        ("en;q=0.5, nl;q=0.7", "nl"),
        ("fr-FR, de;q=0.8", "en"),
        ("fr, *;q=0.1", "nl"),
        ("nl;q=0", "en"),
        ("nl;q=x", "en"),
        (";;,,q=", "en"),
        ("x" * HEADER_CHARS_MAX + ",nl", "en"),
    ],
)
def test_the_browser_gets_the_language_it_likes_best_of_ours(header: str | None, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(("cookie", "language"), [("en", "en"), ("nl", "nl"), ("../nl", "nl"), ("de", "nl")])
def test_what_the_person_chose_goes_before_what_the_browser_likes(cookie: str, language: str) -> None:
    headers = {"Cookie": f"{COOKIE}={cookie}", "Accept-Language": "nl" if cookie != "nl" else "en"}
    assert language_of(make_mocked_request("GET", "/", headers=headers)) == language


def test_marked_messages_are_translated_and_unknown_ones_stay() -> None:
    assert translated(Language.DUTCH, "No access") == "Geen toegang"
    assert translated(Language.ENGLISH, "No access") == "No access"
    assert translated(Language.DUTCH, "Nobody wrote this.") == "Nobody wrote this."
    assert translations_of(Language.DUTCH) is translations_of(Language.DUTCH)


def messages_of(path: Path) -> list[Message]:
    return [message for message in catalogue_at(path) if message.id]


def forms(message: Message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (message.string,)


def test_the_files_hold_exactly_the_texts_of_the_sources() -> None:
    """`make messages` was run after the last text that changed."""
    found = messages.extracted()
    assert {path.stem for path in FILES} == set(found)
    for part, catalogue in found.items():
        written = {(each.context, each.id) for each in messages_of(messages.path_of(part))}
        assert written == {(each.context, each.id) for each in catalogue if each.id}, f"{part}: make messages"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_message_has_a_dutch_text_and_none_is_a_guess(path: Path) -> None:
    assert messages.untranslated(catalogue_at(path)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dutch_text_has_the_places_of_its_message_and_the_tone_of_the_house(path: Path) -> None:
    for message in messages_of(path):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        wanted = set(PLACES.findall(ids[-1]))
        for text in (*forms(message), *ids):
            assert set(PLACES.findall(text)) <= wanted, text
            assert "!" not in text, text
            assert text == text.strip(), text
        assert set(PLACES.findall(forms(message)[-1])) == wanted, message.id
        assert not re.search(r"\b(u|uw|helaas|succesvol|klik)\b", " ".join(forms(message)), re.IGNORECASE)


def test_a_text_has_the_same_dutch_wherever_it_stands() -> None:
    known: dict[object, object] = {}
    for path in FILES:
        for message in messages_of(path):
            key = (message.context, message.id)
            assert known.setdefault(key, message.string) == message.string, f"{path.stem}: {message.id}"


# Names, codes and units are the same in every language.
SAME_EVERYWHERE = re.compile(r"earwitness|English|Nederlands|Shift|[A-Z0-9]|kB|MB")
WORDS = re.compile(r"[^\W\d_]{2,}")
READ_ALOUD = {"aria-label", "title", "placeholder", "alt", "aria-description", "aria-valuetext", "label"}
UNREAD = {"script", "style", "code", "kbd"}


class Texts(HTMLParser):
    """Collects what a reader of a page reads or hears."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within.append(tag)
        self.found += [value or "" for name, value in attrs if name in READ_ALOUD]

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not UNREAD & set(self.within):
            self.found.append(data)


def data_of(source: str) -> str:
    """Return a template without what Jinja replaces, and without texts in gettext's blocks."""
    kept, translated_block = [], False
    environment = jinja2.Environment(autoescape=True)
    tokens = list(environment.lex(source))
    for position, (_, kind, value) in enumerate(tokens):
        if kind == "block_begin":
            name = next(text for _, each, text in tokens[position:] if each == "name")
            translated_block = name == "trans" or (translated_block and name == "pluralize")
        if kind == "data" and not translated_block:
            kept.append(value)
        elif kind == "variable_begin":
            kept.append("0")
    return "".join(kept)


def untranslated_texts(source: str) -> Iterator[str]:
    parser = Texts()
    parser.feed(data_of(source))
    for text in parser.found:
        if WORDS.search(SAME_EVERYWHERE.sub("", text)):
            yield text.strip()


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.relative_to(TEMPLATES).as_posix())
def test_no_template_holds_text_outside_gettext(path: Path) -> None:
    assert list(untranslated_texts(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello there</p>",
        '<button aria-label="Close it">{{ x }}</button>',
        "{% if a %}<p>{{ name }} heeft gebeld</p>{% endif %}",
        "{% trans %}Fine{% endtrans %} but not this",
        '<input placeholder="search">',
    ],
)
def test_a_forgotten_text_is_found(source: str) -> None:
    assert list(untranslated_texts(source))


@pytest.mark.parametrize(
    "source",
    [
        '<p>{{ _("Hello") }}</p>',
        "{% trans n=n %}one call{% pluralize %}{{ n }} calls{% endtrans %}",
        "<kbd>Enter</kbd><code>make run</code>",
        '<div class="some words" hx-get="/recordings/list">{{ a }}: {{ b }}</div>',
        "{# a remark in words #}",
    ],
)
def test_what_is_no_text_or_is_translated_is_left_alone(source: str) -> None:
    assert list(untranslated_texts(source)) == []


INLINE = re.compile(
    r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|hx-on|hx-vals=.js:|\|\s*safe\b|<script(?![^>]*\ssrc=)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.relative_to(TEMPLATES).as_posix())
def test_no_template_needs_what_the_content_security_policy_refuses(path: Path) -> None:
    assert INLINE.findall(path.read_text()) == []


@pytest.mark.parametrize(
    "source", ['<p style="x">', "<script>1</script>", '<a onclick="x">', "{{ x | safe }}"]
)
def test_a_planted_inline_thing_is_found(source: str) -> None:
    assert INLINE.search(source)
