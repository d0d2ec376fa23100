"""Multibase text, in the bases that Threads writes or is likely to meet, and unsigned varints."""

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BASE16 = "0123456789abcdef"

# The prefix of each base: its name, its digits, the bits of a digit (none for a whole number).
BASES = {
    "f": ("base16", BASE16, 4),
    "b": ("base32", BASE32, 5),
    "B": ("base32upper", BASE32.upper(), 5),
    "k": ("base36", BASE36, None),
    "z": ("base58btc", BASE58, None),
    "u": ("base64url", BASE64URL, 6),
}


class Refused(ValueError):
    """Text that is no multibase, or bytes that are no varint."""


def encode_whole(data, digits):
    """All of the bytes as one number; each leading zero byte is a leading zero digit."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return digits[0] * zeros + text


def decode_whole(text, digits):
    number = 0
    for letter in text:
        number = number * len(digits) + _digit(letter, digits)
    zeros = len(text) - len(text.lstrip(digits[0]))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _digit(letter, digits):
    found = digits.find(letter)
    if found < 0:
        raise Refused("a letter outside the base")
    return found


def encode_bits(data, digits, bits):
    """Groups of bits from the front, the last filled up with zeros, no padding letters."""
    count = (len(data) * 8 + bits - 1) // bits
    number = int.from_bytes(data, "big") << (count * bits - len(data) * 8)
    return "".join(digits[number >> (count - 1 - i) * bits & (1 << bits) - 1] for i in range(count))


def decode_bits(text, digits, bits):
    number = 0
    for letter in text:
        number = number << bits | _digit(letter, digits)
    size, spare = divmod(len(text) * bits, 8)
    if spare >= bits or number & (1 << spare) - 1:
        raise Refused("a number of letters, or bits after the end, that no bytes have")
    return (number >> spare).to_bytes(size, "big")


def encode(name, data):
    """The text of bytes in a named base."""
    for prefix, (known, digits, bits) in BASES.items():
        if known == name:
            return prefix + (encode_bits(data, digits, bits) if bits else encode_whole(data, digits))
    raise Refused("an unknown base")


def decode(text):
    """The bytes of multibase text. Letters of base16, base32 and base36 may be in either case."""
    if text[:1] not in BASES or not text:
        raise Refused("an unknown base")
    name, digits, bits = BASES[text[0]]
    body = text[1:]
    if name in ("base16", "base32", "base36"):
        body = body.lower()
    elif name == "base32upper":
        body = body.upper()
    return decode_bits(body, digits, bits) if bits else decode_whole(body, digits)


def uvarint(number):
    """The shortest unsigned varint."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def read_uvarint(data):
    """A varint and what follows it; refused when it is not the shortest or has more than 64 bits."""
    number = 0
    for at, byte in enumerate(data[:10]):
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            if number >> 64 or (byte == 0 and at > 0):
                raise Refused("a varint that is too large or not the shortest")
            return number, data[at + 1 :]
    raise Refused("a varint that does not end")


def self_test():
    """RFC 4648, section 10, the base58 draft, and the multiformats varint examples."""
    for data, text in ((b"", "b"), (b"f", "bmy"), (b"fo", "bmzxq"), (b"foobar", "bmzxw6ytboi")):
        assert encode("base32", data) == text and decode(text) == data
    assert encode("base16", b"foobar") == "f666f6f626172"
    assert encode("base64url", b"foob") == "uZm9vYg" and decode("uZm9vYg") == b"foob"
    assert encode("base58btc", b"Hello World!") == "z2NEpo7TZRRrLZSi2U"
    assert decode("z11233QC4") == bytes.fromhex("0000287fb4cd")
    for number, text in ((0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (16384, "808001")):
        assert uvarint(number).hex() == text and read_uvarint(bytes.fromhex(text)) == (number, b"")
    for text in ("8100", "80", "ffffffffffffffffff02"):
        try:
            read_uvarint(bytes.fromhex(text))
        except Refused:
            continue
        raise AssertionError("accepted varint " + text)
