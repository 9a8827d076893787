"""The do-not-record list of a tenant: each number once, with its reason, bounded and announced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from archive.catalogue import directory, do_not_record
from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict, NotFound, Refused
from archive.model import Tenant

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_list_says_what_was_added_and_why(portal: Catalogue, bakery: Tenant, florist: Tenant) -> None:
    doctor = do_not_record.add(portal, bakery.id, "+31107000100-199", " doctor ", now=NOW)
    lawyer = do_not_record.add(portal, bakery.id, "010-7000000", "lawyer", now=NOW)
    council = do_not_record.add(portal, bakery.id, "sip:Council@pbx.example", "works council", now=NOW)
    assert (doctor.numbers, doctor.reason) == ("+31107000100-+31107000199", "doctor")
    assert do_not_record.entries(portal, bakery.id) == [lawyer, doctor, council]
    assert do_not_record.entries(portal, florist.id) == []


@pytest.mark.parametrize("taken", ["+31107000150", "+31107000199-299", "+31107000000-999"])
def test_a_number_has_one_reason(portal: Catalogue, bakery: Tenant, florist: Tenant, taken: str) -> None:
    do_not_record.add(portal, bakery.id, "+31107000100-199", "doctor", now=NOW)
    with pytest.raises(Conflict, match="already"):
        do_not_record.add(portal, bakery.id, taken, "lawyer", now=NOW)
    assert do_not_record.add(portal, florist.id, taken, "lawyer", now=NOW)


@pytest.mark.parametrize("numbers", ["", "lawyer", "+31107000199-100"])
def test_what_is_no_number_is_refused(portal: Catalogue, bakery: Tenant, numbers: str) -> None:
    with pytest.raises(Refused, match="not a number"):
        do_not_record.add(portal, bakery.id, numbers, "lawyer", now=NOW)


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * (NAME_CHARS_MAX + 1)])
def test_a_reason_is_given_in_printable_words(portal: Catalogue, bakery: Tenant, reason: str) -> None:
    with pytest.raises(Refused, match="printable"):
        do_not_record.add(portal, bakery.id, "010-7000000", reason, now=NOW)
    assert do_not_record.add(portal, bakery.id, "010-7000000", "x" * NAME_CHARS_MAX, now=NOW)


def test_a_list_has_a_limit(portal: Catalogue, bakery: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(do_not_record, "ENTRIES_PER_TENANT_MAX", 2)
    for n in range(2):
        do_not_record.add(portal, bakery.id, f"010700000{n}", "lawyer", now=NOW)
    with pytest.raises(Refused, match="at most 2"):
        do_not_record.add(portal, bakery.id, "0107000009", "lawyer", now=NOW)


def test_an_entry_is_removed_by_its_own_tenant_once(
    portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    entry = do_not_record.add(portal, bakery.id, "010-7000000", "lawyer", now=NOW)
    with pytest.raises(NotFound):
        do_not_record.remove(portal, florist.id, entry.id)
    do_not_record.remove(portal, bakery.id, entry.id)
    with pytest.raises(NotFound):
        do_not_record.remove(portal, bakery.id, entry.id)
    assert do_not_record.entries(portal, bakery.id) == []


def test_every_change_is_announced(portal: Catalogue, recorder: Catalogue, bakery: Tenant) -> None:
    made: list[Any] = []
    with recorder.listen(directory.CHANNEL) as listener:
        made.append(do_not_record.add(portal, bakery.id, "010-7000000", "lawyer", now=NOW))
        assert listener.wait(10)
        do_not_record.remove(portal, bakery.id, made[0].id)
        assert listener.wait(10)


def test_a_person_has_a_list_of_their_own_beside_that_of_all(
    portal: Catalogue, recorder: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """The same number may stand on each of them, once; who carries the directory knows whose it is."""
    anna = directory.add_user(portal, bakery.id, "anna", now=NOW)
    number = "+31107000000"
    own = do_not_record.add(portal, bakery.id, number, "doctor", now=NOW, user_id=anna.id)
    of_all = do_not_record.add(portal, bakery.id, number, "lawyer", now=NOW)
    assert do_not_record.entries(portal, bakery.id) == [of_all, own]
    with pytest.raises(Conflict, match="already"):
        do_not_record.add(portal, bakery.id, number, "again", now=NOW, user_id=anna.id)
    with pytest.raises(NotFound):
        do_not_record.add(portal, florist.id, number, "doctor", now=NOW, user_id=anna.id)
    do_not_record.remove(portal, bakery.id, of_all.id)
    loaded = directory.load_directory(recorder)
    assert loaded.barred(bakery.id, [number]) is None
    assert loaded.barred_for(anna.id, ["010 700 0000"]) == "doctor"
    assert type(loaded).from_json(loaded.to_json()).barred_for(anna.id, [number]) == "doctor"


@pytest.mark.parametrize("number", ["112", "0800-0113", "urn:service:sos.fire"])
def test_what_is_exempt_anyway_is_on_no_list(portal: Catalogue, bakery: Tenant, number: str) -> None:
    """A list would tell that such a call took place."""
    with pytest.raises(Refused, match="Nothing is ever kept"):
        do_not_record.add(portal, bakery.id, number, "emergency", now=NOW)
