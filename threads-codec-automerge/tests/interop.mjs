// The other side of `interop.rs`: the official JavaScript package reads what the codec stored, and
// writes what the codec applies. Run in a directory that has the package; files are bytes.
import * as A from "@automerge/automerge"
import { readFileSync, writeFileSync } from "node:fs"

const read = (name) => new Uint8Array(readFileSync(name))

// What our codec stored, as they see it.
let doc = A.load(read("stored"))
const seen = {
  title: String(doc.title),
  titleIsOneValue: A.isImmutableString(doc.title),
  body: doc.body,
  bodyIsText: typeof doc.body === "string",
  likes: doc.likes.value,
  likesIsCounter: A.isCounter(doc.likes),
  tags: doc.tags.map(String),
  n: doc.n,
}

// Changes of theirs: one of many kinds, and one that is long.
doc = A.change(doc, (doc) => {
  A.splice(doc, ["body"], 0, 0, "Read: ")
  doc.likes.increment(2)
  doc.tags.push(new A.ImmutableString("js"))
  doc.inner = { at: new Date(1234), bytes: new Uint8Array([1, 2]), big: 2 ** 40, half: 0.5 }
  delete doc.n
})
writeFileSync("small", A.getLastLocalChange(doc))
doc = A.change(doc, (doc) => {
  doc.long = "x".repeat(5000)
})
writeFileSync("large", A.getLastLocalChange(doc))

// A change of ours that they had not seen.
const [merged] = A.applyChanges(doc, [read("ours")])

// A document that begins with them.
let born = A.from({ list: ["a", { b: 1 }], text: "😀 hello" })
born = A.change(born, (born) => {
  A.updateText(born, ["text"], "😀 hello world")
  born.list[1].b = new A.Counter(3)
  born.list.splice(0, 1)
})
born = A.change(born, (born) => {
  born.list[0].b.increment(4)
  A.splice(born, ["text"], 0, 2)
})
born = A.change(born, (born) => {
  delete born.list[0].b
  born.list.unshift(null, true)
})
const changes = A.getAllChanges(born)
changes.forEach((change, at) => writeFileSync(`born${at}`, change))

const plain = (doc) => JSON.parse(JSON.stringify(doc))
console.log(JSON.stringify({ seen, merged: plain(merged), born: plain(born), changes: changes.length }))
