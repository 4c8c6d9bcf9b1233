"""API keys: a file of names and hashes; the keys themselves are never stored."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ...models.errors import NestlingError

PREFIX = "nst_"


class Keys:
    """Whose keys open what. hashes: sha256 in hex, by name.

    A key has 256 random bits, so its plain sha256 gives nothing away that could be guessed.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = {name: digest.encode() for name, digest in hashes.items()}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    @classmethod
    def read(cls, path: Path | None) -> Keys:
        """From lines `name sha256`; blank lines and what follows `#` do not count.

        No file is no keys. Raises NestlingError that names file and line.
        """
        if path is None:
            return cls({})
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise NestlingError(f"{path}: {error}") from error
        hashes: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or len(words[1]) != 64 or set(words[1]) - set("0123456789abcdef"):
                raise NestlingError(
                    f"{path}: line {number}: expected a name and a sha256 in hex, as "
                    "`nestling key NAME` prints them"
                )
            if words[0] in hashes:
                raise NestlingError(f"{path}: line {number}: {words[0]!r} is there twice")
            hashes[words[0]] = words[1]
        if not hashes:
            raise NestlingError(f"{path}: no keys in it")
        return cls(hashes)

    def owner(self, key: str) -> str | None:
        """Whose key it is; None if nobody's. Takes as long for a wrong key as for a right one."""
        digest = sha256(key.encode()).hexdigest().encode()
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found


def new_key() -> tuple[str, str]:
    """A new key, and its sha256 in hex."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, sha256(key.encode()).hexdigest()
