"""`tallyport jobs` beyond start and stop, and `tallyport schedules`, against the real API."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tallyport.domain.folder_mapping import Folder
from tallyport.domain.losses import BITS, Fact
from tallyport.store import folder_mapping, jobs
from tallyport.store.database import Database
from tests.cli.line import Line
from tests.client.server import Served, finish
from tests.client.test_real import failing


def quiet(_database: Database, _run: int) -> None:
    """Leave a run as it is."""


@pytest.fixture
def job(line: Line, tmp_path: Path) -> str:
    for name in ("one", "two"):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "file.txt").write_text(name)
    source = line.good("connections", "add", "fs", "--path", str(tmp_path / "source"), "--name", "src")
    destination = line.good("connections", "add", "fs", "--path", str(tmp_path / "destination"), "--make")
    body = {"name": "the job", "kind": "transfer", "transfer": {"transfer_type": "copy"}}
    words = ["jobs", "create", "-f", "-", "--source", source, "--destination", destination]
    return line.good(*words, input=json.dumps(body))


def shown(line: Line, job: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line.good("jobs", "show", job, "--json"))
    return found


def test_a_job_is_changed_and_cloned(line: Line, job: str) -> None:
    assert line.good("jobs", "update", job, "--name", "renamed") == f"{job} is created"
    assert shown(line, job)["job"]["name"] == "renamed"
    line.good("jobs", "update", job, "-f", "-", input='{"stop_policy": {"on_execute": 3}}')
    assert shown(line, job)["job"]["stop_policy"] == {"on_execute": 3}
    made = line.good("jobs", "clone", job, "--name", "another")
    assert made != job
    assert shown(line, made)["job"]["name"] == "another"
    assert line.call("jobs", "update", job).exit_code == 2
    assert line.call("jobs", "update", job, "-f", "-", input='{"hat": 1}').exit_code == 2
    assert line.call("jobs", "clone", "nothing").exit_code == 3


def test_a_job_is_split_into_parts(line: Line, served: Served, job: str) -> None:
    served.play = quiet
    listed = line.good("jobs", "split", job, "--parts", "2", "--parallel")
    assert "the job (part 1 of 2)" in listed
    assert "ready" in listed
    assert line.call("jobs", "split", job, "--parts", "2").exit_code == 1
    other = line.good("jobs", "clone", job)
    named = '[{"path": "/one"}, {"path": "/two"}]'
    document = json.loads(line.good("jobs", "split", other, "-f", "-", "--json", input=named))
    assert [part["data"]["partData"] for part in document["parts"]] == json.loads(named)
    assert line.call("jobs", "split", job).exit_code == 2
    for wrong in ("1", "1001", "many"):
        assert line.call("jobs", "split", job, "--parts", wrong).exit_code == 2
    light = line.call("jobs", "split", line.good("jobs", "clone", job), "--parts", "auto")
    assert light.exit_code == 1, light.output
    assert "it stays whole" in light.output
    assert line.call("jobs", "split", job, "-f", "-", input="{}").exit_code == 2


def test_a_folder_mapping_tells_what_its_children_did(line: Line, served: Served, job: str, tmp_path: Path) -> None:
    served.play = quiet
    ends = shown(line, job)["job"]["transfer"]
    words = [f"--{side}={ends[side]['connection']['id']}" for side in ("source", "destination")]
    body = {"name": "homes", "kind": "folder_mapping", "schedule": {"mode": "manual"}}
    body["transfer"] = {"transfer_type": "copy", "schedule": {"mode": "manual"}, "stop_policy": {"on_success": 3}}
    (tmp_path / "homes.json").write_text(json.dumps(body))
    parent = line.good("jobs", "create", "-f", str(tmp_path / "homes.json"), *words)
    assert "below  0 children\n" in line.good("jobs", "show", parent)
    with served.database.begin() as tx:
        whole = jobs.find(tx, parent)
        assert whole is not None
        one, two = folder_mapping.make(tx, whole, [Folder("one", "one"), Folder("two", "two")])
    line.good("jobs", "update", two.id, "-f", "-", input='{"disabled": true}')
    served.play = finish
    line.good("jobs", "start", one.id)
    told = line.good("jobs", "show", parent)
    assert "below  2 children: 1 complete, 1 created\n" in told
    assert "below  1 items carried by their newest runs, 0 failed now\n" in told
    assert "below  0 ended with failed items, 1 disabled" in told
    assert shown(line, parent)["job"]["children"]["count"] == 2
    assert "below" not in line.good("jobs", "show", one.id)


def test_a_plan_is_shown_and_blockers_are_an_exit_code(line: Line, job: str, tmp_path: Path) -> None:
    told = line.good("jobs", "plan", job)
    assert "2 items in 2 folders" in told
    assert "modified" in told
    os.mkfifo(tmp_path / "source" / "pipe")
    again = line.call("jobs", "plan", job, "--anew", "--json")
    assert again.exit_code == 7
    assert json.loads(again.stdout)["manifest"]["blocked"]["count"] == 1


def test_what_items_lost_is_shown_by_what_it_is(line: Line, served: Served, job: str) -> None:
    def losing(database: Database, run: int) -> None:
        failing(database, run)
        with database.begin() as tx:
            tx.exec_driver_sql(f"UPDATE items SET lost = {BITS[Fact.MODES] | BITS[Fact.HARD_LINKS]} WHERE kind = 1")
            tx.exec_driver_sql(f"UPDATE items SET lost = {BITS[Fact.MODES]} WHERE kind = 2")

    served.play = losing
    line.good("jobs", "start", job)
    told = line.good("jobs", "losses", job)
    assert "lost      modes of 2" in told
    assert "/secret\n    hard_links: it became a file of its own" in told
    assert "/secret" not in line.good("jobs", "losses", job, "--what", "owners")
    found = json.loads(line.good("jobs", "losses", job, "--what", "hard_links", "--json"))
    assert {one["what"]: one["count"] for one in found["losses"]} == {"hard_links": 1, "modes": 2}
    assert [one["path"] for one in found["items"]] == ["/secret"]
    assert line.call("jobs", "losses", job, "--what", "hats").exit_code == 2


def test_failed_items_are_tried_again_by_scope_item_and_list(
    line: Line, served: Served, job: str, tmp_path: Path
) -> None:
    served.play = failing
    line.good("jobs", "start", job)
    served.play = quiet
    item = json.loads(line.good("jobs", "show", job, "--json"))["job"]["unresolved_items"]
    assert item == 1
    assert line.call("jobs", "retry", job, "--scope", "some").exit_code == 2
    listed = tmp_path / "list.csv"
    listed.write_text(f"Path,Reason\n{tmp_path}/source/secret,x\n")
    assert "1 items are tried again" in line.good("jobs", "retry", job, "--list", str(listed))
    line.good("jobs", "cancel", job)
    assert line.good("jobs", "retry", job, "--scope", "failed") == f"{job} is created"
    line.good("jobs", "cancel", job)
    listed.write_text("Path\n/elsewhere\n")
    wrong = line.call("jobs", "retry", job, "--list", str(listed))
    assert wrong.exit_code == 2
    assert "/elsewhere" in wrong.output
    assert line.call("jobs", "retry", job, "--list", str(tmp_path / "none.csv")).exit_code == 1
    runs = json.loads(line.good("jobs", "history", job, "--json"))["job_executions"]
    assert [run["attempt"] for run in runs] == [3, 2, 1]
    assert "retry" in line.good("jobs", "history", job)


def test_schedules_are_set_shown_and_listed(line: Line, served: Served, job: str) -> None:
    served.play = quiet
    assert "next run" in line.good("schedules", "set", job, "--cron", "30 2 * * *", "--time-zone", "Europe/Paris")
    assert "cron 30 2 * * * (Europe/Paris)" in line.good("schedules", "show", job)
    assert job in line.good("schedules", "list")
    line.good("schedules", "set", job, "--every", "6h", "--hold")
    assert "held" in line.good("schedules", "show", job)
    assert "every 6h" in line.good("schedules", "list")
    line.good("schedules", "set", job, "--manual")
    assert job not in line.good("schedules", "list")
    whole = '{"mode": "auto", "run_at": {"hr": 3}, "start_date": 4000000000}'
    line.good("schedules", "set", job, "-f", "-", input=whole)
    assert "at 03:00" in line.good("schedules", "show", job)
    assert json.loads(line.good("schedules", "list", "--json"))["jobs"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--manual", "--every", "1h"],
        ["--every", "x"],
        ["--every", "0m"],
        ["--cron", "never"],
        ["--cron", "0 * * * *", "--time-zone", "Mars"],
    ],
)
def test_a_schedule_that_cannot_be_is_a_usage_error(line: Line, job: str, words: list[str]) -> None:
    assert line.call("schedules", "set", job, *words).exit_code == 2
    assert line.call("schedules", "show", "nothing").exit_code == 3
