"""R2: every interleaving of a hold and a sweep, with crashes of each, as a model walked to its last state.

The model has the steps of `archive.catalogue.cases` and `retention.destruction`, each as atomic
as it is there, and the store's own hold that follows by a job. Variants with a mistake that
somebody could make show that the walk would find it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

OBJECTS = 2
"""Deleting more objects than two repeats the same steps."""


@dataclass(frozen=True)
class World:
    """What is durable, and where each actor is; an actor at None is not running."""

    row: str = "stored"
    hold: bool = False
    answer: str | None = None
    store_hold: str = "none"
    store_held: frozenset[int] = frozenset()
    objects: frozenset[int] = frozenset(range(OBJECTS))
    key: bool = True
    certificate: bool = False
    holder: str | None = "place"
    sweeper: str | None = "claim"
    keeper: str | None = "begin"
    crashes_left: tuple[int, int] = (1, 1)


MISTAKES = (
    "none",
    "claim ignores holds",
    "hold takes a claim back",
    "hold looks at no state",
    "early certificate",
)


def steps(world: World, mistake: str) -> Iterator[tuple[str, World]]:
    """Yield each step somebody can take now, and the world after it."""
    yield from _hold(world, mistake)
    yield from _sweep(world, mistake)
    yield from _keep(world)
    holder, sweeper = world.crashes_left
    # A crash forgets where the actor was; who asked for the hold has no answer and asks again.
    if sweeper and world.sweeper not in {None, "claim"}:
        yield "sweeper dies", dataclasses.replace(world, sweeper="claim", crashes_left=(holder, 0))
    if holder and world.holder == "answer":
        yield "holder dies", dataclasses.replace(world, holder="place", crashes_left=(0, sweeper))


def _hold(world: World, mistake: str) -> Iterator[tuple[str, World]]:
    if world.holder == "place":
        going = world.row in {"deleting", "destroyed"}
        if going and mistake == "hold takes a claim back" and world.row == "deleting":
            yield "H place", dataclasses.replace(world, row="stored", hold=True, holder="answer")
        elif going and mistake != "hold looks at no state":
            yield "H refused", dataclasses.replace(world, answer="409", holder=None)
        else:
            yield "H place", dataclasses.replace(world, hold=True, holder="answer")
    elif world.holder == "answer":
        yield "H answer", dataclasses.replace(world, answer="held", holder=None)


def _keep(world: World) -> Iterator[tuple[str, World]]:
    """The job that sets the holds of the store: marked, set one by one, settled."""
    if not world.hold or world.row != "stored":
        return
    if world.keeper == "begin":
        yield "K begin", dataclasses.replace(world, store_hold="partly", keeper="set")
    elif world.keeper == "set":
        left = sorted(world.objects - world.store_held)
        if left:
            yield "K set", dataclasses.replace(world, store_held=world.store_held | {left[0]})
        else:
            yield "K settle", dataclasses.replace(world, store_hold="held", keeper=None)


def _sweep(world: World, mistake: str) -> Iterator[tuple[str, World]]:
    match world.sweeper:
        case "claim":
            free = (not world.hold and world.store_hold == "none") or mistake == "claim ignores holds"
            claimed = world.row == "stored" and free
            if claimed or world.row == "deleting":
                after = "recheck" if world.objects or world.key else "certify"
                yield "S claim", dataclasses.replace(world, row="deleting", sweeper=after)
            else:
                yield "S nothing to do", dataclasses.replace(world, sweeper=None)
        case "recheck":
            if world.hold and mistake == "none":
                yield "S give back", dataclasses.replace(world, row="stored", sweeper=None)
            else:
                yield "S plan", dataclasses.replace(world, sweeper="delete")
        case "delete":
            left = sorted(world.objects)
            if mistake == "early certificate" and len(left) < OBJECTS:
                yield "S certify early", dataclasses.replace(world, certificate=True, sweeper=None)
            elif not left:
                yield "S seen gone", dataclasses.replace(world, sweeper="key")
            elif left[0] in world.store_held:
                yield "S kept by the store", dataclasses.replace(world, row="stored", sweeper=None)
            else:
                yield "S delete", dataclasses.replace(world, objects=world.objects - {left[0]})
        case "key":
            yield "S key", dataclasses.replace(world, key=False, sweeper="certify")
        case "certify":
            done = dataclasses.replace(world, certificate=True, row="destroyed", sweeper=None)
            yield "S certify", done


def wrong(world: World) -> str | None:
    """Return what is wrong with a world, whatever may come."""
    whole = len(world.objects) == OBJECTS and world.key
    if world.answer == "held" and not whole:
        return "a hold was acknowledged and the recording is not whole"
    if world.certificate and (world.objects or world.key):
        return "a certificate was given and something is left"
    if world.answer == "409" and world.row == "stored":
        return "a hold was refused and the recording stays"
    return None


def walk(mistake: str) -> tuple[set[World], list[tuple[str, tuple[str, ...]]]]:
    """Return the last states of every path, and the ways to what is wrong."""
    ends: set[World] = set()
    faults: list[tuple[str, tuple[str, ...]]] = []
    seen: set[World] = set()
    waiting: list[tuple[World, tuple[str, ...]]] = [(World(), ())]
    while waiting:
        world, path = waiting.pop()
        if world in seen:
            continue
        seen.add(world)
        fault = wrong(world)
        if fault is not None:
            faults.append((fault, path))
            continue
        after = list(steps(world, mistake))
        if not after:
            ends.add(world)
        waiting += [(each, (*path, name)) for name, each in after]
    return ends, faults


def test_r2_every_interleaving_ends_held_and_whole_or_refused_and_destroyed() -> None:
    ends, faults = walk("none")
    assert faults == []
    told = {(world.answer, world.row, len(world.objects), world.key, world.certificate) for world in ends}
    assert told == {("held", "stored", OBJECTS, True, False), ("409", "destroyed", 0, False, True)}


@pytest.mark.parametrize("mistake", MISTAKES[1:])
def test_the_walk_finds_each_mistake_somebody_could_make(mistake: str) -> None:
    _, faults = walk(mistake)
    assert faults, mistake
