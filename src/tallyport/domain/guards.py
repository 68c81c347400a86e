"""Vetoes over transfers. A guard answers its input, or something weaker: a skip or a flag.

Order matters for the reason that is shown: type, size, refused content, then overwrite. A guard that cannot fire
under an execution's policies and limits is not in its rules.
"""

from tallyport.domain.actions import Action, Flag, Reason, Skip, Transfer
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, Pair, Side
from tallyport.domain.filters import extension_of
from tallyport.domain.naming import is_converted
from tallyport.domain.paths import split
from tallyport.domain.policies import (
    ItemOverwrite,
    LargeItem,
    Policies,
    RestrictedContent,
    Symlinks,
    TransferType,
)
from tallyport.domain.rules import Guard, Rules

_DESTINATION, _FILE, _SYMLINK = Side.DESTINATION, Kind.FILE, Kind.SYMLINK


def guards_for(policies: Policies, source: Limits, destination: Limits) -> tuple[Guard, ...]:
    """Choose the guards that can fire, in their order."""
    receiving = [destination] if policies.transfer_type is not TransferType.SYNC else [source, destination]
    could = {
        symlink_unknown: policies.symlinks is Symlinks.COPY and not all(side.symlinks for side in receiving),
        large_item: any(side.max_size is not None for side in receiving),
        restricted_content: bool(source.refused_extensions or destination.refused_extensions),
        item_overwrite: policies.item_overwrite is not ItemOverwrite.OVERWRITE,
    }
    return tuple(guard for guard, can in could.items() if can)


def warned_reasons(policies: Policies) -> frozenset[Reason]:
    """Give the reasons of skipped items that a job wants to be warned of; others are told as information."""
    warned = {Reason.IGNORED_DUPLICATE_NAME, Reason.IGNORED_OVERWRITE_POLICY}
    if policies.restricted_content is RestrictedContent.WARN:
        warned.add(Reason.IGNORED_RESTRICTED_CONTENT_POLICY)
    return frozenset(warned)


def carried(action: Transfer, pair: Pair) -> Entry:
    """Give the entry that a transfer carries."""
    entry = pair.source if action.to is _DESTINATION else pair.destination
    assert entry is not None, "a transfer carries something that is there"
    return entry


def receiving(action: Transfer, rules: Rules) -> Limits:
    """Give the limits of the side that a transfer writes to."""
    return rules.destination if action.to is _DESTINATION else rules.source


def symlink_unknown(action: Transfer, pair: Pair, rules: Rules) -> Action:
    """Flag a symlink on its way to a platform that has none."""
    if carried(action, pair).kind is _SYMLINK and not receiving(action, rules).symlinks:
        return Flag(Reason.UNSUPPORTED, f"the {action.to} keeps no symlinks")
    return action


def large_item(action: Transfer, pair: Pair, rules: Rules) -> Action:
    """Hold back a file above the receiving platform's size cap."""
    size, most = carried(action, pair).size, receiving(action, rules).max_size
    if most is None or size <= most:
        return action
    if rules.policies.large_item is LargeItem.SKIP:
        return Skip(Reason.IGNORED_LARGE_ITEM_POLICY)
    return Flag(Reason.TOO_LARGE, f"{size} bytes are more than the {most} that the {action.to} takes")


def restricted_content(action: Transfer, pair: Pair, rules: Rules) -> Action:
    """Hold back a type of file that the receiving platform refuses; an archive is carried in its place where asked."""
    name = split(pair.path)[1]
    if action.to is not _DESTINATION and is_converted(name, rules.policies, rules.destination):
        return Flag(
            Reason.UNSUPPORTED, "it stands as an archive at the destination, whose changes are not carried back"
        )
    entry = carried(action, pair)
    refused = receiving(action, rules).refused_extensions
    ending = extension_of(entry.name) if refused and entry.kind is _FILE else ""
    if ending[1:] not in refused:
        return action
    if action.to is _DESTINATION and is_converted(entry.name, rules.policies, rules.destination):
        return action  # under the name that naming gives it
    if rules.policies.restricted_content in (RestrictedContent.SKIP, RestrictedContent.WARN):
        return Skip(Reason.IGNORED_RESTRICTED_CONTENT_POLICY)
    return Flag(Reason.UNSUPPORTED, f"the {action.to} refuses {ending} files")


def item_overwrite(action: Transfer, pair: Pair, rules: Rules) -> Action:
    """Veto a transfer onto something that is there. Outranks conflict_resolution and delete_propagation."""
    veto = rules.overwrite_veto
    return veto if action.replaces and veto is not None else action
