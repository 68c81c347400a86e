"""Account and group maps over the API: made, read, changed, filled from CSV, used by jobs, refused with the reason."""

from typing import Any

import pytest

from tallyport.store import maps, security_map
from tests.api.world import World

PAIR = {"source": {"name": "ann@old.org", "type": "account"}, "destination": {"name": "ann"}}
HEADER = (
    '"source_id","source_username","source_name","source_caption",'
    '"destination_id","destination_username","destination_name","destination_caption"\r\n'
)


@pytest.fixture(params=["account_map", "group_map"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(world: World, kind: str = "account_map", **document: Any) -> str:
    answer = world.post(f"/v1/{kind}s", json={"name": "a map", "type": kind, **document})
    assert answer.status_code == 201, answer.text
    return str(answer.json()[kind]["id"])


def problems(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    return [(one["path"], one["code"]) for one in answer.json()["errors"]]


def test_a_map_is_made_shown_listed_changed_and_deleted(world: World, kind: str) -> None:
    source = world.connection("from")
    body = {
        "name": "people",
        "type": kind,
        "source": {"connection": {"id": source}, "exclusions": [{"sid": {"name": "old"}}]},
        "destination": {"default": {"name": "admin"}},
        "map_by": {"name": True, "passthrough": False},
        "unmapped_policy": "skip",
        "exceptions": [{"source": {"name": "a"}, "destination": {"id": 1001}}],
    }
    answer = world.post(f"/v1/{kind}s", json=body)
    assert answer.status_code == 201, answer.text
    shown = answer.json()[kind]
    assert answer.headers["location"] == f"/v1/{kind}s/{shown['id']}"
    assert shown["source"]["connection"] == {"id": source}
    assert [one["sid"]["name"] for one in shown["source"]["exclusions"]] == ["old"]
    assert shown["destination"]["default"]["name"] == "admin"
    assert shown["map_by"]["name"] is True
    assert shown["map_by"]["id"] is False
    assert shown["exceptions"] == {"total_count": 1}
    listed = world.get(f"/v1/{kind}s?q=peop").json()
    assert [one["id"] for one in listed[f"{kind}s"]] == [shown["id"]]
    changed = world.patch(f"/v1/{kind}s/{shown['id']}", json={"name": "folk", "unmapped_policy": "fail"})
    assert (changed.json()[kind]["name"], changed.json()[kind]["unmapped_policy"]) == ("folk", "fail")
    assert changed.json()[kind]["exceptions"] == {"total_count": 1}
    assert (
        world.get(f"/v1/{kind}s/{shown['id']}", headers={"If-None-Match": changed.headers["etag"]}).status_code == 304
    )
    stale = world.patch(f"/v1/{kind}s/{shown['id']}", json={"name": "x"}, headers={"If-Match": answer.headers["etag"]})
    assert stale.status_code == 412
    assert world.delete(f"/v1/{kind}s/{shown['id']}").status_code == 200
    assert world.get(f"/v1/{kind}s/{shown['id']}").status_code == 404


def test_a_map_of_the_other_kind_is_not_found(world: World) -> None:
    assert world.get(f"/v1/group_maps/{made(world)}").status_code == 404


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"map_by": {"name": "maybe"}}, ("/map_by/name", "unknown_value")),
        ({"map_by": {"nme": True}}, ("/map_by/nme", "unknown_key")),
        ({"map_by": {"name": False}}, ("/map_by", "missing")),
        ({"unmapped_policy": "guess"}, ("/unmapped_policy", "unknown_value")),
        ({"unmapped_policy": "default"}, ("/destination/default", "missing")),
        ({"source": {"connection": {"id": "none"}}}, ("/source/connection/id", "not_found")),
        ({"source": {"exclusions": [{}]}}, ("/source/exclusions/0", "missing")),
        ({"exceptions": [{"source": {"name": "a"}}]}, ("/exceptions/0/destination", "missing")),
        ({"type": "group_map"}, ("/type", "unknown_value")),
        ({"pairs": []}, ("/pairs", "unknown_key")),
        ([], ("", "wrong_type")),
    ],
)
def test_what_is_wrong_with_a_map_is_named_and_nothing_is_stored(
    world: World, document: Any, expected: tuple[str, str]
) -> None:
    answer = world.post("/v1/account_maps", json=document)
    assert expected in problems(answer)
    assert world.get("/v1/account_maps").json()["meta"]["total_count"] == 0


def test_pairs_are_appended_replaced_and_removed(world: World, kind: str) -> None:
    one = made(world, kind)
    who = kind.removesuffix("_map")
    pair = {"source": {"name": "ann", "type": who}, "destination": {"name": "ann.new", "type": who}}
    path = f"/v1/{kind}s/{one}/exceptions"
    assert world.post(path, json={"append": True, "items": [pair]}).json()["meta"]["total_count"] == 1
    other = {"source": {"name": "ann"}, "destination": {"name": "ann.newer"}}
    world.post(path, json={"append": True, "items": [other, {"source": {"id": "7"}, "destination": {"id": "8"}}]})
    listed = world.get(path).json()
    assert listed["meta"]["total_count"] == 2
    assert {one["destination"].get("name") for one in listed["item"]} == {"ann.newer", None}
    world.post(path, json={"append": False, "items": [pair]})
    assert [one["destination"]["name"] for one in world.get(path).json()["item"]] == ["ann.new"]
    gone = world.call("DELETE", path, json={"items": [{"source": {"name": "ann"}}]})
    assert gone.json()["meta"]["total_count"] == 1
    assert world.get(path).json()["item"] == []


def test_pairs_that_contradict_each_other_are_refused(world: World) -> None:
    path = f"/v1/account_maps/{made(world)}/exceptions"
    other = {"source": {"name": "ann@old.org"}, "destination": {"name": "zed"}}
    assert problems(world.post(path, json={"items": [PAIR, other]})) == [("/items/1", "not_together")]
    assert problems(world.post(path, json={})) == [("/items", "missing")]
    assert world.get(path).json()["item"] == []


@pytest.mark.parametrize("how", ["form", "plain"])
def test_a_csv_file_is_read_and_given_back(world: World, how: str) -> None:
    path = f"/v1/account_maps/{made(world)}/exceptions"
    text = (
        HEADER
        + '"","","company\\\\Joe","Joe ""J"" Smith","1001","","",""\r\n'
        + '"","","company\\Ann","","","","ann",""\r\n'
        + '"","","=cmd|calc","","","","@evil",""\r\n'
    )
    if how == "form":
        answer = world.post(path, files={"file": ("pairs.csv", text.encode(), "text/csv")})
    else:
        answer = world.post(path, content=text.encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    found = world.get(path).json()["item"]
    assert [one["source"]["name"] for one in found] == ["company\\Joe", "company\\Ann", "=cmd|calc"]
    assert found[0]["source"]["caption"] == 'Joe "J" Smith'
    download = world.get(f"{path}.csv")
    assert download.headers["content-type"].startswith("text/csv")
    assert '"\'=cmd|calc"' in download.text  # no spreadsheet runs it
    other = f"/v1/account_maps/{made(world)}/exceptions"
    again = world.post(other, content=download.content, headers={"Content-Type": "text/csv"})
    assert again.status_code == 200, again.text
    assert world.get(other).json()["item"] == found


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ('"a","b"\r\n', 2, "has 2 fields, and the header 8"),
        ('"","","ann","","","","",""\r\n', 2, "names no destination"),
        ('"","","","","","","",""x\r\n', 2, "is not CSV"),
        ('"","","a","","","","b",""\r\n"","","a","","","","c",""\r\n', 3, "source of line 2 with another destination"),
        ('"","","' + "a" * 1_001 + '","","","","b",""\r\n', 2, "more than 1000 characters"),
    ],
)
def test_a_wrong_row_is_named_with_its_line_and_nothing_is_taken(world: World, rows: str, line: int, said: str) -> None:
    path = f"/v1/account_maps/{made(world)}/exceptions"
    good = '"","","good","","","","one",""\r\n'
    content = (HEADER + rows + good).encode()
    answer = world.post(path, content=content, headers={"Content-Type": "text/csv"})
    assert (f"/line/{line}", "wrong_row") in problems(answer)
    assert said in answer.text
    assert world.get(path).json()["item"] == []


@pytest.mark.parametrize("content", [b"", b"who,is,it\r\n", b"source_name,source_name\r\n", b"source_name\r\n\xff"])
def test_a_file_that_is_no_map_is_refused(world: World, content: bytes) -> None:
    path = f"/v1/account_maps/{made(world)}/exceptions"
    answer = world.post(path, content=content, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 400, answer.text


def test_exclusions_are_of_one_side(world: World) -> None:
    one = made(world)
    path = f"/v1/account_maps/{one}/exclusions"
    world.post(f"{path}/source", json={"items": [{"sid": {"name": "old"}}, {"id": "7"}]})
    world.post(f"{path}/destination", content=b'"id","name"\r\n"","root"\r\n', headers={"Content-Type": "text/csv"})
    listed = world.get(path).json()["item"]
    assert [(found["side"], found["sid"].get("name")) for found in listed] == [
        ("source", "old"),
        ("source", None),
        ("destination", "root"),
    ]
    assert len(world.get(f"{path}/source").json()["item"]) == 2
    assert '"","","root"' in world.get(f"{path}/destination.csv").text
    world.call("DELETE", f"{path}/source", json={"items": [{"name": "old"}]})
    assert len(world.get(f"{path}/source").json()["item"]) == 1
    assert world.get(f"{path}/nowhere").status_code == 404


def with_map(world: World, use: Any, kind: str = "account_map") -> dict[str, Any]:
    body = world.body()
    body["transfer"][kind] = use
    return body


def test_a_job_uses_a_map_by_its_id_or_has_one_of_its_own(world: World, kind: str) -> None:
    one = made(world, kind)
    answer = world.post("/v1/jobs", json=with_map(world, {"id": one, "type": kind}, kind))
    assert answer.status_code == 201, answer.text
    assert world.delete(f"/v1/{kind}s/{one}").status_code == 409
    inline = {
        "type": kind,
        "map_by": {"name": True},
        "exceptions": [{"source": {"name": "a"}, "destination": {"id": 5}}],
    }
    assert world.post("/v1/jobs", json=with_map(world, inline, kind)).status_code == 201


def test_a_job_with_a_map_that_does_not_exist_or_is_for_other_connections_is_refused(world: World) -> None:
    unknown = world.post("/v1/jobs", json=with_map(world, {"id": "nope", "type": "account_map"}))
    assert problems(unknown) == [("/transfer/account_map/id", "not_found")]
    other = made(world, source={"connection": {"id": world.connection("elsewhere")}})
    wrong = world.post("/v1/jobs", json=with_map(world, {"id": other, "type": "account_map"}))
    assert problems(wrong) == [("/transfer/account_map", "other_connection")]
    inline = world.post("/v1/jobs", json=with_map(world, {"map_by": {"nme": True}}))
    assert ("/transfer/account_map/map_by/nme", "unknown_key") in problems(inline)


def test_who_became_whom_in_a_job_is_shown(world: World) -> None:
    job = world.job()
    stored = world.stored(job)
    with world.database.begin() as tx:
        uses = [
            ("destination", '{"name": "ann", "type": "account"}', "email", '{"id": "7", "type": "account"}', "", 3),
            ("destination", '{"name": "zed", "type": "account"}', "unmapped", "", "nobody is zed", 9),
        ]
        security_map.write(tx, world.database, stored.number, 1, uses)
        security_map.write(tx, world.database, stored.number, 2, uses[:1])
    shown = world.get(f"/v1/transfers/{job}/security_map?include=all").json()
    assert [(one["source"]["name"], one["resolution"], one["permissions"]) for one in shown["item"]] == [
        ("zed", "unmapped", 9),
        ("ann", "email", 6),
    ]
    assert shown["item"][0]["destination"] is None
    assert shown["item"][0]["message"] == "nobody is zed"
    only = world.get(f"/v1/transfers/{job}/security_map?resolution=email").json()
    assert only["meta"]["total_count"] == 1
    assert world.get(f"/v1/transfers/{job}/security_map?resolution=magic").status_code == 400


def test_a_thousand_pairs_and_more_come_back_whole(world: World) -> None:
    one = made(world)
    path = f"/v1/account_maps/{one}/exceptions"
    items = [{"source": {"name": f"s{n}"}, "destination": {"name": f"d{n}"}} for n in range(2_500)]
    assert world.post(path, json={"items": items}).status_code == 200
    assert world.get(f"{path}.csv").text.count("\r\n") == 2_501
    with world.database.read() as tx:
        record = maps.find(tx, one)
        assert record is not None
        assert sum(1 for _ in maps.exceptions(tx, record)) == 2_500
