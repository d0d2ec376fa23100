//! As much of Rust as the checks need: where the code is, and where its functions and tests are.

use std::ops::RangeInclusive;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Its lines, from 1, the signature included.
    pub(crate) lines: RangeInclusive<usize>,
}

/// The code with everything blank that is none: comments and the contents of literals. Lines and
/// columns stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => string(bytes, at),
            b'r' if starts_word(bytes, at) => raw_string(bytes, at),
            b'b' if starts_word(bytes, at) && bytes.get(at + 1) == Some(&b'r') => {
                raw_string(bytes, at + 1)
            }
            b'\'' => character(bytes, at),
            _ => at,
        };
        code[at..end]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
    }
    // Multi-byte characters outside literals and comments are letters of names at most.
    String::from_utf8(code).unwrap_or_else(|fault| {
        let bytes = fault.into_bytes();
        bytes
            .into_iter()
            .map(|byte| if byte.is_ascii() { byte as char } else { '_' })
            .collect()
    })
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !is_word(bytes[at - 1])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Where `wanted` begins at or after `from`, or the end.
fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> usize {
    let found = bytes[from..]
        .windows(wanted.len())
        .position(|window| window == wanted);
    found.map_or(bytes.len(), |offset| from + offset)
}

fn block_comment(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the raw string whose `r` is at `from`; `from` itself when there is none.
fn raw_string(bytes: &[u8], from: usize) -> usize {
    let hashes = bytes[from + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    if bytes.get(from + 1 + hashes) != Some(&b'"') {
        return from;
    }
    let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
    (find(bytes, from + 2 + hashes, &close) + close.len()).min(bytes.len())
}

/// The end of the character at `from`; `from` itself when it is a lifetime.
fn character(bytes: &[u8], from: usize) -> usize {
    let next = match bytes.get(from + 1) {
        Some(b'\\') => {
            return find(bytes, from + 3, b"'")
                .saturating_add(1)
                .min(bytes.len());
        }
        Some(_) => from + 2,
        None => return from,
    };
    // A character has at most four bytes.
    let close = (next..bytes.len().min(next + 4)).find(|at| bytes[*at] == b'\'');
    match close {
        Some(close) if close == next || !bytes[from + 1].is_ascii() => close + 1,
        _ => from,
    }
}

/// The places where `word` stands as a word of its own.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    let whole = move |at: &usize| {
        starts_word(bytes, *at)
            && bytes
                .get(at + word.len())
                .is_none_or(|next| !is_word(*next))
    };
    code.match_indices(word).map(|(at, _)| at).filter(whole)
}

/// The line, from 1, that a place is in.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Where the bracket that opens at `open` is closed.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return open + offset;
        }
    }
    code.len().saturating_sub(1)
}

/// Where the body of an item opens; `None` when the item ends without one.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in code.as_bytes()[from..].iter().enumerate() {
        match byte {
            b'{' if depth == 0 => return Some(from + offset),
            b';' | b'}' if depth == 0 => return None,
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Every function of code from [`code_only`] that has a name and a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let function = |at: usize| {
        let rest = code[at + 2..].trim_start();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let open = body(code, at).filter(|_| !name.is_empty())?;
        let lines = line_of(code, at)..=line_of(code, closing(code, open));
        Some(Function { name, lines })
    };
    words(code, "fn").filter_map(function).collect()
}

/// The lines of every item that is compiled for tests alone.
pub(crate) fn test_lines(code: &str) -> Vec<RangeInclusive<usize>> {
    let attributes = code.match_indices("#[cfg(test)]");
    let lines = attributes.map(|(at, attribute)| {
        let end = match body(code, at + attribute.len()) {
            Some(open) => closing(code, open),
            None => find(code.as_bytes(), at, b";"),
        };
        line_of(code, at)..=line_of(code, end)
    });
    lines.collect()
}

/// The code without its attributes.
pub(crate) fn without_attributes(code: &str) -> String {
    let mut bare = code.as_bytes().to_vec();
    let mut at = 0;
    while let Some(offset) = code[at..].find("#[") {
        let (open, end) = (at + offset, closing(code, at + offset + 1));
        bare[open..=end]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        at = end + 1;
    }
    String::from_utf8_lossy(&bare).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let blank = |text: &str| {
            code_only(text)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(blank("a // fn {\nb"), "a b");
        assert_eq!(blank("a /* { /* } */ { */ b"), "a b");
        assert_eq!(
            blank(r#"f("{ \" }", '{', '\'', 'é', b"}")"#),
            "f( , , , , b )"
        );
        assert_eq!(blank(r##"f(r#"{ " }"#, br"}")"##), "f( , )");
        assert_eq!(blank("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code_only("a\n\"b\nc\"\nd").lines().count(), 4);
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let code = "fn one();\nfn two(\n  a: [u8; 3],\n) -> u8 {\n  { 1 }\n}\nlet f: fn(u8) = g;\n";
        assert_eq!(
            functions(code),
            [Function {
                name: "two".into(),
                lines: 2..=6
            }]
        );
    }

    #[test]
    fn tests_are_found_with_their_lines() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n#[cfg(test)]\nmod more;\nfn b() {}\n";
        assert_eq!(test_lines(code), [2..=4, 5..=6]);
    }

    #[test]
    fn attributes_go_and_lines_stay() {
        assert_eq!(
            without_attributes("#[a(\n[1])]\nfn b() {}").trim_start(),
            "fn b() {}"
        );
        assert_eq!(
            without_attributes("#[a(\n[1])]\nfn b() {}").lines().count(),
            3
        );
    }
}
