"""The files of messages: which texts the sources hold, and where their Dutch is written.

    python -m playback_portal.messages            bring every file up to date
    python -m playback_portal.messages people     only locale/nl/people.po

Each part of the portal has a file: templates in `templates/people/` and the module
`pages/people.py` belong to `people.po`, everything else to `portal.po`. A text that two
parts use stands in both, with the same Dutch; the first part's is taken over.

Rules: nothing is guessed. A changed text is a new message without Dutch, and a text that
is gone takes its Dutch with it. A test fails while a message has no Dutch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

from playback_portal.language import LOCALE, Language, catalogue_at

Words = str | tuple[str, ...] | list[str]
"""A message, or its forms for one and for more."""

ROOT = Path(__file__).parent
PART_OF_THE_REST = "portal"
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "mark": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
TEMPLATE_OPTIONS = {"trimmed": "true", "silent": "false"}

HEADER = """msgid ""
msgstr ""
"Language: nl\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""


def part_of(path: Path) -> str:
    """Return the part of the portal a source belongs to."""
    inner = path.relative_to(ROOT)
    if inner.parts[0] == "templates" and len(inner.parts) > len(("templates", "people")):
        return inner.parts[1].replace("_", "-")
    if inner.parts[0] == "pages" and inner.stem != "__init__":
        return inner.stem.replace("_", "-")
    return PART_OF_THE_REST


def extracted() -> dict[str, Catalog]:
    """Return the messages of the sources, by part."""
    parts: dict[str, Catalog] = {}
    for method, options, path in _sources():
        catalogue = parts.setdefault(part_of(path), Catalog(locale=Language.DUTCH.value))
        found = extract_from_file(method, path, keywords=KEYWORDS, options=options)
        for _, message, _, context in found:
            catalogue.add(message, context=context, locations=[(path.relative_to(ROOT).as_posix(), 0)])
    return {part: catalogue for part, catalogue in parts.items() if len(catalogue)}


def path_of(part: str) -> Path:
    """Return the file of a part."""
    return LOCALE / Language.DUTCH.value / f"{part}.po"


def update(part: str, wanted: Catalog) -> Catalog:
    """Return the file of a part brought up to date: the Dutch that is known, and all that is wanted."""
    known = _known(part)
    fresh = Catalog(locale=Language.DUTCH.value)
    for message in _of(wanted):
        translation = known.get((message.context, message.id))
        places = sorted(set(message.locations))
        fresh.add(message.id, translation, context=message.context, locations=places)
    return fresh


def write(part: str, catalogue: Catalog) -> None:
    """Write the file of a part, in an order that does not change by itself."""
    with path_of(part).open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, omit_header=True, sort_output=True, include_lineno=False, width=110)


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the messages that have no Dutch, or one that is marked as a guess."""
    return [str(message.id) for message in _of(catalogue) if message.fuzzy or not all(_texts(message.string))]


def _sources() -> Iterator[tuple[str, dict[str, str], Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield "python", {}, path
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield "jinja2.ext:babel_extract", TEMPLATE_OPTIONS, path


def _known(part: str) -> dict[tuple[str | None, Words], Words]:
    """Return the Dutch there is: the part's own before what other parts say."""
    others = [path for path in sorted((LOCALE / Language.DUTCH.value).glob("*.po")) if path.stem != part]
    found: dict[tuple[str | None, Words], Words] = {}
    for path in [each for each in (path_of(part), *others) if each.exists()]:
        for message in _of(catalogue_at(path)):
            if message.string and all(_texts(message.string)):
                found.setdefault((message.context, message.id), message.string)
    return found


def _of(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id]


def _texts(string: Words | None) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, list | tuple) else (str(string or ""),)


def main(parts: list[str]) -> int:
    """Bring the files of `parts`, or all, up to date and tell what has no Dutch yet."""
    found = extracted()
    for part in sorted(set(found) & set(parts) if parts else found):
        catalogue = update(part, found[part])
        write(part, catalogue)
        missing = untranslated(catalogue)
        sys.stdout.write(f"{path_of(part).name}: {len(catalogue)} messages, {len(missing)} without Dutch\n")
        sys.stdout.writelines(f"  {text}\n" for text in missing)
    if not parts:
        for path in sorted((LOCALE / Language.DUTCH.value).glob("*.po")):
            if path.stem not in found:
                path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
