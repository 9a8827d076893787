"""What PostgreSQL does for what the catalogue asks, as it is asked: same connection, same values.

Each statement is carried out once more to count the rows its plan reads (`EXPLAIN ANALYZE`): an index that
is walked from one end to the other is no better than the table.
"""

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

ROWS_READ_MAX = 6000
"""What one node may read for a page of the crowd's 20,000: all that the twelve people of its team have, which
is a quarter. Whoever walks the whole of a table or an index reads more than three times as many."""

THROWN_AWAY = ("Rows Removed by Filter", "Rows Removed by Index Recheck")


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
    def rows_read(self) -> int:
        """The most rows one node takes from a table or an index, those it throws away included."""
        return max(map(_rows_read, self.nodes), default=0)

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
            asking.execute(f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {statement}", values)
            plans.append(Plan(statement, tuple(_nodes(asking.fetchone()[0][0]["Plan"]))))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _rows_read(node: dict[str, Any]) -> int:
    """Return how many rows a node takes from a table or an index; what joins and sorts takes them from these."""
    if not {"Relation Name", "Index Name"} & set(node):
        return 0
    kept = sum(float(node.get(name, 0)) for name in ("Actual Rows", *THROWN_AWAY))
    return round(kept * float(node["Actual Loops"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {name: value for name, value in node.items() if name != "Plans"}
    for below in node.get("Plans", ()):
        yield from _nodes(below)
