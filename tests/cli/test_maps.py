"""`tallyport maps` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallyport.cli.main import tallyport
from tallyport.store import jobs, security_map
from tests.cli.line import Line
from tests.client.server import Served, finish

PAIRS = '"source_name","destination_name"\n"ann","ann.new"\n"joe","joe.new"\n'


@pytest.fixture
def line(served: Served) -> Line:
    served.play = finish
    return Line(served, "maps")


@pytest.mark.parametrize("groups", [(), ("--groups",)])
def test_a_map_is_added_with_its_pairs_shown_exported_and_removed(line: Line, groups: tuple[str, ...]) -> None:
    words = ("--rule", "name", "--unmapped", "fail", "--default", "nobody", "--pairs", "-")
    made = line.good("add", "--name", "people", *words, *groups, input=PAIRS)
    assert f"{made}      2  people" in line.good("list", *groups)
    shown = line.good("show", made, *groups)
    assert "rules     name" in shown
    assert "unmapped  fail" in shown
    assert "default   nobody (destination)" in shown
    assert '"","","ann","","","","ann.new",""' in line.good("export", made, *groups)
    assert line.good("exclude", made, "source", "zed", "zoe", *groups) == "2 excluded"
    assert "excluded  zed (source)" in line.good("show", made, *groups)
    assert line.good("rm", made, *groups) == f"removed {made}"
    assert line.call("show", made, *groups).exit_code == 3


def test_a_wrong_file_is_refused_with_its_line_and_leaves_no_map(line: Line) -> None:
    before = line.good("list")
    wrong = line.call("add", "--name", "x", "--pairs", "-", input='"source_name","destination_name"\n"ann",""\n')
    assert wrong.exit_code == 2
    assert "line 2 names no destination" in wrong.stderr
    assert line.good("list") == before
    assert line.call("add", "--name", "x", "--pairs", "/nowhere/x.csv").exit_code == 3


def test_pairs_are_imported_and_replaced(line: Line, tmp_path: Path) -> None:
    made = line.good("add", "--name", "others")
    (tmp_path / "pairs.csv").write_text(PAIRS)
    assert line.good("import", made, str(tmp_path / "pairs.csv")) == "2 pairs"
    (tmp_path / "pairs.csv").write_text(PAIRS.replace("ann", "amy"))
    line.good("import", made, str(tmp_path / "pairs.csv"), "--replace")
    assert json.loads(line.good("show", made, "--json"))["exceptions"] == {"total_count": 2}
    assert '"ann"' not in line.good("export", made)


def test_who_became_whom_in_a_job_is_listed(line: Line, served: Served, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    ends = []
    for words in (("--path", str(tmp_path / "s")), ("--path", str(tmp_path / "d"), "--make")):
        made = CliRunner().invoke(tallyport, ["connections", "add", "fs", *words], env=line.environment)
        ends.append(made.stdout.strip())
    body = {"name": "j", "kind": "transfer", "transfer": {"transfer_type": "copy"}, "schedule": {"mode": "manual"}}
    command = ["jobs", "create", "-f", "-", "--source", ends[0], "--destination", ends[1]]
    job = CliRunner().invoke(tallyport, command, input=json.dumps(body), env=line.environment).stdout.strip()
    with served.database.begin() as tx:
        stored = jobs.find(tx, job)
        assert stored is not None
        use = ("destination", '{"name": "ann"}', "unmapped", "", "nobody is ann", 4)
        security_map.write(tx, served.database, stored.number, 1, [use])
    found = line.good("resolved", job)
    assert "unmapped" in found
    assert "nobody is ann" in found
