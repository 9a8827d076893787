"""The tables of RFC 3261 section 17: complete, connected and with an exit."""

from __future__ import annotations

import pytest

from recorder.errors import LocalDefect
from recorder.sip.message import Flow
from recorder.sip.transaction import (
    INITIAL_STATES,
    INVITE_SERVER,
    NON_INVITE_SERVER,
    Effect,
    Event,
    State,
    Table,
    Transaction,
    TransactionKey,
)


def reachable(table: Table, initial: State) -> set[State]:
    seen, new = {initial}, [initial]
    while new:
        state = new.pop()
        for (source, _), (target, _) in table.items():
            if source is state and target not in seen:
                seen.add(target)
                new.append(target)
    return seen


@pytest.mark.parametrize(("table", "initial"), INITIAL_STATES)
def test_every_state_can_be_reached_and_every_live_state_can_be_left(table: Table, initial: State) -> None:
    states = reachable(table, initial)
    assert {source for source, _ in table} == states - {State.TERMINATED}
    for state in states:
        assert State.TERMINATED in reachable(table, state)


@pytest.mark.parametrize(("table", "initial"), INITIAL_STATES)
def test_terminated_is_the_end(table: Table, initial: State) -> None:
    assert all(source is not State.TERMINATED for source, _ in table)


@pytest.mark.parametrize(("table", "initial"), INITIAL_STATES[:2])
def test_a_server_takes_a_retransmission_in_every_state(table: Table, initial: State) -> None:
    for state in reachable(table, initial) - {State.TERMINATED}:
        target, _ = table[state, Event.REQUEST_RETRANSMITTED]
        assert target is state


def test_a_2xx_keeps_the_invite_transaction_for_its_retransmissions_as_rfc_6026_says() -> None:
    assert INVITE_SERVER[State.PROCEEDING, Event.SUCCESS_FROM_TU] == (
        State.ACCEPTED,
        (Effect.SEND, Effect.START_L),
    )
    assert (State.ACCEPTED, Event.TIMER_G) not in INVITE_SERVER


def test_what_a_table_does_not_know_is_our_own_defect() -> None:
    flow = Flow("udp", ("a", 1), ("b", 2))
    transaction = Transaction(TransactionKey("b", "s", "BYE"), NON_INVITE_SERVER, State.COMPLETED, flow)
    with pytest.raises(LocalDefect, match=r"SUCCESS_FROM_TU .* COMPLETED"):
        transaction.handle(Event.SUCCESS_FROM_TU)
