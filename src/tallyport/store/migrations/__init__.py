"""Schema changes, forward only, by Alembic. A fresh database takes the packaged snapshot instead."""

from importlib.resources import files
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from tallyport.store.database import Database


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("tallyport.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """Give the newest revision."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def known(revision: str) -> bool:
    """Say whether this program has the revision."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade(database: "Database") -> None:
    """Run every migration the database lacks, in one transaction."""
    from alembic import command

    config = _config()
    with database.begin() as tx:
        config.attributes["connection"] = getattr(tx, "real", tx)  # of our own transaction SQLAlchemy's view
        command.upgrade(config, "head")
