"""Texts, and pairs of them, to token ids, by Hugging Face's Rust tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from .text import Text, joined, parts

CHARACTERS_PER_TOKEN = 128
"""By default a text may have so many characters for each token of the limit. English has about
five, and the longest word that BERT's tokenizer makes one token of has 100."""


class TextTokenizer:
    """Encodes texts with the model's special tokens, without padding or truncation.

    path: a `tokenizer.json`. second_from: what the ids of a pair's second text are raised by, where
    the model tells its tokens from those of the first. Raises ValueError if the file is none.
    """

    def __init__(self, path: Path, second_from: int = 0) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise ValueError(f"{path}: not a tokenizer.json ({error})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._second_from = second_from
        special = _special_ids(self._tokenizer)
        special |= {each + second_from for each in special}
        self.is_empty: Callable[[Sequence[int]], bool] = special.issuperset
        """Whether token ids are special tokens only: nothing was left of the text.

        The token for what is unknown stands for something in the text, so it does not count as one.
        """

    @property
    def largest_id(self) -> int:
        """Of all tokens that it may give."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Token ids of each text. Releases the interpreter lock while it works."""
        return list(map(self._ids, self._tokenizer.encode_batch_fast(list(texts))))

    def encode_truncated(self, texts: Sequence[Text], limit: int) -> list[list[int]]:
        """Token ids of each text's beginning: at most `limit`, special tokens included; of a pair,
        the longer text is cut first.

        Each text is tokenised once. Where `limit` has no room beside the special tokens, these are
        all there is. Releases the interpreter lock likewise.
        """
        found = []
        for encodings in self._apart(texts, self._tokenizer.encode_batch_fast):
            for encoding, room in zip(encodings, self._rooms(encodings, limit), strict=True):
                encoding.truncate(room)
            first, *second = encodings
            whole = self._tokenizer.post_process(first, second[0] if second else None)
            found.append(self._ids(whole))
        return found

    def beginnings(self, texts: Sequence[Text], limit: int) -> list[Text]:
        """Each text, cut after the last whole word that leaves it at most `limit` tokens, special
        ones included; after the last token that fits where no word ends before it. Of a pair, the
        longer text is cut first.
        """
        found = []
        encoded = self._apart(texts, self._tokenizer.encode_batch)
        for text, encodings in zip(texts, encoded, strict=True):
            rooms = self._rooms(encodings, limit)
            found.append(joined(map(_beginning, parts(text), encodings, rooms)))
        return found

    def _apart(
        self, texts: Sequence[Text], encode: Callable[..., list[Encoding]]
    ) -> Iterator[list[Encoding]]:
        """The tokens of each text, or of both of a pair, without special ones."""
        every = [part for text in texts for part in parts(text)]
        encoded = iter(encode(every, add_special_tokens=False))
        return ([next(encoded) for _ in parts(text)] for text in texts)

    def _rooms(self, encodings: Sequence[Encoding], limit: int) -> list[int]:
        """How many tokens of each fit."""
        of_pair = len(encodings) == 2
        room = max(0, limit - self._tokenizer.num_special_tokens_to_add(of_pair))
        if not of_pair:
            return [room]
        first, second = map(len, encodings)
        half = room // 2
        return [max(half, room - second), max(room - half, room - first)]

    def _ids(self, encoding: Encoding) -> list[int]:
        ids: list[int] = encoding.ids
        if self._second_from and 1 in (types := encoding.type_ids):
            raised = self._second_from
            return [each + raised * of for each, of in zip(ids, types, strict=True)]
        return ids


def _beginning(text: str, encoding: Encoding, room: int) -> str:
    if len(encoding) <= room:
        return text
    words = encoding.word_ids
    whole = (k for k in range(room, 0, -1) if words[k] != words[k - 1])
    last = next(whole, room)
    return text[: encoding.offsets[last - 1][1]] if last else ""


def _special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids of what the model adds to every text, and of all that its tokenizer calls special."""
    added = tokenizer.get_added_tokens_decoder().items()
    special = {number for number, token in added if token.special}
    special.update(tokenizer.encode("").ids)
    unknown = getattr(tokenizer.model, "unk_token", None)
    return frozenset(special - {tokenizer.token_to_id(unknown) if unknown else None})
