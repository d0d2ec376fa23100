"""HKDF (RFC 5869), X25519 (RFC 7748) and opening in HPKE's base mode (RFC 9180).

The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
"""

import hashlib
import hmac

import chacha

P = 2**255 - 19
KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0003))


class Refused(ValueError):
    """Sealed to another, with another info, or altered."""


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def extract(salt, secret):
    return hmac_sha256(salt or b"\x00" * 32, secret)


def expand(prk, info, length):
    out, last, count = b"", b"", 0
    while len(out) < length:
        count += 1
        last = hmac_sha256(prk, last + info + bytes([count]))
        out += last
    return out[:length]


def hkdf(secret, info, length=32):
    """HKDF-SHA256 without salt."""
    return expand(extract(b"", secret), info, length)


def x25519(secret, point):
    """The Montgomery ladder of RFC 7748, section 5."""
    k = int.from_bytes(secret, "little") & (1 << 254) - 8 | 1 << 254
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swapped ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


def _labeled_extract(suite, salt, label, secret):
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def _labeled_expand(suite, prk, label, info, length):
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def open_base(secret, encapped, info, aad, ciphertext):
    """The first message of a context set up for the pair of `secret`."""
    shared = x25519(secret, encapped)
    if shared == b"\x00" * 32:
        raise Refused("the encapsulated key has small order")
    prk = _labeled_extract(KEM_SUITE, b"", b"eae_prk", shared)
    context = encapped + public(secret)
    shared = _labeled_expand(KEM_SUITE, prk, b"shared_secret", context, 32)
    context = (
        b"\x00"
        + _labeled_extract(SUITE, b"", b"psk_id_hash", b"")
        + _labeled_extract(SUITE, b"", b"info_hash", info)
    )
    schedule = _labeled_extract(SUITE, shared, b"secret", b"")
    key = _labeled_expand(SUITE, schedule, b"key", context, 32)
    nonce = _labeled_expand(SUITE, schedule, b"base_nonce", context, 12)
    try:
        return chacha.open_(key, nonce, aad, ciphertext)
    except chacha.Refused:
        raise Refused("does not open") from None


def self_test():
    h = bytes.fromhex
    # RFC 4231, test case 2; RFC 5869, test cases 1 and 3.
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?") == h(
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    prk = extract(h("000102030405060708090a0b0c"), b"\x0b" * 22)
    assert expand(prk, h("f0f1f2f3f4f5f6f7f8f9"), 42) == h(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert hkdf(b"\x0b" * 22, b"", 42) == h(
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
    # RFC 7748, sections 5.2 and 6.1.
    assert x25519(
        h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
    ) == h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    alice = h("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = h("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public(alice) == h("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    assert x25519(bob, public(alice)) == x25519(alice, public(bob))
    assert x25519(alice, public(bob)) == h(
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    )
    # RFC 9180, A.2.1.
    info = h("4f6465206f6e2061204772656369616e2055726e")
    encapped = h("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
    secret = h("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    sealed = h(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )
    assert public(secret) == h("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    opened = open_base(secret, encapped, info, h("436f756e742d30"), sealed)
    assert opened == b"Beauty is truth, truth beauty"
    try:
        open_base(secret, encapped, info + b"x", h("436f756e742d30"), sealed)
    except Refused:
        return
    raise AssertionError("opened with another info")
