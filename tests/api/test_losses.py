"""What an item lost on the way is in its own answer and in the CSV of items."""

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
    assert text.splitlines()[0].endswith(",losses")
    assert "owner: the owner is root, not ann; item_locked: =SUM(1)" in text
