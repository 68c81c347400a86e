"""What holds of every decision, whatever the policies: the nine properties, and those of the model battery."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tallyport.domain.actions import Action, Delete, Enter, Flag, Inspect, Look, MakeContainer, Skip, Transfer
from tallyport.domain.capabilities import Limits
from tallyport.domain.changes import Change
from tallyport.domain.decide import decide, propose
from tallyport.domain.entries import Baseline, Entry, Fingerprint, Kind, Pair, Side
from tallyport.domain.policies import (
    ConflictResolution,
    DeletePropagation,
    FilterBlock,
    FilterRule,
    ItemOverwrite,
    LargeItem,
    Policies,
    Symlinks,
    TransferType,
)
from tallyport.domain.rules import FILES, rules_for
from tests.domain.worlds import DESTINATION, POSIX, SOURCE, Run, World, is_quiet, loud

NAMES = ("a", "b", "d/a", "d/e/c")
ONE_WAY = [kind for kind in TransferType if kind is not TransferType.SYNC]
MIRRORED_CONFLICT = {
    ConflictResolution.SOURCE: ConflictResolution.DESTINATION,
    ConflictResolution.DESTINATION: ConflictResolution.SOURCE,
}
MIRRORED_DELETE = {
    DeletePropagation.IGNORE_SOURCE: DeletePropagation.IGNORE_DESTINATION,
    DeletePropagation.IGNORE_DESTINATION: DeletePropagation.IGNORE_SOURCE,
}


class Dice:
    """Choices read off a few bytes: one draw an example, which keeps thousands of them within seconds."""

    def __init__(self, raw: bytes) -> None:
        self._rest = iter(raw)

    def of(self, choices):
        return choices[next(self._rest) % len(choices)]


def drawn(size: int, read):
    """Draw what ``read`` makes of a handful of dice."""
    return st.binary(min_size=size, max_size=size).map(lambda raw: read(Dice(raw)))


def choose(dice: Dice, types, fixed) -> Policies:
    chosen = {
        "transfer_type": dice.of(types),
        "conflict_resolution": dice.of(list(ConflictResolution)),
        "delete_propagation": dice.of(list(DeletePropagation)),
        "item_overwrite": dice.of([*ItemOverwrite, ItemOverwrite.OVERWRITE]),
        "symlinks": dice.of([*Symlinks, Symlinks.COPY]),
        "large_item": dice.of(list(LargeItem)),
        "timestamps": dice.of([True, False]),
    }
    return Policies(**{**chosen, **fixed})


def policies(types=tuple(TransferType), **fixed):
    """Draw policies that a decision depends on."""
    return drawn(7, lambda dice: choose(dice, types, fixed))


def limits(dice: Dice) -> Limits:
    return Limits(
        time_precision=dice.of([1, 2]),
        max_size=dice.of([None, None, 1]),
        symlinks=dice.of([True, False]),
        sets_times=dice.of([True, False]),
        permissions=dice.of([False, True]),
    )


KINDS = [Kind.FILE] * 5 + [Kind.CONTAINER, Kind.SYMLINK, Kind.SPECIAL]
TAGS = [b"", b"1", b"2"]


def entry(dice: Dice) -> Entry | None:
    kind = dice.of([None, *KINDS])
    size, modified, tag, mode = dice.of([0, 1, 2]), dice.of([1, 2, 3]), dice.of(TAGS), dice.of([None, 0o644, 0o600])
    content = dice.of([None, None, b"x", b"y"])
    if kind is None:
        return None
    if kind is Kind.CONTAINER:
        return Entry("a", kind)
    target = "t" if kind is Kind.SYMLINK else None
    return Entry("a", kind, size, modified, tag, mode, target=target, hash=content if kind is Kind.FILE else None)


def known(dice: Dice, now: Entry | None) -> Fingerprint | None:
    how = dice.of(["none", "same", "touched", "other"])
    other = Fingerprint(dice.of([0, 1, 2]), dice.of([1, 2, 3]), dice.of(TAGS))
    if how == "none":
        return None
    if now is None or how == "other":
        return other
    return Fingerprint(now.size, now.modified, now.tag if how == "same" else b"3")


def glimpse(source: Entry) -> Entry:
    """Give what a cheap listing would show of a file."""
    return Entry(source.name, source.kind, source.size, 7, source.tag, glimpsed=True)


def pair(dice: Dice) -> Pair:
    source, destination = entry(dice), entry(dice)
    baseline = Baseline(known(dice, source), known(dice, destination), dice.of([None, b"x"]))
    seen = dice.of([True] * 5 + [False])
    return Pair(
        "a",
        source,
        destination if seen else None,
        dice.of([baseline, baseline, None]),
        dice.of([frozenset(), frozenset({SOURCE}), frozenset(Side)]),
        attempts=dice.of([0, 0, 0, 1, 3]),
        flagged=dice.of([False] * 9 + [True]),
        ignored=dice.of([False] * 9 + [True]),
        destination_seen=seen,
    )


def cases(types=tuple(TransferType), **fixed):
    """Draw a pair, policies and the limits of both sides."""
    return drawn(45, lambda dice: (pair(dice), choose(dice, types, fixed), limits(dice), limits(dice)))


def step(dice: Dice):
    verb = dice.of(["write", "write", "write", "touch", "remove", "remove", "make", "link"])
    return verb, dice.of(list(Side)), dice.of([*NAMES, "d"]), dice.of(["", "x", "y", "zz"]), dice.of([1, 2, 3, 4])


STEPS = st.binary(min_size=15, max_size=60).map(
    lambda raw: [step(Dice(raw[n : n + 5])) for n in range(0, len(raw) - 4, 5)]
)


def live(world: World, steps) -> None:
    """Let people change both sides. Each content is written once: it carries the tick it was written at."""
    for verb, side, path, content, modified in steps:
        if verb == "write":
            world.write(side, path, content, modified)
        elif verb == "link":
            world.write(side, path, f"->{content}", modified, Kind.SYMLINK)
        elif verb == "touch":
            world.touch(side, path)
        elif verb == "make":
            world.make(side, path)
        else:
            world.remove(side, path)


def frozen(world: World):
    return {side: dict(world.trees[side]) for side in Side}


# -- single decisions


def test_the_table_covers_exactly_the_cells_that_can_be_reached():
    """A side is known on both sides or on none; TOUCHED is resolved before the table is looked up."""
    unknown = {Change.ABSENT, Change.NEW}
    known = {Change.SAME, Change.MODIFIED, Change.DELETED}
    reachable = set(itertools.product(unknown, unknown)) | set(itertools.product(known, known))
    assert set(FILES) == reachable


@settings(max_examples=250)
@given(cases(), st.booleans())
def test_every_pair_has_an_action_and_the_same_one_twice(case, first):
    pair, chosen, source, destination = case
    rules = rules_for(chosen, source, destination, started=0, first_run=first)
    action = decide(pair, rules)
    assert isinstance(action, Action)
    assert decide(pair, rules) == action


@settings(max_examples=250)
@given(cases())
def test_questions_are_only_about_facts_that_can_be_had_and_end(case):
    pair, chosen, source, destination = case
    rules = rules_for(chosen, source, destination, started=0)
    for _ in range(4):
        action = decide(pair, rules)
        if isinstance(action, Look):
            assert not pair.destination_seen
            pair = pair._replace(destination_seen=True)
        elif isinstance(action, Inspect):
            assert action.sides
            assert not action.sides & pair.facts_asked
            entries_asked = [pair.source if side is Side.SOURCE else pair.destination for side in action.sides]
            assert all(e is not None and e.kind is Kind.FILE and e.hash is None for e in entries_asked)
            pair = pair._replace(facts_asked=pair.facts_asked | action.sides)
        else:
            return
    raise AssertionError("asked more than twice for a hash")


@settings(max_examples=250)
@given(cases())
def test_without_a_baseline_nothing_is_deleted_but_what_a_publish_job_finds_extra(case):
    pair, chosen, source, destination = case
    half = pair.baseline is None or pair.baseline.source is None or pair.baseline.destination is None
    action = decide(pair, rules_for(chosen, source, destination, started=0))
    if half and isinstance(action, Delete):
        assert chosen.transfer_type is TransferType.PUBLISH
        assert action.side is DESTINATION
        assert pair.source is None


@settings(max_examples=250)
@given(cases(ONE_WAY))
def test_a_one_way_job_writes_at_the_destination_only(case):
    pair, chosen, source, destination = case
    action = decide(pair, rules_for(chosen, source, destination, started=0))
    assert getattr(action, "to", DESTINATION) is DESTINATION
    if isinstance(action, Delete) and action.side is SOURCE:
        assert chosen.transfer_type in (TransferType.MOVE, TransferType.MIGRATE)
        assert pair.destination_seen
        assert pair.destination is not None


@settings(max_examples=250)
@given(cases())
def test_guards_only_weaken(case):
    pair, chosen, source, destination = case
    rules = rules_for(chosen, source, destination, started=0)
    before, after = propose(pair, rules), decide(pair, rules)
    assert after == before or isinstance(after, Skip | Flag)
    if isinstance(before, Skip | Flag):
        assert after == before


@settings(max_examples=250)
@given(cases())
def test_no_action_needs_what_the_receiving_side_lacks(case):
    pair, chosen, source, destination = case
    action = decide(pair, rules_for(chosen, source, destination, started=0))
    if isinstance(action, Transfer):
        carried = pair.source if action.to is DESTINATION else pair.destination
        receiving = destination if action.to is DESTINATION else source
        assert carried is not None
        assert carried.kind in (Kind.FILE, Kind.SYMLINK)
        assert carried.kind is Kind.FILE or receiving.symlinks
        assert receiving.max_size is None or carried.size <= receiving.max_size
        assert action.replaces == ((pair.destination if action.to is DESTINATION else pair.source) is not None)


@settings(max_examples=150)
@given(
    st.sampled_from([Kind.FILE, Kind.SYMLINK]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
    policies(item_overwrite=ItemOverwrite.OVERWRITE, symlinks=Symlinks.COPY),
)
def test_a_new_item_is_carried_exactly_where_the_receiving_side_can_hold_it(kind, to_source, links, most, chosen):
    if chosen.transfer_type is TransferType.TAXONOMY or (to_source and chosen.transfer_type is not TransferType.SYNC):
        return
    new = Entry("a", kind, 1, 1, target="t" if kind is Kind.SYMLINK else None)
    receiving, giving = Limits(symlinks=links, max_size=most), Limits(symlinks=True)
    item = Pair("a", None, new) if to_source else Pair("a", new, None)
    sides = (receiving, giving) if to_source else (giving, receiving)
    action = decide(item, rules_for(chosen, *sides, started=0))
    can_hold = (links or kind is Kind.FILE) and (most is None or most >= 1)
    assert isinstance(action, Transfer) == can_hold, action


def mirrored(action: Action) -> Action:
    """Swap the sides of an action, and the reasons that name a side."""
    swapped = {}
    for name, value in action._asdict().items():
        if isinstance(value, Side):
            value = value.other
        elif isinstance(value, frozenset):
            value = frozenset(side.other for side in value)
        elif name == "reason":
            for one, other in (("source", "destination"), ("destination", "source")):
                if value.endswith(f"_at_{one}"):
                    value = type(value)(value.replace(f"_at_{one}", f"_at_{other}"))
                    break
        swapped[name] = value
    return type(action)(**swapped)


@settings(max_examples=250)
@given(cases([TransferType.SYNC]))
def test_sync_mirrors(case):
    """Equal times prefer the source; so they are left out here."""
    pair, chosen, source, destination = case
    pair = pair._replace(destination_seen=True)
    if pair.source and pair.destination and abs(pair.source.modified - pair.destination.modified) < 2:
        pair = pair._replace(destination=pair.destination._replace(modified=pair.source.modified + 5))
    turned = replace(
        chosen,
        conflict_resolution=MIRRORED_CONFLICT.get(chosen.conflict_resolution, chosen.conflict_resolution),
        delete_propagation=MIRRORED_DELETE.get(chosen.delete_propagation, chosen.delete_propagation),
    )
    was = pair.baseline
    other = pair._replace(
        source=pair.destination,
        destination=pair.source,
        baseline=was and Baseline(was.destination, was.source, was.hash),
        facts_asked=frozenset(side.other for side in pair.facts_asked),
    )
    action = decide(pair, rules_for(chosen, source, destination, started=0))
    answer = decide(other, rules_for(turned, destination, source, started=0))
    if isinstance(action, Flag) and isinstance(answer, Flag):
        assert action.reason == answer.reason  # the message names the side
    else:
        assert answer == mirrored(action)


@settings(max_examples=150)
@given(cases(), st.sampled_from(["extension", "pattern", "path", "size", "hidden"]))
def test_a_filtered_path_is_never_touched(case, kind):
    """Whatever is excluded by name is left alone, on both sides, whichever side still has it."""
    pair, chosen, source, destination = case
    rules = {
        "extension": FilterRule(type="extension", extensions=("txt",)),
        "pattern": FilterRule(type="pattern", text="A*"),
        "path": FilterRule(type="path", paths=("a.txt",)),
        "size": FilterRule(type="size", min=100),
        "hidden": FilterRule(type="hidden"),
    }
    named = replace(chosen, filter_source=(FilterBlock(action="exclude", rules=(rules[kind],)),))

    def dressed(entry):
        return entry and entry._replace(name="a.txt", hidden=True)

    pair = pair._replace(path="a.txt", source=dressed(pair.source), destination=dressed(pair.destination))
    here = pair.source or pair.destination
    action = decide(pair, rules_for(named, source, destination, started=0))
    if here is None or (here.kind is not Kind.FILE and kind in ("extension", "size")):
        return
    assert isinstance(action, Skip)


@settings(max_examples=150)
@given(cases())
def test_what_is_decided_without_a_look_writes_nothing(case):
    pair, chosen, source, destination = case
    pair = pair._replace(destination=None, destination_seen=False)
    action = decide(pair, rules_for(chosen, source, destination, started=0))
    assert isinstance(action, Look | Skip | Enter | Flag)


# -- whole runs over a model world


@settings(max_examples=250)
@given(STEPS, STEPS, policies(), st.booleans(), st.booleans())
def test_a_second_run_changes_nothing(before, between, chosen, trusting, first):
    """Conflict copies of a sync are new items at one side: they travel once in the run after.

    A run that trusts its baseline sees what people do at the destination in a later one.
    """
    between = [step for step in between if not trusting or step[1] is SOURCE]
    world = World()
    live(world, before)
    Run(world, chosen, first=first)()
    live(world, between)
    Run(world, chosen, trusting=trusting)()
    if chosen.transfer_type is TransferType.SYNC and chosen.conflict_resolution is ConflictResolution.COPY:
        Run(world, chosen)()
    trees = frozen(world)
    again = Run(world, chosen, trusting=trusting)
    assert loud(again()).keys() <= again.stayed
    assert frozen(world) == trees


@settings(max_examples=150)
@given(STEPS, STEPS, policies([TransferType.COPY, TransferType.PUBLISH, TransferType.TAXONOMY]))
def test_the_source_of_a_one_way_job_is_never_changed(before, between, chosen):
    world = World()
    live(world, before)
    Run(world, chosen)()
    live(world, between)
    source = dict(world.trees[SOURCE])
    Run(world, chosen)()
    assert world.trees[SOURCE] == source


@settings(max_examples=150)
@given(STEPS, policies([TransferType.SYNC], item_overwrite=ItemOverwrite.OVERWRITE, symlinks=Symlinks.COPY))
def test_an_unflagged_first_sync_ends_equal(before, chosen):
    world = World()
    live(world, before)
    actions = Run(world, chosen)()
    if chosen.conflict_resolution is ConflictResolution.COPY:
        actions = {**Run(world, chosen)(), **actions}
    if not any(isinstance(action, Flag) for action in actions.values()):
        assert world.contents(SOURCE) == world.contents(DESTINATION)


@settings(max_examples=150)
@given(STEPS, policies([TransferType.PUBLISH], item_overwrite=ItemOverwrite.OVERWRITE, symlinks=Symlinks.COPY))
def test_an_unflagged_publish_ends_equal(before, chosen):
    world = World()
    live(world, before)
    actions = Run(world, chosen)()
    if not any(isinstance(action, Flag) for action in actions.values()):
        assert world.contents(SOURCE) == world.contents(DESTINATION)


@settings(max_examples=150)
@given(STEPS, STEPS, policies(), st.booleans())
def test_no_content_leaves_the_world_but_by_an_action_that_says_so(before, between, chosen, first):
    """What is gone was replaced by a transfer that said ``replaces``, or deleted by a ``Delete``."""
    world = World()
    live(world, before)
    Run(world, chosen, first=first)()
    live(world, between)
    there = {node.content for side in Side for node in world.trees[side].values()}
    run = Run(world, chosen)
    run()
    left = {node.content for side in Side for node in world.trees[side].values()}
    assert there - left <= run.lost


@settings(max_examples=150)
@given(
    STEPS,
    STEPS,
    policies(
        [TransferType.SYNC, TransferType.COPY],
        conflict_resolution=ConflictResolution.COPY,
        item_overwrite=ItemOverwrite.OVERWRITE,
        delete_propagation=DeletePropagation.IGNORE_BOTH,
    ),
)
def test_keep_both_loses_no_content_that_a_person_wrote_since_the_last_run(before, between, chosen):
    world = World()
    live(world, before)
    Run(world, chosen)()
    known = {node.content for side in Side for node in world.trees[side].values()}
    live(world, [(verb, side, path, content and f"{content}2", time) for verb, side, path, content, time in between])
    fresh = {node.content for side in Side for node in world.trees[side].values()} - known
    Run(world, chosen)()
    assert fresh <= {node.content for side in Side for node in world.trees[side].values()}


@settings(max_examples=150)
@given(STEPS, STEPS, policies())
def test_a_lost_ledger_leads_to_no_delete(before, between, chosen):
    """Publish mirrors whatever it knows, and a move still deletes what it has proved in this very run."""
    world = World()
    live(world, before)
    Run(world, chosen)()
    live(world, between)
    world.ledger.clear()
    actions = Run(world, chosen)()
    if chosen.transfer_type is not TransferType.PUBLISH:
        assert not any(isinstance(action, Delete) for action in actions.values())


@settings(max_examples=150)
@given(STEPS, STEPS, policies([TransferType.MOVE, TransferType.MIGRATE]))
def test_move_and_migrate_delete_only_what_stands_at_the_destination(before, between, chosen):
    world = World()
    live(world, before)
    for steps in (before[:0], between):
        live(world, steps)
        held = {path: node for path, node in world.trees[SOURCE].items() if node.kind is not Kind.CONTAINER}
        Run(world, chosen)()
        for path in held.keys() - world.trees[SOURCE].keys():
            assert world.trees[DESTINATION][path].content == held[path].content


@settings(max_examples=150)
@given(STEPS, STEPS, policies(), st.booleans())
def test_a_simulation_tells_the_truth(before, between, chosen, trusting):
    between = [step for step in between if not trusting or step[1] is SOURCE]
    world = World()
    live(world, before)
    Run(world, chosen)()
    live(world, between)
    trees, ledger = frozen(world), dict(world.ledger)
    planned = Run(world, chosen, simulation=True, trusting=trusting)()
    assert frozen(world) == trees
    assert world.ledger == ledger
    assert Run(world, chosen, trusting=trusting)() == planned


@settings(max_examples=150)
@given(STEPS, STEPS, policies([TransferType.COPY, TransferType.TAXONOMY]))
def test_trusting_the_baseline_changes_no_tree(before, between, chosen):
    """Where only the source changed, a run that leaves the destination unseen does what a full look would."""
    worlds = (World(), World())
    between = [step for step in between if step[1] is SOURCE]
    for world, trusting in zip(worlds, (False, True), strict=True):
        live(world, before)
        Run(world, chosen)()
        live(world, between)
        Run(world, chosen, trusting=trusting)()
    assert worlds[0].trees == worlds[1].trees


@settings(max_examples=150)
@given(STEPS, policies([TransferType.TAXONOMY]))
def test_taxonomy_carries_containers_only(before, chosen):
    world = World()
    live(world, before)
    held = dict(world.trees[DESTINATION])
    Run(world, chosen)()
    made = {path: node for path, node in world.trees[DESTINATION].items() if path not in held}
    assert all(node.kind is Kind.CONTAINER for node in made.values())
    assert {path: world.trees[DESTINATION][path] for path in held} == held


def test_is_quiet_knows_every_action():
    assert all(isinstance(action, type) for action in Action.__args__)
    assert not is_quiet(MakeContainer(DESTINATION, "x"))  # type: ignore[arg-type]


def test_limits_of_the_model_are_posix():
    assert POSIX.symlinks


@settings(max_examples=500)
@given(cases())
def test_what_was_only_glimpsed_is_looked_at_or_decided_on_as_if_it_had_been(case):
    pair, chosen, source, destination = case
    rules = rules_for(chosen, source, destination, started=0)
    if pair.source is None or pair.source.kind is not Kind.FILE:
        return
    action = decide(pair._replace(source=glimpse(pair.source)), rules)
    assert action in (Look(SOURCE), decide(pair, rules))
    if pair.baseline is None and pair.destination is None and pair.destination_seen:
        assert action != Look(SOURCE), "what is new is seen when it is read"
