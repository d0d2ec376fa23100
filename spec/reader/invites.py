"""Cards, invites and the keys in them: spec/06-sync.md, "Invites"."""

import hashlib

import cbor
import chacha
import ed25519
import hpke
import ids
import layers
import multibase

CARD_BYTES = 128
INVITE_BYTES_MAX = 4 * 1024
ADDRS_MAX = 16
MEMBERS = {"v", "id", "by", "addrs", "until", "way"}
ROLES = ("write", "read", "replicate")


class Refused(ValueError):
    """Carries the word of the fault."""


def checksum(tag, data):
    return hashlib.sha256(tag.encode() + b"_" + data).digest()[:4]


def text(tag, data):
    return tag + "_" + multibase.encode("base32", data + checksum(tag, data))


def from_text(tag, shown, most):
    """The bytes of a text that people copy."""
    found, _, body = shown.partition("_")
    if found != tag or not body.startswith("b"):
        raise Refused("invalid")
    try:
        data = multibase.decode(body)
    except multibase.Refused:
        raise Refused("invalid") from None
    data, given = data[:-4], data[-4:]
    if checksum(tag, data) != given or len(data) > most:
        raise Refused("invalid")
    return data


def _verify(key, message, signature):
    try:
        ed25519.verify(key, message, signature)
    except ed25519.Refused as fault:
        raise Refused(str(fault)) from None


def card(data):
    """The peer's key and its agreement key."""
    if len(data) != CARD_BYTES:
        raise Refused("invalid")
    peer, agreement, signature = data[:32], data[32:64], data[64:]
    _verify(peer, b"threads/card/1" + peer + agreement, signature)
    return peer, agreement


def _need(truth):
    if not truth:
        raise Refused("rejected")


def _is(value, length):
    return isinstance(value, bytes) and len(value) == length


def invite(data):
    """The members of an invite, which its inviter has signed."""
    try:
        outer = cbor.decode(data)
    except cbor.Refused:
        raise Refused("rejected") from None
    _need(isinstance(outer, list) and len(outer) == 2)
    inner, signature = outer
    _need(isinstance(inner, dict) and set(inner) == MEMBERS and _is(signature, 64))
    _need(isinstance(inner["id"], str) and _is(inner["by"], 32))
    _need(layers.is_number(inner["v"]) and layers.is_number(inner["until"]))
    addrs = inner["addrs"]
    _need(isinstance(addrs, list) and all(isinstance(addr, bytes) for addr in addrs))
    _check_way(inner["way"])
    if inner["v"] != 1:
        raise Refused("unsupported")
    _need(len(addrs) <= ADDRS_MAX)
    _verify(inner["by"], b"threads/invite/1" + cbor.encode(inner), signature)
    return inner


def _check_way(way):
    _need(isinstance(way, dict) and len(way) == 1)
    if "link" in way:
        return _need(_is(way["link"], 16))
    to = way.get("to")
    _need(isinstance(to, list) and len(to) == 3)
    _need(_is(to[0], 32) and all(isinstance(sealed, bytes) for sealed in to[1:]))


def keys(seed, key, sealed):
    """The keys that were sealed to the identity with this seed."""
    info = b"threads/invite-keys/1" + ed25519.public(seed)
    try:
        content = layers.unseal_content_key(layers.agreement_secret(seed), info, key)
        handed = cbor.decode(chacha.xopen(content, info, sealed))
    except (hpke.Refused, chacha.Refused, cbor.Refused):
        raise Refused("rejected") from None
    _need(isinstance(handed, dict) and {"name", "replica", "role", "thread"} == set(handed) - {"read"})
    _need(isinstance(handed["name"], str) and handed["role"] in ROLES)
    _need(all(_is(handed[name], 32) for name in ("replica", "read") if name in handed))
    _need(isinstance(handed["thread"], bytes))
    ids.thread_from_bytes(handed["thread"])
    return handed
