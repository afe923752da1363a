"""The TFRecord framing that event files consist of."""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import IO

import google_crc32c


def framed(data: bytes) -> bytes:
    """Return length (uint64), its masked CRC-32C (uint32), the data, and their masked CRC-32C, little-endian."""
    return _header(len(data)) + data + _masked_crc(data)


def unframed(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the data of each record of a file; end before the first that is torn or damaged."""
    while True:
        header = file.read(12)
        if len(header) < 12 or header[8:] != _masked_crc(header[:8]):
            return
        data = file.read(int.from_bytes(header[:8], "little"))
        if file.read(4) != _masked_crc(data):
            return
        yield data


@lru_cache(maxsize=1024)
def _header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + _masked_crc(packed)


def _masked_crc(data: bytes) -> bytes:
    """Rotate the checksum right by 15 bits and add a constant, so that a checksum of checksums is no weak one.

    TensorFlow, `tensorflow/core/lib/hash/crc32c.h`.
    """
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
