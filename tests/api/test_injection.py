"""Whatever is searched for, sorted by or pointed at, it is a value: it is never part of a statement."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.api.world import World

FILTERS = {
    "/v1/jobs": (
        "q",
        "status",
        "kind",
        "category",
        "parent",
        "parentId",
        "source",
        "sortDirection",
        "fields",
        "active",
    ),
    "/v1/connections": ("q", "platform", "limit", "offset"),
    "/v1/events": ("topic", "jobId", "domain", "environmentId", "spaceId", "since", "after", "cursor", "pageSize"),
    "/v1/users": ("q", "role"),
    "/v1/tokens": ("user",),
    "/v1/audit": ("actor", "action", "object", "since", "until", "cursor"),
    "/v1/audit.csv": ("actor", "action", "object"),
    "/v1/transfers/items": ("job", "status", "type", "parent", "reason", "execution", "q", "cursor"),
    "/v1/transfers/items/flagged": ("job", "reason", "q"),
    "/v1/transfers/auditing": ("job", "execution", "item", "level", "cursor"),
    "/v1/jobs/history": ("job", "execution"),
    "/Job": ("jobCategory", "limit", "offset"),
}
SEEDS = (
    "' OR '1'='1",
    "'; DROP TABLE jobs; --",
    '" OR ""="',
    "1; DELETE FROM users",
    "1 OR 1=1",
    "' UNION SELECT * FROM tokens --",
    "') OR ('1'='1",
    "%' OR name LIKE '%",
    "\\'; --",
    "'||(SELECT password FROM users)||'",
    "1) UNION SELECT 1,2,3 --",
    "admin'--",
    "x' AND 1=(SELECT COUNT(*) FROM users) --",
    "'; ATTACH DATABASE '/tmp/x' AS x; --",
    "%",
    "_",
    "%%",
    "[a-z]",
    "' OR sqlite_version() --",
    "pg_sleep(10)",
    "'; SELECT pg_sleep(10) --",
    "$1",
    ":name",
    "?",
    "{{7*7}}",
    "${7*7}",
    "<%= 7 %>",
    "../../etc/passwd",
    "..%2f..%2f",
    "/etc/passwd\x00.txt",
    "\r\nSet-Cookie: a=b",
    "<script>alert(1)</script>",
    "a" * 5_000,
    "\u202e",
    "\ud7ff",
    "\U0001f600",
    "NaN",
    "-1",
    "1e999",
    "9" * 40,
    "0x10",
    "null",
    "true",
    "[]",
    "{}",
    '{"$gt": ""}',
    "*" * 200,
    "(a+)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
)
PIECES = (
    "'",
    '"',
    ";",
    "--",
    "/*",
    "*/",
    ")",
    "(",
    "%",
    "_",
    "\\",
    "||",
    " OR ",
    " UNION SELECT ",
    "=",
    "\x00",
    "\n",
    "0",
    "x",
)


def payloads(count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield places and what to put there: known attacks, and pieces of them put together by chance."""
    chance = random.Random(seed)
    places = [(path, name) for path, names in FILTERS.items() for name in names]
    for number in range(count):
        path, name = places[number % len(places)]
        text = (
            chance.choice(SEEDS) if chance.random() < 0.5 else "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        )
        yield path, name, text + (chance.choice(PIECES) if chance.random() < 0.3 else "")


def attack(world: World, count: int, seed: int) -> None:
    job_id = world.job(name="the only job")
    world.connection("the only connection")
    before = everything(world)
    for path, name, text in payloads(count, seed):
        answer = world.get(path, params={name: text})
        assert answer.status_code in (200, 400, 404, 406), (
            seed,
            path,
            name,
            text,
            answer.status_code,
            answer.text[:300],
        )
        assert "sqlite3" not in answer.text, (path, name, text)
        assert "sqlalchemy" not in answer.text.lower(), (path, name, text)
        if path == "/v1/jobs" and name == "q" and answer.status_code == 200 and text.strip():
            shown = "the only job" in answer.text
            assert shown == (text.lower() in "the only job"), text
    assert everything(world) == before
    assert world.get(f"/v1/jobs/{job_id}").status_code == 200


def everything(world: World) -> dict[str, int]:
    with world.database.read() as tx:
        names = [row[0] for row in tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: tx.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one() for name in sorted(names)}


def test_500_payloads_in_filters_are_values(world: World) -> None:
    attack(world, 500, 1)


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
def test_10_000_payloads_in_filters_are_values(world: World) -> None:
    attack(world, 10_000, random.randrange(1 << 30))


@pytest.mark.parametrize("text", SEEDS)
def test_an_attack_in_a_path_finds_nothing(world: World, text: str) -> None:
    from urllib.parse import quote

    for path in ("/v1/jobs/{}", "/v1/connections/{}", "/v1/events/{}", "/v1/users/{}", "/v1/webhooks/{}", "/Job/{}"):
        answer = world.get(path.format(quote(text, safe="")))
        assert answer.status_code in (200, 404, 400), (path, text, answer.text[:300])
        if answer.status_code == 200:
            assert path == "/Job/{}", text


def test_deep_and_huge_json_is_refused_in_bounded_time(world: World) -> None:
    for body in (
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"name": "' + "x" * 1_000_000 + '"}',
    ):
        for path in ("/v1/jobs", "/v1/connections", "/v1/users", "/v1/webhooks", "/v1/tokens"):
            answer = world.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400, (path, body[:20], answer.text[:200])
    assert world.post("/v1/jobs", content=b"x" * (9 << 20)).status_code == 413
