"""What of retention is late, waits or is stuck, for Prometheus: the figures the worker counts.

Rules: told as they were counted, with the moment; figures that grow old are an alarm of their own.
Not here: the counting (`retention.figures`), and what to do (docs/operators.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from archive.catalogue.retention_figures import SWEPT_WITHIN, Figure, Reading

TOLD = {
    Figure.OVERDUE: (
        "overdue_recordings",
        "Recordings that are there more than 24 hours after their term, kept by no hold.",
    ),
    Figure.HOLDS_WAITING: (
        "holds_waiting",
        "Recordings whose holds in the object store are not yet what the cases say.",
    ),
    Figure.STUCK: (
        "stuck_recordings",
        "Recordings whose destruction the store refuses, fails again and again, or waits for a key.",
    ),
    Figure.IDLE_KEYS_STUCK: ("idle_keys_stuck", "Keys nothing hangs from that can't be ended."),
    Figure.NOT_REBUILT: (
        "restored_not_rebuilt",
        "1 while the database is that of a backup and nothing is deleted before the catalogue is rebuilt.",
    ),
}
"""Figures told as they were counted: their name behind `earwitness_retention_`, and what they say."""


class RetentionGauges:
    """The figures of retention, of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.counted = Gauge(
            "earwitness_retention_counted_timestamp_seconds",
            "When the figures of retention were counted last; 0 for never.",
            registry=registry,
        )
        self.clock_believed = Gauge(
            "earwitness_retention_clock_believed",
            "0 while no clock is believed and nothing is deleted.",
            registry=registry,
        )
        self.clock_late = Gauge(
            "earwitness_retention_clock_late_seconds",
            "By how much deletions come late, because nobody measured how long a machine was off.",
            registry=registry,
        )
        self.swept = Gauge(
            "earwitness_retention_swept_timestamp_seconds",
            "When the last sweep of what expired began; 0 for never.",
            registry=registry,
        )
        self.sweep_overdue = Gauge(
            "earwitness_retention_sweep_overdue",
            "1 when no sweep began within the last hour.",
            registry=registry,
        )
        self.values = {
            figure: Gauge(f"earwitness_retention_{name}", meaning, registry=registry)
            for figure, (name, meaning) in TOLD.items()
        }
        self.since = {
            figure: Gauge(
                f"earwitness_retention_{name}_since_timestamp_seconds",
                f"Since when earwitness_retention_{name} was 0 at no count; 0 while it is.",
                registry=registry,
            )
            for figure, (name, _) in TOLD.items()
        }

    def tell(self, figures: Mapping[Figure, Reading], now: datetime) -> None:
        """Take what of retention is late, waits or is stuck."""
        counted, swept = figures.get(Figure.COUNTED), figures.get(Figure.SWEEP)
        self.counted.set(0 if counted is None else counted.at.timestamp())
        self.swept.set(0 if swept is None else swept.at.timestamp())
        self.sweep_overdue.set(swept is None or now - swept.at > SWEPT_WITHIN)
        nothing = Reading(0, now, None)
        self.clock_believed.set(not figures.get(Figure.CLOCK_DISBELIEVED, nothing).value)
        self.clock_late.set(figures.get(Figure.CLOCK_LATE_S, nothing).value)
        for figure in TOLD:
            reading = figures.get(figure, nothing)
            self.values[figure].set(reading.value)
            self.since[figure].set(0 if reading.since is None else reading.since.timestamp())
