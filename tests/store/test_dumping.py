"""A ledger on PostgreSQL is backed up by a program that fits, and its password is seen by nobody."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import dumping
from tallyport.store.database import open_database
from tallyport.store.dumping import Program
from tallyport.testing.postgres import PostgresServer, binaries


def test_the_oldest_program_that_knows_the_server_is_taken() -> None:
    programs = [Program(18, "/new"), Program(13, "/old"), Program(15, "/same"), Program(15, "/again")]
    assert dumping.fitting(15, programs).path == "/same"
    assert dumping.fitting(16, programs).path == "/new"


def test_where_none_fits_it_is_said_what_is_there_and_what_to_do() -> None:
    with pytest.raises(TallyportError) as caught:
        dumping.fitting(17, [Program(13, "/usr/bin/pg_dump")])
    assert caught.value.kind is ErrorKind.CONFIG
    for words in ("version 17 or newer", "/usr/bin/pg_dump is of version 13", "postgresql-client-17"):
        assert words in str(caught.value)
    with pytest.raises(TallyportError, match="there is none"):
        dumping.fitting(17, [])


def test_programs_say_their_versions_and_one_that_does_not_run_is_none(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 16.3 (Debian 16.3-1)'\n")
    bad.write_text("#!/no/such/program\n")
    for path in (good, bad):
        path.chmod(0o755)
    assert dumping.found([str(good), str(bad), str(tmp_path / "none")]) == [Program(16, str(good))]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cr%40t@db.example.com:5433/ledger?sslmode=require",
        "postgresql+psycopg://ada@db.example.com:5433/ledger?sslmode=require&password=s3cr%40t",
    ],
)
def test_the_password_is_not_on_the_command_line(url: str) -> None:
    conninfo, secret = dumping.connecting(url)
    assert secret == {"PGPASSWORD": "s3cr@t"}
    assert "s3cr" not in conninfo
    words = dict(word.split("=", 1) for word in conninfo.split())
    assert words == {
        "host": "db.example.com",
        "port": "5433",
        "user": "ada",
        "dbname": "ledger",
        "sslmode": "require",
    }


def test_a_url_without_a_password_leaves_the_environment_alone() -> None:
    assert dumping.connecting("postgresql://ada@/ledger?host=/run/postgresql")[1] == {}


def test_a_password_that_only_the_command_line_takes_is_refused() -> None:
    with pytest.raises(TallyportError, match="PGSERVICEFILE"):
        dumping.connecting("postgresql://ada@db/ledger?sslkey=k&sslpassword=x")


@pytest.mark.needs("pg_ctlcluster")
def test_a_dump_is_for_its_owner_alone_and_is_read_back(postgres: PostgresServer, tmp_path: Path) -> None:
    database = open_database(postgres.create())
    target = tmp_path / "ledger.dump"
    try:
        dumping.dump(database, str(target))
    finally:
        database.close()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    listed = subprocess.run(
        [os.path.join(binaries() or "", "pg_restore"), "--list", str(target)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TABLE DATA public executions" in listed.stdout


@pytest.mark.needs("pg_ctlcluster")
def test_what_the_program_says_when_it_fails_is_told(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    program = tmp_path / "pg_dump"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "if '--version' in sys.argv: print('pg_dump (PostgreSQL) 99.0'); sys.exit()\n"
        f"json.dump([sys.argv, os.environ.get('PGPASSWORD')], open({str(told)!r}, 'w'))\n"
        "print('half a dump'); print('pg_dump: error: no luck', file=sys.stderr); sys.exit(1)\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(dumping, "candidates", lambda: [str(program)])
    database = open_database(postgres.create().replace("tallyport@", "tallyport:hidden@"))
    try:
        with pytest.raises(TallyportError, match="no luck") as caught:
            dumping.dump(database, str(tmp_path / "ledger.dump"))
    finally:
        database.close()
    arguments, password = json.loads(told.read_text())
    assert password == "hidden"  # of no account
    assert "hidden" not in " ".join(arguments) + str(caught.value)
