"""Where the rules allow it, one decision for many items: asked of ``decide`` once an execution, by samples."""

from tallyport.domain.actions import Reason, Skip, Transfer
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Fingerprint, Kind, Pair, Side
from tallyport.domain.rules import Rules


def plain_size(rules: Rules, part_size: int) -> int:
    """Give the size up to which a new file in a new container is carried without a decision of its own; -1 = none.

    True where no rule looks at more than kind and size: then ``decide`` would send it.
    """
    if rules.judge_source is not None or rules.judge_destination is not None or rules.removes_source:
        return -1
    if rules.policies.simulation or not fits_all(rules):
        return -1
    sample = Entry("a", Kind.FILE, 0)
    if decide(Pair("a", sample, None), rules) != Transfer(Side.DESTINATION, Reason.NEW_AT_SOURCE):
        return -1
    if rules.destination.refused_extensions:
        return -1
    most = rules.destination.max_size
    return part_size if most is None else min(most, part_size)


def fits_all(rules: Rules) -> bool:
    """Tell whether every name of the source can be had at the destination as it is, beside every other."""
    limits = rules.destination
    return (
        set(limits.forbidden_characters) <= {"/", "\0"}
        and not limits.reserved_names
        and not limits.forbidden_endings
        and not limits.unicode_only
        and not limits.normalises_names
        and limits.case_sensitive
        and limits.max_name >= rules.source.max_name
        and limits.max_path is None
        and not limits.refused_extensions
        and not rules.policies.names_from
    )


def rests(rules: Rules) -> bool:
    """Tell whether an item that is as its baseline says, on both sides, is left alone without a decision."""
    if rules.judge_source is not None or rules.judge_destination is not None:
        return False
    entry = Entry("a", Kind.FILE, 0)
    print_ = Fingerprint(0, 0, b"")
    rest = decide(Pair("a", entry, entry, Baseline(print_, print_)), rules)
    return rest == Skip(Reason.UNCHANGED)
