"""Ed25519 signatures under the rule of spec/02: ZIP 215, with weak keys refused."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

IDENTITY = (0, 1, 1, 0)


class Refused(ValueError):
    """Carries the word of the fault: WeakKey, MalformedKey or BadSignature."""


def add(p, q):
    """Sum of two points in extended coordinates (X, Y, Z, T)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number, point):
    result = IDENTITY
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def negate(p):
    return -p[0] % P, p[1], p[2], -p[3] % P


def is_identity(p):
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


def decompress(data):
    """The point of 32 bytes, or None; encodings that are not the shortest are read as well."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_M1 % P
    elif v * x * x % P != u:
        return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def compress(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def check_key(key):
    """Refuses a key whose y is not below p, and a key of small order."""
    y = int.from_bytes(key, "little") & (1 << 255) - 1
    if y >= P:
        raise Refused("WeakKey")
    point = decompress(key)
    if point is not None and is_identity(multiply(8, point)):
        raise Refused("WeakKey")


def verify(key, message, signature):
    """Accepts when 8 s B = 8 R + 8 k A, with s below the group's order."""
    check_key(key)
    a = decompress(key)
    if a is None:
        raise Refused("MalformedKey")
    r = decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or r is None or s >= L:
        raise Refused("BadSignature")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    difference = add(add(multiply(s, BASE), negate(r)), negate(multiply(k, a)))
    if not is_identity(multiply(8, difference)):
        raise Refused("BadSignature")


def _secret(seed):
    digest = hashlib.sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return number, digest[32:]


def public(seed):
    """The public key of a 32-byte seed."""
    return compress(multiply(_secret(seed)[0], BASE))


def sign(seed, message):
    """The signature of RFC 8032: what a seed signs, so that vectors can be checked to the byte."""
    number, prefix = _secret(seed)
    key = compress(multiply(number, BASE))
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    point = compress(multiply(nonce, BASE))
    k = int.from_bytes(hashlib.sha512(point + key + message).digest(), "little") % L
    return point + ((nonce + k * number) % L).to_bytes(32, "little")


def self_test():
    """RFC 8032, section 7.1, tests 1 to 3."""
    h = bytes.fromhex
    known = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a",
        ),
    ]
    for seed, key, message, signature in known:
        assert public(h(seed)) == h(key)
        assert sign(h(seed), h(message)) == h(signature)
        verify(h(key), h(message), h(signature))
        try:
            verify(h(key), h(message) + b"x", h(signature))
        except Refused as fault:
            assert str(fault) == "BadSignature"
        else:
            raise AssertionError("accepted another message")
