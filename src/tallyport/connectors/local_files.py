"""The hot path between local folders: copy, hash, make visible, make durable. All on descriptors.

A file is written under a temporary name in its own folder, gets its metadata, is synced as the durability level
asks, appears by one rename, and its folder is synced: in this order, for every file. What a folder holds is
the matter of ``local_folders``, bytes are that of ``local_content``; their public names are given here too.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from tallyport.connectors.hashing import PART, ContentHash, digest
from tallyport.connectors.local_content import (
    SMALL,
    carry,
    changed,
    content_hash,
    create,
    is_as,
    is_racy,
    open_file,
    open_to_read,
    write_all,
)
from tallyport.connectors.local_errors import ERRNO_KINDS, error_of, refusal, translate
from tallyport.connectors.local_folders import (
    TEMPORARY,
    check,
    entries,
    entry_at,
    entry_of,
    hard_link,
    make_folder,
    open_below,
    put_in_place,
    remove,
    rename_new,
    stamp,
    stamp_fd,
    sweep,
    unlink_quietly,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Fingerprint, Kind, Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
