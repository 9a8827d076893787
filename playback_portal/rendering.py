"""Templates as Jinja renders them: one environment for each language, macros at hand, all text escaped.

Every template has `ui` (the macros of `macros.html`), `asset`, the filters of `formats`
and gettext (`_`, `ngettext`, `{% trans %}`), without importing anything.

Rules: autoescape is on for every template, and an unknown name is an error. Nothing in a
template is marked safe that did not come out of a macro. Characters that turn text round or
control a terminal are shown as what they are: a character that has no place there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from playback_portal import formats, static
from playback_portal.language import Language, translations_of

TEMPLATES = Path(__file__).parent / "templates"
MACROS = "macros.html"

HTMX_CONFIG = {
    "allowEval": False,
    "allowScriptTags": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    # Pages would else be copied into the browser's storage and outlive signing out.
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "scrollBehavior": "instant",
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        # What is refused says so itself: the form again, or a notice with HX-Retarget.
        {"code": "[45]..", "swap": True, "error": True},
    ],
}

_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls, and what embeds, overrides or isolates a direction: a caller's name could look like another's."""

_MARKS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Those of the hidden characters that people write on purpose, among Arabic and Hebrew words."""

FILTERS: dict[str, Callable[..., str]] = {
    "clock": formats.clock,
    "day": formats.day,
    "iso": formats.iso,
    "duration": formats.duration,
    "count": formats.count,
    "percent": formats.percent,
    "number": formats.number,
}


@cache
def environment_of(language: Language) -> Environment:
    """Return the environment of a language."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=plain,
        # A list of fifty rows would else ask the disk five times a row whether a template changed.
        auto_reload=False,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    texts = translations_of(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        texts.gettext, texts.ngettext, newstyle=True, pgettext=texts.pgettext, npgettext=texts.npgettext
    )
    environment.filters.update({name: partial(function, language) for name, function in FILTERS.items()})
    environment.filters["as_written"] = as_written
    environment.globals.update(
        language=language.value,
        htmx_config=HTMX_CONFIG,
        asset=lambda name: static.load().url(name),
        asset_parts=lambda name: static.load().part_urls(name),
    )
    environment.globals["ui"] = environment.get_template(MACROS).module
    return environment


def plain(value: object) -> object:
    """Return what a template shows, with hidden characters made visible, those of a name in a message too."""
    if not isinstance(value, str) or (value.isascii() and value.isprintable()):
        return value
    shown = _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
    # Markup stays markup: nothing was added that could be an element.
    return Markup(shown) if isinstance(value, Markup) else shown  # noqa: S704


def as_written(text: object) -> Markup:
    """Return a text for the field it is edited in, or that sends it unseen: marks of direction stay.

    Else saving would change them. They stand there as references, which `plain` lets pass; within a
    field they turn nothing else round.
    """
    written = _MARKS.sub(lambda mark: f"&#x{ord(mark[0]):x};", str(escape(text)))
    return Markup(written)  # noqa: S704 - escaped, and references added
