"""What Azure Blob takes: how long, how large, in which pieces."""

from tallyport.domain.capabilities import LengthUnit, Limits, VerifyLevel

MIB = 1024 * 1024
BLOCK = 8 * MIB  # of one request; the whole of it is in memory, so that it is sent with its MD5
UPLOAD_PART = 64 * MIB  # what the engine carries at once; it is stored as up to eight blocks
BLOCKS_MAX = 50_000  # of one blob
COPY_MAX = 256 * MIB  # of a copy in one request
COPY_BLOCK = 100 * MIB  # of a larger one
SEGMENTS_MAX = 254
LOOKS = 16  # calls at once where many are needed
_CONTROLS = "".join(map(chr, range(32)))

LIMITS = Limits(
    max_size=UPLOAD_PART * BLOCKS_MAX,
    max_name=1024,
    max_path=1024,
    name_unit=LengthUnit.UTF16,
    # A backslash becomes a slash on its way; listings are XML, which has no control characters.
    forbidden_characters="/\\\x7f\ufffe\uffff" + _CONTROLS,
    forbidden_endings=".",
    unicode_only=True,
    slow_hash=True,
    locks=True,
    dates_containers=False,
    best_verify=VerifyLevel.READBACK,
    hash_types=("md5",),
    acknowledges=True,
    part_min=1,
    part_max=UPLOAD_PART,
    parts_max=BLOCKS_MAX,
    containers_implied=True,
)
