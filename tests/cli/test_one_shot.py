"""`tallyport copy` finds or makes the job, goes on with what has not ended, and says how it went."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tallyport.cli import follow
from tallyport.cli.exits import Exit, Stop
from tallyport.cli.follow import Screen
from tallyport.cli.one_shot import Prepared, policies_of, prepare
from tallyport.cli.transfers import LEVELS
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.policies import ConflictResolution, TransferType
from tallyport.domain.transfer_block import policies_from_json
from tallyport.store import connections, executions, failures, jobs
from tests.cli.fakes import World, complete, meanwhile, pausing


def prepared(world: World, source: str, destination: str, **options) -> Prepared:
    with world.store() as database:
        return prepare(database, "copy", source, destination, **options)


def end(world: World, run: int, state: str = "complete") -> None:
    with world.store() as database, database.begin() as tx:
        executions.move(tx, run, ("ready",), state, result="clean")


# -- prepare


def test_the_first_call_makes_two_connections_a_job_and_a_run(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    job, run, notes, warnings = prepared(world, source, destination)
    assert (job.transfer_type, run.state, run.trigger, notes, warnings) == ("copy", "ready", "cli", (), ())
    with world.store() as database, database.read() as tx:
        found = connections.find(tx, job.source_connection or "")
        assert found is not None
        assert (found.platform, found.settings) == ("fs", {"path": os.path.realpath(source)})


def test_choices_that_cannot_act_are_said(world: World) -> None:
    filters = {"source": [{"type": "filter_rule", "rules": [{"type": "filter_shared"}]}]}
    overrides = {"delete_propagation": "ignore_both", "performance.parallel_writes.max": "1"}
    block = {"filter": filters, "rendition": "original"}
    found = prepared(world, world.tree(), str(world.folder / "d"), block=block, overrides=overrides)
    assert sorted(warning.partition(":")[0] for warning in found.warnings) == [
        "delete_propagation",
        "filter.source",
        "performance.parallel_writes.requested",
        "rendition",
    ]


def test_a_second_call_goes_on_with_the_same_job(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    first = prepared(world, source, destination)
    end(world, first.execution.id)
    second = prepared(world, source + "/", destination)
    assert second.job.id == first.job.id
    assert second.execution.id != first.execution.id
    assert second.execution.attempt == 2


def test_another_type_or_folder_is_another_job(world: World) -> None:
    source = world.tree()
    first = prepared(world, source, str(world.folder / "one"))
    other = prepared(world, source, str(world.folder / "two"))
    with world.store() as database:
        typed = prepare(database, "publish", source, str(world.folder / "one"))
    assert len({first.job.id, other.job.id, typed.job.id}) == 3


@pytest.mark.parametrize("state", ["executing", "paused", "waiting", "pausing"])
def test_a_run_that_has_not_ended_is_resumed_and_said(world: World, state: str) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    first = prepared(world, source, destination)
    with world.store() as database, database.begin() as tx:
        executions.move(tx, first.execution.id, ("ready",), state)
    second = prepared(world, source, destination)
    assert second.execution.id == first.execution.id
    assert second.execution.state == ("ready" if state in ("paused", "pausing") else state)
    assert "has not ended" in second.notes[0]


def test_a_resumed_run_keeps_its_policies_and_says_so(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    first = prepared(world, source, destination)
    second = prepared(world, source, destination, overrides={"conflict_resolution": "latest"})
    assert second.execution.policies == first.execution.policies
    assert "keeps the policies" in second.notes[1]


def test_a_run_that_is_being_canceled_is_not_resumed(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    first = prepared(world, source, destination)
    with world.store() as database, database.begin() as tx:
        executions.move(tx, first.execution.id, ("ready",), "canceling")
    with pytest.raises(Stop):
        prepared(world, source, destination)


def test_an_unfinished_simulation_makes_room_for_the_real_run(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    first = prepared(world, source, destination, simulation=True)
    assert first.execution.simulation
    second = prepared(world, source, destination)
    assert second.execution.id != first.execution.id
    assert not second.execution.simulation


def test_a_simulation_does_not_resume_a_real_run(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "destination")
    prepared(world, source, destination)
    with pytest.raises(Stop, match="before a simulation"):
        prepared(world, source, destination, simulation=True)


def test_a_folder_has_no_limit_of_items_unless_one_is_asked_for() -> None:
    assert policies_of("copy", {}, {}).max_items_per_container is None
    assert policies_of("copy", {"max_items_per_container": 7}, {}).max_items_per_container == 7
    assert policies_of("copy", {}, {"max_items_per_container": "8"}).max_items_per_container == 8


def test_policies_come_from_the_block_then_the_options() -> None:
    block = {"conflict_resolution": "latest", "failure_policy": "halt"}
    found = policies_of("copy", block, {"conflict_resolution": "source"}, verify="cold")
    assert found.conflict_resolution is ConflictResolution.SOURCE
    assert found.failure_policy == "halt"
    assert found.verify is VerifyLevel.COLD
    assert found.transfer_type is TransferType.COPY


def test_the_frozen_policies_are_those_asked_for(world: World) -> None:
    found = prepared(world, world.tree(), str(world.folder / "d"), overrides={"durability": "none"}, verify="size")
    policies = policies_from_json(found.execution.policies)
    assert (policies.durability, policies.verify) == ("none", VerifyLevel.SIZE)


@pytest.mark.parametrize(
    ("block", "overrides"),
    [
        ({"transfer_type": "sync"}, {}),
        ({"conflict_resolution": "newest"}, {}),
        ({"no_such_key": 1}, {}),
        ({}, {"conflict_resolution": "newest"}),
        ({}, {"no.such.key": "1"}),
        ({}, {"transfer_type": "sync"}),
    ],
)
def test_a_policy_that_is_none_is_a_usage_error(block: dict, overrides: dict) -> None:
    with pytest.raises(Stop) as caught:
        policies_of("copy", block, overrides)
    assert caught.value.code is Exit.USAGE


def test_the_levels_of_the_option_are_those_of_the_domain() -> None:
    assert set(LEVELS) == {level.name.lower() for level in VerifyLevel if level is not VerifyLevel.NONE}


# -- the command


def test_a_copy_ends_with_a_summary_and_0(world: World) -> None:
    result = world.call("copy", world.tree(), str(world.folder / "destination"))
    assert result.exit_code == 0, result.output
    assert "run 1 complete: 3 items" in result.stdout


def test_json_ends_with_one_object(world: World) -> None:
    found = world.json("copy", world.tree(), str(world.folder / "destination"), "--json")
    for key in ("run_id", "status", "items", "bytes", "failed", "skipped", "seconds"):
        assert key in found
    assert (found["run_id"], found["status"], found["items"], found["bytes"]) == (1, "complete", 3, 30)


def test_quiet_says_nothing(world: World) -> None:
    result = world.call("copy", world.tree(), str(world.folder / "destination"), "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_failed_items_end_with_5_and_the_next_command(world: World) -> None:
    def play(database, run):
        with database.begin() as tx:
            failure = (run.id, 1, b"secret.txt", 1, 4, "permission_denied", "cannot read secret.txt", 5, 6, 1, 7)
            failures.write(tx, database, [failure])
        complete(transferred=2, failed=1)(database, run)

    world.play = play
    result = world.call(
        "copy", world.tree(), str(world.folder / "destination"), "--data", str(world.folder / "my data")
    )
    assert result.exit_code == 5
    assert "permission_denied" in result.stdout
    assert f"tallyport runs retry 1 --data '{world.folder / 'my data'}'" in result.stdout


def test_a_simulation_with_blockers_ends_with_7(world: World) -> None:
    world.play = complete(failed=1)
    result = world.call("copy", world.tree(), str(world.folder / "destination"), "--simulate", "--json")
    assert result.exit_code == 7
    assert json.loads(result.stdout)["simulation"] is True


def test_a_halted_run_ends_with_6(world: World) -> None:
    def play(database, run):
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "executing")
            executions.move(tx, run.id, ("executing",), "failed", failed=1, info="stopped by the failure policy")

    world.play = play
    result = world.call("copy", world.tree(), str(world.folder / "destination"), "--policy", "failure_policy=halt")
    assert result.exit_code == 6
    assert "stopped by the failure policy" in result.stdout


def test_a_run_that_cannot_start_ends_with_1(world: World) -> None:
    def play(database, run):
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "failed_to_start", info="the source is gone")

    world.play = play
    result = world.call("copy", world.tree(), str(world.folder / "destination"))
    assert result.exit_code == 1
    assert "the source is gone" in result.stdout


def test_a_missing_source_ends_with_3_and_makes_no_ledger(world: World) -> None:
    result = world.call("copy", str(world.folder / "nowhere"), str(world.folder / "destination"), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["status"] == "failed_to_start"
    assert "does not exist" in result.stderr
    assert not world.data.exists()


@pytest.mark.parametrize("name", ["copy", "sync", "publish", "move", "migrate", "taxonomy"])
def test_every_type_runs(world: World, name: str) -> None:
    assert world.call(name, world.tree(), str(world.folder / "destination")).exit_code == 0


@pytest.mark.parametrize(
    "options",
    [["--policy", "nonsense"], ["--policy", "=x"], ["--verify", "maybe"], ["--job", "BAD"], ["--movers", "0"]],
)
def test_bad_options_are_usage_errors(world: World, options: list[str]) -> None:
    bad = world.folder / "bad.json"
    bad.write_text("{")
    words = [str(bad) if word == "BAD" else word for word in options]
    result = world.call("copy", world.tree(), str(world.folder / "destination"), *words)
    assert result.exit_code == 2, result.output


def test_original_names_are_those_of_a_run_that_wrote_the_source(world: World) -> None:
    source, there, back = world.tree(), str(world.folder / "there"), str(world.folder / "back")
    os.mkdir(there)  # nothing is carried in this world
    assert world.call("copy", source, there).exit_code == 0
    assert world.call("copy", there, back, "--names-from", "1").exit_code == 0
    with world.store() as database, database.read() as tx:
        first, second = executions.find(tx, 1), executions.find(tx, 2)
    assert first is not None
    assert second is not None
    assert policies_from_json(second.policies).names_from == first.job_id
    missing = world.call("copy", there, back, "--names-from", "99")
    assert (missing.exit_code, "no such run" in missing.output) == (3, True)
    another = world.call("copy", source, back, "--names-from", "1")
    assert (another.exit_code, "another place" in another.output) == (2, True)


def test_policies_of_a_job_file_are_taken_and_its_endpoints_are_not(world: World) -> None:
    file = world.folder / "job.json"
    transfer = {
        "transfer_type": "copy",
        "conflict_resolution": "latest",
        "source": {"connection": {"id": "{{x}}"}, "target": {"path": "/sourcePath"}},
        "destination": {"connection": {"id": "{{y}}"}},
    }
    file.write_text(json.dumps({"name": "Job", "kind": "transfer", "transfer": transfer}))
    found = world.json("copy", world.tree(), str(world.folder / "destination"), "--job", str(file), "--json")
    with world.store() as database, database.read() as tx:
        run = executions.find(tx, found["run_id"])
        job = jobs.find(tx, found["job_id"])
    assert run is not None
    assert job is not None
    assert policies_from_json(run.policies).conflict_resolution is ConflictResolution.LATEST


def test_a_job_file_that_is_missing_is_not_found(world: World) -> None:
    result = world.call("copy", world.tree(), str(world.folder / "d"), "--job", str(world.folder / "no.json"))
    assert result.exit_code == 3


def test_ctrl_c_pauses_and_says_how_to_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.play = pausing
    thread = meanwhile(world, lambda: os.kill(os.getpid(), signal.SIGINT))
    result = world.call("copy", world.tree(), str(world.folder / "destination"), "--json")
    thread.join()
    assert result.exit_code == 130
    assert json.loads(result.stdout)["status"] == "paused"
    assert "stopping after the items in flight" in result.stderr
    assert "tallyport runs resume 1" in result.stderr


def test_a_run_that_waits_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(database, run):
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "executing")
            executions.move(tx, run.id, ("executing",), "waiting", wait_reason="no_space", info="no room left")

    world.play = play
    is_said = threading.Event()
    say = Screen.say

    def heard(screen: Screen, text: str) -> None:
        say(screen, text)
        if "waits" in text:
            is_said.set()

    monkeypatch.setattr(Screen, "say", heard)

    def go_on() -> None:
        assert world.engine is not None
        is_said.wait(60)
        with world.engine.database.begin() as tx:
            executions.move(tx, 1, ("waiting",), "executing")
            executions.move(tx, 1, ("executing",), "complete", result="clean")

    thread = meanwhile(world, go_on)
    result = world.call("copy", world.tree(), str(world.folder / "destination"))
    thread.join()
    assert result.exit_code == 0
    assert "run 1 waits: no room left" in result.stderr


def test_the_second_ctrl_c_stops_at_once(world: World) -> None:
    ended = []
    screen = follow.Screen(quiet=True)
    interrupts = follow.Interrupts(screen, at_once=lambda: ended.append(True))
    interrupts.interrupt()
    assert not ended
    interrupts.interrupt()
    assert ended


def test_a_ctrl_c_while_the_engine_starts_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.play = pausing
    opening = world.embedded

    def slow(data, *, movers=None):
        os.kill(os.getpid(), signal.SIGINT)
        return opening(data, movers=movers)

    monkeypatch.setattr("tallyport.app.embedded", slow)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where a shell began us in the background
    try:
        assert world.call("copy", world.tree(), str(world.folder / "destination")).exit_code == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_polls_are_quick() -> None:
    assert follow.FIRST_POLL < 0.01
    assert follow.POLL == 0.05


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_a_person_is_asked_before_a_type_that_deletes(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("tallyport.cli.transfers.is_asked", lambda: True)
    result = world.call("move", world.tree(), str(world.folder / "destination"), input=answer)
    assert result.exit_code == code, result.output
    assert "the source is emptied" in result.stderr


@pytest.mark.parametrize("option", ["--yes", "--simulate"])
def test_nobody_is_asked_who_said_yes_or_only_looks(world: World, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setattr("tallyport.cli.transfers.is_asked", lambda: True)
    assert world.call("move", world.tree(), str(world.folder / "destination"), option).exit_code == 0
