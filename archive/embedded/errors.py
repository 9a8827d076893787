"""What can go wrong with the services we run ourselves.

ArchiveError
└── DependencyUnavailable
    └── EmbeddedServiceError      a service of ours did not start or died; its log says why
        └── WrongMajorVersion     the data was written by another PostgreSQL; upgrade it first
"""

from __future__ import annotations

from archive.errors import DependencyUnavailable


class EmbeddedServiceError(DependencyUnavailable):
    """A service we run ourselves is not there; the message names its log."""


class WrongMajorVersion(EmbeddedServiceError):  # noqa: N818 - a state of the data, not a defect
    """The data directory belongs to another major version of PostgreSQL."""
