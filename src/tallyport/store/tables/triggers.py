"""What the databases do by themselves when an item is written: ``unresolved`` counts those that are failed.

SQLite looks at each row, and the condition alone costs what is not failed. PostgreSQL looks once at all rows of a
statement: a row for each of a million items that are ignored at once would leave as many dead versions of one number.
"""

from tallyport.domain.items import FAILED

_FAILED = f"IN ({', '.join(str(int(status)) for status in sorted(FAILED))})"
_KEEP = "INSERT INTO unresolved (job, number) {} ON CONFLICT (job) DO UPDATE SET number = {}number + excluded.number"


def _on_sqlite(name: str, event: str, condition: str, kept: str) -> str:
    return f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON items WHEN {condition}\nBEGIN\n\t{kept};\nEND"


def _on_postgresql(event: str, tables: str) -> str:
    return (
        f"CREATE OR REPLACE TRIGGER items_failed_{event.lower()} AFTER {event} ON items REFERENCING {tables}"
        " FOR EACH STATEMENT EXECUTE FUNCTION count_unresolved()"
    )


def _counted(rows: str) -> str:
    return _KEEP.format(
        f"SELECT job, sum(change) FROM ({rows}) AS changes GROUP BY job HAVING sum(change) <> 0 ORDER BY job",
        "unresolved.",
    )


_ADDED = f"SELECT job, 1 AS change FROM added WHERE status {_FAILED}"
_TAKEN = f"SELECT job, -1 AS change FROM taken WHERE status {_FAILED}"

TRIGGERS: dict[str, tuple[str, ...]] = {
    "sqlite": (
        _on_sqlite("items_failed_insert", "INSERT", f"NEW.status {_FAILED}", _KEEP.format("VALUES (NEW.job, 1)", "")),
        _on_sqlite(
            "items_failed_update",
            "UPDATE OF status",
            f"(OLD.status {_FAILED}) <> (NEW.status {_FAILED})",
            _KEEP.format(f"VALUES (NEW.job, iif(NEW.status {_FAILED}, 1, -1))", ""),
        ),
        _on_sqlite(
            "items_failed_delete",
            "DELETE",
            f"OLD.status {_FAILED}",
            "UPDATE unresolved SET number = number - 1 WHERE job = OLD.job",
        ),
    ),
    "postgresql": (
        f"""CREATE OR REPLACE FUNCTION count_unresolved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    {_counted(_ADDED)};
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE unresolved SET number = unresolved.number + changes.change
    FROM (SELECT job, sum(change) AS change FROM ({_TAKEN}) AS each GROUP BY job ORDER BY job) AS changes
    WHERE unresolved.job = changes.job;
  ELSE
    {_counted(f"{_ADDED} UNION ALL {_TAKEN}")};
  END IF;
  RETURN NULL;
END $$""",
        _on_postgresql("INSERT", "NEW TABLE AS added"),
        _on_postgresql("UPDATE", "OLD TABLE AS taken NEW TABLE AS added"),
        _on_postgresql("DELETE", "OLD TABLE AS taken"),
    ),
}
