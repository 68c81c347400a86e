"""A sentence for each key of the transfer block: for pages, help texts and documentation."""

from collections.abc import Mapping

KEY_WORDS: Mapping[str, str] = {
    "transfer_type": "What the job does; see the tables below. `default` means `sync`.",
    "audit_level": "The least level of events that the audit keeps: `error` failed items and runs; `warn` also"
    " losses, vetoes, waits; `info` also what was left out, begin and end of runs; `debug` also each item carried or"
    " deleted; `trace` also each folder gone through, with counts, and items found equal or planned; `none` nothing.",
    "batch_mode": "When to use a platform's bulk call: never, in the first run, always. No platform here has one: each"
    " run that would use it says so at info level, and items go one by one.",
    "conflict_resolution": "Who wins when a file changed on both sides since the last run. For sync and copy.",
    "delete_propagation": "Which deletes are repeated on the other side; a word or a list. For sync and copy.",
    "failure_policy": "Whether the first failed item ends the execution.",
    "large_item": "What becomes of a file above the receiving platform's size cap.",
    "lock_propagation": "Whether locks are made again at the destination, and in whose name.",
    "max_items_per_container": "A container that holds more is flagged and not entered. 0 is no limit.",
    "performance.parallel_writes.requested": "Writes at one time.",
    "performance.parallel_writes.max": "Writes at one time at most, whatever is requested.",
    "performance.split": "Whether the first run of a copy, move or migration is dealt into parts by measured weight.",
    "performance.upload": "Bytes a second to the destination: `bytes_per_second`, and `window` for times of day.",
    "performance.download": "Bytes a second from the source, likewise.",
    "permissions.policy": "Whether grants are added, or also removed where the source has none. A bare text is this.",
    "permissions.links": "Whether shared links are made again.",
    "permissions.failures": "Which trouble with grants holds an item back.",
    "preserve_owners": "Whether owner and group are carried, through the maps. Local files: needs the privilege.",
    "timestamps": "Whether times are carried.",
    "empty_containers": "Whether a container is made that is empty, or empty after filters.",
    "duplicate_names": "Whether the second item of one name at the destination is numbered, or left out.",
    "item_overwrite": "What happens when something of the name is there. Outranks conflict_resolution.",
    "restricted_content": "What becomes of a type of file that the receiving platform refuses.",
    "segment_transform": "Whether names may be changed to suit the receiving platform. Else the item is flagged.",
    "encode_invalid_characters": "Write a refused character as hexadecimal bytes, not as `_`.",
    "segment_truncate": "Whether a name that is too long may be cut. Else the item is flagged.",
    "names_from": "The job that wrote the source: items that it renamed get back the names that they had before.",
    "versioning.preserve": "Whether older versions of content are carried.",
    "versioning.select": "Which versions.",
    "versioning.from_source.max": "Most versions taken from the source, newest first.",
    "versioning.from_destination.max": "Most versions taken from the destination, newest first.",
    "filter.source": "Include and exclude rules over source items.",
    "filter.destination": "Include and exclude rules over destination items. Used by sync.",
    "simulation_mode": "Decide and report, and write nothing.",
    "on_initialize": "Whether everything below the destination path is deleted before the first run.",
    "item_inspection_policy": "How much content that is not carried is tracked for validation.",
    "permissions.import": "A text file at the source with the grants of each item, read instead of the items' own.",
    "metadata_import": "A text file at the source with properties of each item, beside those that travel.",
    "metadata_map": "Which property of the source becomes which at the destination; `required` ones hold items back.",
    "tags": "Whether tags are carried where properties are not.",
    "properties": "Whether named values are carried: user xattrs, object metadata. `auto`: as permissions.policy.",
    "special_bits": "Whether setuid, setgid, sticky and file capabilities are restored, between local folders.",
    "symlinks": "Carried as links, followed where they stay inside the root, left out, or flagged.",
    "verify": "How each item is proved; see the verify levels.",
    "durability": "When a written item may be called done: unsynced, synced in groups, synced one by one.",
    "quarantine": "A folder at the root of each side that keeps what is replaced or deleted there, for `undo`.",
    "full_look": "List the destination even where the last execution's record could be trusted.",
    "limits.max_attempts": "Tries of an item over all executions before it is flagged.",
    "limits.max_deletes": "More deletes than this wait for a person.",
    "limits.quarantine_days": "Days after which a server empties the quarantine of a run. Without it, nobody does.",
    "limits.max_delete_percent": "Deletes of more than this share of the known items wait for a person.",
}

RULE_WORDS: Mapping[str, tuple[str, str]] = {  # type of filter rule: its members, what it matches
    "extension": ("`extensions`", "Files with one of the extensions, with or without their dot, in any case."),
    "pattern": (
        "`text`, `targets`: `all` (the default) `item` `container` `none`",
        "Names that fit: `*` is anything, `;` stands between patterns, case counts for nothing.",
    ),
    "size": ("`min`, `max`, in bytes", "Files *outside* of the range: exclude with `max: 1024` drops what is larger."),
    "date": (
        "`targets`: `all` (the default) `created_on` `modified_on` `accessed_on` `last_touched` `none`; `range`: `type`"
        " `day` `week` `month` `year` with `value`, or `range` with `from`, `to` in seconds since 1970",
        "Files with such a time within the last so many, or from one moment to another.",
    ),
    "shared": ("", "What others share with the connection's account. Kept unless a rule leaves it out."),
    "hidden": ("", "What the platform marks as hidden, and names that begin with a dot."),
    "group": (
        "`groups`",
        "Files of a predefined set, as Audio, Documents, Executables, Images, Movies, Temporary, Windows.",
    ),
    "path": ("`paths`, each from the source path on, with `/` first", "That item, and all that is in it. Case counts."),
}
