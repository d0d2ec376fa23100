//! The thirty-line start of the README.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

// README: begin
use serde::{Deserialize, Serialize};
use threads_codec_jsonpatch::JsonPatch;
use threads_db::{Node, query::Query};
use threads_store_lmdb::Lmdb;

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
struct Person {
    name: String,
    age: u8,
}

fn main() -> threads_core::Result<()> {
    // A node: one identity, one directory on disk, many threads.
    let node = Node::builder(Lmdb::open("threads-data")?)
        .codec(JsonPatch::new())
        .open()?;
    let db = node.open("friends").or_else(|_| node.create("friends"))?;

    // A collection: its schema comes from the Rust type and travels with the thread.
    let people = db.define_typed::<Person>("Person", "jsonpatch/1")?;

    // A transaction: one signed and encrypted record. All of it happens, or nothing.
    db.write(|txn| {
        for (name, age) in [("Ann", 61), ("Bob", 67)] {
            let name = name.to_owned();
            txn.create(&people, &Person { name, age })?;
        }
        Ok(())
    })?;

    let query = Query::parse("age >= 60 and age < 66 or age == 67")?.sort("name");
    for person in people.find(&query)? {
        println!("{} is {}", person.name, person.age);
    }
    println!("intact: {}", db.verify(&mut |_| ())?.is_clean());
    Ok(())
}
// README: end
