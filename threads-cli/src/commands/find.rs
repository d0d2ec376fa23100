//! `find`: queries.

use std::error::Error as _;

use serde_json::{Value, json};
use threads_core::Error;
use threads_db::query::{Filter, Query, QueryError};
use threads_db::{Collection, Past, Rows};

use crate::args::Find;
use crate::commands::live;
use crate::exit::{Failure, Result};
use crate::output::Output;
use crate::paths::SortBy;
use crate::repo::{self, Repo, quoted};

/// The most of a condition that is shown around its mistake, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// Where a query looks.
pub(crate) enum Source<'a> {
    Now(&'a Collection<Value>),
    Past(&'a Past<'a>, &'a Collection<Value>),
}

impl Source<'_> {
    fn count(&self, query: &Query) -> threads_core::Result<u64> {
        match self {
            Self::Now(collection) => collection.count(query),
            Self::Past(past, collection) => past.count(collection, query),
        }
    }

    fn page(&self, query: &Query) -> threads_core::Result<Rows<Value>> {
        match self {
            Self::Now(collection) => collection.find_page(query),
            Self::Past(past, collection) => past.find_page(collection, query),
        }
    }

    fn for_each(
        &self,
        query: &Query,
        row: &mut dyn FnMut(Value) -> threads_core::Result<bool>,
    ) -> threads_core::Result<()> {
        match self {
            Self::Now(collection) => collection.for_each(query, row),
            Self::Past(past, collection) => past.for_each(collection, query, row),
        }
    }
}

pub(crate) fn run(repo: &Repo, args: Find, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    run_on(&Source::Now(&collection), args, out)
}

/// Finds what a query asks for, now or in the past.
pub(crate) fn run_on(source: &Source<'_>, args: Find, out: &mut Output) -> Result {
    let (count, explain) = (args.count, args.explain);
    let updates = args.watch.then(|| args.updates.unwrap_or(u64::MAX));
    let query = query(args)?;
    query.check()?;
    match (source, updates) {
        (Source::Now(collection), _) if explain => return explained(collection, &query, out),
        (Source::Now(collection), Some(updates)) => {
            return live::run(collection, &query, updates, out);
        }
        (Source::Past(..), _) if explain => {
            let why = "the past has no indexes: every entity of the collection is looked at";
            return Err(Error::unsupported(why).into());
        }
        (Source::Past(..), Some(_)) => {
            return Err(Error::unsupported("the past does not change: watch the present").into());
        }
        (_, None) => {}
    }
    if count {
        let count = source.count(&query)?;
        return Ok(if out.is_json() {
            out.value(&json!({ "count": count }))
        } else {
            out.line(count)
        }?);
    }
    if query.limit.is_some() {
        page(source, &query, out)
    } else {
        all(source, &query, out)
    }
}

fn query(args: Find) -> Result<Query> {
    let mut query = Query::new().skip(args.skip);
    if let Some(text) = &args.expr {
        query = query.filter(filter(text)?);
    }
    query.sort = args.sort.into_iter().map(|SortBy(sort)| sort).collect();
    query.limit = args.limit;
    query.fields = args.fields;
    if let Some(cursor) = &args.after {
        query = query.after(cursor.parse()?);
    }
    Ok(query)
}

/// Reads a condition, and shows where it breaks if it does.
pub(crate) fn filter(text: &str) -> Result<Filter> {
    Filter::parse(text).map_err(|error| {
        let place = error
            .source()
            .and_then(|source| source.downcast_ref::<QueryError>());
        let excerpt = place.map(|place| caret(text, place.column()));
        let help = "write conditions such as \"age >= 60 and name = 'Ann'\": text in single \
                    quotes, unusual field names in double quotes";
        Failure::Error {
            error,
            excerpt,
            help: Some(help.to_owned()),
        }
    })
}

/// The text with a mark under a column, counted in characters from 1; of a long text, what is
/// around the column.
fn caret(text: &str, column: usize) -> String {
    let place = column.saturating_sub(1);
    let from = place.saturating_sub(EXCERPT_CHARS_MAX / 2);
    let line: String = text
        .chars()
        .skip(from)
        .take(EXCERPT_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("  {line}\n  {}^", " ".repeat(place - from))
}

fn explained(collection: &Collection<Value>, query: &Query, out: &mut Output) -> Result {
    let explanation = collection.explain(query)?;
    if out.is_json() {
        return Ok(out.value(&explanation)?);
    }
    out.line(&explanation)?;
    let scans = explanation.to_string().starts_with("scan");
    if let Some(path) = query
        .filter
        .as_ref()
        .and_then(|filter| filter.paths().first().copied())
        && scans
    {
        let (db, name) = (quoted(collection.db().name()), collection.name());
        out.remark(format_args!(
            "an index would help: threads collection add {db} {name} --index {path}"
        ));
    }
    Ok(())
}

/// Every row, as it is found.
fn all(source: &Source<'_>, query: &Query, out: &mut Output) -> Result {
    let mut written = Ok(());
    source.for_each(query, &mut |row| {
        written = out.value(&row);
        Ok(written.is_ok())
    })?;
    Ok(written?)
}

/// At most so many rows, and where the next ones begin.
fn page(source: &Source<'_>, query: &Query, out: &mut Output) -> Result {
    let page = source.page(query)?;
    for row in &page.rows {
        out.value(row)?;
    }
    if let Some(next) = &page.next {
        out.next_page(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_condition_is_pointed_at() {
        let failure = filter("naïve\t>= 60 and").unwrap_err();
        let text = failure.to_text();
        let mut lines = text.lines().skip(1);
        assert_eq!(lines.next(), Some("  naïve >= 60 and"));
        assert_eq!(lines.next(), Some("                 ^"));
        assert_eq!(failure.code(), 5);
    }

    #[test]
    fn of_a_long_condition_the_place_is_shown() {
        let text = caret(
            &format!("{}!{}", "a".repeat(1_000), "b".repeat(1_000)),
            1_001,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].trim().chars().count(), EXCERPT_CHARS_MAX);
        assert_eq!(lines[0].find('!'), lines[1].find('^'));
    }
}
