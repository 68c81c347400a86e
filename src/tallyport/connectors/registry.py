"""Which platforms there are: one line each, imported when first used.

A platform's module holds its factory and, beside it, ``Settings``: a frozen dataclass whose fields carry
``help`` and, where the type does not say enough, ``check`` (value → what is wrong with it, or None) in their
metadata. The API, the command line and the web form are made from these fields.

Third parties add a platform by an entry point in the group ``tallyport.connectors``, named by its id, of the
same shape: ``module:factory``. An id of our own cannot be taken over.
"""

import dataclasses
import importlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from tallyport.connectors.protocol import Connector
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, check_segment, display
from tallyport.domain.secrets import Secret

GROUP = "tallyport.connectors"


class SettingsField(NamedTuple):
    """One setting of a platform, as a form or a command line shows it."""

    name: str
    type: str  # text, integer, number, boolean or list (of texts)
    required: bool
    help: str
    default: object = None
    allowed: tuple[object, ...] | None = None  # the only values, when they can be told
    secret: bool = False  # never shown again once stored
    lines: bool = False  # a text of several lines, whose ends matter


class Problem(NamedTuple):
    """One thing wrong with a settings document."""

    path: str  # of the field inside the document
    message: str
    allowed: tuple[object, ...] | None = None


class InvalidSettings(TallyportError):
    """A settings document that cannot be used, with everything that is wrong with it."""

    def __init__(self, platform_id: str, problems: list[Problem]) -> None:
        said = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
        super().__init__(ErrorKind.CONFIG, f"settings of platform {platform_id!r}: {said}", operation="open")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Platform:
    """A kind of storage and where its connector is."""

    id: str
    name: str
    factory: str  # "module:callable"; called as factory(settings, path, make=...)
    extra: str | None = None  # what to install for it: tallyport[extra]
    aliases: tuple[str, ...] = ()  # other ids that mean it, accepted wherever an id is
    is_remote: bool = True  # calls are waited for, so that several at once are faster than one

    def settings_fields(self) -> tuple[SettingsField, ...]:
        """Give the settings that a connection of this platform has, in the order to show them."""
        return _fields(self._settings_class())

    def secret_names(self) -> frozenset[str]:
        """Name the settings that are never shown again once stored."""
        return frozenset(field.name for field in self.settings_fields() if field.secret)

    def read_settings(self, document: Mapping[str, object]) -> object:
        """Make the platform's ``Settings`` from a document, or raise InvalidSettings with every problem."""
        settings_class = self._settings_class()
        fields = _fields(settings_class)
        known = tuple(field.name for field in fields)
        problems = [Problem(name, "there is no such setting", known) for name in document if name not in known]
        values: dict[str, object] = {}
        for field, declared in zip(fields, dataclasses.fields(settings_class), strict=True):
            if field.name not in document:
                if field.required:
                    problems.append(Problem(field.name, "is required", field.allowed))
                continue
            value = document[field.name]
            is_absent = value is None and not field.required and field.default is None
            why = None if is_absent else _wrong(field, value)
            if why is None and value is not None and "check" in declared.metadata:
                why = declared.metadata["check"](value)
            if why is not None:
                problems.append(Problem(field.name, why, field.allowed))
            values[field.name] = _value(field, value)
        if problems:
            raise InvalidSettings(self.id, problems)
        return settings_class(**values)

    def open(self, settings: object, path: str = ROOT, *, make: bool = False) -> Connector:
        """Open a connector at ``path`` (a clean one, see :func:`below`) under the root of the connection."""
        return self.connector()(settings, path, make=make)

    def connector(self) -> Callable[..., Connector]:
        """Give what makes its connectors: a class, or a function that says what it gives."""
        made: Callable[..., Connector] = getattr(self._module(), self.factory.partition(":")[2])
        return made

    def _module(self) -> types.ModuleType:
        name = self.factory.partition(":")[0]
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if self.extra is None:
                raise
            message = (
                f"platform {self.id!r} needs {error.name}, which is not installed: "
                f"pip install 'tallyport[{self.extra}]'"
            )
            raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error

    def _settings_class(self) -> type[Any]:
        return cast(type[Any], self._module().Settings)


PLATFORMS: dict[str, Platform] = {
    platform.id: platform
    for platform in (
        Platform("fs", "Folder", "tallyport.connectors.local:open_local", aliases=("local", "nfs"), is_remote=False),
        Platform("sftp", "SFTP", "tallyport.connectors.sftp:open_sftp", extra="sftp"),
        Platform("smb", "Windows share (SMB)", "tallyport.connectors.smb:open_smb", extra="smb"),
        Platform("webdav", "WebDAV, Nextcloud", "tallyport.connectors.webdav:open_webdav", extra="webdav"),
        Platform("ftp", "FTP, FTPS", "tallyport.connectors.ftp:open_ftp"),
        Platform("memory", "Memory", "tallyport.connectors.memory:Memory", is_remote=False),
        Platform("s3", "S3", "tallyport.connectors.s3:open_s3", extra="s3"),
        Platform("azure_blob", "Azure Blob Storage", "tallyport.connectors.azure_blob:open_azure_blob", extra="azure"),
        Platform("gcs", "Google Cloud Storage", "tallyport.connectors.gcs:open_gcs", extra="gcs"),
    )
}


LATER = ("azure_files",)


def platforms() -> dict[str, Platform]:
    """Give all platforms, ours and those of third parties, by id."""
    return {**_third_parties(), **PLATFORMS}


def platform(platform_id: str) -> Platform:
    """Give the platform that an id or an alias means, or raise CONFIG."""
    # Looking for those of others reads what every package says of itself: ours are looked at first, and alone.
    found = _among(PLATFORMS, platform_id) or _among(platforms(), platform_id)
    if found is not None:
        return found
    if platform_id in LATER:
        message = f"platform {platform_id!r} is not in this version"
    else:
        known = platforms()
        ids = sorted({*known, *(alias for one in known.values() for alias in one.aliases)})
        message = f"there is no platform {platform_id!r}; known are {', '.join(ids)}"
    raise TallyportError(ErrorKind.CONFIG, message, operation="open")


def _among(known: Mapping[str, Platform], platform_id: str) -> Platform | None:
    aliased = (one for one in known.values() if platform_id in one.aliases)
    return known.get(platform_id) or next(aliased, None)


def below(path: str) -> str:
    """Give the path of a job below its connection's root as our own kind of path.

    ``/`` and the empty text are the root; one slash at either end is welcome. A name that cannot be an
    item's, ``..`` among them, is CONFIG: a job cannot leave its connection.
    """
    clean = path.removeprefix("/").removesuffix("/")
    for name in clean.split("/") if clean else ():
        why = check_segment(name)
        if why is not None:
            message = f"the path {display(path)!r} cannot be used: {why}"
            raise TallyportError(ErrorKind.CONFIG, message, path=path, operation="open")
    return clean


@cache
def _third_parties() -> dict[str, Platform]:
    from importlib.metadata import entry_points  # slow to load, and no one-shot between folders asks

    found = entry_points(group=GROUP)
    return {point.name: Platform(point.name, point.name, point.value) for point in found}


# -- settings

_TYPES: dict[object, str] = {str: "text", int: "integer", float: "number", bool: "boolean"}


def _fields(settings_class: type[Any]) -> tuple[SettingsField, ...]:
    hints = get_type_hints(settings_class)
    return tuple(_field(field, hints[field.name]) for field in dataclasses.fields(settings_class))


def _field(field: "dataclasses.Field[Any]", hint: object) -> SettingsField:
    """Describe a field: str, int, float, bool, a tuple of texts or a Literal of texts, each perhaps None."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (one for one in get_args(hint) if one is not types.NoneType)
    allowed: tuple[object, ...] | None = (False, True) if hint is bool else None
    if get_origin(hint) is Literal:
        allowed, word = get_args(hint), "text"
    else:
        word = "list" if get_origin(hint) is tuple else _TYPES[hint]
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default = None if field.default is dataclasses.MISSING else field.default
    secret = bool(field.metadata.get("secret", False))
    lines = bool(field.metadata.get("lines", False))
    return SettingsField(field.name, word, required, field.metadata["help"], default, allowed, secret, lines)


def _wrong(field: SettingsField, value: object) -> str | None:
    """Say why a value is none of the field's type, or None."""
    match field.type:
        case "boolean":
            fits = isinstance(value, bool)
        case "integer":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "number":
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case "list":
            fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        case _:
            fits = isinstance(value, str)
    if not fits:
        article = "an" if field.type == "integer" else "a"
        return f"must be {article} {field.type}, not {_shown(field, value)}"
    if field.allowed is not None and value not in field.allowed:
        return f"cannot be {_shown(field, value)}"
    return None


def _shown(field: SettingsField, value: object) -> str:
    return "this" if field.secret else repr(value)[:60]


def _value(field: SettingsField, value: object) -> object:
    if field.secret and isinstance(value, str):
        return Secret(value)
    return tuple(value) if isinstance(value, list) else value
