"""Earlier contents of an object, each a generation, where the bucket keeps them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from tallyport.connectors.gcs_http import Bucket, document
from tallyport.connectors.gcs_prefix import Prefix
from tallyport.connectors.object_content import Which
from tallyport.connectors.object_http import Refused
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.errors import ErrorKind
from tallyport.domain.versions import Version


class Versions(Prefix):
    """A prefix whose objects have earlier contents."""

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        found = [one for one in self._all(key, path, versions="true") if one["name"] == key]
        current = self._look(key, path)
        if current is None:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such object")
        found.sort(key=lambda one: int(one["generation"]))
        return [
            Version(
                one["generation"],
                int(one.get("size", 0)),
                self._entry("", one).modified,
                one["generation"] == current["generation"],
            )
            for one in found
        ]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, Which(version=version))


def keeps_versions(bucket: Bucket) -> bool | None:
    """Tell whether the bucket makes versions; None when it never did, and whoever may not ask cannot use them."""
    with bucket.translated("open", f"gs://{bucket.settings.bucket}"):
        try:
            told = document(bucket.call("GET", None, query={"fields": "versioning"})).get("versioning")
        except Refused as error:
            if error.status == 403:
                return None
            if error.status == 404:
                why = "there is no such bucket: make it first, or put the name right"
                raise refusal(ErrorKind.NOT_FOUND, "open", f"gs://{bucket.settings.bucket}", why) from error
            raise
    return bool(told.get("enabled")) if isinstance(told, dict) and "enabled" in told else None
