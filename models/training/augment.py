"""New texts recombined from the training texts, for the teacher to judge.

A small student stops improving on a small training set long before its capacity is used up.
More texts help if they look like the real ones; whatever a recombination does to the meaning,
the teacher's soft targets say. Four ways keep to the words of one label; a share of the texts is
spliced from two labels, and teaches where one ends and the other begins. All split at spaces.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..inputs.text import Text, joined, parts

Words = list[str]
Split = tuple[Words, ...]
"""The words of a text, or of both of a pair."""
NOISE = 0.15
"""Probability that a word is dropped, swapped with the next, or replaced."""
LONGEST_CHAIN = 40


def recombine(
    texts: Sequence[Text], labels: Sequence[int], count: int, across: float, seed: int
) -> list[Text]:
    """`count` new texts at most: fewer where the training set is too small to give as many.

    labels: of each text. across: share of the new texts that are of two labels. The same seed gives
    the same texts. None of them is a training text, and none occurs twice. Of pairs, new first
    texts stand beside new second ones of the same label, or beside those of another pair.
    """
    rng = random.Random(seed)
    of_label: dict[int, list[Split]] = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        of_label[label].append(_split(text))
    followers = {
        label: list(map(_bigrams, zip(*group, strict=True))) for label, group in of_label.items()
    }
    vocabulary = {
        label: [[w for words in part for w in words] for part in zip(*group, strict=True)]
        for label, group in of_label.items()
    }

    def chain(label: int) -> Split:
        return tuple(_walk(part, rng) for part in followers[label])

    def drop_and_swap(label: int) -> Split:
        return tuple(_drop_and_swap(words, rng) for words in rng.choice(of_label[label]))

    def splice(label: int) -> Split:
        group = of_label[label]
        return _splice(rng.choice(group), rng.choice(group), rng)

    def replace(label: int) -> Split:
        chosen = zip(rng.choice(of_label[label]), vocabulary[label], strict=True)
        return tuple(
            [rng.choice(known) if rng.random() < NOISE else w for w in words]
            for words, known in chosen
        )

    def exchange(label: int) -> Split:
        group = of_label[label]
        return rng.choice(group)[0], rng.choice(group)[1]

    def splice_labels(label: int) -> Split:
        other = rng.choice([each for each in known if each != label])
        return _splice(rng.choice(of_label[label]), rng.choice(of_label[other]), rng)

    ways: list[Callable[[int], Split]] = [chain, drop_and_swap, splice, replace]
    if any(isinstance(text, tuple) for text in texts):
        ways.append(exchange)
    known = sorted(of_label)
    seen = {_together(_split(text)) for text in texts}
    new: list[Text] = []
    for attempt in range(4 * count):
        if len(new) == count:
            break
        label = known[attempt // len(ways) % len(known)]
        mixed = len(known) > 1 and rng.random() < across
        way = splice_labels if mixed else ways[attempt % len(ways)]
        found = way(label)
        text = _together(found)
        if all(found) and text not in seen:
            seen.add(text)
            new.append(text)
    rng.shuffle(new)
    return new


def _split(text: Text) -> Split:
    return tuple(part.split() for part in parts(text))


def _together(split: Split) -> Text:
    return joined(" ".join(words) for words in split)


def _bigrams(group: Sequence[Words]) -> dict[str | None, list[str | None]]:
    """Which words follow which; None stands for the start and the end."""
    followers: dict[str | None, list[str | None]] = defaultdict(list)
    for words in group:
        chain = [None, *words, None]
        for word, following in pairwise(chain):
            followers[word].append(following)
    return followers


def _walk(followers: dict[str | None, list[str | None]], rng: random.Random) -> Words:
    words: Words = []
    word = rng.choice(followers[None])
    while word is not None and len(words) < LONGEST_CHAIN:
        words.append(word)
        word = rng.choice(followers[word])
    return words


def _drop_and_swap(words: Words, rng: random.Random) -> Words:
    kept = [w for w in words if rng.random() >= NOISE]
    for i in range(len(kept) - 1):
        if rng.random() < NOISE:
            kept[i], kept[i + 1] = kept[i + 1], kept[i]
    return kept


def _splice(heads: Split, tails: Split, rng: random.Random) -> Split:
    """The beginning of one text and the end of another, cut at about the same place."""
    found = []
    for head, tail in zip(heads, tails, strict=True):
        cut = rng.uniform(0.25, 0.75)
        found.append(head[: round(cut * len(head))] + tail[round(cut * len(tail)) :])
    return tuple(found)
