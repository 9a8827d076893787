"""A capture process always ends, soon when it can't be told to, and is known to be silent only after its time."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from unittest.mock import Mock, call

import pytest

from recorder.capture import handle, mailbox, process
from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import SetRecording
from tests.unit.recorder.capture.running_capture import PATIENCE_S, RunningCapture


def test_one_that_reads_nothing_any_more_is_ended_without_waiting_for_it(
    capture: RunningCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that sends is stuck in a full pipe, and the process is stopped."""
    monkeypatch.setattr(mailbox, "MESSAGES_MAX", 10)
    os.kill(capture.handle.pid, signal.SIGSTOP)
    while capture.handle.alive():
        capture.handle.send(SetRecording(bytes(16), recording=True))
    popen, thread = capture.handle._process, capture.handle._mailbox._thread
    wait, join = Mock(wraps=popen.wait), Mock(wraps=thread.join)
    monkeypatch.setattr(popen, "wait", wait)
    monkeypatch.setattr(thread, "join", join)
    capture.handle.stop()
    assert popen.returncode == -signal.SIGKILL
    assert not thread.is_alive()
    # The second wait is for the one that was killed.
    assert wait.call_args_list == [call(handle.BROKEN_STOP_S), call()]
    assert join.call_args_list == [call(handle.BROKEN_STOP_S)]


def test_one_that_can_not_be_told_but_works_ends_by_itself_with_all_it_has(
    capture: RunningCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the end of the connection."""
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(10)
    capture.wait(lambda: len(capture.audio(uid, key)) == 10)
    source.send(10)
    monkeypatch.setattr(handle, "BROKEN_STOP_S", PATIENCE_S)
    capture.handle._mailbox.broken = True
    capture.handle.stop(0.0)
    assert capture.handle._process.returncode == 0
    assert capture.audio(uid, key) == source.sent


def test_a_new_process_may_wait_for_its_predecessor_and_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that was heard has to go on speaking."""
    monkeypatch.setattr(handle, "SILENCE_S_MAX", 0.0)
    made = CaptureHandle(0, tmp_path / "journal")
    assert not made.silent()
    made.stop()
    assert handle.START_S_MAX >= process.LOCK_WAIT_S
    monkeypatch.undo()
    assert handle.SILENCE_S_MAX >= 3 * process.ACTIVITY_S
