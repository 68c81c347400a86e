"""Who may work what: the labels of connections and workers."""

from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import labels

words = st.sampled_from(["a", "b", "c", "d", "e"])
some = st.frozensets(words, max_size=labels.MOST)


@given(some, some)
def test_a_worker_takes_the_batches_of_a_job_exactly_when_it_reaches_both_its_ends(worker, need) -> None:
    assert (labels.write(need) in labels.served(worker)) == labels.serves(worker, need)


@given(some, some, some)
def test_whoever_may_work_a_job_reaches_each_of_its_ends(worker, source, destination) -> None:
    is_fit = labels.serves(worker, labels.needed(source, destination))
    assert is_fit == (labels.serves(worker, source) and labels.serves(worker, destination))


@given(some)
def test_labels_read_as_they_were_written(chosen) -> None:
    assert labels.read(labels.write(chosen)) == chosen


@given(some)
def test_each_need_that_a_worker_serves_is_named_once(worker) -> None:
    named = labels.served(worker)
    assert len(set(named)) == len(named) == 2 ** len(worker)


def test_without_labels_everybody_does_everything() -> None:
    assert labels.serves((), ())
    assert labels.served(()) == ("",)


def test_what_is_missing_is_said_with_the_nearest_worker() -> None:
    assert labels.lacking({"nas"}, []) == "no worker that runs has the label nas"
    told = labels.lacking({"nas", "tape"}, [{"nas", "x"}, {"x"}])
    assert told == "no worker that runs has the labels nas, tape; the nearest lacks the label tape"


def test_a_label_is_a_plain_small_word() -> None:
    assert labels.problem("rack-1.nas_2") is None
    for text in ("", "-a", "a b", "A", "a+b", "a@b", "ä", "a" * 41, "a\n"):
        assert labels.problem(text) is not None
