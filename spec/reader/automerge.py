"""A second reader of the codec `automerge/1`, written from spec/09-codec-automerge.md and Automerge's
format.

Run it as `python3 spec/reader/automerge.py`. It reads every case of spec/vectors/automerge.json: which
events are refused, what is seen and the state, from nothing but the events. It exits with 1 when one does
not come out as written.
"""

import hashlib
import json
import math
import pathlib
import struct
import sys

import lww

EVENT_BYTES_MAX = 1 << 20
EVENT_OPS_MAX = 1 << 17
EVENT_NAME_BYTES_MAX = 1 << 20
EVENT_PREDS_MAX = 1 << 18
EVENT_DEPS_MAX = 4096
ACTOR_BYTES_MAX = 64
OP_NUMBER_MAX = 1 << 30
INCREMENT_MAX = 1 << 31
COUNTER_MAX = 1 << 62
HISTORY_OPS_MAX = 1 << 18
HISTORY_BYTES_MAX = 8 << 20
DEPTH_MAX = 64

MAGIC = bytes.fromhex("856f4a83")
COLUMNS = [0x01, 0x02, 0x11, 0x13, 0x15, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73, 0x94, 0xA5]
MAP, VALUE, LIST, DELETE, TEXT, INCREMENT = range(6)
HEAD = (0, b"")

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "automerge.json"


class Rejected(Exception):
    """An event that every peer leaves aside."""


def require(condition, message):
    if not condition:
        raise Rejected(message)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def more(self):
        return self.at < len(self.data)

    def take(self, count):
        require(count <= len(self.data) - self.at, "cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def unsigned(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            require(number < 1 << 64 and shift <= 70, "more than 64 bits")
            if byte < 0x80:
                require(byte or shift == 7, "longer than it needs to be")
                return number

    def signed(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            require(shift <= 70, "more than 64 bits")
            if byte < 0x80:
                number -= (1 << shift) * (byte >> 6 & 1)
                require(-(1 << 63) <= number < 1 << 63, "more than 64 bits")
                return number

    def prefixed(self):
        return self.take(self.unsigned())


def utf8(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("not UTF-8") from None


def runs(data, most, read):
    """A column of values, or of nothing, of at most so many rows."""
    reader, rows = Reader(data), []
    while reader.more():
        run = reader.signed()
        count = reader.unsigned() if run == 0 else abs(run)
        require(count <= most - len(rows), "too many rows")
        if run == 0:
            rows += [None] * count
        elif run > 0:
            rows += [read(reader)] * count
        else:
            rows += [read(reader) for _ in range(count)]
    return rows


def whole(rows, count):
    rows = rows or [None] * count
    require(len(rows) == count, "the columns differ in length")
    return rows


def numbers(data, count):
    return whole(runs(data, count, Reader.unsigned), count)


def every(data, count):
    rows = runs(data, count, Reader.unsigned)
    require(len(rows) == count and None not in rows, "a number is missing")
    return rows


def deltas(data, count):
    at, rows = 0, []
    for delta in whole(runs(data, count, Reader.signed), count):
        at += delta or 0
        require(-(1 << 63) <= at < 1 << 63, "out of bounds")
        rows.append(None if delta is None else at)
    return rows


def booleans(data, count):
    reader, rows, value = Reader(data), [], False
    while reader.more():
        run = reader.unsigned()
        require(run <= count - len(rows), "too many rows")
        rows += [value] * run
        value = not value
    require(len(rows) == count, "the columns differ in length")
    return rows


def value_of(kind, values):
    """A value as JSON has it, with the number of its kind."""
    data = Reader(values.take(kind >> 4))
    kind &= 15
    require(kind <= 9, "an unknown kind of value")
    value = None
    if kind in (1, 2):
        value = kind == 2
    elif kind == 3:
        value = data.unsigned()
    elif kind in (4, 8, 9):
        value = data.signed()
    elif kind == 5:
        (value,) = struct.unpack("<d", data.take(8))
        value = value + 0.0 if math.isfinite(value) else None
    elif kind == 6:
        value = utf8(data.take(len(data.data)))
    elif kind == 7:
        value = list(data.take(len(data.data)))
    require(not data.more(), "a value of another length than its kind")
    return kind, value


class Op:
    """One operation. Ids are pairs of number and actor."""


class Change:
    def __init__(self, data):
        require(len(data) <= EVENT_BYTES_MAX, "too many bytes")
        reader = Reader(data)
        require(reader.take(4) == MAGIC, "no chunk")
        checksum = reader.take(4)
        start_of_hash = reader.at
        require(reader.take(1) == b"\x01", "no change")
        contents = reader.prefixed()
        require(not reader.more(), "something follows")
        self.data, self.hash = data, hashlib.sha256(data[start_of_hash:]).digest()
        require(self.hash[:4] == checksum, "another checksum")
        self.read(Reader(contents))

    def read(self, reader):
        count = reader.unsigned()
        require(count <= EVENT_DEPS_MAX, "too many deps")
        self.deps = [reader.take(32) for _ in range(count)]
        require(self.deps == sorted(set(self.deps)), "deps out of order")
        self.actors = [reader.prefixed()]
        self.seq, self.start = reader.unsigned(), reader.unsigned()
        require(self.seq and 0 < self.start <= OP_NUMBER_MAX, "a number out of bounds")
        reader.signed()
        utf8(reader.prefixed())
        count = reader.unsigned()
        require(count <= len(reader.data), "too many actors")
        self.actors += [reader.prefixed() for _ in range(count)]
        require(all(len(actor) <= ACTOR_BYTES_MAX for actor in self.actors), "a long actor")
        self.ops = self.read_ops(reader)
        require(self.seq == 1 or not reader.more(), "more than a change")
        require(self.ops or not self.deps, "it changes nothing")
        self.order = (self.start, bool(self.ops), self.hash)
        self.last = self.start + len(self.ops) - 1

    def id(self, actor, number):
        if actor is None and number is None:
            return None
        require(actor is not None and number is not None, "half an id")
        require(actor < len(self.actors) and 0 < number <= OP_NUMBER_MAX, "no such id")
        return (number, self.actors[actor])

    def read_ops(self, reader):
        found, at = {}, 0
        specs = []
        count = reader.unsigned()
        require(count <= len(COLUMNS), "too many columns")
        for _ in range(count):
            spec = reader.unsigned()
            require(spec in COLUMNS[at:], "an unknown column")
            at = COLUMNS.index(spec) + 1
            specs.append((spec, reader.unsigned()))
        for spec, length in specs:
            found[spec] = reader.take(length)
        columns = [found.get(spec, b"") for spec in COLUMNS]
        require(not columns[12] and not columns[13], "marks")
        actions = runs(columns[6], EVENT_OPS_MAX, Reader.unsigned)
        require(None not in actions, "no action")
        rows = len(actions)
        objects = list(zip(numbers(columns[0], rows), numbers(columns[1], rows)))
        keys = list(zip(numbers(columns[2], rows), deltas(columns[3], rows)))
        names = whole(runs(columns[4], rows, Reader.prefixed), rows)
        require(sum(len(name or b"") for name in names) <= EVENT_NAME_BYTES_MAX, "long names")
        inserts = booleans(columns[5], rows)
        kinds = every(columns[7], rows)
        values = Reader(columns[8])
        counts = every(columns[9], rows)
        require(sum(counts) <= EVENT_PREDS_MAX, "too many predecessors")
        preds = zip(numbers(columns[10], sum(counts)), deltas(columns[11], sum(counts)))
        ops = []
        for at in range(rows):
            op = Op()
            op.id = (self.start + at, self.actors[0])
            op.action, op.insert = actions[at], inserts[at]
            op.kind, op.value = value_of(kinds[at], values)
            op.object = self.id(*objects[at])
            op.key = self.key(keys[at], names[at])
            op.preds = [self.id(*next(preds)) for _ in range(counts[at])]
            sound(op)
            ops.append(op)
        require(not values.more(), "too many values")
        require(self.start + rows <= OP_NUMBER_MAX, "a number out of bounds")
        return ops

    def key(self, key, name):
        actor, number = key
        if name is not None:
            require(actor is None and number is None, "two places")
            return utf8(name)
        if actor is None:
            require(number == 0, "no place")
            return HEAD
        element = self.id(actor, number)
        require(element is not None, "no place")
        return element


def sound(op):
    """What must hold of an operation by itself."""
    require(op.action <= INCREMENT, "an unknown action")
    if op.action in (MAP, LIST, TEXT, DELETE):
        require(op.kind == 0, "a value where none is")
    if op.action == VALUE and op.kind == 8:
        require(abs(op.value) <= COUNTER_MAX, "a counter out of bounds")
    if op.action == INCREMENT:
        require(op.kind in (3, 4) and abs(op.value) <= INCREMENT_MAX, "an increment out of bounds")
    named, ends = isinstance(op.key, str), op.action in (DELETE, INCREMENT)
    require(not (op.insert and (named or op.preds or ends)), "it cannot be inserted")
    require(op.insert or op.key != HEAD, "the head is no element")
    require(not ends or op.preds, "it ends nothing")
    require(None not in op.preds, "a predecessor without a number")
    require(len(set(op.preds)) == len(op.preds), "a predecessor twice")
    refers = op.preds + [op.object or HEAD] + ([] if named else [op.key])
    require(all(number < op.id[0] for number, _ in refers), "it refers to a later one")


class Document:
    """What the changes that can be applied make, each after those that it refers to."""

    def __init__(self, changes):
        self.lasts, self.turns, self.ops = {}, {}, {}
        for change in sorted(changes, key=lambda change: change.order):
            self.apply(change)

    def apply(self, change):
        seq, last = self.turns.get(change.actors[0], (0, 0))
        fits = change.seq == seq + 1 and last < change.start
        fits = fits and all(self.lasts.get(dep, change.start) < change.start for dep in change.deps)
        fits = fits and all(actor in self.turns for actor in change.actors[1:])
        own = {}
        for op in change.ops if fits else ():
            if not self.fits(op, own, change.start):
                return
            own[op.id] = op
        if fits:
            self.lasts[change.hash] = change.last
            self.turns[change.actors[0]] = (change.seq, change.last)
            self.ops.update(own)

    def fits(self, op, own, start):
        def find(name):
            found = own.get(name) or (self.ops.get(name) if name[0] < start else None)
            return found if found and found.action not in (DELETE, INCREMENT) else None

        container = find(op.object) if op.object else None
        action = container.action if container else None if op.object else MAP
        named = isinstance(op.key, str)
        if action not in ((MAP,) if named else (LIST, TEXT)):
            return False
        if not named and op.key != HEAD:
            element = find(op.key)
            if not element or not element.insert or element.object != op.object:
                return False
        op.place = op.id if op.insert else op.key
        for pred in map(find, op.preds):
            if not pred or (pred.object, pred.place) != (op.object, op.place):
                return False
            if op.action == INCREMENT and (pred.action, pred.kind) != (VALUE, 8):
                return False
        return True

    def view(self):
        self.steps, gone, self.inside = {}, set(), {}
        for op in self.ops.values():
            for pred in op.preds:
                if op.action == INCREMENT:
                    self.steps[pred] = self.steps.get(pred, 0) + op.value
                else:
                    gone.add(pred)
        for op in self.ops.values():
            if op.action not in (DELETE, INCREMENT):
                places = self.inside.setdefault(op.object, {})
                place = places.setdefault(op.place, [])
                if op.id not in gone:
                    place.append(op)
        self.elements = {}
        for op in self.ops.values():
            if op.insert:
                self.elements.setdefault((op.object, op.key), []).append(op.id)
        return self.object(None, MAP, 1)

    def shown(self, op, level):
        if op.action == VALUE:
            return op.value + self.steps.get(op.id, 0) if op.kind == 8 else op.value
        return self.object(op.id, op.action, level + 1)

    def object(self, name, action, level):
        if level > DEPTH_MAX:
            return None
        places = self.inside.get(name, {})
        if action == MAP:
            return {key: self.shown(max(ops, key=lambda op: op.id), level) for key, ops in places.items() if ops}
        seen = [max(places[at], key=lambda op: op.id) for at in self.in_order(name) if places[at]]
        if action == LIST:
            return [self.shown(op, level) for op in seen]
        return "".join(op.value if (op.action, op.kind) == (VALUE, 6) else "\ufffc" for op in seen)

    def in_order(self, name):
        """Elements from the first to the last: after one, the latest that was inserted there."""
        waiting, order = sorted(self.elements.get((name, HEAD), [])), []
        while waiting:
            order.append(waiting.pop())
            waiting += sorted(self.elements.get((name, order[-1]), []))
        return order


def keep(changes):
    """The changes that are not forgotten, in their order, and the place of the first that is."""
    kept, ops, size = [], 0, 0
    for change in sorted(changes, key=lambda change: change.order):
        ops, size = ops + len(change.ops), size + len(change.data)
        if ops > HISTORY_OPS_MAX or size > HISTORY_BYTES_MAX:
            return kept, change.order
        kept.append(change)
    return kept, None


def check(case):
    known, refused = {}, []
    for at, event in enumerate(case["events_hex"]):
        try:
            change = Change(bytes.fromhex(event))
            known[change.hash] = change
        except Rejected:
            refused.append(at)
    if refused != case["refused"]:
        return "refused are %s" % refused
    if not known:
        return "there is a state" if case["state_hex"] else None
    kept, cut = keep(known.values())
    view = lww.text(Document(kept).view())
    if view != case["view"]:
        return "seen is %s" % view
    data = b"".join(change.data for change in kept)
    place = b"\x00" if cut is None else b"\x01" + cut[0].to_bytes(8, "big") + bytes([cut[1]]) + cut[2]
    state = b"\x01" + len(view.encode()).to_bytes(4, "big") + view.encode() + place + data
    return None if state.hex() == case["state_hex"] else "another state"


def main():
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))
    for case in cases:
        fault = check(case)
        if fault:
            sys.exit("%s: %s" % (case["name"], fault))
    print("%d cases read" % len(cases))


if __name__ == "__main__":
    main()
