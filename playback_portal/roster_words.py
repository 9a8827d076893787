"""Why a row of a file of people was refused, in words for people.

The reasons are English sentences of the rules that a row broke (`archive.roster`,
`archive.catalogue.directory`, `playback_portal.imports`). Here each kind has a message, so
that people read it in their language; a reason nobody foresaw is shown as it is.

Rules: pure. A test holds that every reason a file can meet has words.
"""

from __future__ import annotations

import re
from typing import Final

from archive.catalogue.directory import NAME_CHARS_MAX, NUMBERS_PER_USER_MAX
from archive.catalogue.snapshot import NUMBERS_PER_RANGE_MAX
from playback_portal.language import Language, mark, translated

_KINDS: Final = (
    (r"The row has more cells than the heading\.", mark("The row has more cells than the heading.")),
    (r"'(?P<word>.*)' is not a valid \w+\.", mark("%(word)s is none of the words for this column.")),
    (
        r"Nobody changes their own role: .*",
        mark("Nobody changes their own role. Ask another administrator."),
    ),
    (
        r"(Making somebody|No key makes) .*",
        mark("Administrators and auditors take two people: propose it on the person's page."),
    ),
    (
        r"A backup was restored: this row .*",
        mark("A backup was restored, and this row may have been written already. Import the file again."),
    ),
    (
        r"Whoever asked for this may not administer any more\.",
        mark("Whoever asked for this may not administer any more."),
    ),
    (
        r"'.*' is not LOGIN@DOMAIN, for instance anna@(?P<word>.*)\.",
        mark("The login does not end on @%(word)s."),
    ),
    (r"Logins of this tenant end on @(?P<word>.*)\.", mark("The login does not end on @%(word)s.")),
    (r"'.*' is not a login: .*", mark("A login has letters, digits and a few marks, and no blanks.")),
    (r"The mode .* records, which needs a licence; .*", mark("The mode records, and there is no licence.")),
    (
        rf"A user has at most {NUMBERS_PER_USER_MAX} numbers and ranges\.",
        mark("These are more numbers than a person may have."),
    ),
    (r"'(?P<word>.*)' is not a number nor a range .*", mark("%(word)s is no number and no range.")),
    (
        rf"'(?P<word>.*)' holds more than {NUMBERS_PER_RANGE_MAX} numbers; .*",
        mark("%(word)s holds more numbers than a range may."),
    ),
    (r"An address of record has at most .*", mark("The address of a number is too long.")),
    (
        r"Emergency and help line numbers .*",
        mark("Emergency and help line numbers can't belong to anybody."),
    ),
    (
        r"One of these numbers was made exempt: .*",
        mark("One of the numbers is exempt: nothing of it is kept."),
    ),
    (r"One of these numbers is given twice, .*", mark("One of the numbers belongs to somebody already.")),
    (
        r"It clashes with what is there already .*",
        mark("The login or BroadWorks ID belongs to somebody already."),
    ),
    (
        r"Recording can't be switched on yet: .*",
        mark("Recording can't be switched on: purpose, legal basis and notice text are missing."),
    ),
    (r"This person left\. .*", mark("This person left. Take their departure back first.")),
    (r"Access is none or own\.", mark("The access is none or own.")),
    (
        rf"A name has 1 to {NAME_CHARS_MAX} printable characters\.",
        mark("The site or BroadWorks ID is too long, or has characters that can't be shown."),
    ),
)
_PATTERNS: Final = tuple((re.compile(pattern, re.DOTALL), message) for pattern, message in _KINDS)

_FILE_KINDS: Final = (
    (
        r"There are columns we don't know: (?P<word>.*)\.",
        mark("There are columns we don't know: %(word)s. The columns are in the table below."),
    ),
    (
        r"There are columns twice: (?P<word>.*)\.",
        mark("There are columns twice: %(word)s. Leave one of them."),
    ),
    (
        r"There are more than (?P<word>\d+) rows; .*",
        mark("There are more than %(word)s rows. Divide the file."),
    ),
    (
        r"It can't be read as CSV: .*",
        mark("It can't be read as CSV: a quote stands where none may, or is not ended."),
    ),
    (r"It is UTF-16; .*", mark("It is in UTF-16. Save it as CSV in UTF-8.")),
    (r"It is (neither|no text).*", mark("It is no CSV in UTF-8 or Windows-1252. Save it as CSV in UTF-8.")),
)
_FILE_PATTERNS: Final = tuple((re.compile(pattern, re.DOTALL), message) for pattern, message in _FILE_KINDS)


def told(reason: str, language: Language) -> str:
    """Return why a row was refused."""
    return _told(_PATTERNS, reason, language)


def told_of_file(reason: str, language: Language) -> str:
    """Return why a whole file was refused."""
    return _told(_FILE_PATTERNS, reason, language)


def is_known(reason: str) -> bool:
    """Return whether a reason of a row has words."""
    return any(pattern.fullmatch(reason) for pattern, _ in _PATTERNS)


def _told(patterns: tuple[tuple[re.Pattern[str], str], ...], reason: str, language: Language) -> str:
    for pattern, message in patterns:
        found = pattern.fullmatch(reason)
        if found is not None:
            return translated(language, message) % found.groupdict()
    return reason
