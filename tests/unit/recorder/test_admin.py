"""The recorder says over HTTP whether it lives, whether it takes calls, and what it counted, and nothing else."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from recorder.admin import AdminServer

HOST = "127.0.0.1"


def session(recordings: int) -> SimpleNamespace:
    """Return a session of so many recorded users."""
    return SimpleNamespace(recordings=dict.fromkeys(range(recordings)))


class Service:
    """Stands in for the recorder: the figures it would have."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.settings = SimpleNamespace(recorder_admin_listen=f"{HOST}:0")
        self.server = SimpleNamespace(sessions=(session(recordings=2), session(recordings=1)))
        self.archiving = SimpleNamespace(waiting=4, waiting_since_ns=1_500_000_000)
        self.media = SimpleNamespace(ports=SimpleNamespace(free=5))
        self.housekeeping = SimpleNamespace(packets=6, octets=7, refused=8, kernel_drops=9)
        self.user_agent = SimpleNamespace(counters=Counter({"retransmissions": 10, "parse-errors": 11}))
        self.transport = SimpleNamespace(counters=Counter({"client certificate refused": 12}))

    def unready_reason(self) -> str | None:
        return self.reason


class Asking:
    """The running server and who asks it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.server = AdminServer(service)  # type: ignore[arg-type]

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """Return status, content type and body."""
        port = self.server._runner.addresses[0][1]
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{HOST}:{port}{path}") as answer,
        ):
            return answer.status, answer.headers.get("Content-Type", ""), await answer.text()


@pytest.fixture
async def admin() -> AsyncIterator[Asking]:
    asking = Asking(Service())
    await asking.server.start()
    yield asking
    await asking.server.stop()


async def test_a_recorder_that_answers_lives(admin: Asking) -> None:
    """Whether it takes calls or not: a restart would not help a database that is away."""
    admin.service.reason = "the disk of the journal is full"
    assert await admin.get("/livez") == (200, "application/json; charset=utf-8", '{"status": "alive"}')


async def test_a_recorder_is_ready_while_it_can_take_a_call(admin: Asking) -> None:
    """The same truth as OPTIONS, with the reason when it can't; asked anew each time."""
    assert await admin.get("/readyz") == (
        200,
        "application/json; charset=utf-8",
        '{"status": "ready", "reason": null}',
    )
    admin.service.reason = "draining"
    status, _, body = await admin.get("/readyz")
    assert (status, body) == (503, '{"status": "unready", "reason": "draining"}')
    admin.service.reason = None
    assert (await admin.get("/readyz"))[0] == 200


async def test_metrics_are_the_figures_of_the_moment(admin: Asking) -> None:
    """In the text format of Prometheus."""
    status, content_type, body = await admin.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert samples(body) == {
        ("earwitness_sessions", ""): 2,
        ("earwitness_recordings", ""): 3,
        ("earwitness_archive_waiting", ""): 4,
        ("earwitness_archive_waiting_since_timestamp_seconds", ""): 1.5,
        ("earwitness_rtp_ports_free", ""): 5,
        ("earwitness_rtp_packets_total", ""): 6,
        ("earwitness_rtp_octets_total", ""): 7,
        ("earwitness_rtp_refused_total", ""): 8,
        ("earwitness_rtp_kernel_drops_total", ""): 9,
        ("earwitness_sip_total", "retransmissions"): 10,
        ("earwitness_sip_total", "parse-errors"): 11,
        ("earwitness_sip_total", "client certificate refused"): 12,
    }
    admin.service.server.sessions = ()
    assert samples((await admin.get("/metrics"))[2])["earwitness_sessions", ""] == 0


async def test_no_counter_tells_tenants_or_callers_apart(admin: Asking) -> None:
    """Else the one that moves at the time of a call says who called an emergency number."""
    _, _, body = await admin.get("/metrics")
    labels = {
        name
        for family in text_string_to_metric_families(body)
        for item in family.samples
        for name in item.labels
    }
    assert labels == {"what"}
    assert "exempt" not in body


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/metrics/x", "GET", 404), ("/livez", "POST", 405)]
)
async def test_nothing_else_is_answered(admin: Asking, path: str, method: str, status: int) -> None:
    """Three pages to read, and none to change anything."""
    assert (await admin.get(path, method))[0] == status


async def test_two_recorders_keep_figures_of_their_own(admin: Asking) -> None:
    """No registry is shared between them."""
    other = Asking(Service())
    other.service.server.sessions = (session(recordings=99),)
    await other.server.start()
    try:
        assert samples((await other.get("/metrics"))[2])["earwitness_recordings", ""] == 99
        assert samples((await admin.get("/metrics"))[2])["earwitness_recordings", ""] == 3
    finally:
        await other.server.stop()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind() -> None:
    """Who asked for it may try again on the same server."""
    with socket.socket() as stranger:
        stranger.bind((HOST, 0))
        stranger.listen()
        service = Service()
        service.settings.recorder_admin_listen = f"{HOST}:{stranger.getsockname()[1]}"
        asking = Asking(service)
        with pytest.raises(OSError, match="in use"):
            await asking.server.start()
    await asking.server.start()
    assert (await asking.get("/livez"))[0] == 200
    await asking.server.stop()


async def test_after_a_stop_nobody_listens(admin: Asking) -> None:
    """The port is free for the next recorder at once."""
    port = admin.server._runner.addresses[0][1]
    await admin.server.stop()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((HOST, port))


def samples(body: str) -> dict[tuple[str, str], float]:
    """Return each value by its name and label."""
    return {
        (item.name, item.labels.get("what", "")): item.value
        for family in text_string_to_metric_families(body)
        for item in family.samples
    }
