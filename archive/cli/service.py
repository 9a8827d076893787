"""How a verb finds the service: `--data DIR`, EARWITNESS_DATA, or settings in the environment.

Not here: starting it (`archive.cli.up`), and changing it (`archive.cli.operator`).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from archive.embedded.service_file import ServiceFile, read_service
from archive.settings import Settings, load_settings

DATA_VARIABLE = "EARWITNESS_DATA"


def add_data(to: argparse.ArgumentParser) -> None:
    """Add `--data`, whose default is EARWITNESS_DATA."""
    default = os.environ.get(DATA_VARIABLE)
    to.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=Path(default) if default else None,
        help=f"data directory of a running `earwitness up` (default: {DATA_VARIABLE})",
    )
    to.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML, instead of --data")


def service_of(options: argparse.Namespace) -> ServiceFile | None:
    """Return what `up` wrote down, or None when no data directory was named."""
    return None if options.data is None else read_service(options.data)


def worker_settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings with which a command acts as worker; raises Refused."""
    service = service_of(options)
    if service is not None:
        os.environ.update(service.environment_of("worker"))
    return load_settings(options.config)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings with which a command acts as operator; raises Refused."""
    service = service_of(options)
    if service is not None:
        environment = service.operator_environment(os.environ)
        os.environ.clear()
        os.environ.update(environment)
    return load_settings(options.config)
