"""What can go wrong in the archive, as exceptions a caller can tell apart.

    ArchiveError
    ├── NotFound                 it is not there, or this scope may not know that it is
    ├── Refused                  the request breaks a rule; asking again will not help
    │   └── PurposeRequired          unless it says why the recording is opened
    ├── GroundsMissing           recording is switched on by nobody who did not write down why
    ├── Conflict                 it clashes with what is already there
    ├── VerificationFailed       stored bytes are not what was written
    │   └── ChainBroken              an audit chain is not, from `position` on
    └── DependencyUnavailable    something outside us is away; asking later may help
        ├── CatalogueUnavailable     PostgreSQL
        ├── KeyRetired               the key something was to hang from is on its way out
        ├── StoreUnavailable         the object store
        ├── MailUnavailable          the mail server (`archive.mail`)
        └── StoreClockDiffers        the store's clock and ours are too far apart to lock by

Rules: a message says whose fault it is, what happened and what to do, in one line,
and never holds a telephone number, a name, a key or an address with a password.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """Anything this package raises on purpose."""


class NotFound(ArchiveError):  # noqa: N818 - the word of the field, as in HTTP 404
    """There is no such thing within the caller's scope."""


class Refused(ArchiveError):  # noqa: N818 - the word of the field
    """A rule forbids it; the message names the rule and what to change."""


class PurposeRequired(Refused):
    """The tenant wants to know why somebody else's recording is opened."""


class GroundsMissing(ArchiveError):  # noqa: N818 - a state of the customer
    """The customer has not written down why it records; then nobody's recording is switched on."""


class Conflict(ArchiveError):  # noqa: N818 - the word of the field, as in HTTP 409
    """It clashes with something that is there already."""


class VerificationFailed(ArchiveError):  # noqa: N818 - the outcome of a check, not a defect of ours
    """What is stored is not what was written; never retried, always reported."""


class ChainBroken(VerificationFailed):
    """An audit entry was changed, removed, inserted or moved; `position` is its sequence number."""

    def __init__(self, message: str, *, writer: str, position: int) -> None:
        super().__init__(message)
        self.writer = writer
        self.position = position


class DependencyUnavailable(ArchiveError):  # noqa: N818 - a state of the world
    """Something we depend on is away; the work is kept and tried again."""


class CatalogueUnavailable(DependencyUnavailable):
    """PostgreSQL can't be reached or gave up on a statement."""


class KeyRetired(DependencyUnavailable):
    """A key-encryption key was retired before what hangs from it was committed; take the next version."""


class StoreUnavailable(DependencyUnavailable):
    """The object store can't be reached or answered with a server error."""


class StoreClockDiffers(DependencyUnavailable):
    """The object store's clock is too far from ours to lock an object by it."""
