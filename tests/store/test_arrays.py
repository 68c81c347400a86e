"""What PostgreSQL reads from the text of an array is what was written."""

import string
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyport.store import arrays
from tallyport.store.database import Database
from tallyport.testing.postgres import PostgresServer

TYPES = ("bigint", "integer", "bytea", "text")
ROW = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.binary(max_size=8),
    st.none()
    | st.sampled_from(["", "NULL", "null", " a ", '"', "\\", "{}", ",", "%s", "a\nb", "\u202e\U0001f600"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
    | st.text(string.punctuation, max_size=8),
)


@pytest.mark.needs("pg_ctlcluster")
class TestLiterals:
    @pytest.fixture(scope="class")
    @staticmethod
    def database(postgres: PostgresServer) -> Iterator[Database]:
        database = Database(postgres.create())
        yield database
        database.close()

    @given(st.lists(ROW, min_size=1, max_size=5))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_come_back_as_the_rows_that_they_were_made_of(self, database: Database, rows: list[tuple[object]]) -> None:
        asked = "SELECT * FROM unnest(" + ", ".join(f"%s::{kind}[]" for kind in TYPES) + ")"
        with database.read() as tx:
            found = tx.exec_driver_sql(asked, arrays.literals(TYPES, rows)).all()
        assert [tuple(row) for row in found] == rows

    def test_take_bytes_in_a_view(self) -> None:
        assert arrays.literals(("bytea",), [(memoryview(b"a\\"),)]) == ('{"\\\\x615c"}',)


def test_every_type_of_a_column_of_items_can_be_written() -> None:
    from sqlalchemy.dialects import postgresql

    from tallyport.store.tables import items

    kinds = {column.type.compile(postgresql.dialect()).lower() for column in items.columns}  # type: ignore[no-untyped-call]
    assert kinds <= arrays.WRITERS.keys()


def test_a_row_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        arrays.literals(TYPES, [(1, 2, b"")])
