"""What a file has on a share besides content: a security descriptor, extended attributes, further streams."""

import struct
from collections.abc import Mapping

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.smb_folder import Folder
from tallyport.connectors.smb_properties import ea_message, eas_of, streams_of
from tallyport.connectors.smb_session import (
    INVALID_GROUP,
    INVALID_OWNER,
    NO_EAS,
    NO_PRIVILEGE,
    SmbError,
)
from tallyport.domain import ntfs_acl
from tallyport.domain.access import Access, Principal
from tallyport.domain.errors import ErrorKind

STREAM_MOST = 1024 * 1024  # bytes of a second stream that travel as a property

_LOOK = smb.READ_ATTRIBUTES
_SECURITY = smb.OWNER_INFO | smb.GROUP_INFO | smb.DACL_INFO
_REFUSED = (ErrorKind.UNSUPPORTED, ErrorKind.INVALID_NAME, ErrorKind.NO_SPACE, ErrorKind.NOT_FOUND)


class Companions(Folder):
    """A folder whose entries keep access and named values."""

    # -- access and properties

    def access(self, path: str) -> Access:
        check_path("see the access of", path)
        raw, is_container = self._descriptor(path)
        return ntfs_acl.access_of(ntfs_acl.decode(raw), raw, is_container=is_container)

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        """Set owner and group, then the list. Whoever has no identifier (S-1-...) here gets nothing."""
        check_path("set the access of", path)
        raw, is_container = self._descriptor(path)
        standing = ntfs_acl.decode(raw)
        wanted = standing
        if access.native_kind == ntfs_acl.KIND and access.native:
            wanted = ntfs_acl.decode(access.native)
            if not remove_others:
                own = tuple(ace for ace in standing.aces if not ace.flags & ntfs_acl.INHERITED)
                wanted = wanted._replace(aces=(*wanted.aces, *(ace for ace in own if ace not in wanted.aces)))
        elif access.grants or remove_others or not access.inherits:
            wanted = ntfs_acl.with_grants(
                standing, access, is_container=is_container, sid_for=_sid, remove_others=remove_others
            )
        owner, group = access.owner and _sid(access.owner), access.group and _sid(access.group)
        for which, part in (
            (smb.OWNER_INFO, ntfs_acl.Security(owner=owner or "", has_list=False)),
            (smb.GROUP_INFO, ntfs_acl.Security(group=group or "", has_list=False)),
        ):
            known = part.owner or part.group
            if known and known not in (standing.owner if part.owner else standing.group,):
                self._set_descriptor(path, which, part, smb.WRITE_OWNER)
        if wanted is not standing:
            self._set_descriptor(path, smb.DACL_INFO, wanted._replace(owner="", group=""), smb.WRITE_DAC)
        return self.access(path)

    def properties(self, path: str) -> Mapping[str, bytes]:
        """Give extended attributes by their names, and small second streams by theirs after a colon."""
        check_path("see the properties of", path)
        return self._properties(path)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        """Set extended attributes and second streams; what the server refuses is missing from what is given back."""
        check_path("set the properties of", path)
        for name, value in values.items():
            try:
                if name.startswith(":"):
                    self._set_stream(path, name, value)
                else:
                    access = smb.WRITE_EA | _LOOK
                    messages = (smb.create(self._name(path), access), ea_message(name, value or b""), smb.close())
                    self._session.exchange("set the properties of", path, *messages)
            except (SmbError, UnicodeError) as error:
                if isinstance(error, SmbError) and error.kind not in _REFUSED:
                    raise
        return self._properties(path)

    def _descriptor(self, path: str) -> tuple[bytes, bool]:
        messages = (
            smb.create(self._name(path), smb.READ_CONTROL | _LOOK, options=smb.AS_LINK),
            smb.query(smb.OF_SECURITY, 0, which=_SECURITY),
            smb.close(),
        )
        answers = self._session.exchange("see the access of", path, *messages)
        is_container = bool(smb.created(answers[0]).standing.attributes & smb.DIRECTORY)
        return smb.queried(answers[1]), is_container

    def _set_descriptor(self, path: str, which: int, part: ntfs_acl.Security, access: int) -> None:
        """Set a part; an owner that the server does not let us give is found when it is read back."""
        messages = (
            smb.create(self._name(path), access | smb.READ_CONTROL, options=smb.AS_LINK),
            smb.change(smb.OF_SECURITY, 0, ntfs_acl.encode(part), which=which),
            smb.close(),
        )
        try:
            self._session.exchange("set the access of", path, *messages)
        except SmbError as error:
            if error.status not in (INVALID_OWNER, INVALID_GROUP, NO_PRIVILEGE):
                raise

    def _properties(self, path: str) -> dict[str, bytes]:
        access = smb.READ_EA | _LOOK
        found: dict[str, bytes] = {}
        for information, read in ((smb.FULL_EA, eas_of), (smb.STREAMS, streams_of)):
            messages = (
                smb.create(self._name(path), access),
                smb.query(smb.OF_FILE, information),
                smb.close(),
            )
            try:
                answers = self._session.exchange("see the properties of", path, *messages)
            except SmbError as error:
                if error.status == NO_EAS or error.kind is ErrorKind.UNSUPPORTED:
                    continue
                raise
            found.update(read(smb.queried(answers[1])))
        for name, size in [(name, int.from_bytes(size, "big")) for name, size in found.items() if name[:1] == ":"]:
            del found[name]
            if size <= STREAM_MOST:
                found[name] = self._read_stream(path, name, size)
        return found

    def _read_stream(self, path: str, name: str, size: int) -> bytes:
        opened = smb.created(
            self._session.exchange("see the properties of", path, smb.create(self._name(path) + name, smb.READ_DATA))[0]
        )
        try:
            if not size:
                return b""
            message = smb.read(opened.handle, 0, min(size, self._session.chunk))
            return smb.data_of(self._session.exchange("see the properties of", path, message)[0])
        finally:
            self._close(opened.handle)

    def _set_stream(self, path: str, name: str, value: bytes | None) -> None:
        why = _wrong_stream(name)
        if why:
            return
        operation = "set the properties of"
        target = self._name(path) + name
        if value is None:
            self._session.exchange(operation, path, smb.create(target, smb.DELETE), smb.dispose(), smb.close())
            return
        empty = smb.change(smb.OF_FILE, smb.END_OF_FILE, struct.pack("<q", 0))
        messages = [smb.create(target, smb.WRITE_DATA, disposition=smb.OPEN_IF), empty]
        if value:
            messages.append(smb.write(value, 0))
        self._session.exchange(operation, path, *messages, smb.close())


def _sid(principal: Principal) -> str | None:
    try:
        ntfs_acl.sid_bytes(principal.id)
    except ValueError:
        return None
    return principal.id


def _wrong_stream(name: str) -> bool:
    inner = name[1:]
    return not inner or any(character in inner for character in ':\\/*?"<>|\0')
