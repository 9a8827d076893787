"""`earwitness worker`: background work, any number of processes on any number of machines."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from archive.clock import SystemClock
from archive.settings import load_settings
from archive.telemetry import configure_logging
from retention.worker import Worker


def run_worker(arguments: list[str]) -> int:
    """Run jobs until SIGTERM; returns 0. Raises ArchiveError when the settings are not enough."""
    made = argparse.ArgumentParser(
        prog="earwitness worker",
        description="Run background work: verifying what is stored, and what becomes due by itself.",
        epilog="example: EARWITNESS_DATABASE_URL_FILE=/run/secrets/worker earwitness worker",
    )
    made.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    options = made.parse_args(arguments)
    settings = load_settings(options.config)
    configure_logging(settings, "worker")
    asyncio.run(Worker(settings, SystemClock()).run(when_ready=_say_ready))
    return 0


def _say_ready() -> None:
    # `earwitness up` waits for this line.
    print("worker ready", flush=True)  # noqa: T201
