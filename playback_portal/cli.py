"""`earwitness portal`: the HTTP API as one process, from settings to SIGTERM.

It starts without database and store, and says so in `/readyz`; it does not start
without its keyring, nor where it would serve clear text to a network.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import signal
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import structlog
from aiohttp import web

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.certificate import chain_ends
from archive.cli.vault import open_authorities, open_keyring, open_store, open_vault
from archive.clock import SystemClock
from archive.errors import Refused
from archive.evidence.exports import Downloads
from archive.mail import server_of
from archive.playback import Playback
from archive.post import MailPost, NoPost, Post
from archive.settings import Settings, load_settings
from archive.shared import Derivatives
from archive.telemetry import configure_logging
from keys.errors import KeysError
from keys.root import Root
from playback_portal.app import create_app
from playback_portal.exposure import exposure_of
from playback_portal.services import Services

THREADS_COUNT = 32
"""Threads wait for database and store nearly all of their time; the pools behind them are smaller."""

SHUTDOWN_S_MAX = 10.0
"""Listeners get this long to receive what they asked for; players then ask another portal."""

_log = structlog.get_logger()


def run_portal(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="earwitness portal",
        description="Serve the HTTP API of the archive.",
        epilog="Example: EARWITNESS_PORTAL_LISTEN=127.0.0.1:8080 earwitness portal --config earwitness.toml",
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(options.config)
        configure_logging(settings, "portal")
        asyncio.run(serve(settings))
    except (Refused, KeysError) as error:
        sys.stderr.write(f"earwitness portal: {error}\n")
        return 1
    return 0


def make_services(settings: Settings) -> Services:
    """Return the services of the settings; raises Refused and KeysError when they can't be made."""
    exposure = exposure_of(settings)
    settings.require("database_url")
    store, root = open_store(settings), open_keyring(settings)
    vault = open_vault(settings, root)
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    audit = AuditWriter(catalogue, f"portal/{settings.node_name}")
    playback = Playback(store, vault, catalogue, audit)
    return Services(
        catalogue=catalogue,
        playback=playback,
        derivatives=Derivatives(store, vault, catalogue),
        downloads=Downloads(store, vault, catalogue, playback),
        audit=audit,
        clock=SystemClock(),
        checks={"database": catalogue.healthy, "store": store.healthy},
        exposure=exposure,
        root=root,
        post=_post(settings, root),
        authorities=functools.cache(lambda: open_authorities(settings, SystemClock().now())),
        url=settings.portal_address_shown,
        long_pause=timedelta(seconds=settings.pause_reminder_s),
        database_url=settings.database_url,
        tls_ends=chain_ends(settings.portal_tls_cert),
    )


def _post(settings: Settings, root: Root) -> Post:
    if server_of(settings) is None:
        return NoPost()
    return MailPost(root, SystemClock(), settings.database_url)


async def serve(settings: Settings) -> None:
    """Listen as the settings say until SIGTERM or SIGINT, then finish what is under way."""
    tls = _tls(settings)
    services = await asyncio.to_thread(make_services, settings)
    stopped = asyncio.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS_COUNT, "portal"))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    host, port = settings.portal_address
    runner = web.AppRunner(create_app(services), access_log=None, shutdown_timeout=SHUTDOWN_S_MAX)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host or None, port, ssl_context=tls)
        await _listen(site, settings)
        _log.info("portal listens", address=settings.portal_listen)
        await stopped.wait()
        _log.info("portal stops")
    finally:
        await runner.cleanup()
        services.catalogue.close()


async def _listen(site: web.TCPSite, settings: Settings) -> None:
    try:
        await site.start()
    except OSError as error:
        raise Refused(
            f"The portal can't listen on {settings.portal_listen} ({error.strerror}): "
            "is another program there? Set EARWITNESS_PORTAL_LISTEN."
        ) from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.portal_tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.portal_tls_cert, settings.portal_tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"EARWITNESS_PORTAL_TLS_CERT or _KEY can't be used: {error}.") from error
    return context
