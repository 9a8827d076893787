"""Whatever comes in whatever order, a live call keeps every packet and a destroyed one opens no more.

`Life` does what signalling and capture do to a journal: calls begin, talk, end, are set
aside (the copying and what follows it apart, as one is done in a thread), cut, released
and destroyed, files are rotated and synced; and the process ends, at any effect on the
disk. What is known of each call says what must be there after each step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call_book import CallBook, uid_of
from recorder.journal.format import JournalError
from recorder.journal.reader import read_states
from recorder.journal.set_aside import Aside
from recorder.journal.writer import FILE_AGE_S_MAX, JournalWriter
from recorder.state import CallState
from tests.unit.recorder.journal.test_cut import everything_that_opens
from tests.unit.recorder.journal.written_call import STARTED_NS, Call, StillClock, audio
from tests.unit.recorder.shell import PlainRoot, call_state

CALLS_MAX = 3
PACKET_NS = 20_000_000
EFFECTS = ("write", "writev", "pwrite", "fdatasync", "fsync", "replace", "unlink")


class PowerCutError(Exception):
    """The process ended here."""


@dataclass(eq=False)
class Known:
    """A call, and what the journal must hold of it."""

    call: Call
    state: CallState
    tails: dict[str, int] | None = None
    ended: bool = False
    cut: bool = False
    split: bool = False  # begun by a process that is no more, so that capture can't tell its files
    asides: list[Aside] = field(default_factory=list)

    @property
    def uid(self) -> bytes:
        return self.call.uid


class Life:
    """A journal, the process that writes it now, and what is known of its calls."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = StillClock()
        self.lives = 0
        self.known: list[Known] = []
        self.gone: list[Known] = []
        self.start(directory / "life-0")
        for number in range(2):
            self.begin(number, 2)
        self.end(0, 0)

    def start(self, journal_dir: Path) -> None:
        self.book = CallBook(journal_dir, PlainRoot())
        self.clock.elapsed = time.monotonic()
        self.book._writer._monotonic = self.clock.monotonic
        self.book.recover()
        self.capture = JournalWriter(journal_dir / "capture-0", monotonic=self.clock.monotonic)
        self.capture.open()

    def chosen(self, number: int, *, ended: bool | None = None) -> Known | None:
        suiting = [known for known in self.known if ended is None or known.ended == ended]
        return suiting[number % len(suiting)] if suiting else None

    def waiting(self) -> list[tuple[Known, Aside]]:
        """Return the copies that nobody adopted yet; also those of calls that went meanwhile."""
        return [(known, aside) for known in (*self.known, *self.gone) for aside in known.asides]

    # What signalling and capture do; each takes two numbers and may find that there is nothing to do.

    def begin(self, _: int, frames: int) -> None:
        if len(self.known) == CALLS_MAX:
            return
        state = call_state()
        uid = uid_of(state.recording_id)
        key = self.book.open(uid, state.started_ns)
        self.book.write(uid, state)
        self.known.append(Known(Call(self.capture, uid, key), state))
        for _ in range(frames % 3):
            self.talk(len(self.known) - 1, 2)

    def talk(self, number: int, packets: int) -> None:
        known = self.chosen(number, ended=False)
        if known is not None:
            if packets % 2 == 0:
                known.call.renew()
            known.call.frame(packets % 4 + 1)

    def note(self, number: int, _: int) -> None:
        known = self.chosen(number)
        if known is not None:
            known.state = dataclasses.replace(known.state, flags=(*known.state.flags, "noted"))
            self.book.write(known.uid, known.state)

    def end(self, number: int, _: int) -> None:
        known = self.chosen(number, ended=False)
        if known is not None:
            known.ended = True
            known.state = dataclasses.replace(known.state, ended_ns=1)
            self.book.write(known.uid, known.state)
            self.capture.sync()
            known.tails = None if known.split else self.capture.tails(known.uid)

    def copy(self, number: int, told: int) -> None:
        known = self.chosen(number, ended=True)
        if known is None:
            return
        tails = known.tails if told % 2 else None
        try:
            known.asides.append(self.book.copying(known.uid, tails)())
        except JournalError:
            # What TrackClosed told is no longer true after a cut: the call stays where it is.
            assert tails is not None
            assert known.cut

    def adopt(self, number: int, _: int) -> None:
        if waiting := self.waiting():
            known, aside = waiting[number % len(waiting)]
            known.asides.remove(aside)
            self.book.adopt_aside(aside)

    def cut(self, number: int, packet: int) -> None:
        known = self.chosen(number, ended=True)
        if known is not None:
            self.book.cut(known.uid, STARTED_NS + packet * PACKET_NS, known.state)
            self.note_cut(known, packet)

    def note_cut(self, known: Known, packet: int) -> None:
        key = self.book.key_of(known.uid)
        if key != known.call.key:
            known.call.key, known.cut = key, True
            del known.call.sent[packet:]

    def finish(self, number: int, archived: int) -> None:
        known = self.chosen(number)
        if known is not None:
            self.known.remove(known)
            self.gone.append(known)
            (self.book.release if archived % 2 else self.book.destroy)(known.uid)

    def sync(self, _: int, __: int) -> None:
        self.book.sync()

    def minute(self, _: int, __: int) -> None:
        """Let all files be complete, and noted, and go when nobody needs them."""
        self.clock.elapsed += FILE_AGE_S_MAX
        self.capture.commit()
        self.capture.sync()
        for closed in self.capture.take_closed():
            self.book.file_closed(closed.name, closed.uids)
        for _ in range(2):
            self.book.rotate()
            self.book.sync()

    def be_left_alone(self, number: int, _: int) -> None:
        """Let all neighbours of a call go, and so every file that it does not need itself."""
        alone = self.chosen(number, ended=True)
        for known in [known for known in self.known if alone is not None and known is not alone]:
            self.book.release(known.uid)
            self.known.remove(known)
            self.gone.append(known)
        self.minute(0, 0)

    # How a process ends.

    def crash(self, _: int, __: int) -> None:
        """Let a new process find what stands on the disk at this instant."""
        self.lives += 1
        left, found = self.book.journal_dir, self.directory / f"life-{self.lives}"
        shutil.copytree(left, found)
        self.capture.close()
        self.book.close()
        shutil.rmtree(left)
        self.start(found)
        for known in (*self.known, *self.gone):
            known.tails, known.asides, known.split = None, [], True
            known.call.writer, known.call.segment = self.capture, None
        self.book.sync()
        copies = {path.stem for path in (found / "aside").glob("*")}
        assert copies <= {uid.hex() for uid in self.book.slots.live()}

    def crash_in(self, act: Callable[[int, int], None], number: int, effects: int) -> None:
        """End the process in the middle of something."""
        before = list(self.known)
        with pytest.MonkeyPatch.context() as patch:
            stop_after(effects, patch)
            with contextlib.suppress(PowerCutError):
                act(number, 4)
        self.crash(0, 0)
        for known in before:
            if self.book.holds(known.uid):
                # What was to be destroyed is still there when the end came first.
                self.note_cut(known, 4)
        self.gone = [known for known in self.gone if not self.book.holds(known.uid)]
        self.known = [known for known in before if self.book.holds(known.uid)]

    def crash_in_copy(self, number: int, effects: int) -> None:
        self.crash_in(self.copy, number, effects)

    def crash_in_cut(self, number: int, effects: int) -> None:
        self.crash_in(self.cut, number, effects)

    def crash_in_finish(self, number: int, effects: int) -> None:
        self.crash_in(self.finish, number, effects)

    def crash_in_minute(self, number: int, effects: int) -> None:
        self.crash_in(self.minute, number, effects)

    # What holds at every moment.

    def check(self) -> None:
        directory = self.book.journal_dir
        keys = {known.uid: known.call.key for known in self.known}
        assert self.book.slots.live() == keys
        expected = {known.uid: known.state.to_json() for known in self.known}
        assert read_states(directory, keys) == expected
        for known in self.known:
            assert audio(directory, known.call, self.book.tails_of(known.uid)) == known.call.sent
            if known.tails is not None and not known.cut:
                assert audio(directory, known.call, known.tails) == known.call.sent
        slots = (directory / "slots").read_bytes()
        for known in self.gone:
            assert known.uid not in slots
            for key in (*keys.values(), self.book.node_key):
                assert read_states(directory, {known.uid: key}) == {}
            assert everything_that_opens(directory, known.uid, list(keys.values())) == set()

    def finish_all(self) -> None:
        """Check that only the files being written are left when all calls are gone."""
        while self.known:
            self.finish(0, len(self.known))
        for _, aside in self.waiting():
            assert not self.book.adopt_aside(aside)
        self.minute(0, 0)
        left = [path.parent.name for path in self.book.journal_dir.glob("*/*") if path.suffix]
        assert sorted(left) == ["capture-0", "signalling"]


def stop_after(effects: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process end instead of its effect number `effects` on the disk."""
    left = [effects]

    def guard(name: str) -> None:
        real: Callable[..., object] = getattr(os, name)

        def counted(*arguments: object, **named: object) -> object:
            if left[0] <= 0:
                raise PowerCutError
            left[0] -= 1
            return real(*arguments, **named)

        patch.setattr(os, name, counted)

    for name in EFFECTS:
        guard(name)


OFTEN = [
    *(Life.copy, Life.adopt, Life.copy, Life.adopt, Life.note, Life.cut),
    *(Life.end, Life.talk, Life.be_left_alone),
]
SELDOM = [
    *(Life.begin, Life.finish, Life.sync, Life.minute, Life.crash),
    *(Life.crash_in_copy, Life.crash_in_cut, Life.crash_in_finish, Life.crash_in_minute),
]
STEPS = st.tuples(
    st.sampled_from([*OFTEN, *OFTEN, *SELDOM]), st.integers(0, CALLS_MAX - 1), st.integers(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=10, max_size=20))
def test_in_any_order_a_live_call_loses_nothing_and_a_gone_one_opens_no_more(
    steps: list[tuple[Callable[[Life, int, int], None], int, int]],
) -> None:
    """Each step may be the last of a process, and each is checked against what is known."""
    with tempfile.TemporaryDirectory(prefix="any-order-") as directory, pytest.MonkeyPatch.context() as patch:
        # A process that ends loses nothing it wrote; what a disk would do takes most of the time here.
        for name in ("fdatasync", "fsync"):
            patch.setattr(os, name, lambda _: None)
        life = Life(Path(directory))
        try:
            for step, first, second in steps:
                step(life, first, second)
                life.check()
            life.finish_all()
        finally:
            life.capture.close()
            life.book.close()
