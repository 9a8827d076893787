"""What the catalogue must be told waits on disk, sealed, through every crash; what is retracted is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from archive.model import OutcomeKind, RecordingId, SessionOutcome
from recorder import outbox as outbox_module
from recorder.outbox import Outbox
from tests.unit.recorder.shell import outcome

KEY = bytes(range(32))
DAY, NEXT_DAY = date(2026, 11, 22), date(2026, 11, 23)
CUTS = range(13)  # before each of twelve effects on the file system, and after all of them


class PowerCut(BaseException):
    """The process ended here."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def outbox(directory: Path) -> Outbox:
    return Outbox(directory, KEY)


def waiting(outbox: Outbox) -> list[SessionOutcome]:
    return [item for _, item in outbox.waiting()]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def content_behind(path: Path) -> Callable[[], bytes]:
    """Return what reads the blocks a file has now, whatever becomes of its name."""
    file = path.open("rb")

    def read() -> bytes:
        with file:
            return file.read()

    return read


@pytest.mark.parametrize(
    "told",
    [
        outcome(recording_ids=(RecordingId("one"), RecordingId("two"))),
        outcome(
            peer_id=None, tenant_id=None, kind=OutcomeKind.FAILED, trace=(), call_id="na\u00efve\x00\u202e@h"
        ),
    ],
)
def test_an_outcome_waits_through_a_restart_as_it_was(
    outbox: Outbox, directory: Path, told: SessionOutcome
) -> None:
    """Every field, to the microsecond."""
    outbox.put(told)
    assert waiting(Outbox(directory, KEY)) == [told]


def test_an_outcome_is_told_until_it_was_delivered(outbox: Outbox, directory: Path) -> None:
    """And forgetting it twice is no error."""
    outbox.put(outcome())
    [(path, _)] = outbox.waiting()
    outbox.delivered(path)
    outbox.delivered(path)
    assert names(directory) == []


def test_files_are_for_us_alone_and_sealed(outbox: Outbox, directory: Path) -> None:
    """No Call-ID and no reason stands on the disk in the clear."""
    told = outcome()
    outbox.put(told)
    [path] = directory.iterdir()
    assert told.call_id.encode() not in path.read_bytes()
    assert told.reason.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_session_that_runs_is_told_only_when_it_ended_with_the_recorder(
    outbox: Outbox, directory: Path
) -> None:
    """What is not final waits for the final word, or for the next start."""
    told = outcome()
    outbox.put(told, final=False)
    assert waiting(outbox) == []
    assert waiting(Outbox(directory, KEY)) == [told]


def test_the_final_word_replaces_the_first(outbox: Outbox, directory: Path) -> None:
    """One session, one outcome (invariant I3)."""
    first = outcome()
    final = outcome(session_id=first.session_id, reason="nobody of the call is recorded")
    outbox.put(first, final=False)
    outbox.put(final)
    assert waiting(outbox) == [final]
    assert names(directory) == [f"{first.session_id}.outcome"]


@pytest.mark.parametrize("end", [lambda outbox, told: outbox.retract(told.session_id), Outbox.put])
def test_nothing_of_a_first_word_stays_on_the_disk(
    outbox: Outbox, directory: Path, end: Callable[[Outbox, SessionOutcome], None]
) -> None:
    """Its blocks are overwritten: it is sealed, but the key lives on, and the call may turn out exempt."""
    told = outcome()
    outbox.put(told, final=False)
    [path] = directory.iterdir()
    before, look = path.read_bytes(), content_behind(path)
    end(outbox, told)
    after = look()
    assert not path.exists()
    assert before[:16] not in after


def test_a_first_word_that_is_put_again_leaves_nothing_of_the_earlier_one(
    outbox: Outbox, directory: Path
) -> None:
    """A session that is judged anew with each metadata would else leave a trail."""
    told = outcome()
    outbox.put(told, final=False)
    before = content_behind(directory / f"{told.session_id}.open")
    outbox.put(told, final=False)
    assert before() == b""
    assert names(directory) == [f"{told.session_id}.open"]


def test_retracting_what_is_not_there_does_nothing(outbox: Outbox, directory: Path) -> None:
    """A session that was final, or never was."""
    told = outcome()
    outbox.put(told)
    outbox.retract(told.session_id)
    outbox.retract("another")
    assert waiting(outbox) == [told]


@pytest.mark.parametrize("number", CUTS)
def test_a_crash_at_any_moment_leaves_one_outcome_and_no_drafts(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """From the first word on there is always one: an earlier one, or the one being put."""
    told = [outcome(reason=reason) for reason in ("first", "again", "final")]
    told = [outcome(session_id=told[0].session_id, reason=item.reason) for item in told]
    outbox = Outbox(directory, KEY)
    outbox.put(told[0], final=False)
    with monkeypatch.context() as patch:
        _cut_power(patch, number)
        _until_power_cut(lambda: outbox.put(told[1], final=False))
        _until_power_cut(lambda: outbox.put(told[2]))
    [found] = waiting(Outbox(directory, KEY))
    assert found.reason in {item.reason for item in told}
    assert names(directory) == [f"{found.session_id}.outcome"]


@pytest.mark.parametrize("number", CUTS)
def test_a_crash_while_retracting_leaves_the_whole_or_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What was half destroyed is destroyed by the next start, and never told as damaged."""
    told = outcome()
    outbox = Outbox(directory, KEY)
    outbox.put(told, final=False)
    with monkeypatch.context() as patch:
        _cut_power(patch, number)
        _until_power_cut(lambda: outbox.retract(told.session_id))
    with capture_logs() as logs:
        assert waiting(Outbox(directory, KEY)) in ([], [told])
    assert logs == []
    assert [name for name in names(directory) if not name.endswith(".outcome")] == []


def test_a_final_word_is_never_replaced_by_an_earlier_one(outbox: Outbox, directory: Path) -> None:
    """A crash came between the writing of the final word and the forgetting of the first."""
    first = outcome()
    final = outcome(session_id=first.session_id, kind=OutcomeKind.NOBODY_RECORDED)
    outbox.put(first, final=False)
    left = directory / f"{first.session_id}.open"
    content = left.read_bytes()
    outbox.put(final)
    left.write_bytes(content)
    assert waiting(Outbox(directory, KEY)) == [final]
    assert not left.exists()


def test_a_full_disk_is_said_and_leaves_what_was_there(
    outbox: Outbox, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half file, and no draft."""
    told = outcome()
    outbox.put(told)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _full)
        with pytest.raises(OSError, match="No space"):
            outbox.put(outcome(session_id=told.session_id, reason="another"))
    assert waiting(outbox) == [told]
    assert len(names(directory)) == 1


@pytest.mark.parametrize("damage", [b"", b"\x01 not sealed", b"another version"])
def test_a_damaged_outcome_is_set_aside_and_the_others_are_told(
    outbox: Outbox, directory: Path, damage: bytes
) -> None:
    """It is kept for whoever repairs it, said once, and stops nobody."""
    (directory / "00-damaged.outcome").write_bytes(damage)
    told = outcome()
    outbox.put(told)
    with capture_logs() as logs:
        assert waiting(outbox) == [told]
        assert waiting(outbox) == [told]
    assert [(entry["log_level"], entry["file"]) for entry in logs] == [("error", "00-damaged.unreadable")]
    assert (directory / "00-damaged.unreadable").read_bytes() == damage


def test_an_outcome_of_another_node_key_is_not_believed(outbox: Outbox, directory: Path) -> None:
    """A file that somebody put there is no outcome."""
    outbox.put(outcome())
    with capture_logs() as logs:
        assert waiting(Outbox(directory, bytes(32))) == []
    assert len(logs) == 1


def test_of_an_exempt_call_only_a_number_is_written(outbox: Outbox, directory: Path) -> None:
    """One file a day that holds one number, and nothing beside it."""
    for _ in range(3):
        outbox.count_exempt(DAY)
    outbox.count_exempt(NEXT_DAY)
    assert names(directory) == ["2026-11-22.exempt", "2026-11-23.exempt"]
    assert [path.read_text() for path in sorted(directory.iterdir())] == ["3", "1"]


def test_counts_wait_through_a_restart_and_are_taken_once(outbox: Outbox, directory: Path) -> None:
    """Who takes a count has it."""
    outbox.count_exempt(DAY)
    again = Outbox(directory, KEY)
    again.count_exempt(DAY)
    assert list(again.take_exempt()) == [(DAY, 2)]
    assert list(again.take_exempt()) == []


def test_a_count_that_is_put_back_joins_what_came_meanwhile(outbox: Outbox) -> None:
    """The database went away while it was told."""
    for _ in range(5):
        outbox.count_exempt(DAY)
    [(day, count)] = outbox.take_exempt()
    outbox.count_exempt(DAY)
    outbox.put_back_exempt(day, count)
    assert list(outbox.take_exempt()) == [(DAY, 6)]


def test_days_that_were_not_reached_keep_their_counts(outbox: Outbox) -> None:
    """Whoever stops at the first day has taken that one only."""
    outbox.count_exempt(DAY)
    outbox.count_exempt(NEXT_DAY)
    assert next(iter(outbox.take_exempt())) == (DAY, 1)
    assert list(outbox.take_exempt()) == [(NEXT_DAY, 1)]


def test_no_count_is_lost_or_doubled_between_two_threads(outbox: Outbox) -> None:
    """Signalling counts while a thread of the delivery takes and puts back."""
    calls, taken, turns, ended = 100, 0, 0, threading.Event()

    def count() -> None:
        for _ in range(calls):
            outbox.count_exempt(DAY)
        ended.set()

    counting = threading.Thread(target=count)
    counting.start()
    while not ended.is_set():
        for day, found in outbox.take_exempt():
            turns += 1
            if turns % 2:
                taken += found
            else:
                outbox.put_back_exempt(day, found)
    counting.join()
    assert taken + sum(found for _, found in outbox.take_exempt()) == calls


def _full(*_: object) -> None:
    raise OSError(28, os.strerror(28))


def _cut_power(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the effect of this number on the file system, and all after it, not happen any more."""
    left = [number]

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def effect(*arguments: object, **named: object) -> object:
            if left[0] <= 0:
                raise PowerCut
            left[0] -= 1
            return real(*arguments, **named)

        return effect

    for owner, name in _effects():
        patch.setattr(owner, name, counted(getattr(owner, name)))


def _effects() -> Iterator[tuple[object, str]]:
    yield from ((os, name) for name in ("link", "fdatasync"))
    yield from ((Path, name) for name in ("rename", "unlink"))
    yield from ((outbox_module, name) for name in ("overwrite", "sync_directory"))


def _until_power_cut(work: Callable[[], None]) -> None:
    try:
        work()
    except PowerCut:
        return
