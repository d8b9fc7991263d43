import numpy as np
import pytest

from dgfnet.filling.memo import Memo
from dgfnet.inpainting import FillOptions, Inpainter


def asked(memo, *what, answer=None):
    """Whether the memo had to compute the answer."""
    computed = []

    def compute():
        computed.append(True)
        return (np.zeros(250, np.float32),) if answer is None else answer

    memo(compute, *what)
    return bool(computed)


def test_the_same_is_computed_once():
    memo, array = Memo(10_000), np.arange(6, dtype=np.float32)
    assert asked(memo, "role", array, 3)
    assert not asked(memo, "role", array.copy(), 3)


@pytest.mark.parametrize(
    "other",
    [
        ("role", np.arange(6, dtype=np.float32), 4),
        ("rule", np.arange(6, dtype=np.float32), 3),
        ("role", np.arange(6, dtype=np.int32), 3),
        ("role", np.arange(6, dtype=np.float32).reshape(2, 3), 3),
        ("role", np.arange(1, 7, dtype=np.float32), 3),
    ],
)
def test_what_differs_is_computed(other):
    memo = Memo(10_000)
    asked(memo, "role", np.arange(6, dtype=np.float32), 3)
    assert asked(memo, *other)


def test_the_oldest_is_forgotten_first_and_size_is_kept():
    memo = Memo(2_500)  # two answers of 1,000 bytes
    assert [asked(memo, number) for number in (1, 2, 1, 3)] == [True, True, False, True]
    assert memo.size == 2_000
    assert [asked(memo, number) for number in (1, 3, 2)] == [False, False, True]
    memo.clear()
    assert memo.size == 0
    assert asked(memo, 3)


def test_an_answer_that_is_too_large_is_given_and_not_kept():
    memo = Memo(100)
    assert asked(memo, 1)
    assert asked(memo, 1)
    assert memo.size == 0


def test_without_capacity_nothing_is_kept():
    memo = Memo(0)
    assert asked(memo, 1)
    assert asked(memo, 1)


def test_answers_cannot_be_changed():
    (kept,) = Memo(10_000)(lambda: (np.zeros(4),), 1)
    with pytest.raises(ValueError, match="read-only"):
        kept += 1


def test_another_fill_needs_no_network_and_is_the_same_as_without_a_memo(photograph, network):
    hole = np.zeros(photograph.shape[:2], bool)
    hole[40:90, 30:80] = True
    calls, forward = [], network.forward
    remembering, forgetful = Inpainter(network, memo=Memo(2**26)), Inpainter(network)
    network.forward = lambda *given: calls.append(True) or forward(*given)
    for options in (FillOptions(), FillOptions(variation=1), FillOptions(patches=0.5, feather=3)):
        fill = remembering.fill(photograph, hole, options)
        assert len(calls) == 1
        np.testing.assert_array_equal(fill.fill, forgetful_fill(forgetful, photograph, hole, options, calls))


def forgetful_fill(inpainter, photograph, hole, options, calls):
    fill = inpainter.fill(photograph, hole, options).fill
    assert calls.pop()
    return fill
