"""The tree over the audit log: every entry of every writer a leaf, its root signed and locked away.

The chains of `archive.audit` show what was altered as long as their newest hash is
known. Here that is made known: each entry gets a place in one Merkle tree, and signed
checkpoints of the tree stand in the locked bucket, where not even the administrator
of the database reaches them. The form of everything is docs/audit-log.md.
"""
