"""Text to token ids, by Hugging Face's Rust tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 128
"""By default a text may have so many characters for each token of the limit. English has about
five, and the longest word that BERT's tokenizer makes one token of has 100."""


class TextTokenizer:
    """Encodes texts with the model's special tokens, without padding or truncation.

    path: a `tokenizer.json`. Raises ValueError if it is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise ValueError(f"{path}: not a tokenizer.json ({error})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.is_empty: Callable[[Sequence[int]], bool] = _special_ids(self._tokenizer).issuperset
        """Whether token ids are special tokens only: nothing was left of the text.

        The token for what is unknown stands for something in the text, so it does not count as one.
        """

    @property
    def largest_id(self) -> int:
        """Of all tokens that it may give."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. Releases the interpreter lock while it works."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def encode_truncated(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Token ids of each text's beginning: at most `limit`, special tokens included.

        Each text is tokenised once. Where `limit` has no room beside the special tokens, these are
        all there is. Releases the interpreter lock likewise.
        """
        room = max(0, limit - self._tokenizer.num_special_tokens_to_add(False))
        found = []
        for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
            encoding.truncate(room)
            found.append(self._tokenizer.post_process(encoding).ids)
        return found

    def beginnings(self, texts: Sequence[str], limit: int) -> list[str]:
        """Each text, cut after the last whole word that leaves it at most `limit` tokens, special
        ones included; after the last token that fits where no word ends before it.
        """
        room = max(0, limit - self._tokenizer.num_special_tokens_to_add(False))
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        found = []
        for text, encoding in zip(texts, encoded, strict=True):
            if len(encoding) > room:
                words = encoding.word_ids
                whole = (k for k in range(room, 0, -1) if words[k] != words[k - 1])
                last = next(whole, room)
                text = text[: encoding.offsets[last - 1][1]] if last else ""
            found.append(text)
        return found


def _special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids of what the model adds to every text, and of all that its tokenizer calls special."""
    added = tokenizer.get_added_tokens_decoder().items()
    special = {number for number, token in added if token.special}
    special.update(tokenizer.encode("").ids)
    unknown = getattr(tokenizer.model, "unk_token", None)
    return frozenset(special - {tokenizer.token_to_id(unknown) if unknown else None})
