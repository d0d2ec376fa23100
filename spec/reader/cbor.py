"""Canonical DAG-CBOR: one value has one form, and every other form is refused.

Python's None, bool, int, float, str, bytes, list and dict (with str keys) stand for what they
look like; a Link stands for tag 42. See spec/02-blocks-and-records.md, "Canonical DAG-CBOR".
"""

import math
import struct

DEPTH_MAX = 128


class Refused(ValueError):
    """Bytes that are not canonical DAG-CBOR, or a value that has no such form."""


class Link:
    """A CID, as its binary form without the leading zero byte of tag 42."""

    __slots__ = ("cid",)

    def __init__(self, cid):
        self.cid = bytes(cid)

    def __eq__(self, other):
        return isinstance(other, Link) and self.cid == other.cid

    def __hash__(self):
        return hash(self.cid)

    def __repr__(self):
        return "Link(%s)" % self.cid.hex()


def _head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for info, code, limit in ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64)):
        if number < limit:
            return bytes([major << 5 | info]) + struct.pack(code, number)
    raise Refused("a number has more than 64 bits")


def _key_order(key):
    raw = key.encode("utf-8")
    return len(raw), raw


def encode(value):
    """The canonical bytes of a value."""
    if value is None:
        return b"\xf6"
    if value is True:
        return b"\xf5"
    if value is False:
        return b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Refused("not a finite number")
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, (bytes, bytearray)):
        return _head(2, len(value)) + bytes(value)
    if isinstance(value, str):
        raw = value.encode("utf-8")
        return _head(3, len(raw)) + raw
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        parts = [_head(5, len(value))]
        for key in sorted(value, key=_key_order):
            parts.append(encode(key))
            parts.append(encode(value[key]))
        return b"".join(parts)
    if isinstance(value, Link):
        return b"\xd8\x2a" + encode(b"\x00" + value.cid)
    raise Refused("%s has no form in DAG-CBOR" % type(value).__name__)


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("cut short at byte %d" % self.at)
        start, self.at = self.at, self.at + count
        return self.data[start : self.at]

    def number(self, info):
        if info < 24:
            return info
        if info > 27:
            raise Refused("a length that is indefinite or reserved")
        size = 1 << (info - 24)
        number = int.from_bytes(self.take(size), "big")
        if number < (24 if size == 1 else 1 << (4 * size)):
            raise Refused("a number that has a shorter form")
        return number

    def value(self, depth):
        if depth > DEPTH_MAX:
            raise Refused("nested too deep")
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self.simple(info)
        number = self.number(info)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self.take(number)
        if major == 3:
            return self.text(number)
        if major == 4:
            if number > len(self.data) - self.at:
                raise Refused("a list longer than what is left")
            return [self.value(depth + 1) for _ in range(number)]
        if major == 5:
            return self.map(number, depth)
        return self.link(number)

    def simple(self, info):
        if info in (20, 21, 22):
            return (False, True, None)[info - 20]
        if info != 27:
            raise Refused("a simple value or a float that is not 64 bits long")
        number = struct.unpack(">d", self.take(8))[0]
        if not math.isfinite(number):
            raise Refused("not a finite number")
        return number

    def text(self, length):
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("text that is not UTF-8") from None

    def map(self, count, depth):
        found, last = {}, None
        if count > len(self.data) - self.at:
            raise Refused("a map longer than what is left")
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise Refused("a key that is not text")
            order = _key_order(key)
            if last is not None and order <= last:
                raise Refused("keys that are twice there or out of order")
            last = order
            found[key] = self.value(depth + 1)
        return found

    def link(self, tag):
        if tag != 42:
            raise Refused("a tag that is not 42")
        raw = self.value(DEPTH_MAX)
        if not isinstance(raw, bytes) or not raw.startswith(b"\x00"):
            raise Refused("a link without its leading zero")
        return Link(raw[1:])


def decode(data):
    """The value of canonical bytes; raises Refused for any others."""
    reader = _Reader(bytes(data))
    value = reader.value(0)
    if reader.at != len(reader.data):
        raise Refused("bytes after the end")
    return value


def self_test():
    """Known answers of RFC 8949, appendix A, as far as DAG-CBOR has them, and what it refuses."""
    known = [
        (0, "00"), (23, "17"), (24, "1818"), (100, "1864"), (1000, "1903e8"), (1000000, "1a000f4240"),
        (18446744073709551615, "1bffffffffffffffff"), (-1, "20"), (-100, "3863"),
        (-18446744073709551616, "3bffffffffffffffff"), (1.1, "fb3ff199999999999a"),
        (-4.1, "fbc010666666666666"), (False, "f4"), (True, "f5"), (None, "f6"), (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"), ("", "60"), ("IETF", "6449455446"), ("\u00fc", "62c3bc"),
        ([], "80"), ([1, [2, 3], [4, 5]], "8301820203820405"), ({}, "a0"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"), ({"b": 1, "aa": 2}, "a261620162616102"),
    ]
    for value, text in known:
        assert encode(value).hex() == text, text
        assert decode(bytes.fromhex(text)) == value, text
    refused = [
        "", "1817", "190018", "1a0000ffff", "5f42010243030405ff", "9fff", "bfff", "f7", "f90000", "fa47c35000",
        "fb7ff8000000000000", "fb7ff0000000000000", "a2616201616101", "a2616101616102", "a10102", "0000", "61ff",
        "c11a514b67b0", "d82a4101", "d82a60", "8201", "a1", "1c", "ff",
    ]
    for text in refused:
        try:
            decode(bytes.fromhex(text))
        except Refused:
            continue
        raise AssertionError("accepted " + text)
