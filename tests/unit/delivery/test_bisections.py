"""Bisections: the order of parts, and their end."""

from __future__ import annotations

from akto_mirror.delivery.batch import Batch
from akto_mirror.delivery.bisections import MOST, MOST_BYTES, NEVER, NEVER_REFUSED, Bisections
from akto_mirror.delivery.poison import Refusals


def test_a_bisection_ends_with_its_last_part() -> None:
    """Line 5: a bisection ends with its last part, in any order."""
    all_open, batch = Bisections(), Batch([b"a", b"b"], 0)
    whole = all_open.begin(batch, NEVER_REFUSED)
    parts = [all_open.add(whole, [entry], NEVER_REFUSED) for entry in batch.entries]
    assert all_open.end(batch) is None
    assert all_open.end(parts[0]) is None
    assert all_open.end(parts[1]) is whole
    assert all_open.part(parts[1]) is None


def test_what_was_not_tried_comes_before_what_was_refused() -> None:
    """Line 5: new parts come first, the newest and so smallest before others; refused parts wait for their time."""
    all_open = Bisections()
    whole = all_open.begin(Batch([b"a", b"b", b"c"], 0), NEVER_REFUSED)
    first, second = (all_open.add(whole, [entry], NEVER_REFUSED) for entry in (b"a", b"b"))
    refused = all_open.add(whole, [b"c"], Refusals(count=1, last=5, not_before=10))
    assert all_open.due_in(0) == NEVER
    for part in (first, second, refused):
        all_open.wait(part)
    assert all_open.due_in(0) == 0
    assert (all_open.take_fresh(0), all_open.take_fresh(0), all_open.take_fresh(0)) == (second, first, None)
    assert (all_open.due_in(4), all_open.take_refused(4)) == (6, None)
    assert all_open.take_settling(10, passes=5) is None
    assert all_open.take_settling(10, passes=6) is refused


def test_parts_of_a_closed_one_are_not_taken() -> None:
    """Line 5: waiting entries of a closed bisection are returned, and its parts are not taken any more."""
    all_open = Bisections()
    whole = all_open.begin(Batch([b"a", b"b"], 0), NEVER_REFUSED)
    all_open.wait(all_open.add(whole, [b"a"], NEVER_REFUSED))
    all_open.wait(all_open.add(whole, [b"b"], Refusals(count=1, not_before=0)))
    assert sorted(all_open.close(whole)) == [b"a", b"b"]
    assert (all_open.take_fresh(0), all_open.take_refused(99), all_open.due_in(99)) == (None, None, NEVER)


def test_several_are_open_only_where_poison_is_proven() -> None:
    """Line 5: several bisections are open only if poison is proven, and within bounds."""
    all_open = Bisections()
    assert all_open.may_begin(Batch([b"a"], 0), several=False)
    whole = all_open.begin(Batch([b"a"], 0), NEVER_REFUSED)
    all_open.wait(all_open.add(whole, [b"a"], NEVER_REFUSED))
    assert not all_open.may_begin(Batch([b"b"], 0), several=False)
    assert all_open.may_begin(Batch([b"b"], 0), several=True)
    assert not all_open.may_begin(Batch([bytes(MOST_BYTES)], 0), several=True)
    for number in range(MOST):
        all_open.begin(Batch([b"%d" % number], 0), NEVER_REFUSED)
    assert all_open.is_crowded()
    assert not all_open.may_begin(Batch([b"b"], 0), several=True)
