"""The words all tables are written in: one registry, and columns by what they hold.

Rules: every table with a `tenant_id` stands under FORCE ROW LEVEL SECURITY; foreign keys
name the tenant too, because they are checked behind it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def time(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a column of a moment, in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def word(name: str) -> Column[str]:
    """Return a column of text that is always there."""
    return Column(name, Text, nullable=False)


def maybe(name: str) -> Column[str]:
    """Return a column of text that may be missing."""
    return Column(name, Text, nullable=True)


def tenant() -> Column[str]:
    """Return the column that says whose row it is."""
    return Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False)


def words(name: str) -> Column[object]:
    """Return a column of a list of texts."""
    return Column(name, ARRAY(Text), nullable=False)


def count(name: str) -> Column[int]:
    """Return a column of a whole number."""
    return Column(name, BigInteger, nullable=False)


def of_user() -> ForeignKeyConstraint:
    """Return the reference to a user."""
    # With the tenant in it, because foreign keys are checked behind row-level security.
    return ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE")


def of_recording() -> ForeignKeyConstraint:
    """Return the reference to a recording."""
    return ForeignKeyConstraint(
        ["tenant_id", "recording_id"], ["recordings.tenant_id", "recordings.id"], ondelete="CASCADE"
    )
