"""The plans PostgreSQL makes for what the catalogue asks, as it is asked: same connection, same values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from archive.catalogue.engine import Catalogue

LARGE_TABLES = frozenset(
    {"recordings", "recording_documents", "recording_parties", "recording_objects", "recording_waveforms"}
)
"""What grows with every call; nothing a page asks may read one of these as a whole."""


@dataclass(frozen=True)
class Plan:
    """One statement and its plan."""

    statement: str
    nodes: tuple[dict[str, Any], ...]

    @property
    def scanned(self) -> set[str]:
        """The large tables it reads from one end to the other."""
        return {
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE_TABLES
        }

    @property
    def indexes(self) -> set[str]:
        """The indexes it goes by."""
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    def __str__(self) -> str:
        return json.dumps(self.nodes, indent=1)


@contextmanager
def recorded_plans(catalogue: Catalogue) -> Iterator[list[Plan]]:
    """Yield a list that fills with the plan of each SELECT the catalogue runs."""
    engine = catalogue._engine
    plans: list[Plan] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
            return
        with cursor.connection.cursor() as asking:
            asking.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
            plans.append(Plan(statement, tuple(_nodes(asking.fetchone()[0][0]["Plan"]))))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {name: value for name, value in node.items() if name != "Plans"}
    for below in node.get("Plans", ()):
        yield from _nodes(below)
