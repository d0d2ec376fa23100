//! `cargo run -p example-address-book -- DIR add GIVEN FAMILY [EMAIL…]`, or `DIR` alone to list.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use example_address_book::AddressBook;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::{Error, Result};
use threads_db::Node;
use threads_store_lmdb::Lmdb;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((dir, rest)) = words.split_first() else {
        return Err(Error::invalid("name a directory"));
    };
    let node = Node::builder(Lmdb::open(dir)?)
        .codec(JsonPatch::new())
        .open()?;
    let db = node.open("people").or_else(|_| node.create("people"))?;
    let book = AddressBook::open(&db)?;
    if let ["add", given, family, emails @ ..] = rest {
        book.add(given, family, emails)?;
    }
    book.lines()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
