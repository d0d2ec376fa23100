"""Identifiers, names, CIDs and addresses: spec/01-identifiers.md and spec/02."""

import hashlib
import re
import unicodedata

import multibase

PEER_PREFIX = bytes.fromhex("002408011220")
THREAD_PART = 406
ADDRESS_BYTES_MAX = 1024
RAW, DAG_CBOR = 0x55, 0x71
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# The parts of addresses that the vectors use: code, and bytes of the value (None: length first).
PARTS = {4: 4, 6: 2, 41: 16, 53: None, 54: None, 55: None, 56: None, 273: 2, 290: 0, 421: None, 461: 0}


class Refused(ValueError):
    """Carries the word of the fault."""


def thread_from_bytes(data):
    """Version, variant and random bytes of a thread id."""
    try:
        version, rest = multibase.read_uvarint(data)
    except multibase.Refused:
        raise Refused("invalid") from None
    if version != 1:
        raise Refused("unsupported")
    try:
        variant, random = multibase.read_uvarint(rest)
    except multibase.Refused:
        raise Refused("invalid") from None
    if variant not in (0x55, 0x70):
        raise Refused("unsupported")
    if not 16 <= len(random) <= 64:
        raise Refused("invalid")
    return version, variant, random


def thread_from_text(text):
    try:
        data = multibase.decode(text)
    except multibase.Refused:
        raise Refused("invalid") from None
    thread_from_bytes(data)
    return data


def peer_from_bytes(data):
    """The key of a peer or log id in libp2p's form."""
    if len(data) != 38 or not data.startswith(PEER_PREFIX):
        raise Refused("invalid")
    return data[6:]


def peer_from_text(text):
    try:
        if text.startswith("12D3KooW"):
            return peer_from_bytes(multibase.decode_whole(text, multibase.BASE58))
        data = multibase.decode(text)
    except multibase.Refused:
        raise Refused("invalid") from None
    if not data.startswith(b"\x01\x72"):
        raise Refused("invalid")
    return peer_from_bytes(data[2:])


def peer_text(key):
    return multibase.encode_whole(PEER_PREFIX + key, multibase.BASE58)


def check_entity(text):
    if not 1 <= len(text.encode("utf-8")) <= 256 or any(unicodedata.category(c) == "Cc" for c in text):
        raise Refused("invalid")


def check_collection(text):
    if len(text) > 64 or not re.fullmatch(r"\$?[A-Za-z0-9_-]+", text):
        raise Refused("invalid")


def check_codec(text):
    if not re.fullmatch(r"[a-z0-9/_.-]{1,64}", text):
        raise Refused("invalid")


def ulid(now_ms, random):
    """26 digits: 48 bits of time, then the last 80 of the random bits."""
    number = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(random, "big") & (1 << 80) - 1
    return "".join(CROCKFORD[number >> 5 * (25 - i) & 31] for i in range(26))


def address_from_bytes(data):
    """The base, the peer that ends it if one does, and the thread id of an address."""
    try:
        return _address(data)
    except multibase.Refused:
        raise Refused("invalid") from None


def _address(data):
    if len(data) > ADDRESS_BYTES_MAX:
        raise Refused("invalid")
    rest, peer = data, None
    while rest:
        code, value = multibase.read_uvarint(rest)
        if code == THREAD_PART:
            length, thread = multibase.read_uvarint(value)
            if length != len(thread):
                raise Refused("invalid")
            thread_from_bytes(thread)
            return data[: len(data) - len(rest)], peer, thread
        if code not in PARTS:
            raise Refused("invalid")
        length = PARTS[code]
        if length is None:
            length, value = multibase.read_uvarint(value)
        if length > len(value):
            raise Refused("invalid")
        peer = peer_from_bytes(value[:length]) if code == 421 else None
        rest = value[length:]
    raise Refused("invalid")


def cid_of(codec, data):
    """The CIDv1 with sha2-256 of bytes."""
    return multibase.uvarint(1) + multibase.uvarint(codec) + b"\x12\x20" + hashlib.sha256(data).digest()


def cid_is_whole(cid):
    """Whether bytes are a CID of any version, codec and hash."""
    if len(cid) == 34 and cid.startswith(b"\x12\x20"):
        return True
    try:
        version, rest = multibase.read_uvarint(cid)
        _, rest = multibase.read_uvarint(rest)
        _, rest = multibase.read_uvarint(rest)
        length, digest = multibase.read_uvarint(rest)
    except multibase.Refused:
        return False
    return version == 1 and length == len(digest)


def link_is_sound(cid):
    """CIDv1, DAG-CBOR or raw bytes, sha2-256."""
    return len(cid) == 36 and cid[0] == 1 and cid[1] in (RAW, DAG_CBOR) and cid[2:4] == b"\x12\x20"


def cid_text(cid):
    if len(cid) == 34 and cid.startswith(b"\x12\x20"):
        return multibase.encode_whole(cid, multibase.BASE58)
    return multibase.encode("base32", cid)


def check_block(cid, data):
    """Refuses a CID that Threads does not use, and bytes that it does not name."""
    if not link_is_sound(cid):
        raise Refused("invalid")
    if cid_of(cid[1], data) != cid:
        raise Refused("corrupt")
