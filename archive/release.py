"""Which release of the software this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NOT_INSTALLED = "(not installed)"


def release() -> str:
    """Return the version of the installed package, NOT_INSTALLED in a checkout without one."""
    try:
        return version("earwitness")
    except PackageNotFoundError:
        return NOT_INSTALLED
