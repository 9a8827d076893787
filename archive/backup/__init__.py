"""Backups: what a restore needs, made, and proved by restoring it.

Not here: the commands (`archive.cli.backup`, `archive.cli.drill`), and rebuilding from the
bucket (`archive.rebuild`).
"""
