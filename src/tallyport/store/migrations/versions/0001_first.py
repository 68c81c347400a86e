"""The first schema."""

from alembic import op

from tallyport.store import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table. Until the first release the first schema is that of ``tables``."""
    tables.metadata.create_all(op.get_bind())
