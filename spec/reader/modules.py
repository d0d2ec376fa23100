"""A second reader of modules: how versions see what is stored, written from spec/12-modules.md alone.

Run it as `python3 spec/reader/modules.py`. It reads every case of spec/vectors/modules.json and
exits with 1 when one does not come out as written.
"""

import copy
import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "modules.json"
NOTHING = object()
OPEN = True


class Refused(Exception):
    """What a version cannot save."""


def like(one, other):
    """Whether two values are the same JSON: true is not 1, and 1 is not 1.0."""
    if one is NOTHING or other is NOTHING:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def find(value, path):
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return NOTHING
        value = value[name]
    return value


def put(value, path, new):
    for name in path[:-1]:
        if new is NOTHING and name not in value:
            return
        value = value.setdefault(name, {})
        if not isinstance(value, dict):
            return
    if new is NOTHING:
        value.pop(path[-1], None)
    else:
        value[path[-1]] = copy.deepcopy(new)


class Shape:
    """A part of a schema."""

    def __init__(self, root, node):
        self.root, self.node = root, node
        for _ in range(16):
            following = self.following()
            if following is None:
                break
            self.node = following

    def following(self):
        if not isinstance(self.node, dict):
            return None
        if "$ref" in self.node:
            return find(self.root, self.node["$ref"].lstrip("#").strip("/").split("/"))
        for word in ("anyOf", "oneOf", "allOf"):
            if word in self.node:
                others = [part for part in self.node[word] if part.get("type") != "null"]
                return others[0] if len(others) == 1 else None
        return None

    def members(self):
        if not isinstance(self.node, dict) or "properties" not in self.node:
            return None
        for word in ("additionalProperties", "patternProperties"):
            if self.node.get(word, False) is not False:
                return None
        return self.node["properties"]

    def part(self, node):
        return Shape(self.root, node)

    def items(self):
        if isinstance(self.node, dict) and "items" in self.node:
            return self.part(self.node["items"])
        return None

    def at(self, path):
        shape = self
        for name in path:
            members = shape.members()
            shape = shape.part(OPEN if members is None else members.get(name, OPEN))
        return shape

    def seen(self, value):
        if isinstance(value, dict) and self.members() is not None:
            listed = self.members()
            return {name: self.part(listed[name]).seen(value[name]) for name in value if name in listed}
        if isinstance(value, list) and self.items() is not None:
            return [self.items().seen(item) for item in value]
        return value

    def check(self, value):
        if isinstance(value, dict) and self.members() is not None:
            for name, member in value.items():
                if name not in self.members():
                    raise Refused("no such member: " + name)
                self.part(self.members()[name]).check(member)
        if isinstance(value, list) and self.items() is not None:
            for item in value:
                self.items().check(item)

    def woven(self, before, now):
        if isinstance(before, dict) and isinstance(now, dict) and self.members() is not None:
            result = {name: member for name, member in before.items() if name not in self.members()}
            for name, member in now.items():
                shape = self.part(self.members().get(name, OPEN))
                result[name] = shape.woven(before.get(name, NOTHING), member)
            return result
        if isinstance(before, list) and isinstance(now, list) and self.items() is not None:
            return self.woven_list(before, now)
        return now

    def woven_list(self, before, now):
        shape, first, last = self.items(), 0, 0
        while first < min(len(before), len(now)) and like(shape.seen(before[first]), now[first]):
            first += 1
        most = min(len(before), len(now)) - first
        while last < most and like(shape.seen(before[-1 - last]), now[-1 - last]):
            last += 1
        middle = before[first : len(before) - last]
        result = before[:first]
        for place, item in enumerate(now[first : len(now) - last]):
            result.append(shape.woven(middle[place] if place < len(middle) else NOTHING, item))
        return result + (before[len(before) - last :] if last else [])


ANYTHING = Shape(OPEN, OPEN)


class Field:
    def __init__(self, at):
        self.origin, self.places = at, [at]

    def get(self, stored, shape):
        value = find(stored, self.origin)
        return value if value is NOTHING else shape.seen(value)

    def put(self, before, after, now, shape):
        put(after, self.origin, now if now is NOTHING else shape.woven(find(before, self.origin), now))


class Map:
    def __init__(self, old, exact, values):
        self.old, self.exact, self.values = old, exact, values
        self.origin, self.places = old.origin, old.places + [exact]

    def up(self, old):
        return next((new for value, new in self.values if like(value, old)), NOTHING)

    def down(self, new):
        return next((old for old, value in self.values if like(value, new)), NOTHING)

    def get(self, stored, _shape):
        old, exact = self.old.get(stored, ANYTHING), find(stored, self.exact)
        if old is NOTHING:
            return NOTHING
        if exact is not NOTHING and like(self.down(exact), old):
            return exact
        new = self.up(old)
        return old if new is NOTHING else new

    def put(self, before, after, now, _shape):
        old = NOTHING
        if now is not NOTHING:
            old = self.down(now)
            if old is NOTHING:
                raise Refused("no value for earlier versions")
        write(self.old, before, after, old, ANYTHING)
        put(after, self.exact, NOTHING if like(self.up(old), now) else now)


class Wrap:
    def __init__(self, first, rest):
        self.first, self.rest = first, rest
        self.origin, self.places = first.origin, first.places + [rest]

    def get(self, stored, shape):
        if not isinstance(find(stored, self.origin[:-1]), dict):
            return NOTHING
        first, rest = self.first.get(stored, ANYTHING), find(stored, self.rest)
        items = [] if first is NOTHING or first is None else [first]
        return shape.seen(items + (rest if isinstance(rest, list) else []))

    def put(self, before, after, now, shape):
        items = [] if now is NOTHING else now
        if not isinstance(items, list) or any(item is None for item in items):
            raise Refused("a list without null")
        if now is not NOTHING:
            items = shape.woven(self.get(before, ANYTHING), items)
        write(self.first, before, after, items[0] if items else NOTHING, ANYTHING)
        put(after, self.rest, items[1:] or NOTHING)


def write(source, before, after, now, shape):
    """Writes a value; one that is seen already stays stored as it is."""
    if like(source.get(before, shape), now):
        for place in source.places:
            put(after, place, find(before, place))
    else:
        source.put(before, after, now, shape)


def path_of(text):
    return text.split(".")


class Version:
    """The last of some versions."""

    def __init__(self, versions):
        self.slots, self.owed = {}, []
        for version in versions:
            self.schema = Shape(version["schema"], version["schema"])
            for step in version["steps"]:
                ((kind, said),) = step.items()
                getattr(self, kind)(said)
        self.slots = dict(sorted(self.slots.items(), key=lambda slot: len(slot[0])))

    def place(self, path):
        above = [seen for seen in self.slots if tuple(path[: len(seen)]) == seen]
        if not above:
            return path
        nearest = max(above, key=len)
        return self.slots[nearest][0].origin + path[len(nearest) :]

    def taken(self, path):
        source, default = self.slots.pop(tuple(path), (Field(self.place(path)), NOTHING))
        for seen in [seen for seen in self.slots if list(seen[: len(path)]) == path]:
            del self.slots[seen]
        return source, default

    def add(self, said):
        path = path_of(said["path"])
        self.slots[tuple(path)] = (Field(self.place(path)), said.get("default", NOTHING))

    def remove(self, said):
        source, default = self.taken(path_of(said["path"]))
        if "default" in said and not like(said["default"], default):
            self.owed.append((source, said["default"]))

    def rename(self, said):
        old, new = path_of(said["from"]), path_of(said["to"])
        if tuple(old) not in self.slots:
            self.slots[tuple(old)] = (Field(self.place(old)), NOTHING)
        moved = {}
        for seen, slot in self.slots.items():
            below = seen[len(old) :]
            moved[tuple(new) + below if list(seen[: len(old)]) == old else seen] = slot
        self.slots = moved

    def map(self, said):
        path = path_of(said["to"])
        exact = self.place(path)
        source, default = self.taken(path_of(said["from"]))
        made = Map(source, exact, said["values"])
        if default is not NOTHING and made.up(default) is not NOTHING:
            default = made.up(default)
        self.slots[tuple(path)] = (made, default)

    def wrap(self, said):
        path = path_of(said["to"])
        rest = self.place(path)
        source, _ = self.taken(path_of(said["from"]))
        self.slots[tuple(path)] = (Wrap(source, rest), NOTHING)

    def get(self, stored):
        seen = copy.deepcopy(self.schema.seen(stored))
        for path in self.slots:
            put(seen, path, NOTHING)
        for path, (source, _) in self.slots.items():
            value = source.get(stored, self.schema.at(path))
            if value is not NOTHING:
                put(seen, path, value)
        for path, (_, default) in self.slots.items():
            shown = isinstance(find(seen, path[:-1]), dict) and find(seen, path) is NOTHING
            if default is not NOTHING and shown:
                put(seen, path, default)
        if "_id" in stored:
            seen["_id"] = stored["_id"]
        return seen

    def put(self, stored, now):
        rest = {name: value for name, value in copy.deepcopy(now).items() if name != "_id"}
        self.schema.check(rest)
        values = {}
        for path in reversed(self.slots):
            values[path] = find(rest, path)
            put(rest, path, NOTHING)
        after = copy.deepcopy(self.schema.woven(stored, rest))
        for path, (source, default) in self.slots.items():
            value, shape = values[path], self.schema.at(path)
            if like(value, default) and source.get(stored, shape) is NOTHING:
                value = NOTHING
            write(source, stored, after, value, shape)
        self.pay(stored, after)
        if "_id" in now:
            after["_id"] = now["_id"]
        return after

    def pay(self, stored, after):
        for source, value in self.owed:
            above = source.origin[:-1]
            new = not stored if not above else find(stored, above) is NOTHING
            there = isinstance(find(after, above), dict)
            if new and there and source.get(after, ANYTHING) is NOTHING:
                write(source, {}, after, value, ANYTHING)


def check(case):
    """What is wrong with a case, or None."""
    versions = [Version(case["versions"][: last + 1]) for last in range(len(case["versions"]))]
    stored = {}
    for number, save in enumerate(case["saves"]):
        version = versions[save["version"] - 1]
        if "refused" in save:
            try:
                version.put(stored, save["value"])
            except Refused:
                continue
            return "save %d is not refused" % number
        stored = version.put(stored, save["value"])
        if not like(stored, save["stored"]):
            return "save %d is stored as %s" % (number, json.dumps(stored))
        seen = [version.get(stored) for version in versions]
        if not like(seen, save["seen"]):
            return "save %d is seen as %s" % (number, json.dumps(seen))
    return None


def main():
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))
    wrong = [(case["name"], fault) for case in cases if (fault := check(case))]
    for name, fault in wrong:
        print("modules: %s: %s" % (name, fault), file=sys.stderr)
    if wrong or not cases:
        return 1
    print("modules: %d vectors read" % len(cases))
    return 0


if __name__ == "__main__":
    sys.exit(main())
