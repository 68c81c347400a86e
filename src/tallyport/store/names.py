"""The tables by name, for statements that are put together as phrases (``store/phrases.py``)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallyport.store.tables import *  # noqa: F403
else:
    from tallyport.store import phrases

    def __getattr__(name: str) -> phrases.Phrase:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(phrases.tables, name)
