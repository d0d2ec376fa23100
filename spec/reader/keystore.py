"""Keystores and the rows that they seal: spec/03-encryption.md, "Keys at rest".

The standard library has no Argon2: what it makes of a passphrase comes with the vector.
"""

import hashlib
import hmac

import cbor
import chacha
import hpke

MAGIC = b"threads keystore 1\n"
LATER = b"threads keystore "
MEMORY_KIB, PASSES, LANES = range(19 * 1024, 1024 * 1024 + 1), range(2, 17), range(1, 5)
LOCK = {"kdf", "v", "m_kib", "t", "p", "salt", "check", "box"}
MARK = b"threads/keystore/1"


class Refused(ValueError):
    """Carries the word of the fault."""


def _mac(key, purpose):
    return hmac.new(key, purpose, hashlib.sha256).digest()


def _opened(key, bound, sealed):
    try:
        secret = chacha.xopen(key, bound, sealed)
    except chacha.Refused:
        raise Refused("corrupt") from None
    if len(secret) != 32:
        raise Refused("corrupt")
    return secret


def _body(data):
    """The id, the entries, and the key of the file or what hides it."""
    if not data.startswith(MAGIC):
        later = data.startswith(LATER) and data[17:18].isdigit() and data[18:19] == b"\n"
        raise Refused("unsupported" if later else "corrupt")
    digest, body = data[19:51], data[51:]
    if hashlib.sha256(body).digest() != digest:
        raise Refused("corrupt")
    try:
        body = cbor.decode(body)
    except cbor.Refused:
        raise Refused("corrupt") from None
    if set(body) not in ({"entries", "id", "lock"}, {"entries", "id", "open"}):
        raise Refused("corrupt")
    if set(body["entries"]) != {"identity", "store"} or len(body["id"]) != 16:
        raise Refused("corrupt")
    return body


def _unlocked(lock, keystore, derived):
    """The key of the file, by what Argon2id makes of the passphrase."""
    if set(lock) != LOCK:
        raise Refused("corrupt")
    price = lock["m_kib"] in MEMORY_KIB and lock["t"] in PASSES and lock["p"] in LANES
    if lock["kdf"] != "argon2id" or lock["v"] != 0x13 or not price:
        raise Refused("unsupported")
    if _mac(derived, b"threads/passphrase/check/1")[:8] != lock["check"]:
        raise Refused("invalid")
    numbers = b"".join(lock[name].to_bytes(4, "big") for name in ("v", "m_kib", "t", "p"))
    bound = b"threads/passphrase/box/1" + numbers + b"threads/keystore/lock/1" + keystore
    return _opened(_mac(derived, b"threads/passphrase/seal/1"), bound, lock["box"])


def read(data, derived):
    """The id, the identity, the store key and the key of the file."""
    body = _body(data)
    keystore = body["id"]
    if "lock" in body:
        key = _unlocked(body["lock"], keystore, derived)
    else:
        key = body["open"]
    found = [keystore]
    for name in ("identity", "store"):
        bound = b"threads/keystore/entry/1" + keystore + name.encode()
        found.append(_opened(key, bound, body["entries"][name]))
    return (*found, key)


def row(store, keystore, key, sealed):
    """The value of a row of the datastore."""
    bound = b"threads/keystore/row/1" + keystore + key
    try:
        value = chacha.xopen(store, bound, sealed)
    except chacha.Refused:
        raise Refused("rejected") from None
    nonce_key = hpke.hkdf(store, b"threads/store/nonce/1")
    if _mac(nonce_key, len(bound).to_bytes(8, "big") + bound + value)[:24] != sealed[:24]:
        raise Refused("rejected")
    return value
