"""The binary tensor extension of the Open Inference Protocol: JSON first, raw tensors behind it.

The header `Inference-Header-Content-Length` says where the JSON ends. Tensors follow in the order
in which the JSON names them, each as long as its parameter `binary_data_size` says: little endian,
row-major, a string as its length in 4 bytes and then its UTF-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import error as struct_error
from struct import pack, unpack_from

import numpy as np
import orjson
from numpy.typing import NDArray

from ....errors import Reason, RequestError
from ...headers import RawHeaders
from ...route import WholeResponse

LENGTH_HEADER = "Inference-Header-Content-Length"


class Sections:
    """A body cut into JSON and raw tensors, which are taken one after the other.

    length: the value of the header; None where the whole body is JSON. Raises RequestError for a
    length that the body does not have.
    """

    def __init__(self, body: bytes | bytearray, length: str | None) -> None:
        if length is None:
            length = str(len(body))
        # More digits than a body can be long are not worth converting.
        if not (length.isascii() and length.isdecimal() and len(length) < 20) or int(length) > len(
            body
        ):
            raise RequestError(
                Reason.INVALID_TENSOR,
                f"{length[:64]!r}; expected a number of bytes up to the body's {len(body)}",
                LENGTH_HEADER,
            )
        self.json = body[: int(length)]
        self._binary = memoryview(bytes(body[int(length) :]))
        self._taken = 0

    def take(self, size: int, name: str) -> memoryview:
        """The next tensor. Raises RequestError if there are fewer bytes."""
        left = len(self._binary) - self._taken
        if size > left:
            raise RequestError(
                Reason.INVALID_TENSOR,
                f"binary_data_size is {size}, but {left} bytes are left in the binary section",
                name,
                limit=left,
                actual=size,
            )
        self._taken += size
        return self._binary[self._taken - size : self._taken]

    def finish(self) -> None:
        """Raises RequestError if there is more than what the tensors have taken."""
        if left := len(self._binary) - self._taken:
            raise RequestError(
                Reason.INVALID_TENSOR,
                f"{left} bytes of the binary section belong to no input; each input there has a "
                "parameter binary_data_size",
            )


def strings(raw: memoryview, most: int, name: str) -> list[str]:
    """The elements of a BYTES tensor, at most so many. Raises RequestError that names the element.

    A few bytes per element make millions of a body, which would keep everybody waiting: reading
    ends where the shape does.
    """
    found: list[str] = []
    start = 0
    while start < len(raw):
        if len(found) == most:
            raise RequestError(
                Reason.INVALID_TENSOR,
                f"{len(raw) - start} bytes are left behind the {most} elements of its shape",
                name,
            )
        field = f"{name}[{len(found)}]"
        try:
            (length,) = unpack_from("<I", raw, start)
        except struct_error:
            raise RequestError(
                Reason.INVALID_TENSOR, f"{len(raw) - start} bytes, where a length has 4", field
            ) from None
        start += 4
        if length > len(raw) - start:
            raise RequestError(
                Reason.INVALID_TENSOR,
                f"its length is {length}, but {len(raw) - start} bytes are left in the tensor",
                field,
            )
        try:
            found.append(str(raw[start : start + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise RequestError(
                Reason.INVALID_UTF8, f"not UTF-8 at byte {error.start}", field
            ) from None
        start += length
    return found


def integers(raw: memoryview, name: str) -> NDArray[np.int64]:
    """The elements of an INT64 tensor. Raises RequestError for a size that is no multiple of 8."""
    if len(raw) % 8:
        raise RequestError(Reason.INVALID_TENSOR, f"{len(raw)} bytes, where each INT64 has 8", name)
    return np.frombuffer(raw, "<i8").astype(np.int64, copy=False)


def to_bytes(values: Sequence[str] | NDArray[np.float32]) -> bytes:
    """A tensor as the extension has it."""
    if isinstance(values, np.ndarray):
        return values.astype("<f4", copy=False).tobytes()
    encoded = [value.encode() for value in values]
    return b"".join(pack("<I", len(value)) + value for value in encoded)


def binary_response(
    content: object, tensors: Sequence[bytes], headers: RawHeaders
) -> WholeResponse:
    """JSON and the tensors behind it."""
    head = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    named = [*headers, (LENGTH_HEADER.lower().encode(), b"%d" % len(head))]
    return WholeResponse(b"".join((head, *tensors)), 200, named, b"application/octet-stream")
