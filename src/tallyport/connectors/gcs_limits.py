"""What Google Cloud Storage takes: how long, how large, in which pieces."""

from tallyport.domain.capabilities import Limits, VerifyLevel

MIB = 1024 * 1024
PIECE = 8 * MIB  # of one request; all but the last of a session are multiples of 256 KiB
UPLOAD_PART = 64 * MIB  # what the engine carries at once
PARTS_MAX = 10_000
LOOKS = 16  # calls at once where many are needed

LIMITS = Limits(
    max_size=UPLOAD_PART * PARTS_MAX,
    max_name=1024,
    max_path=1024,
    forbidden_characters="/\0\r\n",
    unicode_only=True,
    slow_hash=True,
    dates_containers=False,
    best_verify=VerifyLevel.READBACK,
    hash_types=("crc32c", "md5"),
    acknowledges=True,
    part_min=1,
    part_max=UPLOAD_PART,
    parts_max=PARTS_MAX,
    containers_implied=True,
)
