"""The catalogue: everything PostgreSQL knows, and the only package that speaks SQL.

`engine` opens transactions within one tenant, `tables` names the columns, `migrate`
prepares a database. Row-level security is the second net under the `AccessScope`
that every read of recordings takes: no tenant set, no rows.
"""
