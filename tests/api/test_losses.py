"""What an item lost on the way is in its own answer and in the CSV of items."""

from tallyport.domain.losses import BITS, Fact
from tallyport.store import losses
from tests.api.world import World


def test_an_item_says_what_it_lost_and_so_does_the_csv(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    item, other = world.item(job, "a.txt"), world.item(job, "b.txt")
    with world.database.begin() as tx:
        found = [(item, "owner", "the owner is root, not ann"), (item, "item_locked", "=SUM(1)")]
        losses.write(tx, world.database, world.ids, run, found)
        losses.write(tx, world.database, world.ids, run, found)  # told again by a visit that was made again
    shown = world.get(f"/v1/transfers/items/{item}").json()["item"]["losses"]
    assert [(one["what"], one["type"], one["detail"]) for one in shown] == [
        ("owner", 4009, "the owner is root, not ann"),
        ("item_locked", 4008, "=SUM(1)"),
    ]
    assert world.get(f"/v1/transfers/items/{other}").json()["item"]["losses"] == []
    text = world.get(f"/v1/transfers/{job}/items.csv").text
    assert text.splitlines()[0].endswith(",losses,lost")
    assert "owner: the owner is root, not ann; item_locked: =SUM(1)" in text


def test_the_ledger_of_a_job_tells_what_was_lost_how_often_and_of_which_items(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    both = BITS[Fact.MODES] | BITS[Fact.OWNERS]
    a, b = world.item(job, "a.txt", lost=both), world.item(job, "b.txt", lost=BITS[Fact.MODES])
    world.item(job, "whole.txt")
    with world.database.begin() as tx:
        losses.write(tx, world.database, world.ids, run, [(a, "owner", "the owner is root, not ann")])
    told = world.get(f"/v1/jobs/{job}/losses").json()
    assert {one["what"]: one["count"] for one in told["losses"]} == {"modes": 2, "owners": 1}
    assert [(one["id"], [lack["what"] for lack in one["lost"]]) for one in told["item"]] == [
        (str(a), ["modes", "owners"]),
        (str(b), ["modes"]),
    ]
    assert told["item"][0]["lost"][1]["detail"] == "the owner is root, not ann"
    assert "permission bits" in told["item"][1]["lost"][0]["detail"]
    owners = world.get(f"/v1/jobs/{job}/losses?what=owners").json()
    assert [one["path"] for one in owners["item"]] == ["/a.txt"]
    assert owners["losses"] == told["losses"], "the totals are those of the whole job"
    listed = world.get(f"/v1/transfers/{job}/items?lost=modes&type=file").json()["item"]
    assert [one["lost"] for one in listed] == [["modes", "owners"], ["modes"]]
    first = world.get(f"/v1/jobs/{job}/losses?limit=1").json()
    following = world.get(f"/v1/jobs/{job}/losses?limit=1&cursor={first['meta']['next_cursor']}").json()
    assert (first["item"] + following["item"], following["meta"]["has_more"]) == (told["item"], False)
    for path in (f"/v1/jobs/{job}/losses?what=nothing", f"/v1/transfers/{job}/items?lost=nothing"):
        refused = world.get(path)
        assert refused.status_code == 400
        assert "hard_links" in refused.text
