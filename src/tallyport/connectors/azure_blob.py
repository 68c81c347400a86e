"""Azure Blob Storage: a container, or a prefix in one, as a tree.

A container of Azure has no folders. One of ours is there while a blob lies below its prefix; an empty one is a blob
of no bytes that says ``hdi_isfolder`` in its metadata, as Azure's own tools mark folders, and as an account with a
hierarchical namespace shows its own. Names that are no paths are shown escaped (``object_keys.py``).

A write is one request, or blocks that are joined in one request: the old blob stands until then, and the condition is
the platform's (``azure_writing.py``). Times and the content hash are metadata of ours, which a listing gives.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from tallyport.connectors.azure_entries import FOLDER
from tallyport.connectors.azure_http import Container, Settings
from tallyport.connectors.azure_leases import Leases
from tallyport.connectors.azure_limits import LIMITS, MIB, UPLOAD_PART
from tallyport.connectors.azure_uploads import Uploads
from tallyport.connectors.object_http import Refused
from tallyport.connectors.object_store import folder
from tallyport.connectors.protocol import Facts
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split

__all__ = ["LIMITS", "MIB", "UPLOAD_PART", "AzureBlob", "Settings", "open_azure_blob"]


def open_azure_blob(settings: Settings, path: str = ROOT, *, make: bool = False) -> "AzureBlob":
    """Open a container at a path below its prefix; the container itself must be there."""
    container = Container(settings)
    try:
        return AzureBlob(container, path, make=make)
    except BaseException:
        container.close()
        raise


class AzureBlob(Uploads, Leases):
    """One prefix of one container."""

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return folder("")
        key = self._new_key(path, "make")
        name = split(path)[1]
        if self._holds(f"{key}/", path):
            return folder(name)
        with self._container.translated("make", path):
            try:
                self._making(key, b"", {FOLDER: "true"}, {"If-None-Match": "*"})
            except Refused as error:
                if error.status not in (409, 412):
                    raise
                if not self._is_folder(key, path):
                    raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name") from error
        return folder(name)
