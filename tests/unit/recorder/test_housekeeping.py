"""What the recorder does by the clock, and beside its calls."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from archive.errors import CatalogueUnavailable, Refused
from recorder import call_book
from recorder import housekeeping as housekeeping_module
from recorder import service as service_module
from recorder.call_book import uid_of
from recorder.journal.format import JournalUnavailable
from recorder.journal.writer import JournalWriter
from recorder.service import RecorderService
from retention.due_time import ClockDisbelieved
from tests.unit.recorder.journal.written_call import Call, audio
from tests.unit.recorder.shell import PlainRoot, call_state
from tests.unit.recorder.test_service import settings


class Ended:
    """A call that is over and may still be kept, as signalling and capture have journalled it."""

    def __init__(self, service: RecorderService) -> None:
        self.service = service
        self.state = dataclasses.replace(call_state(), ended_ns=1, grace_until_ns=2**62, capture="grace")
        self.uid = uid_of(self.state.recording_id)
        key = service.book.open(self.uid, self.state.started_ns)
        service.book.write(self.uid, self.state)
        capture = JournalWriter(service.book.journal_dir / "capture-0")
        capture.open()
        self.call = Call(capture, self.uid, key)
        self.call.renew()
        self.call.frame()
        capture.sync()
        self.tails = capture.tails(self.uid)
        capture.close()
        service.server.grace.restore(self.uid, self.state, service.now())

    def heard(self) -> list[bytes]:
        """Return what is read of the call when it is archived now."""
        book = self.service.book
        return audio(book.journal_dir, self.call, book.tails_of(self.uid))

    @property
    def copies(self) -> int:
        """How many calls were set aside."""
        return len(list((self.service.book.journal_dir / "aside").glob("*.journal")))


async def set_aside(ended: Ended, tails: dict[str, int] | None) -> None:
    """Have the call set aside, and wait until that is over."""
    housekeeping = ended.service.housekeeping
    housekeeping.set_aside(ended.uid, tails)
    await asyncio.gather(*housekeeping._tasks)


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ended]:
    monkeypatch.setattr(service_module, "open_keyring", lambda *_: PlainRoot())
    service = RecorderService(settings(tmp_path))
    yield Ended(service)
    service.book.close()


@pytest.mark.parametrize("told", [False, True])
def test_a_call_that_may_still_be_kept_leaves_the_files_of_its_neighbours(ended: Ended, told: bool) -> None:
    """Capture tells where the audio stands; where its state stands the book knows."""
    asyncio.run(set_aside(ended, ended.tails if told else None))
    assert ended.copies == 1
    assert ended.service.book.tails_of(ended.uid) is not None
    assert ended.heard() == ended.call.sent


def test_a_call_that_was_set_aside_is_not_copied_again(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart would else copy all calls of three days."""
    asyncio.run(set_aside(ended, ended.tails))
    monkeypatch.setattr(call_book, "set_aside", lambda *_: pytest.fail("it was copied again"))
    asyncio.run(set_aside(ended, None))


def test_a_call_that_was_kept_meanwhile_is_read_from_where_it_stands(ended: Ended) -> None:
    """It is being archived, and nothing it is read from may go."""
    del ended.service.server.grace._waiting[ended.uid]
    asyncio.run(set_aside(ended, ended.tails))
    assert ended.service.book.tails_of(ended.uid) is None
    assert ended.heard() == ended.call.sent


def test_a_call_that_is_gone_is_not_copied(ended: Ended) -> None:
    """Its grace ended while it waited for its turn."""
    ended.service.book.destroy(ended.uid)
    asyncio.run(set_aside(ended, ended.tails))
    assert ended.copies == 0


def test_a_disk_that_takes_no_copy_leaves_the_call_where_it_is(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can still be kept, and archived from there."""

    def full(*_: object) -> None:
        raise JournalUnavailable("The disk is full.")

    monkeypatch.setattr(call_book, "set_aside", full)
    asyncio.run(set_aside(ended, ended.tails))
    assert ended.service.book.tails_of(ended.uid) is None
    assert ended.heard() == ended.call.sent


class AnsweredError(Exception):
    """There are no more answers."""


async def asked(service: RecorderService, answers: Iterator[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock asked for as often as there are answers."""

    def answer() -> object:
        found = next(answers, AnsweredError())
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(service.housekeeping._lock_clock, "due_times", answer)
    monkeypatch.setattr(housekeeping_module, "BELIEVE_S", 0.0)
    with contextlib.suppress(AnsweredError, TimeoutError):
        # Once nothing waits for a clock any more, none is asked.
        await asyncio.wait_for(service.housekeeping._ask_the_clock(), 1)


def test_an_unkept_call_from_before_a_start_of_the_machine_waits_for_a_believed_clock(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While none is believed it is told, and the call can still be kept."""
    service, now = ended.service, ended.service.now()
    ended_ns = now.wall_ns - 3 * 3600 * 10**9
    state = dataclasses.replace(
        ended.state,
        ended_ns=ended_ns,
        keep_grace_h=2,
        grace_until_ns=ended_ns + 2 * 3600 * 10**9,
        grace_boot_id="before",
    )
    service.server.grace.restore(ended.uid, state, now)
    moment = service.clock.now()
    believed = moment, moment, True
    unknown = moment, moment, False
    with capture_logs() as told:
        doubts = iter([ClockDisbelieved("it moved"), CatalogueUnavailable("away"), unknown])
        asyncio.run(asked(service, doubts, monkeypatch))
    assert [(line["log_level"], line["event"]) for line in told] == [
        ("error", "ALARM: the clock is not believed, unkept calls wait"),
        ("warning", "unkept calls wait for a clock"),
    ]
    assert service.server.grace.over(service.now()) == []
    asyncio.run(asked(service, iter([believed]), monkeypatch))
    assert service.server.grace.over(service.now())


def test_a_certificate_that_does_not_fit_is_told_and_looked_at_again(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in use stays; a renewed one is told as well."""
    monkeypatch.setattr(housekeeping_module, "RENEW_S", 0.0)
    looks = iter([Refused("EARWITNESS_SIP_TLS_CERT and _KEY are no pair"), False, True])

    class Renewing:
        ends_at = "2027-01-01"

        def renew(self, _: datetime) -> bool:
            found = next(looks)
            if isinstance(found, Refused):
                raise found
            return found

    with capture_logs() as told:
        for _ in range(3):
            asyncio.run(ended.service.housekeeping._renew(Renewing()))  # type: ignore[arg-type]
    assert [(line["log_level"], line["event"]) for line in told] == [
        ("error", "the certificate on disk is not taken, the one in use stays"),
        ("info", "new TLS connections get the renewed certificate"),
    ]
    assert "no pair" in told[0]["reason"]
