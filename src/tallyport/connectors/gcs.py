"""Google Cloud Storage: a bucket, or a prefix in one, as a tree.

A bucket has no folders: a container is there while an object lies below its prefix; an empty one is an object whose
name ends with a slash. Names that are no paths are shown escaped (``object_keys.py``). The tag of an entry is its
generation, which every condition names.

Small content is one request with its MD5 and its condition. Larger content (``gcs_writing.py``), and each part of a
big file (``gcs_uploads.py``), is an object beside its place, and is composed onto it. Times and the content hash are
metadata of ours, which a listing gives.

https://cloud.google.com/storage/docs/json_api/v1/objects
"""

from typing import Any, cast

from tallyport.connectors.gcs_http import Bucket, Settings
from tallyport.connectors.gcs_limits import LIMITS, MIB, UPLOAD_PART
from tallyport.connectors.gcs_uploads import Uploads
from tallyport.connectors.gcs_versions import Versions, keeps_versions
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_store import folder, without
from tallyport.connectors.protocol import Facts
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split

__all__ = ["LIMITS", "MIB", "UPLOAD_PART", "Gcs", "Settings", "open_gcs"]


_OF_VERSIONS = frozenset({"versions", "read_version", "counted"})


def open_gcs(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Gcs":
    """Open a prefix; asks once whether the bucket keeps versions, an ability that not every bucket has."""
    bucket = Bucket(settings)
    try:
        keeps = keeps_versions(bucket)
        made = cast(Any, without(Gcs, _OF_VERSIONS if keeps is None else frozenset()))
        return cast(Gcs, made(bucket, path, make=make, has_versions=bool(keeps)))
    except BaseException:
        bucket.close()
        raise


class Gcs(Uploads, Versions):
    """One prefix of one bucket."""

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return folder("")
        key = self._new_key(path, "make")
        name = split(path)[1]
        if not self._holds(f"{key}/", path):
            if not is_twin(name) and self._look(key, path) is not None:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
            with self._bucket.translated("make", path):
                self._send(f"{key}/", b"", {}, {})
        return folder(name)
