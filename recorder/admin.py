"""The recorder's own small HTTP server: is it alive, can it take calls, and its counters.

`/readyz` tells the same truth as `OPTIONS`: 503 while draining or unable to store.
Rules: no number, name or Call-ID, and nothing per tenant, so that no counter says
who called 113. Listens on the administration address only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from archive.settings import parse_address
from recorder.condition import recordings_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from recorder.service import RecorderService


class RecorderMetrics:
    """The recorder's figures at the moment they are asked for."""

    def __init__(self, service: RecorderService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        service, keeping = self._service, self._service.housekeeping
        gauges = (
            ("earwitness_sessions", "Recording sessions that run now", len(service.server.sessions)),
            ("earwitness_recordings", "Recordings being made now", recordings_now(service)),
            ("earwitness_archive_waiting", "Finished recordings not archived yet", service.archiving.waiting),
            (
                "earwitness_archive_waiting_since_timestamp_seconds",
                "When the one of them ended that ended first; 0 while none waits",
                (service.archiving.waiting_since_ns or 0) / 1e9,
            ),
            ("earwitness_rtp_ports_free", "Free pairs of RTP ports", service.media.ports.free),
        )
        counters = (
            ("earwitness_rtp_packets", "RTP packets received", keeping.packets),
            ("earwitness_rtp_octets", "RTP octets received", keeping.octets),
            ("earwitness_rtp_refused", "Packets of a wrong source or shape", keeping.refused),
            ("earwitness_rtp_kernel_drops", "Packets the kernel had no room for", keeping.kernel_drops),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(name, text, value=value)
        for name, text, value in counters:
            yield CounterMetricFamily(name, text, value=value)
        sip = CounterMetricFamily("earwitness_sip", "What SIP counted", labels=["what"])
        for what, count in (service.user_agent.counters + service.transport.counters).items():
            sip.add_metric([what], count)
        yield sip


class AdminServer:
    """The HTTP server itself."""

    def __init__(self, service: RecorderService) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._registry.register(RecorderMetrics(service))
        application = web.Application()
        application.router.add_get("/livez", self._live)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        await self._runner.setup()
        host, port = parse_address(self._service.settings.recorder_admin_listen)
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, _: web.Request) -> web.Response:
        reason = self._service.unready_reason()
        body = {"status": "unready" if reason else "ready", "reason": reason}
        return web.json_response(body, status=503 if reason else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
