"""`tallyport webhooks` and `tallyport audit`, and the client they use, against the real API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.client import Client, Invalid, NotAllowed
from tallyport.control.users import create_token
from tests.cli.line import Line
from tests.client.server import Served


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


def test_a_webhook_is_made_shown_switched_rotated_tested_and_removed(line: Line) -> None:
    number, secret = line.ends("webhooks", "add", "http://127.0.0.1:9/x", "--topic", "job:failed").stdout.split()
    assert secret.startswith("whsec_")
    assert number in line.ends("webhooks", "list").stdout
    assert line.json("webhooks", "list")["webhooks"]
    shown = line.ends("webhooks", "show", number).stdout
    assert "job:failed" in shown
    assert "0 pending, 0 delivered, 0 dead" in shown
    assert secret not in shown + line.ends("webhooks", "show", number, "--json").stdout
    line.ends("webhooks", "disable", number)
    assert "no: by a person" in line.ends("webhooks", "show", number).stdout
    line.ends("webhooks", "retry", number, code=1)
    line.ends("webhooks", "enable", number)
    assert line.ends("webhooks", "retry", number).stdout == "0 to be tried again\n"
    assert line.ends("webhooks", "rotate", number).stdout.strip() != secret
    assert "no answer" in line.ends("webhooks", "test", number, code=1).stdout
    assert line.json("webhooks", "deliveries", number) == {"deliveries": []}
    line.ends("webhooks", "rm", number)
    line.ends("webhooks", "show", number, code=3)
    line.ends("webhooks", "add", "ftp://example.com/", code=2)


def test_the_record_is_listed_filtered_written_as_csv_and_checked(line: Line) -> None:
    line.ends("webhooks", "add", "http://127.0.0.1:9/y", "--name", "=evil()")
    (first,) = line.json("audit", "list", "--action", "webhook.created", "--limit", "1")["audit"]
    assert (first["actor"], first["name"]) == ("ann", "=evil()")
    assert "webhook.created" in line.ends("audit", "list").stdout
    rows = list(csv.reader(io.StringIO(line.ends("audit", "list", "--csv", "--action", "webhook.").stdout)))
    assert rows[0] == ["time", "actor", "action", "object", "name", "changes"]
    assert rows[1][4] == "'=evil()"
    assert line.ends("audit", "verify").stdout == "the record is whole\n"
    line.ends("audit", "list", "--csv", "--json", code=2)
    line.ends("audit", "list", "--since", "soon", code=2)


def test_who_may_not_is_told_to_sign_in(line: Line, served: Served) -> None:
    narrow = create_token(served.database, "ann", "read")
    line.ends("audit", "list", code=4, TALLYPORT_TOKEN=narrow)
    line.ends("webhooks", "list", code=4, TALLYPORT_TOKEN=narrow)
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
