"""The three layers: what a ciphertext is bound to, records' synthetic nonces, headers, bodies."""

import hashlib
import hmac

import cbor
import chacha
import hpke
import ids
import multibase

RECORD, HEADER, BODY = 0, 1, 2
EVENT_BYTES_MAX = 4 * 1024
BODY_BYTES_MAX = 1024 * 1024
KEY_KINDS = ("identity", "log", "replica", "read", "content")


class Refused(ValueError):
    """Carries the word of the fault."""


def key_from_text(kind, text):
    """The 32 bytes of a key's text: kind, `_`, base32 of key and checksum."""
    found, separator, body = text.partition("_")
    if not separator or found != kind or len(body) != 59 or body[0] != "b":
        raise Refused("invalid")
    try:
        data = multibase.decode(body)
    except multibase.Refused:
        raise Refused("invalid") from None
    if hashlib.sha256(kind.encode() + b"_" + data[:32]).digest()[:4] != data[32:]:
        raise Refused("invalid")
    return data[:32]


def key_text(kind, key):
    checksum = hashlib.sha256(kind.encode() + b"_" + key).digest()[:4]
    return kind + "_" + multibase.encode("base32", key + checksum)


def agreement_secret(seed):
    """The X25519 secret of an identity."""
    return hpke.hkdf(seed, b"threads/agreement/1")


def aad(layer, thread, epoch, place=None):
    """The bytes a ciphertext is bound to; `place` is (log, seq), except for records."""
    out = b"threads/aad/1" + bytes([layer, len(thread)]) + thread + epoch.to_bytes(8, "big")
    if place is not None:
        out += place[0] + place[1].to_bytes(8, "big")
    return out


def synthetic_nonce(key, bound, plaintext):
    nonce_key = hpke.hkdf(key, b"threads/nonce/1")
    data = len(bound).to_bytes(8, "big") + bound + plaintext
    return hpke.hmac_sha256(nonce_key, data)[:24]


def open_synthetic(key, bound, sealed):
    """What a replica key sealed: refused under any nonce but the one derived."""
    plaintext = chacha.xopen(key, bound, sealed)
    if not hmac.compare_digest(synthetic_nonce(key, bound, plaintext), sealed[:24]):
        raise chacha.Refused("another nonce")
    return plaintext


def _is(value, length):
    return isinstance(value, bytes) and (length is None or len(value) == length)


def is_number(value, bits=64):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits


def decode_event(data):
    """The sealed header and the body's CID of an event block."""
    if len(data) > EVENT_BYTES_MAX:
        raise Refused("TooLarge")
    try:
        event = cbor.decode(data)
    except cbor.Refused:
        raise Refused("Malformed") from None
    if not isinstance(event, dict) or set(event) != {"header", "body"}:
        raise Refused("Malformed")
    header, body = event["header"], event["body"]
    if not _is(header, None) or not isinstance(body, cbor.Link) or not ids.cid_is_whole(body.cid):
        raise Refused("Malformed")
    if not ids.link_is_sound(body.cid):
        raise Refused("BadLink")
    return header, body.cid


def open_header(key, thread, log, seq, epoch, sealed):
    """The members of a header."""
    try:
        plaintext = chacha.xopen(key, aad(HEADER, thread, epoch, (log, seq)), sealed)
    except chacha.Refused:
        raise Refused("CannotOpen") from None
    try:
        header = cbor.decode(plaintext)
        check_header(header)
    except (cbor.Refused, ids.Refused):
        raise Refused("Malformed") from None
    return header


def check_header(header):
    sizes = {"hash": 32, "key": 32, "to": 32, "sealed": None}
    if not isinstance(header, dict) or not {"time", "format", "hash"} <= set(header):
        raise Refused("Malformed")
    if set(header) - {"time", "format", "hash"} not in (set(), {"key"}, {"to", "sealed"}):
        raise Refused("Malformed")
    if not all(_is(header[name], size) for name, size in sizes.items() if name in header):
        raise Refused("Malformed")
    time, form = header["time"], header["format"]
    if not isinstance(time, list) or len(time) != 2 or not isinstance(form, str):
        raise Refused("Malformed")
    if not is_number(time[0]) or not is_number(time[1], 32):
        raise Refused("Malformed")
    ids.check_codec(form)


def open_body(header, thread, log, seq, epoch, body, recipient):
    """The plaintext of a body; `recipient` is the agreement secret of whoever reads."""
    key = header.get("key")
    if "sealed" in header:
        key = open_content_key(header["sealed"], thread, log, seq, epoch, recipient)
    if key is None:
        plaintext = body
    else:
        try:
            plaintext = chacha.xopen(key, aad(BODY, thread, epoch, (log, seq)), body)
        except chacha.Refused:
            raise Refused("CannotOpen") from None
    if len(plaintext) > BODY_BYTES_MAX:
        raise Refused("TooLarge")
    if hashlib.sha256(plaintext).digest() != header["hash"]:
        raise Refused("BadCommitment")
    return plaintext


def open_content_key(sealed, thread, log, seq, epoch, recipient):
    info = b"threads/content-key/1" + aad(HEADER, thread, epoch, (log, seq))
    if recipient is None:
        raise Refused("CannotOpen")
    try:
        return unseal_content_key(recipient, info, sealed)
    except hpke.Refused:
        raise Refused("CannotOpen") from None


def unseal_content_key(recipient, info, sealed):
    if len(sealed) != 80:
        raise hpke.Refused("not 80 bytes")
    return hpke.open_base(recipient, sealed[:32], info, b"", sealed[32:])
