"""Records and logs: spec/02-blocks-and-records.md."""

import cbor
import chacha
import ed25519
import ids
import layers

RECORD_BYTES_MAX = 16 * 1024
DEPS_MAX = LINKS_MAX = 64
TAG_BYTES_MAX = 32
SEQ_MAX = (1 << 64) - 1

REQUIRED = {"v", "thread", "log", "seq", "epoch", "event", "sig"}
OPTIONAL = {"author", "prev", "skip", "deps", "acl", "tags"}


class Refused(ValueError):
    """Carries the word of the fault."""


def skip_target(seq):
    """The record that `seq` links to besides its predecessor, if any."""
    if seq < 2 or seq == SEQ_MAX:
        return None
    rest = seq
    while True:
        inner, end, power = 0, 1, 1
        while end < rest:
            inner, power = end, power * 3
            end += power
        if end == rest:
            break
        rest -= inner
    target = seq - (power if rest == seq else rest)
    return target if 0 < target < seq - 1 else None


def open_block(data, thread, replica):
    """The record map of a block that claims to belong to a thread, and its plaintext."""
    if len(data) > RECORD_BYTES_MAX:
        raise Refused("TooLarge")
    epoch, sealed = read_envelope(data)
    try:
        plain = layers.open_synthetic(replica, layers.aad(layers.RECORD, thread, epoch), sealed)
    except chacha.Refused:
        raise Refused("CannotOpen") from None
    try:
        record = cbor.decode(plain)
    except cbor.Refused:
        raise Refused("Malformed") from None
    check_shape(record)
    if record["v"] != 1:
        raise Refused("UnknownVersion")
    if record["thread"] != thread or record["epoch"] != epoch:
        raise Refused("WrongThread")
    check_fields(record)
    if ("author" in record) != (record["seq"] == 1):
        raise Refused("AuthorMismatch")
    return record, plain


def read_envelope(data):
    try:
        envelope = cbor.decode(data)
    except cbor.Refused:
        raise Refused("Malformed") from None
    if not isinstance(envelope, list) or len(envelope) != 3:
        raise Refused("Malformed")
    version, epoch, sealed = envelope
    if not layers.is_number(version) or not layers.is_number(epoch) or not isinstance(sealed, bytes):
        raise Refused("Malformed")
    if version != 1:
        raise Refused("UnknownVersion")
    return epoch, sealed


def is_bytes(value, length):
    return isinstance(value, bytes) and len(value) == length


def is_link(value):
    return isinstance(value, cbor.Link) and ids.cid_is_whole(value.cid)


def is_dep(value):
    return (
        isinstance(value, dict)
        and set(value) == {"log", "seq", "cid"}
        and is_bytes(value["log"], 32)
        and layers.is_number(value["seq"])
        and is_link(value["cid"])
    )


def is_author(value):
    return (
        isinstance(value, dict)
        and set(value) == {"peer", "sig"}
        and is_bytes(value["peer"], 32)
        and is_bytes(value["sig"], 64)
    )


def is_thread(value):
    try:
        return isinstance(value, bytes) and bool(ids.thread_from_bytes(value))
    except ids.Refused:
        return False


def is_list_of(one):
    # An empty list is left out, so one that is there is not canonical.
    return lambda value: isinstance(value, list) and value and all(one(item) for item in value)


SHAPES = {
    "v": layers.is_number,
    "thread": is_thread,
    "log": lambda value: is_bytes(value, 32),
    "seq": layers.is_number,
    "epoch": layers.is_number,
    "event": is_link,
    "sig": lambda value: is_bytes(value, 64),
    "author": is_author,
    "prev": is_link,
    "skip": is_link,
    "deps": is_list_of(is_dep),
    "acl": is_list_of(is_link),
    "tags": is_list_of(lambda value: isinstance(value, bytes)),
}


def check_shape(record):
    if not isinstance(record, dict) or not REQUIRED <= set(record) <= REQUIRED | OPTIONAL:
        raise Refused("Malformed")
    if not all(SHAPES[name](value) for name, value in record.items()):
        raise Refused("Malformed")


def ascending(values):
    return all(a < b for a, b in zip(values, values[1:]))


def check_fields(record):
    seq, deps = record["seq"], record.get("deps", [])
    acl, tags = [link.cid for link in record.get("acl", [])], record.get("tags", [])
    if seq == 0 or ("prev" in record) != (seq > 1) or ("skip" in record) != (skip_target(seq) is not None):
        raise Refused("BadLink")
    if len(deps) > DEPS_MAX or len(acl) > LINKS_MAX or len(tags) > LINKS_MAX:
        raise Refused("TooManyLinks")
    links = [record[name].cid for name in ("prev", "skip", "event") if name in record]
    if not all(ids.link_is_sound(cid) for cid in links + acl + [dep["cid"].cid for dep in deps]):
        raise Refused("BadLink")
    heads = [(dep["log"], dep["seq"], dep["cid"].cid) for dep in deps]
    foreign = all(dep["log"] != record["log"] and dep["seq"] > 0 for dep in deps)
    if not (ascending(heads) and ascending(acl) and foreign) or any(len(t) > TAG_BYTES_MAX for t in tags):
        raise Refused("Malformed")


def verify(record, log):
    """Checks the log key's signature and, in a first record, the author's."""
    if log != record["log"]:
        raise Refused("WrongLog")
    signed = {name: value for name, value in record.items() if name != "sig"}
    try:
        ed25519.verify(log, b"threads/record/1" + cbor.encode(signed), record["sig"])
    except ed25519.Refused as fault:
        raise Refused("WeakKey" if str(fault) == "WeakKey" else "BadSignature") from None
    if "author" in record:
        thread, author = record["thread"], record["author"]
        message = b"threads/author/1" + bytes([len(thread)]) + thread + log
        try:
            ed25519.verify(author["peer"], message, author["sig"])
        except ed25519.Refused:
            raise Refused("AuthorMismatch") from None


def follows(record, seq, cid):
    """Checks that a record comes after the head (seq, cid); (0, None) is before the first."""
    prev = record["prev"].cid if "prev" in record else None
    if record["seq"] != seq + 1 or prev != cid:
        raise Refused("BrokenChain")


def check_skip(record, log):
    """Checks the skip link against the CIDs of the log so far, in order."""
    target = skip_target(record["seq"])
    if target is not None and record["skip"].cid != log[target - 1]:
        raise Refused("BrokenChain")
