"""Why a row of a file was refused is told in words of the reader: every reason a row can meet."""

from __future__ import annotations

import pytest

from archive.catalogue import directory, grounds
from archive.catalogue.directory import LEFT, NAME_CHARS_MAX, NUMBERS_PER_USER_MAX
from archive.catalogue.snapshot import NumberRange
from archive.errors import ArchiveError, Refused
from archive.model import RecordingMode
from archive.roll import BY_KEY, BY_TWO, OWN_ROLE
from archive.roster import fields_of, read
from playback_portal import roster_words
from playback_portal.language import Language
from retention.imports import LOST

REASONS = (
    "The row has more cells than the heading.",
    OWN_ROLE,
    BY_TWO,
    BY_KEY,
    LOST,
    "A backup was restored: this row may have been written already. Import the file again.",
    "'anna' is not LOGIN@DOMAIN, for instance anna@jansen.example.",
    "Logins of this tenant end on @jansen.example.",
    "'a b' is not a login: letters, digits and . _ % + - only.",
    f"The mode {RecordingMode.ALWAYS} records, which needs a licence; give one, or set the mode to never.",
    f"A user has at most {NUMBERS_PER_USER_MAX} numbers and ranges.",
    "Emergency and help line numbers are never recorded and can't belong to a user.",
    "One of these numbers was made exempt: no call of its user would leave anything.",
    "One of these numbers is given twice, or belongs to another user of this tenant.",
    "It clashes with what is there already (users_tenant_id_broadworks_id_key).",
    "Access is none or own.",
    LEFT,
)


def reason_of(words: dict[str, str | list[str]]) -> str:
    """Return what a cell is refused with."""
    try:
        fields = fields_of(words)
        for number in fields.get("numbers", ()):
            NumberRange.parse(number)
        directory.named(str(fields.get("site", "x")))
    except ArchiveError as error:
        return str(error)
    raise AssertionError("It is no fault.")


@pytest.mark.parametrize(
    "reason",
    [
        *REASONS,
        reason_of({"mode": "sometimes"}),
        reason_of({"licence": "for ever"}),
        reason_of({"role": "boss"}),
        reason_of({"own_modes": ["none", "always"]}),
        reason_of({"number": ["nobody"]}),
        reason_of({"number": ["+31200000000-99999"]}),
        reason_of({"number": [f"{'a' * 300}@x"]}),
        reason_of({"site": "x" * (NAME_CHARS_MAX + 1)}),
        reason_of({"site": "a\nb"}),
        grounds.MISSING,
    ],
)
def test_every_reason_has_words_in_both_languages(reason: str) -> None:
    assert roster_words.is_known(reason)
    english, dutch = (roster_words.told(reason, each) for each in (Language.ENGLISH, Language.DUTCH))
    assert english != dutch
    assert "%(" not in english + dutch


def test_a_reason_nobody_foresaw_is_shown_as_it_is() -> None:
    assert roster_words.told("The moon was full.", Language.DUTCH) == "The moon was full."
    assert not roster_words.is_known("The moon was full.")
    assert roster_words.told_of_file("The moon was full.", Language.DUTCH) == "The moon was full."


def test_a_file_with_a_column_twice_is_told_which() -> None:
    with pytest.raises(Refused) as caught:
        list(read(["login,mode,mode\n", "a@b,always,never\n"], rows_max=1))
    told = roster_words.told_of_file(str(caught.value), Language.DUTCH)
    assert told == "Er zijn dubbele kolommen: mode. Laat er één staan."
