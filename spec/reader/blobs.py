"""Blobs: chunks, manifests and references."""

import hashlib

import cbor
import chacha
import hpke
import ids
import layers
import multibase

CHUNK_BYTES = 262_144
PARTS_MAX = 8_192
RAW, DAG_CBOR = 0x55, 0x71
NONCE = bytes(24)


class Refused(ValueError):
    """Not a manifest or a reference."""


def _need(truth):
    if not truth:
        raise Refused("malformed")


def secret(read_key):
    return hpke.hkdf(read_key, b"threads/blob/1")


def chunk_key(read_key, content):
    return hpke.hmac_sha256(secret(read_key), b"\0" + content)


def open_chunk(key, sealed):
    return chacha.xopen(key, b"threads/blob-chunk/1", NONCE + sealed)


def manifest_key(read_key, size, keys):
    return hpke.hmac_sha256(secret(read_key), b"\1" + size.to_bytes(8, "big") + keys)


def manifest(data):
    """The size, the CIDs of the parts and their sealed keys."""
    try:
        found = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    _need(isinstance(found, dict) and set(found) == {"keys", "parts", "size", "v"})
    keys, parts, size = found["keys"], found["parts"], found["size"]
    _need(found["v"] == 1 and isinstance(found["v"], int) and layers.is_number(size))
    _need(isinstance(keys, bytes) and isinstance(parts, list) and len(parts) <= PARTS_MAX)
    _need(all(isinstance(part, cbor.Link) and ids.link_is_sound(part.cid) for part in parts))
    _need(len(keys) == 32 * len(parts) + 16)
    tree = bool(parts) and parts[0].cid[1] == DAG_CBOR
    _need(all(part.cid[1] == (DAG_CBOR if tree else RAW) for part in parts))
    span = CHUNK_BYTES * PARTS_MAX if tree else CHUNK_BYTES
    _need(-(-size // span) == len(parts) and not (tree and len(parts) == 1))
    return size, [part.cid for part in parts], keys


def open_keys(key, sealed):
    return chacha.xopen(key, b"threads/blob-keys/1", NONCE + sealed)


def _unwrap(tag, text):
    head, separator, body = text.partition("_")
    _need(separator and head == tag)
    data = multibase.decode(body)
    _need(hashlib.sha256(tag.encode() + b"_" + data[:-4]).digest()[:4] == data[-4:])
    return data[:-4]


def reference(text):
    """The members of the JSON form, from the text."""
    link, key, size, media_type = cbor.decode(_unwrap("blob", text))
    _need(link.cid[1] == DAG_CBOR and len(key) == 32 and layers.is_number(size))
    return ids.cid_text(link.cid), key, size, media_type


def key_from_text(text):
    return _unwrap("blobkey", text)
