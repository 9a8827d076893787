"""Templates: macros at hand, everything escaped, mistakes loud."""

import re
from datetime import UTC, datetime

import jinja2
import pytest

from playback_portal import messages
from playback_portal.language import Language
from playback_portal.rendering import environment_of

HOSTILE = """<script>alert("1")</script>'\u202e&"""
ENGLISH = environment_of(Language.ENGLISH)
DUTCH = environment_of(Language.DUTCH)
CALLS = [
    "ui.badge('pause', 'pause', x)",
    "ui.badge('pause', 'pause', x, hide=true)",
    "ui.tag(x, 2)",
    "ui.reference(x)",
    "ui.tel(x)",
    "ui.button(x, 'primary', 'keep', key=x, attrs={'hx-get': x, 'disabled': true, 'data-x': none})",
    "ui.link_button(x, x)",
    "ui.icon_button('x', x, pressed=true)",
    "ui.playbutton(x, on=true)",
    "ui.switch(true, x, x, vals={'user': x})",
    "ui.segments(x, [(x, x, true)])",
    "ui.chip(x, x, on=true)",
    "ui.csrf(x)",
    "ui.field('name', x, x, help=x, error=x, attrs={'placeholder': x})",
    "ui.field('name', x, x, type='textarea')",
    "ui.select('name', x, [(x, x)], x, help=x)",
    "ui.checkbox('name', x, true)",
    "ui.search(x, value=x, placeholder=x)",
    "ui.toast(x, undo=x, vals={'a': x}, target=x)",
    "ui.empty(x, x)",
    "ui.progress(x, 1, 2, x)",
    "ui.page_head(x, x)",
    "ui.crumb(x, x)",
    "ui.facts([(x, x)])",
    "ui.tabs(x, [('a', x, 2)])",
    "ui.pager(x, x)",
    "ui.count_badge(x, x, alert=true)",
    "ui.busy(x)",
    "ui.theme_switch(x, x)",
    "ui.language_switch(x, x, 'nl')",
    "ui.sign_out(x)",
]
BLOCKS = [
    "notice('bad')",
    "dialog('d', x)",
    "confirm('d', x, x, x, x, typed=x, vals={'a': x})",
    "card(x, x)",
    "panel('p')",
]


def rendered(source: str, **context: object) -> str:
    return ENGLISH.from_string(source).render(x=HOSTILE, **context)


@pytest.mark.parametrize(
    "source",
    [
        *("{{ " + call + " }}" for call in CALLS),
        *("{% call ui." + call + " %}{{ x }}{% endcall %}" for call in BLOCKS),
    ],
)
def test_hostile_text_stays_text_in_every_macro(source: str) -> None:
    html = rendered(source)
    assert html.strip()
    assert "<script" not in html
    attributes = re.findall(r"""=("[^"<>]*"|'[^'<>]*')""", html)
    assert not [value for value in attributes if "script>" in value]


def test_what_turns_text_round_is_shown_as_a_character_that_has_no_place() -> None:
    text = "ab\u202ecd\u2066\x1b\n\u05d0"
    assert ENGLISH.from_string("{{ y }}").render(y=text) == "ab\ufffdcd\ufffd\ufffd\n\u05d0"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ui.field('n', 'L', value) }}",
        "{{ ui.field('n', 'L', value, 'textarea') }}",
        "{{ ui.search('L', value=value) }}",
        "{% call ui.confirm('i', 't', '/a', 'v', 'csrf', vals={'n': value}) %}{% endcall %}",
    ],
)
def test_a_field_holds_the_very_text_of_the_record(source: str) -> None:
    """Else saving what nobody touched would change it; within a field marks turn nothing else round."""
    html = rendered(source, value='\u202eab"<\u2066')
    assert "&#x202e;ab&#34;&lt;&#x2066;" in html
    assert "\ufffd" not in html
    assert "\u202e" not in html


def test_a_name_within_a_message_turns_nothing_round_either() -> None:
    assert rendered("{{ _('by %(who)s', who=who) }}", who="\u202e<b>") == "by \ufffd&lt;b&gt;"


def test_an_unknown_name_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(jinja2.UndefinedError):
        rendered("{{ nobody }}")


def test_filters_and_texts_are_those_of_the_language() -> None:
    source = "{{ moment | day('short') }} {{ 12300 | count }} {{ 580000 | duration }} {{ _('Undo') }}"
    moment = datetime(2026, 11, 20, 13, 2, tzinfo=UTC)
    assert ENGLISH.from_string(source).render(moment=moment) == "Fri 20 Nov 12,300 9:40 Undo"
    assert DUTCH.from_string(source).render(moment=moment) == "vr 20 nov 12.300 9:40 Maak ongedaan"


def test_a_moment_is_a_time_element() -> None:
    moment = datetime(2026, 11, 20, 13, 2, tzinfo=UTC)
    for form, text in (("clock", "14:02"), ("both", "Fri 20 Nov 14:02"), ("long", "20 November 2026")):
        html = rendered(f"{{{{ ui.time(moment, '{form}') }}}}", moment=moment)
        assert html == f'<time datetime="2026-11-20T14:02:00+01:00">{text}</time>'


def test_what_cannot_be_undone_waits_for_its_word() -> None:
    html = rendered(
        "{% call ui.confirm('d', 'Delete it?', '/x', 'Delete', 't', typed='14:02') %}Gone.{% endcall %}"
    )
    assert 'data-typed="14:02"' in html
    assert 'data-sure aria-disabled="true"' in html
    assert "Type 14:02 to go on" in html
    assert 'aria-labelledby="d-title"' in html


def test_what_can_be_undone_says_how() -> None:
    html = rendered("{{ ui.toast('Gone.', undo='/undo', vals={'on': true}, target='#row-1') }}")
    assert html.startswith('<div id="toasts" hx-swap-oob="beforeend">')
    assert 'hx-post="/undo"' in html
    assert 'hx-target="#row-1"' in html


def test_a_field_tells_its_help_and_its_error_to_who_cannot_see_them() -> None:
    html = rendered("{{ ui.field('name', 'Name', 'A', help='Shown to all.', error='Too short.') }}")
    assert 'aria-invalid="true"' in html
    described = re.search(r'aria-describedby="([^"]+)"', html)
    assert described is not None
    assert all(f'id="{name}"' in html for name in described[1].split())


def test_each_part_of_the_portal_has_its_file_of_messages() -> None:
    root = messages.ROOT
    parts = {
        "templates/people/list.html": "people",
        "templates/sign_in/page.html": "sign-in",
        "templates/macros.html": "portal",
        "pages/sign_in.py": "sign-in",
        "pages/__init__.py": "portal",
        "refusals.py": "portal",
    }
    assert {path: messages.part_of(root / path) for path in parts} == parts
