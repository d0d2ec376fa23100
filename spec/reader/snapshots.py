"""Snapshots: their content, pieces in files, and words for those that are kept: spec/11-snapshots.md."""

import hashlib
import json

import cbor
import chacha
import ed25519
import ids
import jsonpatch
import layers
import records

ITEM_BYTES_MAX = 64 * 1024 * 1024
SEALED_BYTES_MAX = 256
RAW, DAG_CBOR = 0x55, 0x71
DOMAIN = b"threads/snapshot/1"
WORD_DOMAIN = b"threads/snapshot-word/1"
MARK_DOMAIN = b"threads/snapshot/mark/1"
MARK_BYTES, MARKS_AT_ONCE = 8, 2000
ORDER = ["thread", "log", "marks", "record", "entity", "end"]


class Refused(ValueError):
    """Not a snapshot, or not a word for one."""


def _need(truth):
    if not truth:
        raise Refused("malformed")


def items(content):
    """The items of a snapshot's content, each as its name and its value."""
    found, at = [], 0
    while at < len(content):
        _need(at + 4 <= len(content))
        length = int.from_bytes(content[at : at + 4], "big")
        at += 4
        _need(length <= ITEM_BYTES_MAX and at + length <= len(content))
        try:
            item = cbor.decode(content[at : at + length])
        except cbor.Refused:
            raise Refused("malformed") from None
        at += length
        _need(isinstance(item, dict) and len(item) == 1)
        ((name, value),) = item.items()
        _need(name in ORDER and isinstance(value, dict))
        found.append((name, value))
    return found


def _links(value):
    _need(isinstance(value, list) and all(isinstance(link, cbor.Link) for link in value))


def _shape(value, names):
    _need(set(value) == set(names.split()))


def _log(value, before):
    _shape(value, "acl log record seq time")
    _links(value["acl"])
    _need(isinstance(value["log"], bytes) and len(value["log"]) == 32)
    _need(layers.is_number(value["seq"]) and value["seq"] > 0)
    _need(isinstance(value["record"], cbor.Link))
    _need(isinstance(value["time"], bytes) and len(value["time"]) == 12)
    _need(not before or before[-1]["log"] < value["log"])


def _time(value):
    return int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")


def _mark(log, seq, cid):
    return hashlib.sha256(MARK_DOMAIN + log + seq.to_bytes(8, "big") + cid).digest()[:MARK_BYTES]


def _needed(last):
    """The records of a log that is covered up to `last` that cannot be missing."""
    end = power = 1
    while end <= last:
        power *= 3
        end += power
    links = {records.skip_target(seq) for seq in range(last + 1, end + 1)}
    return {1, last} | {seq for seq in links if seq is not None and seq <= last}


class Content:
    """A snapshot's content as it is read, item by item."""

    def __init__(self, thread, replica, read):
        self.thread, self.replica, self.read = thread, replica, read
        self.logs, self.marks, self.records, self.named = [], [], {}, set()
        self.cids, self.entity, self.entities = set(), None, 0

    def _names(self, value):
        _links(value)
        self.named |= {link.cid for link in value}

    def begin(self, value):
        _shape(value, "acl thread version")
        _need(value["version"] == 1 and value["thread"] == self.thread)
        self._names(value["acl"])

    def log(self, value):
        _log(value, self.logs)
        self._names(value["acl"])
        self.logs.append(value)

    def marks_of(self, value):
        """Marks of 2,000 records that follow each other, or of what is left of a log."""
        _shape(value, "first log marks")
        _need(layers.is_number(value["log"]) and layers.is_number(value["first"]))
        _need(value["log"] < len(self.logs) and isinstance(value["marks"], bytes))
        if value["log"] == len(self.marks):
            _need(not self.marks or self._is_marked(len(self.marks) - 1))
            self.marks.append([])
        _need(value["log"] == len(self.marks) - 1)
        marks, last = self.marks[-1], self.logs[value["log"]]["seq"]
        count = min(MARKS_AT_ONCE, last - len(marks))
        _need(count > 0 and value["first"] == len(marks) + 1)
        _need(len(value["marks"]) == count * MARK_BYTES)
        ends = range(MARK_BYTES, len(value["marks"]) + 1, MARK_BYTES)
        marks.extend(value["marks"][end - MARK_BYTES : end] for end in ends)

    def _is_marked(self, log):
        return len(self.marks) > log and len(self.marks[log]) == self.logs[log]["seq"]

    def _has_mark(self, log, seq, cid):
        _need(self.marks[log][seq - 1] == _mark(self.logs[log]["log"], seq, cid))

    def record(self, value):
        _shape(value, "acl apart body event log record seq")
        self._names(value["acl"])
        _need(value["apart"] in (None, "itself", "rules") and layers.is_number(value["log"]))
        _need(value["log"] < len(self.logs) and layers.is_number(value["seq"]))
        log, place = self.logs[value["log"]], (value["log"], value["seq"])
        _need(0 < value["seq"] <= log["seq"])
        _need(all(self._is_marked(number) for number in range(len(self.logs))))
        _need(not self.records or place > max(self.records))
        try:
            record, _ = records.open_block(value["record"], self.thread, self.replica)
            records.verify(record, log["log"])
        except (records.Refused, ed25519.Refused):
            raise Refused("malformed") from None
        _need((record["log"], record["seq"]) == (log["log"], value["seq"]))
        cid = ids.cid_of(ids.DAG_CBOR, value["record"])
        _need(value["seq"] < log["seq"] or cid == log["record"].cid)
        self._has_mark(*place, cid)
        if "prev" in record:
            self._has_mark(value["log"], value["seq"] - 1, record["prev"].cid)
        if "skip" in record:
            self._has_mark(value["log"], records.skip_target(value["seq"]), record["skip"].cid)
        self.cids.add(cid)
        time = self._says(value, record)
        _need(value["seq"] < log["seq"] or _time(log["time"]) == (time or (0, 0)))
        self.records[place] = value["apart"], time

    def _says(self, value, record):
        """When a record says something; none of one that was purged."""
        if not value["event"]:
            return None
        ids.check_block(record["event"].cid, value["event"])
        sealed, body = layers.decode_event(value["event"])
        ids.check_block(body, value["body"])
        place = record["log"], record["seq"], record["epoch"]
        return tuple(layers.open_header(self.read, self.thread, *place, sealed)["time"])

    def is_after(self, value):
        """An entity in its turn, and of a record that may be its last."""
        _shape(value, "collection id index life log seq time")
        _life(value["life"])
        _need(layers.is_number(value["log"]) and value["log"] < len(self.logs))
        _need(layers.is_number(value["seq"]) and 0 < value["seq"] <= self.logs[value["log"]]["seq"])
        _need(layers.is_number(value["index"], 32))
        _need(isinstance(value["time"], bytes) and len(value["time"]) == 12)
        name = value["collection"].encode(), value["id"].encode()
        _need(self.entity is None or self.entity < name)
        self.entity, self.entities = name, self.entities + 1
        apart, time = self.records.get((value["log"], value["seq"]), (None, None))
        _need(apart is None and time in (None, _time(value["time"])))

    def end(self, value):
        counts = {"logs": len(self.logs), "records": len(self.records), "entities": self.entities}
        _need(value == counts)
        for index, log in enumerate(self.logs):
            _need(self._is_marked(index))
            _need(all((index, seq) in self.records for seq in _needed(log["seq"])))
        _need(self.named <= self.cids)


def _life(value):
    if isinstance(value, str):
        return _need(value in ("deleted", "unknown"))
    _need(isinstance(value, dict) and set(value) == {"live"})
    _need(isinstance(value["live"], list) and len(value["live"]) == 2)
    codec, state = value["live"]
    _need(isinstance(codec, str) and isinstance(state, bytes))
    _state(codec, state)


def _state(codec, state):
    """That a state has its codec's form, of those codecs that are known here."""
    try:
        if codec == "whole/1":
            cbor.decode(state)
        if codec == "jsonpatch/1":
            _need(jsonpatch.text(json.loads(state.decode())).encode() == state)
    except ValueError:
        raise Refused("malformed") from None


def content(data, called, keys):
    """The items of a snapshot of this name, in their order, by the thread, its replica and its read key."""
    found, of = items(data), Content(*keys)
    turns = [ORDER.index(name) for name, _ in found]
    _need(turns == sorted(turns) and turns.count(0) == 1 and turns.count(len(ORDER) - 1) == 1)
    read = [of.begin, of.log, of.marks_of, of.record, of.is_after, of.end]
    for turn, (_, value) in zip(turns, found):
        read[turn](value)
    _need(name(data) == called)
    return found


def name(data):
    """What a snapshot with this content is called."""
    return ids.cid_of(RAW, data)


def piece(key, thread, snapshot, number, sealed):
    """A piece of the content, as a file carries it."""
    bound = DOMAIN + thread + snapshot + number.to_bytes(8, "big")
    return chacha.xopen(key, bound, sealed)


def check_word(word):
    """That a word has its form."""
    _need(isinstance(word, list) and len(word) == 6)
    peer, seq, blob, epoch, sealed, signature = word
    _need(isinstance(peer, bytes) and len(peer) == 32 and layers.is_number(seq) and seq > 0)
    _need(isinstance(blob, cbor.Link) and blob.cid[1] == DAG_CBOR and layers.is_number(epoch))
    _need(isinstance(sealed, bytes) and len(sealed) <= SEALED_BYTES_MAX)
    _need(isinstance(signature, bytes) and len(signature) == 64)


def word(data, thread, read):
    """Who says so, the numbers, the blob, and what is sealed: the snapshot, the blob's key and size."""
    try:
        found = cbor.decode(data)
    except cbor.Refused:
        raise Refused("malformed") from None
    check_word(found)
    peer, seq, blob, epoch, sealed, signature = found
    statement = cbor.encode(
        {"blob": blob, "epoch": epoch, "sealed": sealed, "seq": seq, "thread": thread}
    )
    ed25519.verify(peer, WORD_DOMAIN + statement, signature)
    plain = cbor.decode(chacha.xopen(read, WORD_DOMAIN + thread + blob.cid, sealed))
    _need(set(plain) == {"key", "size", "snapshot"} and plain["snapshot"].cid[1] == RAW)
    return peer, seq, epoch, blob.cid, plain
