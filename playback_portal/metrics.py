"""What the portal counts, for Prometheus.

Rules: labels are route templates, methods and statuses, never an id, a number, a
name or a tenant. Each application has a registry of its own. What is told of the bucket and of
retention is what the database knows of them when it is asked.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import WormProof
from playback_portal.retention_gauges import RetentionGauges

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


SCRUB = {
    "recordings": "Recordings whose objects are looked after.",
    "overdue": "Recordings not read again for 90 days.",
    "findings": "Objects of recordings that are lost, altered, or lie under something else.",
    "damaged_exports": "Exports of evidence of which a part is lost or altered.",
    "damaged_case_copies": "Cases whose copy in the bucket is lost, altered, or lies under something else.",
    "oldest_timestamp_seconds": "When the recording was read that was not read for longest; 0 for none.",
}
"""What reading again is told by, behind `earwitness_scrub_`; the fields of `Progress`, and a moment."""


class Metrics:
    """The figures of one portal process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.retention = RetentionGauges(self._registry)
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
        self.worm_proved = Gauge(
            "earwitness_worm_proved",
            "1 when the lock of the bucket was proved by both clients, and that recently enough.",
            registry=self._registry,
        )
        self.worm_faults = Gauge(
            "earwitness_worm_faults",
            "Probes of the bucket's lock that failed the last time, by either client.",
            registry=self._registry,
        )
        self.worm_tried = Gauge(
            "earwitness_worm_tried_timestamp_seconds",
            "When the lock of the bucket was tried out last; 0 for never.",
            registry=self._registry,
        )
        self.scrub = {
            name: Gauge(f"earwitness_scrub_{name}", meaning, registry=self._registry)
            for name, meaning in SCRUB.items()
        }

    def tell_scrub(self, progress: Progress) -> None:
        """Take how far scrubbing is, and what it found."""
        oldest_at = 0.0 if progress.oldest_at is None else progress.oldest_at.timestamp()
        told = {**vars(progress), "oldest_timestamp_seconds": oldest_at}
        for name, gauge in self.scrub.items():
            gauge.set(told[name])

    def tell_lock(self, proof: WormProof | None, now: datetime) -> None:
        """Take what is known of the bucket's lock."""
        self.worm_proved.set(proof is not None and proof.holds(now))
        self.worm_faults.set(0 if proof is None else len(proof.faults))
        self.worm_tried.set(0 if proof is None else proof.at.timestamp())

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
