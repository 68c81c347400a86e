"""`tallyport runs`, `failed`, `explain`: what the ledger says, and how to go on."""

from __future__ import annotations

import csv
import io
import json
import os
from xml.etree import ElementTree

import pytest

from tallyport.store import executions, items, losses
from tests.carried import carry_parts
from tests.cli.fakes import World, complete, pausing

AWKWARD = os.fsdecode(b"caf\xe9\x1b.txt")


def test_without_a_ledger_every_command_says_so(world: World) -> None:
    for words in (
        ["runs", "list"],
        ["runs", "show", "1"],
        ["failed", "1"],
        ["explain", "1", "a"],
        ["db", "backup", "x"],
    ):
        result = world.call(*words)
        assert result.exit_code == 3
        assert "no ledger" in result.stderr
    assert not world.data.exists()


def test_runs_are_listed_newest_first(world: World) -> None:
    world.run_with_failures()
    world.run_with_failures("a")
    result = world.call("runs", "list")
    assert result.exit_code == 0, result.output
    assert [row.split()[0] for row in result.stdout.splitlines()] == ["RUN", "2", "1"]
    found = world.json("runs", "list", "--json")
    assert [run["id"] for run in found["runs"]] == [2, 1]
    assert not {"token", "policies"} & set(found["runs"][0])


@pytest.mark.parametrize("run", ["1", "last"])
def test_a_run_is_shown(world: World, run: str) -> None:
    world.run_with_failures("secret")
    result = world.call("runs", "show", run)
    assert result.exit_code == 0, result.output
    assert "permission_denied" in result.stdout
    assert world.json("runs", "show", run, "--json")["failed"] == 1


@pytest.mark.parametrize(("run", "code"), [("7", 3), ("x", 2), ("9" * 30, 2), ("-1", 2)])
def test_a_run_that_is_none(world: World, run: str, code: int) -> None:
    world.run_with_failures()
    assert world.call("runs", "show", run).exit_code == code


def test_an_ended_run_cannot_be_resumed(world: World) -> None:
    world.run_with_failures("a")
    result = world.call("runs", "resume", "1")
    assert result.exit_code == 1
    assert "runs retry 1" in result.stderr


def test_a_paused_run_is_resumed(world: World) -> None:
    source, destination = world.tree(), str(world.folder / "d")
    world.play = pausing
    with world.store():
        pass
    from tallyport.cli.one_shot import prepare

    with world.store() as database:
        run = prepare(database, "copy", source, destination).execution
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "paused")
    world.play = complete(transferred=1)
    result = world.call("runs", "resume", str(run.id), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["run_id"] == run.id


def test_a_retry_is_a_new_run_of_the_failed_items(world: World) -> None:
    world.run_with_failures("a", "b")
    world.play = complete(transferred=2)
    found = world.json("runs", "retry", "1", "--json")
    assert (found["run_id"], found["failed"]) == (2, 0)
    with world.store() as database, database.read() as tx:
        run = executions.find(tx, 2)
    assert run is not None
    assert (run.retry_of, run.trigger, json.loads(run.scope or "")) == (1, "retry", {})


def test_a_retry_by_reason(world: World) -> None:
    world.run_with_failures("a")
    assert world.call("runs", "retry", "1", "--reason", "nonsense").exit_code == 2
    world.json("runs", "retry", "1", "--reason", "permission_denied", "--json")
    with world.store() as database, database.read() as tx:
        run = executions.find(tx, 2)
    assert run is not None
    assert json.loads(run.scope or "") == {"reasons": ["permission_denied"]}


def test_a_paused_run_is_canceled(world: World) -> None:
    from tallyport.cli.one_shot import prepare

    source = world.tree()
    with world.store() as database:
        run = prepare(database, "copy", source, str(world.folder / "d")).execution
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "paused")
    result = world.call("runs", "cancel", "last")
    assert (result.exit_code, result.stdout) == (0, f"run {run.id} is canceled\n")
    assert world.call("runs", "cancel", "last").exit_code == 1


def test_the_report_adds_up(world: World) -> None:
    world.run_with_failures("a", "b")
    result = world.call("runs", "report", "1")
    assert result.exit_code == 0, result.output
    assert "Report of run 1" in result.stdout
    document = json.loads(world.call("runs", "report", "1", "--format", "json").stdout)
    assert document["items"]["by_status"] == {"success": 1, "flagged": 2}
    assert document["policies"]


def test_the_report_says_what_items_lost(world: World) -> None:
    run = world.run_with_failures("a")
    with world.store() as database, database.begin() as tx:
        (item,) = [one for one in items.iterate(tx, 1) if one.path == "a"]
        losses.write(tx, database, world.ids, run, [(item.id, "owner", f"the owner of {n} is root") for n in range(30)])
    document = json.loads(world.call("runs", "report", "1", "--format", "json").stdout)
    assert document["losses"]["by_kind"] == {"owner": 30}
    assert document["losses"]["first"][0] == {"path": "a", "what": "owner", "detail": "the owner of 0 is root"}
    text = world.call("runs", "report", "1").stdout
    assert "Carried, but without\n          30  owner\n" in text
    assert "and more" in text


def test_failed_items_as_text(world: World) -> None:
    world.run_with_failures("a", AWKWARD)
    result = world.call("failed", "1")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "caf\\xe9" in result.stdout
    assert "tallyport runs retry 1" in result.stdout


def test_failed_items_as_json(world: World) -> None:
    world.run_with_failures("b", "a")
    found = json.loads(world.call("failed", "1", "--format", "json").stdout)
    assert [item["path"] for item in found] == ["a", "b"]
    assert json.loads(world.call("failed", "1", "--json").stdout) == found


def test_failed_items_as_csv_guard_against_formulas(world: World) -> None:
    world.run_with_failures("=cmd()", 'quote"d', "new\nline")
    rows = list(csv.DictReader(io.StringIO(world.call("failed", "1", "--format", "csv").stdout, newline="")))
    assert [row["path"] for row in rows] == ["'=cmd()", "new\nline", 'quote"d']


def test_failed_items_as_xml_are_well_formed(world: World) -> None:
    world.run_with_failures("<&>", AWKWARD)
    tree = ElementTree.fromstring(world.call("failed", "1", "--format", "xml").stdout)
    assert [item.findtext("path") for item in tree] == ["<&>", "caf\\xe9\\u001b.txt"]


@pytest.mark.parametrize("form", ["text", "json", "csv", "xml"])
def test_failed_items_group_by_cause(world: World, form: str) -> None:
    world.run_with_failures("one", "two", "three")
    result = world.call("failed", "1", "--by-reason", "--format", form)
    assert result.exit_code == 0, result.output
    if form == "json":
        (group,) = json.loads(result.stdout)
        assert (group["reason"], group["count"]) == ("permission_denied", 3)
    assert "permission_denied" in result.stdout


@pytest.mark.parametrize("form", ["text", "json", "csv", "xml"])
def test_a_run_without_failures(world: World, form: str) -> None:
    world.run_with_failures()
    result = world.call("failed", "1", "--format", form)
    assert result.exit_code == 0
    if form == "json":
        assert json.loads(result.stdout) == []
    if form == "text":
        assert "no item failed" in result.stdout


def test_explain_says_state_reason_and_tries(world: World) -> None:
    world.run_with_failures("secret")
    result = world.call("explain", "1", "./secret")
    assert result.exit_code == 0, result.output
    for words in ("secret (file)", "flagged", "permission_denied", "does not let this process", "failed tries"):
        assert words in result.stdout
    found = world.json("explain", "1", "secret", "--json")
    assert (found["status"], len(found["failures"])) == ("flagged", 1)


def test_explain_says_which_worker_carried_which_part_of_a_huge_file(world: World) -> None:
    run = world.run_with_failures("big", "small")
    with world.store() as database:
        with database.read() as tx:
            item = items.at_path(tx, 1, "big")
        assert item is not None
        carry_parts(database, run, item.id, ["ann", "bob", "ann"], [], 1)
    said = world.call("explain", "1", "big").stdout
    for words in ("parts     4:", "2 carried (134.2 MB) by ann, the last 2023-11-14", "1 waiting (67.1 MB)"):
        assert words in said, said
    found = world.json("explain", "1", "big", "--json")["parts"]
    assert [(one["start"], one["worker"]) for one in found["first"]][:2] == [(0, "ann"), (64 << 20, "bob")]
    assert "parts" not in world.call("explain", "1", "small").stdout


def test_explain_the_root_and_an_unknown_path(world: World) -> None:
    world.run_with_failures("secret")
    assert "(container)" in world.call("explain", "last", ".").stdout
    assert world.call("explain", "1", "nowhere/at/all").exit_code == 3


def test_a_braked_run_wants_an_approval(world: World) -> None:
    def braking(database, run):
        with database.begin() as tx:
            if run.state == "pausing":
                executions.move(tx, run.id, ("pausing",), "paused", info="paused")
            else:
                executions.move(tx, run.id, ("ready",), "executing")
                executions.move(tx, run.id, ("executing",), "waiting", wait_reason="brake", info="7 items too many")

    world.play = braking
    result = world.call("copy", world.tree(), str(world.folder / "d"))
    assert result.exit_code == 6, result.output
    assert "7 items too many" in result.stderr
    assert "runs resume 1 --approve-deletes" in result.stderr
    assert world.call("runs", "resume", "1").exit_code == 6
    world.play = complete(transferred=1)
    assert world.call("runs", "resume", "1", "--approve-deletes").exit_code == 0
