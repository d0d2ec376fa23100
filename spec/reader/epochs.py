"""Keys of epochs, and how they get to members: spec/03-encryption.md."""

import hashlib

import hpke

SHARE_BYTES = 112
REPLICA, READER = 0, 1


class Refused(ValueError):
    """Keys of another epoch, or keys that do not open."""


def mark(read):
    """What stands for a read key with whoever does not have it."""
    return hashlib.sha256(b"threads/epoch-read/1" + read).digest()


def number(replica, read_mark):
    digest = hashlib.sha256(b"threads/epoch/1" + replica + read_mark).digest()
    found = int.from_bytes(digest[:8], "big")
    if found == 0:
        raise Refused("rejected")
    return found


def check(epoch, replica, read_mark):
    if number(replica, read_mark) != epoch:
        raise Refused("rejected")


def info(thread, epoch, recipient, share):
    place = bytes([len(thread)]) + thread + epoch.to_bytes(8, "big")
    return b"threads/epoch-keys/1" + place + recipient + bytes([share])


def open_each(thread, epoch, readers, replicas, sealed, me, secret):
    """The replica key, the read key if it was sealed, and its mark; None when there is nothing for `me`."""
    if me in readers:
        place, share = readers.index(me), READER
    elif me in replicas:
        place, share = len(readers) + replicas.index(me), REPLICA
    else:
        return None
    if len(sealed) != SHARE_BYTES * (len(readers) + len(replicas)):
        raise Refused("rejected")
    own = sealed[place * SHARE_BYTES :][:SHARE_BYTES]
    try:
        plain = hpke.open_base(secret, own[:32], info(thread, epoch, me, share), b"", own[32:])
    except hpke.Refused:
        raise Refused("rejected") from None
    replica, second = plain[:32], plain[32:]
    read, read_mark = (second, mark(second)) if share == READER else (None, second)
    check(epoch, replica, read_mark)
    return replica, read, read_mark
