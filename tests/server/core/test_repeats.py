"""Texts that come again are known again, for a while, and nobody can read them."""

from __future__ import annotations

from nestling.server.core.repeats import RepeatWindow


def test_a_text_counts_once_while_it_is_remembered() -> None:
    window = RepeatWindow(size=3)
    assert window.share == 0
    seen = [window.is_new([text]) for text in (1, 1, 2, 1, 3, 2)]
    assert seen == [True, False, True, False, True, False]
    assert window.share == 0.5
    assert window.is_new([4])  # the first one has left
    assert window.share == 1 - 3 / 4
    assert window.is_new([1])


def test_order_and_length_matter() -> None:
    window = RepeatWindow()
    assert [window.is_new(text) for text in ([1, 2], [2, 1], [1], [1, 2, 0], [12])] == [True] * 5
    assert not window.is_new([1, 2])


def test_memory_is_bounded() -> None:
    window = RepeatWindow(size=10)
    for text in range(1_000):
        assert window.is_new([text])
    assert len(window._times) == window._all == 10


def test_fingerprints_of_two_windows_have_nothing_in_common() -> None:
    first, second = RepeatWindow(), RepeatWindow()
    for window in (first, second):
        for text in range(50):
            window.is_new([text])
    assert not set(first._times) & set(second._times)
