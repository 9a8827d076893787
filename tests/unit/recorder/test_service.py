"""Signalling replaces a capture process that hangs as it does one that died."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from archive.settings import Settings
from recorder import service as service_module
from recorder.capture import handle as handle_module
from recorder.capture.handle import CaptureHandle
from recorder.service import RecorderService
from tests.unit.recorder.shell import PATIENCE_S, PlainRoot

DATABASE = "postgresql+psycopg://nobody@127.0.0.1:9/none"


def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=DATABASE,
        s3_endpoint="http://127.0.0.1:9",
        keyring="file:none",
        key_store=f"dir:{tmp_path}",
        journal_dir=tmp_path,
    )


async def watch_until_captures(service: RecorderService, after: CaptureHandle | None) -> CaptureHandle:
    """Do as the housekeeping does until a process other than `after` says that it captures."""
    deadline = time.monotonic() + PATIENCE_S
    while service.media.handles[0] is after or service.capture_trouble:
        assert time.monotonic() < deadline, "no capture process took over"
        service.watch_capture()
        await asyncio.sleep(0.05)
    return service.media.handles[0]


def test_a_capture_process_that_hangs_is_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives and its connection is open, but it says nothing any more."""
    monkeypatch.setattr(service_module, "open_keyring", lambda *_: PlainRoot())

    async def hang() -> None:
        service = RecorderService(settings(tmp_path))
        service.media.start()
        try:
            first = await watch_until_captures(service, None)
            service.watch_capture()
            assert service.media.handles[0] is first
            os.kill(first.pid, signal.SIGSTOP)
            monkeypatch.setattr(handle_module, "SILENCE_S_MAX", 0.5)
            deadline = time.monotonic() + PATIENCE_S
            while service.capture_trouble is None:
                assert time.monotonic() < deadline, "nobody noticed that the process hangs"
                service.watch_capture()
                await asyncio.sleep(0.05)
            assert service.capture_trouble == "a capture process hangs"
            monkeypatch.undo()
            second = await watch_until_captures(service, first)
            assert second.pid != first.pid
            assert not Path(f"/proc/{first.pid}").exists()
        finally:
            service.media.stop()
            service.book.close()
            await asyncio.sleep(0)

    asyncio.run(hang())
