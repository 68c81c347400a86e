"""Signed calls on one container of Azure Blob Storage.

A call is signed with the account's key (Shared Key, https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)
or carries a shared access signature (SAS), which is a secret by itself. An answer that refuses names its reason in
``x-ms-error-code``: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from tallyport.connectors import reach
from tallyport.connectors.object_http import Answer, Host, Meaning, check_plain, translated, wrong_address
from tallyport.connectors.pausing import Pause
from tallyport.domain.errors import ErrorKind, TallyportError

VERSION = "2021-12-02"
DOMAIN = "core.windows.net"
# What Microsoft made public for everybody's emulator: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
DEVELOPMENT = "UseDevelopmentStorage=true"
_DEVELOPMENT_ACCOUNT = "devstoreaccount1"
_DEVELOPMENT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$root|\$web|\$logs|(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*")
_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)

_K = ErrorKind
_REFUSED: Meaning = (_K.UNAUTHENTICATED, "the credentials are refused: give a valid key or SAS of the account")
CODES: Mapping[str, Meaning] = {
    **dict.fromkeys(("BlobNotFound", "ResourceNotFound"), (_K.NOT_FOUND, "there is no such blob")),
    "ContainerNotFound": (_K.NOT_FOUND, "there is no such container"),
    **dict.fromkeys(
        ("ContainerBeingDeleted", "ContainerDisabled"), (_K.UNAVAILABLE, "the container is being deleted or disabled")
    ),
    **dict.fromkeys(
        ("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation", "AccountIsDisabled"),
        _REFUSED,
    ),
    **dict.fromkeys(
        (
            *("AuthorizationPermissionMismatch", "AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch"),
            *("InsufficientAccountPermissions", "UnauthorizedBlobOverwrite", "AuthorizationProtocolMismatch"),
            *("AuthorizationSourceIPMismatch", "KeyBasedAuthenticationNotPermitted", "PublicAccessNotPermitted"),
        ),
        (_K.PERMISSION_DENIED, "the key or SAS may not do that: look at what it was given"),
    ),
    **dict.fromkeys(
        ("BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"),
        (_K.PERMISSION_DENIED, "a policy or a legal hold of the container keeps it as it is"),
    ),
    **dict.fromkeys(
        (
            "BlobAlreadyExists",
            "ConditionNotMet",
            "TargetConditionNotMet",
            "SourceConditionNotMet",
            "ResourceAlreadyExists",
        ),
        (_K.ALREADY_EXISTS, "something else stands there now"),
    ),
    **dict.fromkeys(
        (
            "LeaseIdMissing",
            "LeaseAlreadyPresent",
            "LeaseIdMismatchWithBlobOperation",
            "LeaseIdMismatchWithLeaseOperation",
        ),
        (_K.LOCKED, "somebody holds a lease on it"),
    ),
    "LeaseIsBreakingAndCannotBeAcquired": (_K.LOCKED, "a lease on it is about to end"),
    **dict.fromkeys(("ServerBusy", "TooManyRequests"), (_K.RATE_LIMITED, "the platform asks for a slower pace")),
    "OperationTimedOut": (_K.TIMEOUT, "the platform did not finish in time"),
    "InternalError": (_K.UNAVAILABLE, "the platform has an error of its own"),
    **dict.fromkeys(("Md5Mismatch", "Crc64Mismatch"), (_K.CORRUPT, "the content was damaged on its way")),
    "RequestBodyTooLarge": (_K.TOO_LARGE, "it is larger than the platform takes"),
    **dict.fromkeys(
        ("InvalidResourceName", "InvalidUri", "OutOfRangeInput"), (_K.INVALID_NAME, "the platform takes no such name")
    ),
    **dict.fromkeys(
        ("MetadataTooLarge", "InvalidMetadata", "EmptyMetadataKey"),
        (_K.UNSUPPORTED, "its named values are more than the platform keeps, or not as it keeps them"),
    ),
    "InvalidBlockList": (_K.NOT_FOUND, "the upload is gone: its blocks were forgotten, or another write replaced them"),
    "InvalidBlobOrBlock": (
        _K.IO_ERROR,
        "blocks of another program's unfinished upload lie there: finish it, or wait until they are a week old",
    ),
    "InvalidBlobType": (_K.UNSUPPORTED, "it is a page or append blob, which is only read"),
    **dict.fromkeys(
        ("BlobArchived", "BlobBeingRehydrated"), (_K.UNSUPPORTED, "it is archived: bring it back to a tier first")
    ),
    "SnapshotsPresent": (
        _K.UNSUPPORTED,
        "it has snapshots, which would go with it: delete them, or let the connection keep versions as snapshots",
    ),
    "DirectoryNotEmpty": (_K.ALREADY_EXISTS, "the container is not empty"),
    "FeatureNotSupportedOnThisResource": (_K.UNSUPPORTED, "the account does not have that ability"),
}


def _wrong_account(value: str) -> str | None:
    is_good = not value or _ACCOUNT.fullmatch(value)
    return None if is_good else "must be the name of a storage account: 3 to 24 small letters and digits"


def _wrong_container(value: str) -> str | None:
    return (
        None if _CONTAINER.fullmatch(value) else "must be the name of a container: small letters, digits, single dashes"
    )


def _not_positive(value: float) -> str | None:
    return None if value > 0 else "must be more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A container and who opens it."""

    container: str = field(metadata={"help": "name of the container", "check": _wrong_container})
    account: str = field(default="", metadata={"help": "name of the storage account", "check": _wrong_account})
    prefix: str = field(default="", metadata={"help": "what every name begins with, as folders; empty: all of it"})
    endpoint: str = field(
        default="",
        metadata={
            "help": "address of the blob service; empty: the account's in the public cloud",
            "check": wrong_address,
        },
    )
    key: str = field(
        default="", metadata={"help": "a key of the account; empty: where Azure's tools look", "secret": True}
    )
    sas: str = field(
        default="", metadata={"help": "a shared access signature for the container or account", "secret": True}
    )
    connection_string: str = field(
        default="", metadata={"help": "account, endpoint and key or SAS in one, as the portal shows it", "secret": True}
    )
    versions: Literal["read", "snapshots"] = field(
        default="read",
        metadata={"help": "read: those that are there; snapshots: one is taken before content is replaced"},
    )
    tier: str = field(default="", metadata={"help": "access tier of new blobs, as Cool; empty: the account's"})
    timeout: float = field(default=60.0, metadata={"help": "seconds to wait for the server", "check": _not_positive})


class Way(NamedTuple):
    """Where the blob service is and how to sign in."""

    account: str
    endpoint: str
    key: bytes
    sas: str


def way_of(settings: Settings) -> Way:
    """Put together where to go and with what; CONFIG says what is missing."""
    told: dict[str, str] = {}
    if not (settings.key or settings.sas or settings.connection_string or settings.endpoint):
        what = "without key, sas or connection_string, the Azure credentials of the server's account are used"
        reach.check_own_credentials(what, "give one of them")
        settings = _from_environment(settings)
    if settings.connection_string:
        text = settings.connection_string.strip()
        if text.rstrip(";") == DEVELOPMENT:
            text = f"AccountName={_DEVELOPMENT_ACCOUNT};AccountKey={_DEVELOPMENT_KEY};"
            text += f"BlobEndpoint=http://127.0.0.1:10000/{_DEVELOPMENT_ACCOUNT}"
        pairs = [pair.partition("=") for pair in text.split(";") if pair.strip()]
        if not pairs or any(not equals for _, equals, _ in pairs):
            raise _config(
                "the setting connection_string cannot be read: it is NAME=VALUE;NAME=VALUE, as the portal shows it"
            )
        told = {name.strip().lower(): value.strip() for name, _, value in pairs}
    account = settings.account or told.get("accountname", "")
    key = settings.key or told.get("accountkey", "")
    sas = (settings.sas or told.get("sharedaccesssignature", "")).strip().removeprefix("?")
    endpoint = settings.endpoint or told.get("blobendpoint", "")
    if not endpoint and not account:
        raise _config("the storage account is missing: give account, endpoint or connection_string")
    if not endpoint:
        scheme = told.get("defaultendpointsprotocol", "https")
        endpoint = f"{scheme}://{account}.blob.{told.get('endpointsuffix', DOMAIN)}"
    why = wrong_address(endpoint)
    if why is not None:
        raise _config(f"the address of the blob service {why}")
    if not account:
        account = (urlsplit(endpoint).hostname or "").partition(".")[0]
    if not key and not sas:
        raise TallyportError(_K.UNAUTHENTICATED, "no credentials: give key, sas or connection_string", operation="open")
    try:
        secret = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _config("the key of the account cannot be read: it is base64, as the portal shows it") from error
    if any(character in sas for character in "#? \r\n\0") or not sas.isascii():
        raise _config("the SAS cannot be read: it is what stands behind the ? of an address, as sv=...&sig=...")
    if sas and not key:
        check_plain(endpoint, "the SAS")
    return Way(account, endpoint.rstrip("/"), secret, "" if key else sas)


def _from_environment(settings: Settings) -> Settings:
    """Take the credentials that Azure's own tools find. Never for an address that was typed."""
    return replace(
        settings,
        account=settings.account or os.environ.get("AZURE_STORAGE_ACCOUNT", ""),
        key=os.environ.get("AZURE_STORAGE_KEY", ""),
        sas=os.environ.get("AZURE_STORAGE_SAS_TOKEN", ""),
        connection_string=os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""),
    )


def _config(message: str) -> TallyportError:
    return TallyportError(ErrorKind.CONFIG, message, operation="open")


class Container:
    """One container. Names are whole; errors are ``Refused`` until they are translated."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.way = way_of(settings)
        parts = urlsplit(self.way.endpoint)
        self.host = Host(self.way.endpoint, settings.timeout, code_of=_code_of)
        self.leases: dict[str, str] = {}  # name of a blob → its lease of ours, which lets our changes through
        self._base = quote(parts.path.rstrip("/"), safe="/") + "/" + quote(settings.container, safe="$")

    def close(self) -> None:
        self.host.close()

    def pause_with(self, pause: Pause) -> None:
        self.host.pause = pause

    def call(
        self,
        method: str,
        name: str | None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        streams: bool = False,
    ) -> Answer:
        """Make one call on a blob, or on the container itself where ``name`` is None."""
        path = self._base if name is None else f"{self._base}/{encoded(name)}"
        asked = dict(query or {})
        sent = {"x-ms-version": VERSION, "x-ms-date": formatdate(usegmt=True), **(headers or {})}
        if name in self.leases and method in ("PUT", "DELETE") and asked.get("comp") != "lease":
            sent["x-ms-lease-id"] = self.leases[name]
        if body is not None:
            sent["Content-Length"] = str(len(body))
            sent.setdefault("Content-Type", "application/octet-stream")
        elif method == "PUT":
            sent["Content-Length"] = "0"
        target = path
        if asked:
            target += "?" + "&".join(f"{word}={quote(value, safe='')}" for word, value in asked.items())
        if self.way.sas:
            target += ("&" if asked else "?") + self.way.sas
        else:
            sent["Authorization"] = self._signed(method, path, asked, sent)
        return self.host.call(method, target, sent, body, streams=streams)

    def translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        return translated(operation, path, CODES, instead)

    def source(self, name: str) -> str:
        """Give the address of a blob for a copy inside the account: good for reading it, for an hour."""
        parts = urlsplit(self.way.endpoint)
        token = self.way.sas or self._reading(name)
        return f"{parts.scheme}://{parts.netloc}{self._base}/{encoded(name)}?{token}"

    def _signed(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
        lowered = {word.lower(): value for word, value in headers.items()}
        if lowered.get("content-length") == "0":
            lowered["content-length"] = ""
        ours = sorted((word for word in lowered if word.startswith("x-ms-")), key=_as_they_sort)
        text = "\n".join(
            (
                method,
                *(lowered.get(word, "") for word in _SIGNED),
                *(f"{word}:{' '.join(lowered[word].split())}" for word in ours),
                f"/{self.way.account}{path}",
                *(f"{word.lower()}:{value}" for word, value in sorted(query.items())),
            )
        )
        return f"SharedKey {self.way.account}:{self._mac(text)}"

    def _reading(self, name: str) -> str:
        """Make a SAS that reads one blob: https://learn.microsoft.com/rest/api/storageservices/create-service-sas."""
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        resource = f"/blob/{self.way.account}/{self.settings.container}/{name}"
        text = "\n".join(("r", "", until, resource, "", "", "", VERSION, "b", "", "", "", "", "", "", ""))
        values = {"sp": "r", "se": until, "sv": VERSION, "sr": "b", "sig": self._mac(text)}
        return "&".join(f"{word}={quote(value, safe='')}" for word, value in values.items())

    def _mac(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self.way.key, text.encode(), hashlib.sha256)).decode()


def encoded(name: str) -> str:
    """Give the name of a blob as a part of an address; ``.`` and ``..`` would be walked otherwise."""
    return "/".join("%2E" * len(one) if one in (".", "..") else quote(one, safe="~") for one in name.split("/"))


def _code_of(answer: Answer) -> str:
    return answer.headers.get("x-ms-error-code", "")


def _as_they_sort(header: str) -> tuple[str, str]:
    """The platform sorts as a language does: a dash counts only where all else is equal, and ``_`` comes first."""
    return header.replace("-", "").replace("_", " "), header
