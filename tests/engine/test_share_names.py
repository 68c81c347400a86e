"""Names that a share refuses are changed once and for all, and found on the way back."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing.worlds import read_all
from tests.engine.pairs import End, Way
from tests.engine.places import SECOND, Places

MOMENT = 1_700_000_000 * SECOND
REFUSED = {
    "why?.txt": "why_.txt",
    "a:b": "a_b",
    'q"uote': "q_uote",
    "st*r": "st_r",
    "<angle>": "_angle_",
    "pi|pe": "pi_pe",
    "back\\slash": "back_slash",
    "t\tab": "t_ab",
    "ends.": "ends_",
    "blank ": "blank_",
    "con": "con_",
    "AUX.txt": "AUX_.txt",
    "lpt1.log": "lpt1_.log",
    "NUL": "NUL_",
}


@pytest.mark.needs("smbd")
def test_names_that_a_share_refuses_are_changed_once_and_for_all_and_found_on_the_way_back(
    database: Database, places: Places, tmp_path: Path
) -> None:
    root = tmp_path / "odd"
    (root / "prn").mkdir(parents=True)
    for name in (*REFUSED, "Case.txt", "case.TXT", "prn/in: it"):
        (root / name).write_bytes(name.encode())
    there = places.new("smb").end
    way = Way(database, End("fs", {"path": str(root)}), there, defaults_for(TransferType.SYNC))
    first = way.run()
    assert (first.failed, first.transferred) == (0, len(REFUSED) + 3)
    with database.read() as tx:
        rows = tx.execute(sa.text("SELECT name, d_name FROM items WHERE d_name IS NOT NULL")).all()
    names = {bytes(name).decode(): bytes(d_name).decode() for name, d_name in rows}
    assert {name: names[name] for name in REFUSED} == REFUSED
    assert len({names.get(name, name).lower() for name in ("Case.txt", "case.TXT")}) == 2
    with closing(open_connection(there.platform, there.settings, there.path)) as share:
        for name, new in REFUSED.items():
            assert read_all(share, new) == name.encode()
        assert read_all(share, f"{names['prn']}/{names['in: it']}") == b"prn/in: it"
        share.write(REFUSED["why?.txt"], [b"changed there"], Facts(size=13, modified=MOMENT + 99 * SECOND))
    again = way.run()
    assert (again.failed, again.transferred) == (0, 1)
    assert (root / "why?.txt").read_bytes() == b"changed there"
    assert sorted(os.listdir(root)) == sorted((*REFUSED, "Case.txt", "case.TXT", "prn"))
    last = way.run()
    assert (last.failed, last.transferred, last.writes) == (0, 0, 0)
