"""Claims, and the requests and replies of sync: spec/06-sync.md."""

import hashlib
import hmac

import cbor
import ed25519
import hpke
import layers
import snapshots

FRAME_BYTES_MAX = 2 * 1024 * 1024
CLAIMS_MAX = 8_192
HEADS_MAX = 16_384
RANGES_MAX = 256
PLACES_MAX = 64
WHOM_MAX = 1_000
PURGES_MAX = 64
BLOBS_MAX = 1_000
BLOCKS_MAX = 64
SIGNERS_MAX = 64
WORDS_MAX = 64
ADDRESSES_MAX = 16
ADDRESS_BYTES_MAX = 1_024
SPANS_MAX = 4_096
PARTS_MAX = 16
EDGE_BYTES_MAX = 32
RECORDS_MAX = 1_000
INVITE_ID_BYTES_MAX = 64


class Refused(ValueError):
    """Bytes that are no frame."""


def rendezvous(replica):
    """What peers look each other up by in a directory."""
    return hpke.hkdf(replica, b"threads/rendezvous/1")


def locator(replica):
    """What names a thread to whoever holds its replica key."""
    return hpke.hkdf(replica, b"threads/locator/1")[:16]


def proof(replica, says, hears):
    """What shows `hears` that `says` holds the key."""
    return hpke.hmac_sha256(hpke.hkdf(replica, b"threads/proof/1"), says + hears)[:16]


def shows(replica, says, hears, given):
    return hmac.compare_digest(proof(replica, says, hears), given)


def joint(proofs):
    return hashlib.sha256(b"".join(proofs)).digest()[:16]


def digest(heads):
    """The digest of (log, seq, digest of the head's CID), ascending by log."""
    parts = (log + seq.to_bytes(8, "big") + head for log, seq, head in heads)
    return hashlib.sha256(b"".join(parts)).digest()[:16]


def range_digest(heads):
    """The digest of (log, seq, check) in a range, ascending by log."""
    parts = (log + seq.to_bytes(8, "big") + check for log, seq, check in heads)
    return hashlib.sha256(b"".join(parts)).digest()[:16]


def _need(truth):
    if not truth:
        raise Refused("malformed")


def _bytes(length=None):
    def check(value):
        _need(isinstance(value, bytes) and length in (None, len(value)))

    return check


def _number(value):
    _need(layers.is_number(value))


def _truth(value):
    _need(isinstance(value, bool))


def _tuple(*parts):
    def check(value):
        _need(isinstance(value, list) and len(value) == len(parts))
        for part, item in zip(parts, value):
            part(item)

    return check


def _list(one, most=None):
    def check(value):
        _need(isinstance(value, list) and (most is None or len(value) <= most))
        for item in value:
            one(item)

    return check


def _heads(most, *more):
    listed = _list(_tuple(_bytes(32), _number, *more), most)

    def check(value):
        listed(value)
        _need(all(a[0] < b[0] for a, b in zip(value, value[1:])) and all(head[1] > 0 for head in value))

    return check


def _range(value):
    _need(isinstance(value, dict) and set(value) == {"log", "from", "to"})
    _bytes(32)(value["log"])
    _number(value["from"])
    _number(value["to"])
    _need(0 < value["from"] <= value["to"])


def _invite_id(value):
    _need(isinstance(value, str) and len(value.encode("utf-8")) <= INVITE_ID_BYTES_MAX)


def _verdict(value):
    if isinstance(value, str):
        return _need(value in ("unknown", "same", "many"))
    _need(isinstance(value, dict) and set(value) == {"differs"})
    _heads(HEADS_MAX, CHECK)(value["differs"])


def _compared(value):
    _list(_tuple(CLAIM, _bytes(16)), CLAIMS_MAX)(value)
    _need(len({claim[:16] for claim, _ in value}) == len(value))


def _edge(value):
    _need(isinstance(value, bytes) and len(value) <= EDGE_BYTES_MAX)


def before(a, b):
    """Whether an edge comes before another; the empty one comes after all lines."""
    return a != b and (b == b"" or a != b"" and a < b)


def _said(value):
    if isinstance(value, str):
        return _need(value == "skip")
    _need(isinstance(value, dict) and len(value) == 1)
    if "all" in value:
        return _bytes(16)(value["all"])
    _need("each" in value)
    _tuple(_heads(HEADS_MAX, CHECK), _bytes(16))(value["each"])


def _spans(value):
    _list(_tuple(_edge, _said), SPANS_MAX)(value)
    begin = b"\x00"
    for upto, said in value:
        _need(before(begin, upto))
        heads = said["each"][0] if isinstance(said, dict) and "each" in said else []
        _need(all(begin <= head[0] and (upto == b"" or head[0] < upto) for head in heads))
        begin = upto


def _found(value):
    if isinstance(value, str):
        return _need(value in ("same", "later"))
    _need(isinstance(value, dict) and len(value) == 1)
    if "each" in value:
        return _heads(HEADS_MAX, CHECK)(value["each"])
    _need("parts" in value)
    _list(_tuple(_bytes(), _bytes(16)), PARTS_MAX)(value["parts"])


def _link(value):
    _need(isinstance(value, cbor.Link))


_receipt = _tuple(_bytes(32), _number, _link, _bytes(64))


def _receipts(value):
    _list(_receipt)(value)
    _heads(PLACES_MAX)([one[:2] for one in value])


def _erased(value):
    _need(isinstance(value, dict) and set(value) == {"absent", "emptied", "living", "unread"})
    for count in value.values():
        _number(count)


_erasure = _tuple(_link, _erased, _bytes(64))


def _erasures(value):
    _list(_erasure, PURGES_MAX)(value)
    _ascending([one[0].cid for one in value])


def _purges(value):
    _list(_link, PURGES_MAX)(value)
    _ascending([one.cid for one in value])


def _ascending(peers):
    _need(all(a < b for a, b in zip(peers, peers[1:])))


def _known(value):
    _list(_tuple(_bytes(32), _number), WHOM_MAX)(value)
    _ascending([one[0] for one in value])


def _address(value):
    _need(isinstance(value, bytes) and len(value) <= ADDRESS_BYTES_MAX)


def _word(value):
    _tuple(_bytes(32), _number, _number, _list(_address, ADDRESSES_MAX), _bytes(64))(value)
    _need(value[1] > 0)


def _words(value):
    _list(_word, WORDS_MAX)(value)
    _ascending([one[0] for one in value])


def whereabouts(data):
    """The peer, the number, the end and the addresses of a peer's word, which it has signed."""
    try:
        found = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    _word(found)
    peer, seq, until, addrs, signature = found
    statement = cbor.encode({"addrs": addrs, "peer": peer, "seq": seq, "until": until})
    ed25519.verify(peer, b"threads/whereabouts/1" + statement, signature)
    return peer, seq, until, addrs


ANNOUNCEMENT_BYTES = 152
TOPICS = 32


def topic(replica):
    """Under which topic news of a thread is announced."""
    number = hpke.hkdf(replica, b"threads/topic/1")[0] % TOPICS
    return b"threads/heads/1/" + bytes([number])


def announcement(data, replica, peer, thread):
    """The log, the number and the check of an announcement, which the peer has signed."""
    _need(len(data) == ANNOUNCEMENT_BYTES)
    key = hpke.hkdf(replica, b"threads/announcement/1")
    plain = layers.open_synthetic(key, b"threads/announcement/1", data)
    log, seq, check = plain[:32], int.from_bytes(plain[32:40], "big"), plain[40:48]
    _need(seq > 0)
    statement = cbor.encode({"check": check, "log": log, "seq": seq, "thread": thread})
    ed25519.verify(peer, b"threads/announcement/1" + statement, plain[48:])
    return log, seq, check


def receipt(data, peer, thread):
    """The log, the number and the head of a receipt, which the peer has signed."""
    try:
        found = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    _receipt(found)
    log, seq, head, signature = found
    statement = cbor.encode({"head": head, "log": log, "seq": seq, "thread": thread})
    ed25519.verify(peer, b"threads/receipt/1" + statement, signature)
    return log, seq, head.cid


def erasure(data, peer, thread):
    """The purge and the counts of an erasure, which the peer has signed."""
    try:
        found = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    _erasure(found)
    purge, erased, signature = found
    statement = cbor.encode({"erased": erased, "purge": purge, "thread": thread})
    ed25519.verify(peer, b"threads/erasure/1" + statement, signature)
    return purge.cid, [erased[name] for name in ("absent", "emptied", "living", "unread")]


CLAIM = _bytes(32)
CHECK = _bytes(8)
PARCELS = _list(_tuple(_bytes(), _bytes(), _bytes()), RECORDS_MAX)

_place = _tuple(_number, _number)


def _known_words(value):
    _list(_tuple(_bytes(32), _number), SIGNERS_MAX)(value)
    _ascending([one[0] for one in value])


def _snapshot_words(value):
    _need(isinstance(value, list) and len(value) <= SIGNERS_MAX)
    for word in value:
        try:
            snapshots.check_word(word)
        except snapshots.Refused:
            raise Refused("malformed") from None
    _ascending([word[0] for word in value])


def _listed(value):
    _list(_tuple(_number, _link), BLOBS_MAX)(value)
    _ascending([one[0] for one in value])
    _need(all(one[1].cid[1] == 0x71 for one in value))


REQUESTS = {
    "heads": _compared,
    "pull": _tuple(CLAIM, _list(_range, RANGES_MAX)),
    "push": _tuple(CLAIM, PARCELS),
    "have": _tuple(CLAIM, _heads(HEADS_MAX, CHECK)),
    "join": _tuple(_invite_id, _bytes(16), _bytes()),
    "sign": _tuple(CLAIM, _heads(PLACES_MAX)),
    "where": _tuple(CLAIM, _known),
    "ranges": _tuple(CLAIM, _spans),
    "erased": _tuple(CLAIM, _purges),
    "blobs": _tuple(CLAIM, _place, _place),
    "blocks": _tuple(CLAIM, _list(_link, BLOCKS_MAX)),
    "snapshots": _tuple(CLAIM, _known_words),
}
_places = _heads(RANGES_MAX)


def _snapshot(value):
    _link(value)
    _need(value.cid[1] == 0x55)


def _short(value):
    _tuple(_places, _snapshot)(value)
    _need(value[0])


REPLIES = {
    "heads": _tuple(_list(_verdict, CLAIMS_MAX), _bytes(16)),
    "page": _tuple(PARCELS, _heads(RANGES_MAX), _truth),
    "short": _short,
    "have": _heads(HEADS_MAX, CHECK),
    "full": _heads(HEADS_MAX, CHECK),
    "admitted": _tuple(_bytes(), _bytes()),
    "signed": _receipts,
    "erased": _erasures,
    "blobs": _tuple(_place, _listed),
    "blocks": _list(_bytes(), BLOCKS_MAX),
    "where": _words,
    "snapshots": _snapshot_words,
    "ranges": _list(_found, SPANS_MAX),
    "busy": _number,
}


def request(data):
    return decode(data, REQUESTS, ())


def reply(data):
    return decode(data, REPLIES, ("waiting",))


def decode(data, kinds, bare):
    """A frame: one member, or a text where it carries nothing."""
    _need(len(data) <= FRAME_BYTES_MAX)
    try:
        frame = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    if isinstance(frame, str):
        _need(frame in bare)
        return frame
    _need(isinstance(frame, dict) and len(frame) == 1)
    ((name, value),) = frame.items()
    _need(name in kinds)
    kinds[name](value)
    return frame
