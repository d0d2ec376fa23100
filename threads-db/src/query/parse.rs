//! From the words of a query to its filter, by recursive descent.
//!
//! ```text
//! or        = and ("or" and)*
//! and       = unary ("and" unary)*
//! unary     = "not" unary | "(" or ")" | "true" | "false" | path condition
//! condition = operator value | ["not"] "in" list | "contains" value
//!           | "starts_with" text | ["not"] "exists"
//! ```

use std::str::FromStr;

use serde_json::{Map, Value};
use threads_core::{Error, FieldPath, Result};

use super::error::QueryError;
use super::filter::{Filter, Op};
use super::token::{Keyword, Spanned, Token, tokens};
use super::{DEPTH_MAX, IN_MAX, NODES_MAX, TEXT_BYTES_MAX};

/// The most characters of the text that a message repeats.
const FOUND_CHARS_MAX: usize = 24;

type Parsed<T> = Result<T, QueryError>;

impl Filter {
    /// Reads a filter from its text form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) with a
    /// [`QueryError`](super::QueryError) as its source, which knows the column.
    ///
    /// ```
    /// use threads_db::query::Filter;
    /// let filter = Filter::parse("address.\"postal code\" in ['N1', 'N2'] and not (vip = true)").unwrap();
    /// assert!(filter.matches(&serde_json::json!({"address": {"postal code": "N1"}})));
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        Ok(parse(text)?)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

fn parse(text: &str) -> Parsed<Filter> {
    if text.len() > TEXT_BYTES_MAX {
        let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= TEXT_BYTES_MAX;
        let column = text.char_indices().take_while(fits).count() + 1;
        let message = format!("the query is longer than {TEXT_BYTES_MAX} bytes");
        return Err(QueryError::new(column, message));
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        nodes: 0,
    };
    let filter = parser.or()?;
    match parser.token() {
        Token::End => Ok(filter),
        _ => Err(parser.expected("'and', 'or' or the end")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn spanned(&self) -> &Spanned {
        &self.tokens[self.at]
    }

    fn token(&self) -> &Token {
        &self.spanned().token
    }

    /// Takes the token; the last one, the end, stays.
    fn next(&mut self) -> Spanned {
        let spanned = self.spanned().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        spanned
    }

    fn eat(&mut self, wanted: &Token) -> bool {
        let found = self.token() == wanted;
        if found {
            self.next();
        }
        found
    }

    fn keyword(&mut self, wanted: Keyword) -> bool {
        self.eat(&Token::Keyword(wanted))
    }

    fn expect(&mut self, mark: char) -> Parsed<()> {
        if self.eat(&Token::Mark(mark)) {
            return Ok(());
        }
        Err(self.expected(&format!("'{mark}'")))
    }

    fn fail(&self, message: impl Into<String>) -> QueryError {
        QueryError::new(self.spanned().column, message)
    }

    fn expected(&self, what: &str) -> QueryError {
        let Spanned {
            token, start, end, ..
        } = self.spanned();
        if *token == Token::End {
            return self.fail(format!("expected {what}, but the query ends here"));
        }
        let found: String = self.text[*start..*end]
            .chars()
            .take(FOUND_CHARS_MAX)
            .collect();
        self.fail(format!("expected {what}, found {found}"))
    }

    /// Counts one condition.
    fn node(&mut self) -> Parsed<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.fail(format!("more than {NODES_MAX} conditions: use 'in'")));
        }
        Ok(())
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(format!("more than {DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Parsed<Filter> {
        let first = self.and()?;
        if *self.token() != Token::Keyword(Keyword::Or) {
            return Ok(first);
        }
        self.node()?;
        let mut parts = vec![first];
        while self.keyword(Keyword::Or) {
            parts.push(self.and()?);
        }
        Ok(Filter::any(parts))
    }

    fn and(&mut self) -> Parsed<Filter> {
        let first = self.unary()?;
        if *self.token() != Token::Keyword(Keyword::And) {
            return Ok(first);
        }
        self.node()?;
        let mut parts = vec![first];
        while self.keyword(Keyword::And) {
            parts.push(self.unary()?);
        }
        Ok(Filter::all(parts))
    }

    fn unary(&mut self) -> Parsed<Filter> {
        if self.keyword(Keyword::Not) {
            self.node()?;
            return Ok(!self.nested(Self::unary)?);
        }
        if self.eat(&Token::Mark('(')) {
            let filter = self.nested(Self::or)?;
            self.expect(')')?;
            return Ok(filter);
        }
        self.node()?;
        if self.keyword(Keyword::True) {
            return Ok(Filter::And(Vec::new()));
        }
        if self.keyword(Keyword::False) {
            return Ok(Filter::Or(Vec::new()));
        }
        match self.token().clone() {
            Token::Path(path) => {
                self.next();
                self.condition(path)
            }
            Token::Text(_) => Err(self.expected("a field name (in double quotes, if in any)")),
            Token::Keyword(_) => {
                Err(self
                    .expected("a field name (one that is also a keyword goes in double quotes)"))
            }
            _ => Err(self.expected("a field name, 'not' or '('")),
        }
    }

    fn condition(&mut self, path: FieldPath) -> Parsed<Filter> {
        const CONDITIONS: &str =
            "a comparison such as '=' or '<', 'in', 'contains', 'starts_with' or 'exists'";
        match *self.token() {
            Token::Op(op) => self.comparison(path, op),
            Token::Keyword(Keyword::Not) => {
                self.next();
                if self.keyword(Keyword::Exists) {
                    self.node()?;
                    return Ok(!Filter::Exists { path });
                }
                if self.keyword(Keyword::In) {
                    return Ok(Filter::NotIn {
                        path,
                        values: self.in_list()?,
                    });
                }
                Err(self.expected("'in' or 'exists' after 'not' (negate others as 'not (…)')"))
            }
            Token::Keyword(Keyword::In) => {
                self.next();
                Ok(Filter::In {
                    path,
                    values: self.in_list()?,
                })
            }
            Token::Keyword(Keyword::Contains) => {
                self.next();
                Ok(Filter::Contains {
                    path,
                    value: self.value("'contains'")?,
                })
            }
            Token::Keyword(Keyword::StartsWith) => {
                self.next();
                let Token::Text(prefix) = self.token().clone() else {
                    return Err(self.expected("a text in single quotes after 'starts_with'"));
                };
                self.next();
                Ok(Filter::StartsWith { path, prefix })
            }
            Token::Keyword(Keyword::Exists) => {
                self.next();
                Ok(Filter::Exists { path })
            }
            _ => Err(self.expected(CONDITIONS)),
        }
    }

    fn comparison(&mut self, path: FieldPath, op: Op) -> Parsed<Filter> {
        let Spanned { start, end, .. } = self.next();
        let after = format!("'{}'", &self.text[start..end]);
        Ok(Filter::Compare {
            path,
            op,
            value: self.value(&after)?,
        })
    }

    /// The list after `in`, in square brackets or parentheses.
    fn in_list(&mut self) -> Parsed<Vec<Value>> {
        let close = match self.token() {
            Token::Mark('[') => ']',
            Token::Mark('(') => ')',
            _ => return Err(self.expected("a list such as [1, 2] after 'in'")),
        };
        self.next();
        self.list(close, IN_MAX)
    }

    /// The rest of a list whose opening is taken.
    fn list(&mut self, close: char, items_max: usize) -> Parsed<Vec<Value>> {
        let mut values = Vec::new();
        if self.eat(&Token::Mark(close)) {
            return Ok(values);
        }
        loop {
            if values.len() == items_max {
                return Err(self.fail(format!("more than {items_max} values in a list")));
            }
            values.push(self.value(if values.is_empty() {
                "the bracket"
            } else {
                "','"
            })?);
            if self.eat(&Token::Mark(close)) {
                return Ok(values);
            }
            if !self.eat(&Token::Mark(',')) {
                return Err(self.expected(&format!("',' or '{close}'")));
            }
        }
    }

    fn value(&mut self, after: &str) -> Parsed<Value> {
        let value = match self.token().clone() {
            Token::Text(text) => Value::String(text),
            Token::Number(number) => Value::Number(number),
            Token::Keyword(Keyword::True) => Value::Bool(true),
            Token::Keyword(Keyword::False) => Value::Bool(false),
            Token::Keyword(Keyword::Null) => Value::Null,
            Token::Mark('[') => {
                self.next();
                // The length of the text bounds the list.
                return self
                    .nested(|p| p.list(']', TEXT_BYTES_MAX))
                    .map(Value::Array);
            }
            Token::Mark('{') => {
                self.next();
                return self.nested(Self::object).map(Value::Object);
            }
            Token::Path(_) => {
                let what = format!("a value after {after} (text goes in single quotes)");
                return Err(self.expected(&what));
            }
            _ => return Err(self.expected(&format!("a value after {after}"))),
        };
        self.next();
        Ok(value)
    }

    /// The rest of an object whose opening is taken.
    fn object(&mut self) -> Parsed<Map<String, Value>> {
        let mut members = Map::new();
        if self.eat(&Token::Mark('}')) {
            return Ok(members);
        }
        loop {
            let name = match self.token() {
                Token::Path(path) => match path.segments() {
                    [name] => name.clone(),
                    _ => return Err(self.expected("one name, in double quotes if it has dots")),
                },
                _ => return Err(self.expected("a name")),
            };
            self.next();
            self.expect(':')?;
            let value = self.value("':'")?;
            members.insert(name, value);
            if self.eat(&Token::Mark('}')) {
                return Ok(members);
            }
            if !self.eat(&Token::Mark(',')) {
                return Err(self.expected("',' or '}'"));
            }
        }
    }
}
