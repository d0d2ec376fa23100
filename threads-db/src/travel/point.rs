//! Points in the past of a thread.

use std::fmt;
use std::str::FromStr;

use threads_core::{Cid, Error, Hlc, Result};

use super::time;

/// The most records that one point names: more than logs have heads in any thread that people write.
pub(super) const RECORDS_MAX: usize = 10_000;

const NOW: &str = "now";
const NOTHING: &str = "nothing";
const POSITION: char = '@';

/// A point in the past of a thread, in one of the ways in which histories can be cut.
///
/// What records say is judged as it is known today: what turned out to have been written without the right, or was
/// purged, is in no past, but for [`Point::Position`], which is what this node showed then.
///
/// As text: `now`; `nothing`, which is no records; a time as in RFC 3339, or, to the last bit, its milliseconds since
/// 1970, a dot and its counter; the CIDs of records with commas between; `@` and a position.
///
/// ```
/// use threads_db::Point;
/// let point: Point = "2026-01-31T12:00:00Z".parse().unwrap();
/// assert!(matches!(point, Point::Time(_)));
/// assert_eq!("@7".parse::<Point>().unwrap(), Point::Position(7));
/// assert_eq!(Point::default().to_string(), "now");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Point {
    /// What is known now.
    #[default]
    Now,
    /// What a node knows that has these records and all that they build on, and no others: what their authors
    /// had seen. [`Db::heads`](crate::Db::heads) gives those of now. At most 10,000.
    Records(Vec<Cid>),
    /// What happened until this time by the clocks of those who wrote it, whenever it came to be known here.
    Time(Hlc),
    /// What this node knew when its feed had come to this position; see
    /// [`Change::position`](crate::Change::position).
    Position(u64),
}

impl FromStr for Point {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            NOW => return Ok(Self::Now),
            NOTHING => return Ok(Self::Records(Vec::new())),
            _ => {}
        }
        if let Some(position) = text.strip_prefix(POSITION) {
            let wrong = || Error::invalid("a position in the feed is a number, such as @7");
            return position.parse().map(Self::Position).map_err(|_| wrong());
        }
        let cids: Result<Vec<Cid>, _> = text.split(',').map(str::parse).collect();
        match cids {
            Ok(cids) => Ok(Self::Records(cids)),
            Err(_) => time::parse(text).map(Self::Time).map_err(|_| {
                Error::invalid(
                    "not a point in time: write `now`, a time such as 2026-01-31T23:59:59Z, or the CIDs \
                     of records with commas between",
                )
                .with("given", text)
            }),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str(NOW),
            Self::Records(cids) if cids.is_empty() => f.write_str(NOTHING),
            Self::Records(cids) => {
                for (n, cid) in cids.iter().enumerate() {
                    write!(f, "{}{cid}", if n == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::Time(time) => f.write_str(&time::show(*time)),
            Self::Position(position) => write!(f, "{POSITION}{position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_points() {
        let cid = *threads_core::block::Block::raw(*b"x").cid();
        let other = *threads_core::block::Block::raw(*b"y").cid();
        for point in [
            Point::Now,
            Point::Position(3),
            Point::Records(vec![cid]),
            Point::Records(vec![cid, other]),
            Point::Records(Vec::new()),
            Point::Time(Hlc::ZERO),
            "2026-01-31T23:59:59Z".parse().unwrap(),
        ] {
            assert_eq!(point.to_string().parse::<Point>().unwrap(), point);
        }
        for wrong in ["", "@", "@x", "yesterday", "2026-01-31", "now,now"] {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }
}
