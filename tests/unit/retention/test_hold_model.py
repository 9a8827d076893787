"""R2: every interleaving of holds, releases, the store's holds and a sweep, with crashes, as a model walked whole.

The model has the steps of `archive.catalogue.cases` and `case_release`, `retention.store_holds`,
`retention.destruction` and of keys that are wrapped anew, each as atomic as it is there: one
transaction, or one request to the store. Two cases hold the recording and are released at any time;
two workers that know nothing of each other set and take off the store's holds, where the first was
taken for dead; what the store keeps is given back. From every state the recording comes, by what the
programs do by themselves, to one of two ends. Variants with a mistake that somebody could make show
that the walk would find it.

Taken for true: a sweep whose claim is over (after ten minutes) deletes nothing any more; keys that
are wrapped anew are so again after a crash; one worker follows the holds of a tenant at a time, unless
it was taken for dead; and only one dies, or is taken for dead, until things have come right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import pytest

MISTAKES = (
    "claim ignores holds",
    "hold takes a claim back",
    "hold looks at no state",
    "release looks at no other case",
    "late keeper settles",
    "holds are not marked before they are set",
    "new object is not told",
    "early certificate",
)


class Keeper(NamedTuple):
    """A worker that lets the store's holds follow: what it found wanted, and the object it is at."""

    at: str = "idle"
    held: bool = False
    next: int = 0


class World(NamedTuple):
    """What is durable, and where each actor is."""

    objects: frozenset[int]
    puts: int
    """Objects that are still to be put: a key wrapped anew."""

    whole: int
    row: str = "stored"
    on_hold: bool = False
    cases: tuple[str, str] = ("none", "none")
    store_hold: str = "none"
    store_held: frozenset[int] = frozenset()
    key: bool = True
    certificate: bool = False
    sweeper: str = "claim"
    putter: str = "idle"
    keepers: tuple[Keeper, Keeper] = (Keeper(), Keeper())
    crashes: int = 1
    """How often a worker may still die, or be taken for dead."""


BEGINNINGS = (
    World(objects=frozenset({0, 1}), puts=0, whole=2),
    World(objects=frozenset({0}), puts=1, whole=1),
)

Step = tuple[str, World]


def people(world: World, mistake: str) -> Iterator[Step]:
    """Yield what somebody may do, and what dies."""
    for number, state in enumerate(world.cases):
        if state == "none":
            yield _ask(world, number, mistake)
        elif state == "held":
            yield "release", world._replace(cases=_with(world.cases, number, "released"))
    if world.crashes:
        after = world._replace(crashes=0)
        if world.sweeper != "claim":
            yield "sweeper dies", after._replace(sweeper="claim")
        for number, keeper in enumerate(world.keepers):
            if keeper.at != "idle":
                keepers = (Keeper(), world.keepers[1 - number])
                yield "keeper dies", after._replace(keepers=keepers)
        if world.putter != "idle":
            yield "putter dies", after._replace(putter="idle", puts=1)


def programs(world: World, mistake: str) -> Iterator[Step]:
    """Yield what the programs do by themselves."""
    for number, state in enumerate(world.cases):
        if state == "placed":
            yield "answer", world._replace(cases=_with(world.cases, number, "held"))
    yield from _let_go(world, mistake)
    for number in range(2):
        yield from _keep(world, number, mistake)
    yield from _put(world, mistake)
    yield from _sweep(world, mistake)


def _ask(world: World, number: int, mistake: str) -> Step:
    going = world.row != "stored"
    if going and mistake == "hold takes a claim back" and world.row == "deleting":
        world, going = world._replace(row="stored"), False
    if going and mistake != "hold looks at no state":
        return "refused", world._replace(cases=_with(world.cases, number, "409"))
    return "place", world._replace(on_hold=True, cases=_with(world.cases, number, "placed"))


def _let_go(world: World, mistake: str) -> Iterator[Step]:
    released = "released" in world.cases
    others = {"placed", "held"} & set(world.cases) and mistake != "release looks at no other case"
    if world.on_hold and released and not others:
        yield "let go", world._replace(on_hold=False)


def _waits(world: World) -> bool:
    return world.store_hold != ("held" if world.on_hold else "none")


def _keep(world: World, number: int, mistake: str) -> Iterator[Step]:
    """A job that sets the holds of the store, or takes them off: marked, object by object, settled."""
    keeper = world.keepers[number]

    other = world.keepers[1 - number]

    def after(changed: Keeper, **more: object) -> World:
        pair = (changed, other) if number == 0 else (other, changed)
        return world._replace(keepers=pair, **more)

    if keeper.at == "idle":
        overtakes = other.at != "idle"
        if _waits(world) and not (overtakes and world.crashes == 0):
            crashes = world.crashes - overtakes
            marked = (
                world.store_hold if mistake == "holds are not marked before they are set" else "following"
            )
            yield "follow", after(Keeper("set", world.on_hold), store_hold=marked, crashes=crashes)
        return
    left = [each for each in sorted(world.objects) if each >= keeper.next]
    if left:
        held = world.store_held | {left[0]} if keeper.held else world.store_held - {left[0]}
        yield "set", after(keeper._replace(next=left[0] + 1), store_held=held)
        return
    right = "held" if keeper.held else "none"
    unchanged = world.store_hold == "following" and world.on_hold == keeper.held
    if unchanged or mistake in {"late keeper settles", "holds are not marked before they are set"}:
        yield "settle", after(Keeper(), store_hold=right)
    else:
        yield "not settled", after(Keeper(), store_hold="partly")


def _put(world: World, mistake: str) -> Iterator[Step]:
    """Keys that are wrapped anew: the object first, then the row."""
    if world.putter == "idle" and world.puts and world.row == "stored":
        yield "put", world._replace(puts=0, objects=world.objects | {1}, putter="tell")
    elif world.putter == "tell":
        told = "none" if world.store_hold == "none" else "partly"
        if mistake == "new object is not told":
            told = world.store_hold
        yield "tell", world._replace(putter="idle", store_hold=told)


def _sweep(world: World, mistake: str) -> Iterator[Step]:
    match world.sweeper:
        case "claim":
            free = (not world.on_hold and world.store_hold == "none") or mistake == "claim ignores holds"
            if world.row == "deleting" or (world.row == "stored" and free):
                yield "claim", world._replace(row="deleting", sweeper="plan")
        case "plan":
            if world.on_hold and mistake not in {"claim ignores holds", "hold looks at no state"}:
                yield "give back", world._replace(row="stored", sweeper="claim")
            else:
                yield "plan", world._replace(sweeper="begin" if _is_whole(world) else "delete")
        case "begin" | "delete":
            left = sorted(world.objects)
            if not left or (mistake == "early certificate" and len(left) == 1):
                yield "erase", world._replace(store_hold="none", sweeper="key")
            elif left[0] not in world.store_held:
                yield "delete", world._replace(objects=world.objects - {left[0]}, sweeper="delete")
            else:
                kept = "give back kept" if world.sweeper == "begin" else "give up"
                yield "kept by the store", world._replace(sweeper=kept)
        case "give back kept":
            yield "give back", world._replace(row="stored", sweeper="claim")
        case "give up":
            yield "give up", world._replace(sweeper="claim")
        case "key":
            yield "key", world._replace(key=False, sweeper="certify")
        case "certify":
            # What was put while it went is deleted before the certificate.
            left = frozenset[int]() if mistake != "early certificate" else world.objects
            yield "certify", world._replace(row="destroyed", certificate=True, objects=left, sweeper="claim")


def _is_whole(world: World) -> bool:
    return frozenset(range(world.whole)) <= world.objects


def _with(cases: tuple[str, str], number: int, state: str) -> tuple[str, str]:
    return (state, cases[1]) if number == 0 else (cases[0], state)


def wrong(world: World) -> str | None:
    """Return what is wrong with a world, whatever may come."""
    holds = "held" in world.cases
    if holds and not (_is_whole(world) and world.key):
        return "a hold was acknowledged and the recording is not whole"
    if holds and not world.on_hold:
        return "a hold was acknowledged and nothing holds the recording"
    if world.certificate and (world.objects or world.key):
        return "a certificate was given and something is left"
    return None


def is_end(world: World) -> bool:
    """Return whether a recording is held by database and store, or destroyed with a certificate."""
    if world.certificate:
        return True
    at_rest = all(keeper.at == "idle" for keeper in world.keepers) and world.putter == "idle"
    both = world.store_hold == "held" and world.store_held == world.objects
    return "held" in world.cases and world.row == "stored" and both and at_rest and not world.puts


def walk(beginning: World, mistake: str = "") -> tuple[int, list[str]]:
    """Return how many states there are, and what is wrong with one of them, or with some."""
    before: dict[World, list[World]] = defaultdict(list)
    seen, waiting = {beginning}, [beginning]
    while waiting:
        world = waiting.pop()
        fault = wrong(world)
        if fault is not None:
            return len(seen), [fault]
        for _, after in programs(world, mistake):
            before[after].append(world)
            if after not in seen:
                seen.add(after)
                waiting.append(after)
        for _, after in people(world, mistake):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    good = {world for world in seen if is_end(world)}
    waiting = list(good)
    while waiting:
        for earlier in before[waiting.pop()]:
            if earlier not in good:
                good.add(earlier)
                waiting.append(earlier)
    stuck = seen - good
    return len(seen), [f"{len(stuck)} states lead nowhere, as {next(iter(stuck))}"] if stuck else []


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_r2_every_interleaving_ends_held_and_whole_or_destroyed_with_a_certificate(beginning: World) -> None:
    states, faults = walk(beginning)
    assert faults == []
    assert states > 3_000


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_walk_finds_each_mistake_somebody_could_make(mistake: str) -> None:
    assert any(walk(beginning, mistake)[1] for beginning in BEGINNINGS), mistake
