"""Dialogs of exempt calls are bounded, known peers' apart from strangers', and asked now and then."""

from __future__ import annotations

from recorder.sip.dialog import DialogId
from recorder.srs.exempt_dialogs import DIALOGS_MAX, PROBE_S, STRANGER_DIALOGS_MAX, ExemptDialogs


def name(number: int) -> DialogId:
    return DialogId(str(number), "local", "remote")


def test_strangers_do_not_crowd_out_the_dialogs_of_peers() -> None:
    """Each kind loses its own oldest, and only beyond its limit."""
    dialogs = ExemptDialogs()
    assert dialogs.open(name(-1), 0.0, stranger=False) is None
    for number in range(STRANGER_DIALOGS_MAX):
        assert dialogs.open(name(number), 0.0, stranger=True) is None
    assert dialogs.open(name(9999), 0.0, stranger=True) == name(0)
    assert name(-1) in dialogs
    assert name(0) not in dialogs
    assert len(dialogs) == STRANGER_DIALOGS_MAX + 1 <= DIALOGS_MAX


def test_each_dialog_is_asked_once_in_a_while() -> None:
    """From its opening, from its last answer, or from the last question."""
    dialogs = ExemptDialogs()
    dialogs.open(name(1), 0.0, stranger=False)
    dialogs.open(name(2), 0.0, stranger=False)
    dialogs.heard(name(2), 100.0)
    dialogs.heard(name(3), 100.0)
    assert list(dialogs.due(PROBE_S - 1)) == []
    assert list(dialogs.due(PROBE_S)) == [name(1)]
    assert list(dialogs.due(PROBE_S)) == []
    assert list(dialogs.due(PROBE_S + 100)) == [name(2)]
    dialogs.close(name(1))
    dialogs.close(name(1))
    assert list(dialogs.due(3 * PROBE_S)) == [name(2)]
