//! Skip links: which older record a record also points to.

/// The sequence number that record `seq` links to besides its predecessor, or `None` when that
/// link would be the predecessor itself or nothing.
///
/// Following predecessor and skip links, any record is reached from any later one in a number of
/// steps that grows with the logarithm of their distance. Source: Buldas and Laud, "New Linking
/// Schemes for Digital Time-Stamping" (1998), as used by Bamboo; the paper's "Multi-addressed
/// Event Logs".
///
/// ```
/// use threads_core::record::skip_target;
/// assert_eq!(skip_target(4), Some(1));
/// assert_eq!(skip_target(13), Some(4));
/// assert_eq!(skip_target(5), None, "its predecessor is its skip target");
/// ```
pub fn skip_target(seq: u64) -> Option<u64> {
    if seq < 2 {
        return None;
    }
    let target = seq - distance(seq);
    (target != seq - 1 && target > 0).then_some(target)
}

/// How far back the link of `seq` reaches: a power of three where the numbers 1, 4, 13, 40, …
/// end a block, and the size of an inner block elsewhere.
fn distance(seq: u64) -> u64 {
    let mut rest = seq;
    loop {
        // `end` is the last number of the smallest block that holds `rest`; `inner` is the one before.
        let (mut inner, mut end, mut power) = (0, 1u64, 1u64);
        while end < rest {
            inner = end;
            power = power.saturating_mul(3);
            end = end.saturating_add(power);
        }
        if end == rest {
            // The block's own end: back by its largest power, or by one inner block when `rest`
            // is what was left of a longer number.
            return if rest == seq { power } else { rest };
        }
        rest -= inner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first forty links, worked out by hand from the definition.
    const LINKS: [u64; 40] = [
        0, 1, 2, 1, 4, 5, 6, 4, 8, 9, 10, 8, 4, 13, 14, 15, 13, 17, 18, 19, 17, 21, 22, 23, 21, 13,
        26, 27, 28, 26, 30, 31, 32, 30, 34, 35, 36, 34, 26, 13,
    ];

    #[test]
    fn links_are_those_of_the_definition() {
        for (seq, link) in (1u64..).zip(LINKS) {
            let expected = (link > 0 && link + 1 != seq).then_some(link);
            assert_eq!(skip_target(seq), expected, "record {seq}");
        }
    }

    #[test]
    fn any_record_is_near_any_later_one() {
        let steps = |mut from: u64, to: u64| {
            let mut steps = 0u32;
            while from > to {
                from = skip_target(from)
                    .filter(|target| *target >= to)
                    .unwrap_or(from - 1);
                steps += 1;
            }
            steps
        };
        for (from, to) in [
            (1_000_000, 1),
            (1_000_000, 499_999),
            (797_161, 3),
            (88_573, 88_000),
        ] {
            assert!(
                steps(from, to) < 80,
                "{from} to {to} took {}",
                steps(from, to)
            );
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for seq in [u64::MAX, u64::MAX - 1, u64::MAX / 2] {
            assert!(skip_target(seq).is_none_or(|target| target < seq));
        }
    }
}
