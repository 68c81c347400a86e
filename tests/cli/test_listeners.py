"""`tallyport webhooks` and `tallyport audit`, and the client they use, against the real API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tallyport.cli.main import tallyport
from tallyport.client import Client, Invalid, NotAllowed
from tallyport.control.users import create_token
from tests.client.server import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


class Line:
    """A command line that speaks to the server."""

    def __init__(self, served: Served) -> None:
        self.environment = {"TALLYPORT_URL": served.url, "TALLYPORT_TOKEN": served.token}

    def call(self, *words: str, code: int = 0, **environment: str) -> Result:
        result = CliRunner().invoke(tallyport, [*words], env={**self.environment, **environment})
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str) -> dict:
        return json.loads(self.call(*words, "--json").stdout)


@pytest.fixture
def line(served: Served) -> Line:
    return Line(served)


def test_a_webhook_is_made_shown_switched_rotated_tested_and_removed(line: Line) -> None:
    number, secret = line.call("webhooks", "add", "http://127.0.0.1:9/x", "--topic", "job:failed").stdout.split()
    assert secret.startswith("whsec_")
    assert number in line.call("webhooks", "list").stdout
    assert line.json("webhooks", "list")["webhooks"]
    shown = line.call("webhooks", "show", number).stdout
    assert "job:failed" in shown
    assert "0 pending, 0 delivered, 0 dead" in shown
    assert secret not in shown + line.call("webhooks", "show", number, "--json").stdout
    line.call("webhooks", "disable", number)
    assert "no: by a person" in line.call("webhooks", "show", number).stdout
    line.call("webhooks", "retry", number, code=1)
    line.call("webhooks", "enable", number)
    assert line.call("webhooks", "retry", number).stdout == "0 to be tried again\n"
    assert line.call("webhooks", "rotate", number).stdout.strip() != secret
    assert "no answer" in line.call("webhooks", "test", number, code=1).stdout
    assert line.json("webhooks", "deliveries", number) == {"deliveries": []}
    line.call("webhooks", "rm", number)
    line.call("webhooks", "show", number, code=3)
    line.call("webhooks", "add", "ftp://example.com/", code=2)


def test_the_record_is_listed_filtered_written_as_csv_and_checked(line: Line) -> None:
    line.call("webhooks", "add", "http://127.0.0.1:9/y", "--name", "=evil()")
    (first,) = line.json("audit", "list", "--action", "webhook.created", "--limit", "1")["audit"]
    assert (first["actor"], first["name"]) == ("ann", "=evil()")
    assert "webhook.created" in line.call("audit", "list").stdout
    rows = list(csv.reader(io.StringIO(line.call("audit", "list", "--csv", "--action", "webhook.").stdout)))
    assert rows[0] == ["time", "actor", "action", "object", "name", "changes"]
    assert rows[1][4] == "'=evil()"
    assert line.call("audit", "verify").stdout == "the record is whole\n"
    line.call("audit", "list", "--csv", "--json", code=2)
    line.call("audit", "list", "--since", "soon", code=2)


def test_who_may_not_is_told_to_sign_in(line: Line, served: Served) -> None:
    narrow = create_token(served.database, "ann", "read")
    line.call("audit", "list", code=4, TALLYPORT_TOKEN=narrow)
    line.call("webhooks", "list", code=4, TALLYPORT_TOKEN=narrow)
    with Client(served.url, narrow) as client, pytest.raises(NotAllowed):
        list(client.webhooks.list())


def test_the_client_iterates_events_and_acknowledges(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    ends = [client.connections.create("fs", {"path": str(tmp_path / name)}, make=True) for name in ("a", "b")]
    job = client.jobs.create(name="told", source=ends[0], destination=ends[1], transfer_type="copy")
    seen = list(client.events.iterate(job=job.id))
    assert seen[0].topic == "job:created"
    assert list(client.events.iterate(after=seen[-1].id, job=job.id)) == []
    client.events.acknowledge(seen[0].id)
    assert [one.id for one in client.events.iterate(job=job.id, topic="job:created")] == [seen[0].id]
    with pytest.raises(Invalid):
        list(client.events.iterate(topic="job:started"))


def test_the_client_changes_a_webhook(client: Client) -> None:
    made = client.webhooks.create("http://127.0.0.1:9/z", topics=["job:failed"], name="mine")
    assert made.secret is not None
    assert made.secret not in repr(made)
    assert client.webhooks.change(made.id, topics=[]).topics == ()
    assert made.id in [one.id for one in client.webhooks.list()]
    client.webhooks.delete(made.id)
