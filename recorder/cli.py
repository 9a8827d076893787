"""The verb `earwitness recorder`: runs the recorder role until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import resource
import signal
import sys
from pathlib import Path

from archive.errors import ArchiveError
from archive.settings import Settings, load_settings
from archive.telemetry import configure_logging
from keys.errors import KeysError
from recorder.admin import AdminServer
from recorder.errors import RecorderError
from recorder.service import RecorderService

_PR_SET_DUMPABLE = 4


def run_recorder(arguments: list[str]) -> int:
    """Run the role; returns 0 after SIGTERM or SIGINT, 1 with one line when it can't start."""
    parser = argparse.ArgumentParser(
        prog="earwitness recorder",
        description="Record the calls that trusted peers fork to this machine by SIPREC.",
        epilog="Example: EARWITNESS_SIP_LISTEN=0.0.0.0:5060 earwitness recorder --config ew.toml",
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings; the environment wins over it")
    options = parser.parse_args(arguments)
    keep_memory_private()
    try:
        settings = load_settings(options.config)
        configure_logging(settings, "recorder")
        asyncio.run(_serve(settings))
    except (ArchiveError, KeysError, RecorderError, OSError) as error:
        sys.stderr.write(f"earwitness recorder: {error}\n")
        return 1
    return 0


def keep_memory_private() -> None:
    """Leave no core file and let no other process of this user read memory: it holds keys and audio."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))


async def _serve(settings: Settings) -> None:
    """Start, wait for a signal, stop; calls that run go on at the next start."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = RecorderService(settings)
    await service.start()
    admin = AdminServer(service)
    await admin.start()
    await stopping.wait()
    await admin.stop()
    await service.stop()
