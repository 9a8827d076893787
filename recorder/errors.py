"""What can go wrong in the recorder, by whose fault it is.

    RecorderError
    ├── PeerViolation           what came from outside is wrong: answer it with a status, count it
    ├── LocalDefect             our own code broke a rule: end the call, keep the journal
    └── DependencyUnavailable   something we need is away: retry within a limit, take no new calls meanwhile

Rules: a message says whose fault it was, what happened and what to do. Errors of one
protocol are subclasses that stand beside the code which raises them.
"""

from __future__ import annotations


class RecorderError(Exception):
    """Base of everything the recorder raises on purpose."""


class PeerViolation(RecorderError):  # noqa: N818 - the word of the field
    """The peer sent something the protocol forbids; `status` is the SIP answer to it."""

    status = 400


class LocalDefect(RecorderError):  # noqa: N818 - the word of the field
    """Our own code broke a rule of the protocol; the call ends, what is journalled stays."""


class DependencyUnavailable(RecorderError):  # noqa: N818 - the word of the field
    """A disk, a process or a service we depend on does not answer."""
