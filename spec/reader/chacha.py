"""ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03)."""

import hmac
import struct

MASK = 0xFFFFFFFF
CONSTANTS = struct.unpack("<4L", b"expand 32-byte k")


class Refused(ValueError):
    """The tag does not fit: another key, other data, or altered."""


def _quarter(x, a, b, c, d):
    x[a] = x[a] + x[b] & MASK
    x[d] ^= x[a]
    x[d] = (x[d] << 16 | x[d] >> 16) & MASK
    x[c] = x[c] + x[d] & MASK
    x[b] ^= x[c]
    x[b] = (x[b] << 12 | x[b] >> 20) & MASK
    x[a] = x[a] + x[b] & MASK
    x[d] ^= x[a]
    x[d] = (x[d] << 8 | x[d] >> 24) & MASK
    x[c] = x[c] + x[d] & MASK
    x[b] ^= x[c]
    x[b] = (x[b] << 7 | x[b] >> 25) & MASK


def _rounds(state):
    x = list(state)
    for _ in range(10):
        _quarter(x, 0, 4, 8, 12)
        _quarter(x, 1, 5, 9, 13)
        _quarter(x, 2, 6, 10, 14)
        _quarter(x, 3, 7, 11, 15)
        _quarter(x, 0, 5, 10, 15)
        _quarter(x, 1, 6, 11, 12)
        _quarter(x, 2, 7, 8, 13)
        _quarter(x, 3, 4, 9, 14)
    return x


def block(key, counter, nonce):
    """64 bytes of key stream for a 12-byte nonce."""
    state = CONSTANTS + struct.unpack("<8L", key) + (counter,) + struct.unpack("<3L", nonce)
    return struct.pack("<16L", *((a + b) & MASK for a, b in zip(_rounds(state), state)))


def hchacha20(key, nonce):
    """The subkey of a key and the first 16 bytes of a 24-byte nonce."""
    x = _rounds(CONSTANTS + struct.unpack("<8L", key) + struct.unpack("<4L", nonce))
    return struct.pack("<8L", *(x[:4] + x[12:]))


def xor(key, nonce, data):
    """ChaCha20 from block 1 on, as the AEAD uses it."""
    stream = b"".join(block(key, 1 + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    total = 0
    for at in range(0, len(message), 16):
        part = message[at : at + 16] + b"\x01"
        total = (total + int.from_bytes(part, "little")) * r % ((1 << 130) - 5)
    return (total + s & (1 << 128) - 1).to_bytes(16, "little")


def _tag(key, nonce, aad, ciphertext):
    def padded(data):
        return data + b"\x00" * (-len(data) % 16)

    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return poly1305(block(key, 0, nonce)[:32], padded(aad) + padded(ciphertext) + lengths)


def seal(key, nonce, aad, plaintext):
    ciphertext = xor(key, nonce, plaintext)
    return ciphertext + _tag(key, nonce, aad, ciphertext)


def open_(key, nonce, aad, sealed):
    """The plaintext of ciphertext and tag under a 12-byte nonce."""
    if len(sealed) < 16:
        raise Refused("shorter than a tag")
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if not hmac.compare_digest(_tag(key, nonce, aad, ciphertext), tag):
        raise Refused("the tag does not fit")
    return xor(key, nonce, ciphertext)


def xopen(key, aad, sealed):
    """The plaintext of `nonce || ciphertext || tag` with a 24-byte nonce."""
    if len(sealed) < 40:
        raise Refused("shorter than a nonce and a tag")
    nonce = sealed[:24]
    return open_(hchacha20(key, nonce[:16]), b"\x00" * 4 + nonce[16:], aad, sealed[24:])


def self_test():
    h = bytes.fromhex
    count = bytes(range(32))
    # RFC 8439, 2.3.2, 2.5.2 and 2.8.2.
    assert block(count, 1, h("000000090000004a00000000")) == h(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    assert poly1305(
        h("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
        b"Cryptographic Forum Research Group",
    ) == h("a8061dc1305136c6c22b8baf0c0127a9")
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
        b"the future, sunscreen would be it."
    )
    key, aad = bytes(range(0x80, 0xA0)), h("50515253c0c1c2c3c4c5c6c7")
    nonce = h("070000004041424344454647")
    sealed = seal(key, nonce, aad, text)
    assert sealed.startswith(h("d31a8d34648e60db7b86afbc53ef7ec2"))
    assert sealed.endswith(h("1ae10b594f09e26a7e902ecbd0600691"))
    assert open_(key, nonce, aad, sealed) == text
    # draft-irtf-cfrg-xchacha-03, 2.2.1 and A.3.1.
    assert hchacha20(count, h("000000090000004a0000000031415927")) == h(
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    )
    sealed = h(
        "404142434445464748494a4b4c4d4e4f5051525354555657"
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )
    assert xopen(key, aad, sealed) == text
    for at in (0, 30, len(sealed) - 1):
        altered = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        try:
            xopen(key, aad, altered)
        except Refused:
            continue
        raise AssertionError("opened with byte %d altered" % at)
