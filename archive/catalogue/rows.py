"""What a row says: its columns by their names, with moments in UTC whatever the connection's zone is.

Not here: what the columns mean; each module makes its own things of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row


def by_name(row: Row[Any]) -> dict[str, Any]:
    """Return the columns of a row by name."""
    named = row._mapping  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    return {name: in_utc(value) if isinstance(value, datetime) else value for name, value in named.items()}


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC, None where there is none."""
    return None if moment is None else moment.astimezone(UTC)
