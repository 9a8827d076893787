"""What the portal counts, for Prometheus.

Rules: labels are route templates, methods and statuses, never an id, a number, a
name or a tenant. Each application has a registry of its own.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The figures of one portal process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.request_duration = Histogram(
            "earwitness_http_request_duration_seconds",
            "Time from the request to the end of its response.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.audio_bytes = Counter(
            "earwitness_portal_audio_bytes", "Octets of audio sent.", registry=self._registry
        )
        self.audio_broken = Counter(
            "earwitness_portal_audio_broken",
            "Audio responses broken off after they had begun.",
            registry=self._registry,
        )
        self.keys_refused = Counter(
            "earwitness_portal_keys_refused",
            "Requests with a missing or unknown key.",
            registry=self._registry,
        )
        self.sign_ins_throttled = Counter(
            "earwitness_portal_sign_ins_throttled",
            "Attempts to sign in that came too early after failed ones.",
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
