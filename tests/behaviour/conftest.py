"""A service of a provider with several customers, for tests that change what `service` has as it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.catalogue import peers
from tests.behaviour.customer import Customer, known, operating
from tests.crash.calls import is_ready
from tests.running_service import RunningService, eventually

OFFICE, CHAIN = "office.example", "chain.example"

CHECKED_S = 1.5
"""A recorder looks after itself once a second."""


class Steady:
    """Whether a recorder has taken calls for longer than it takes to find out what is wrong with it."""

    def __init__(self, service: RunningService) -> None:
        """Begin to look."""
        self._service = service
        self._since_s = time.monotonic()

    def __call__(self) -> bool:
        """Look."""
        if not is_ready(self._service):
            self._since_s = time.monotonic()
        return time.monotonic() - self._since_s > CHECKED_S


@dataclass
class Provider:
    """The service and its customers.

    Acme has a peer of its own, the IPv4 loopback, with star codes. Bakery and Cafe share
    another without them, the IPv6 loopback, and are told apart by their BroadWorks names:
    Bakery is one group of a service provider, Cafe the whole of another.
    """

    service: RunningService
    acme: Customer
    bakery: Customer
    cafe: Customer


@pytest.fixture(scope="package")
def provider() -> Iterator[Provider]:
    """The service, started and ended; a call nobody kept may be kept for an hour at Bakery."""
    with tempfile.TemporaryDirectory(prefix="earwitness-provider-") as path:
        running = RunningService(Path(path) / "data", media_silence_s="20", recovery_silence_s="3")
        try:
            running.start()
            yield entered(running)
        finally:
            running.kill_everything()


def entered(service: RunningService) -> Provider:
    """Enter customers and peers, and return when the recorder knows them."""
    acme = Customer.add(service, "acme.example")
    bakery = Customer.add(service, "bakery.example", CHAIN, OFFICE)
    cafe = Customer.add(service, "cafe.example", "cafe.example")
    now = datetime.now(UTC)
    with operating(service) as catalogue:
        peers.add_peer(catalogue, "own", ["127.0.0.1/32"], now=now, tenant_id=acme.tenant_id, star_codes=True)
        peers.add_peer(catalogue, "shared", ["::1/128"], now=now)
    eventually(lambda: len(known(service).peers) == 2, "the recorder knows its peers")
    eventually(Steady(service), "the recorder takes calls, and goes on to")
    return Provider(service, acme, bakery, cafe)
