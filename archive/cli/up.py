"""`earwitness up`: everything on one machine, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from archive.cli.outcome import DONE, FAILED, explained, parser
from archive.cli.service import add_data
from archive.embedded.installation import Listening
from archive.embedded.service_file import ServiceFile
from archive.embedded.supervisor import Supervisor
from archive.errors import Refused
from archive.settings import Settings, load_settings, parse_address, parse_listeners, parse_ports
from archive.telemetry import configure_logging


def run_up(arguments: list[str]) -> int:
    """Run the whole service; returns 0 after an orderly stop."""
    options = _parser().parse_args(arguments)
    if options.data is None:
        raise Refused("Say where the data belongs: earwitness up --data DIR")
    settings = load_settings(options.config)
    listening = Listening(
        sip=options.sip or settings.sip_listen,
        portal=options.portal or settings.portal_listen,
        rtp_ports=options.rtp_ports or settings.rtp_ports,
    )
    _check(listening)
    data: Path = options.data
    _open_log(data, settings)
    after = _demo if options.demo else _nothing
    supervisor = Supervisor(data, settings, listening, _progress)
    try:
        supervisor.run(lambda service: _ready(service, data, after))
    except Exception as error:
        reason = explained(error)
        if reason is None:
            raise
        print(f"earwitness up: {reason}", file=sys.stderr, flush=True)
        return FAILED
    _progress("stopped")
    return DONE


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "up",
        "Run recorder, portal and worker with an embedded PostgreSQL and object store. "
        "All state stays in the data directory. EARWITNESS_DATABASE_URL and EARWITNESS_S3_ENDPOINT name "
        "services to use instead of the embedded ones.",
        "earwitness up --data /var/lib/earwitness --sip 192.0.2.10:5060 --portal 127.0.0.1:8080",
    )
    add_data(made)
    made.add_argument(
        "--sip",
        metavar="HOST:PORT",
        help="where calls arrive, UDP and TCP (default 127.0.0.1:5060); "
        "more behind commas, as in EARWITNESS_SIP_LISTEN: tls:192.0.2.10",
    )
    made.add_argument("--portal", metavar="HOST:PORT", help="where pages are served (default 127.0.0.1:8080)")
    made.add_argument("--rtp-ports", metavar="A-B", help="ports for media (default 20000-29999)")
    made.add_argument("--demo", action="store_true", help="add sample people and place sample calls")
    return made


def _open_log(data: Path, settings: Settings) -> None:
    """Make the data directory if it is missing, and log into it; raises Refused when it is not ours."""
    try:
        for folder in (data, data / "log"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        configure_logging(settings.model_copy(update={"log_dir": settings.log_dir or data / "log"}), "up")
    except OSError as error:
        raise Refused(
            f"{error.filename} can't be made or written: {error.strerror}; "
            "run as the owner of the data directory, or use another --data."
        ) from error


def _check(listening: Listening) -> None:
    try:
        parse_listeners(listening.sip)
        parse_address(listening.portal)
        parse_ports(listening.rtp_ports)
    except ValueError as error:
        raise Refused(f"{error}.") from error


def _progress(line: str) -> None:
    print(f"  {line}", flush=True)


def _ready(service: ServiceFile, data: Path, after: Callable[[Path], None]) -> None:
    sip = f"{service.sip} ({_transports(service.sip)})"
    print(f"ready  SIP {sip}  portal {service.portal_url}  data {data.absolute()}", flush=True)
    after(data)


def _transports(sip: str) -> str:
    return ", ".join(dict.fromkeys(transport.upper() for transport, _, _ in parse_listeners(sip)))


def _nothing(data: Path) -> None:
    del data


def _demo(data: Path) -> None:
    """Run the demo as a command of its own, so that it can do nothing others can't."""
    command = [sys.executable, "-m", "archive.cli.main", "demo", "--data", str(data)]
    code = subprocess.run(command, check=False, env=dict(os.environ)).returncode  # noqa: S603 - our own command
    if code != DONE:
        print("The demo did not finish; the service goes on.", file=sys.stderr, flush=True)
    print("Serving until Ctrl-C.", flush=True)
