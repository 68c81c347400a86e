"""Error categories that people made, for one job or for all."""

import json
from typing import Any

from tallyport.domain.categories import Category, CategoryAction
from tallyport.store import rows
from tallyport.store.names import error_categories as table
from tallyport.store.phrases import sa


def add(tx: sa.Connection, category: Category) -> int:
    """Store a category; gives its id."""
    values: dict[str, Any] = {
        "job_id": category.job_id,
        "name": category.name,
        "description": category.description,
        "rules": json.dumps([dict(rule) for rule in category.rules]),
        "action": category.action.value,
        "max_retry": category.max_retry,
        "level": category.level,
        "priority": category.priority,
        "created_at": rows.now(),
    }
    return int(tx.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())


def of_job(tx: sa.Connection, job_id: str) -> list[Category]:
    """Give the categories that count for a job: its own and those for all jobs."""
    return _read(tx, sa.or_(table.c.job_id == job_id, table.c.job_id.is_(None)))


def page(tx: sa.Connection, job_id: str | None = None) -> list[Category]:
    """Give the categories for all jobs, or those of one job."""
    return _read(tx, table.c.job_id.is_(None) if job_id is None else table.c.job_id == job_id)


def remove(tx: sa.Connection, category_id: int) -> bool:
    """Remove a category; False when there is none."""
    return tx.execute(sa.delete(table).where(table.c.id == category_id)).rowcount == 1


def _read(tx: sa.Connection, where: sa.ColumnElement[bool]) -> list[Category]:
    found = tx.execute(sa.select(table).where(where).order_by(table.c.priority.desc(), table.c.id)).mappings()
    return [
        Category(
            id=row["id"],
            job_id=row["job_id"],
            name=row["name"],
            description=row["description"],
            rules=tuple(json.loads(row["rules"])),
            action=CategoryAction(row["action"]),
            max_retry=row["max_retry"],
            level=row["level"],
            priority=row["priority"],
        )
        for row in found
    ]
