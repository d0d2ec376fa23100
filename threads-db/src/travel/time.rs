//! Times as people write them (RFC 3339).

use threads_core::{Error, Hlc, Result};

const MS_OF_DAY: i64 = 86_400_000;

/// Days since 1970-01-01 of a date. Years begin in March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        ..=2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // Day 0 is 0000-03-01.
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = match month {
        12 => (year + 1, 1),
        _ => (year, month + 1),
    };
    days(next_year, next, 1) - days(year, month, 1)
}

/// A number of exactly so many digits, and what follows.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| is_number)?, rest))
}

fn within(number: i64, first: i64, last: i64) -> Option<i64> {
    (first..=last).contains(&number).then_some(number)
}

/// The milliseconds of a fraction of a second, which may have any number of digits from one; the last
/// millisecond of the second where there is none.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((999, text));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at_checked(digits)?;
    let padded: String = digits.chars().chain("000".chars()).take(3).collect();
    let ms = padded.parse().ok().filter(|_| !digits.is_empty())?;
    Some((ms, rest))
}

/// How many minutes the clock is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z" | "") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = number(text.get(1..)?, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    let minutes = within(hours, 0, 23)? * 60 + within(minutes, 0, 59)?;
    rest.is_empty().then_some(sign * minutes)
}

fn milliseconds(text: &str) -> Option<u64> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (ms, rest) = fraction(rest)?;
    let month = within(month, 1, 12)?;
    let day = days(year, month, within(day, 1, days_of_month(year, month))?);
    // A leap second is the last one of its minute once more.
    let second = within(second, 0, 60)?.min(59);
    let minute = within(hour, 0, 23)? * 60 + within(minute, 0, 59)? - offset(rest)?;
    let ms = day * MS_OF_DAY + minute * 60_000 + second * 1_000 + ms;
    u64::try_from(ms).ok()
}

/// The inverse of [`days`], for days since 1970.
fn date(day: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let day = day + 719_468;
    let (era, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (era * 400 + year, month, day)
}

/// The text of a time, which [`parse`] gives back: as in RFC 3339 where it is the last one of its millisecond, and
/// else in numbers.
pub(super) fn show(time: Hlc) -> String {
    let Hlc { wall_ms, counter } = time;
    let ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let (year, month, day) = date(ms / MS_OF_DAY);
    if counter != u32::MAX || year > 9_999 {
        return format!("{wall_ms}.{counter}");
    }
    let (ms, second) = (ms % 1_000, ms / 1_000 % 60);
    let (minute, hour) = (wall_ms / 60_000 % 60, wall_ms / 3_600_000 % 24);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// A time in numbers.
fn numbers(text: &str) -> Option<Hlc> {
    let (wall_ms, counter) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits(wall_ms) && digits(counter);
    let (wall_ms, counter) = (wall_ms.parse().ok()?, counter.parse().ok()?);
    is_number.then_some(Hlc { wall_ms, counter })
}

/// The last time that a text stands for: `2026-01-31T23:59:59Z`, to the second or with a fraction of it. Without
/// a zone it is UTC, as lists of records show it.
pub(super) fn parse(text: &str) -> Result<Hlc> {
    if let Some(time) = numbers(text) {
        return Ok(time);
    }
    let wall_ms = milliseconds(text).ok_or_else(|| {
        let wrong = "not a time: write 2026-01-31T23:59:59Z, or with an offset such as +01:00";
        Error::invalid(wrong).with("time", text)
    })?;
    let counter = u32::MAX;
    Ok(Hlc { wall_ms, counter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        parse(text).unwrap().wall_ms
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(ms("1970-01-01T00:00:00.000Z"), 0);
        assert_eq!(ms("1970-01-01T00:00:00Z"), 999);
        assert_eq!(ms("2000-02-29T00:00:00.0Z"), 951_782_400_000);
        assert_eq!(ms("2024-03-01 00:00:00.000"), 1_709_251_200_000);
        assert_eq!(ms("2100-03-01t00:00:00.000z"), 4_107_542_400_000);
        assert_eq!(ms("2024-03-01T01:30:00.25+01:30"), 1_709_251_200_250);
        assert_eq!(ms("2024-02-29T23:30:00.2519-00:30"), 1_709_251_200_251);
        assert_eq!(ms("2016-12-31T23:59:60Z"), ms("2016-12-31T23:59:59Z"));
    }

    proptest::proptest! {
        #[test]
        fn every_time_has_a_text(wall_ms: u64, recent in 0..400_000_000_000_000u64, counter: u32) {
            for wall_ms in [wall_ms, recent] {
                for counter in [counter, u32::MAX] {
                    let time = Hlc { wall_ms, counter };
                    proptest::prop_assert_eq!(parse(&show(time)).unwrap(), time);
                }
            }
        }
    }

    #[test]
    fn the_last_time_of_a_millisecond_is_shown_as_people_write_it() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(
            show(Hlc {
                wall_ms: 7,
                counter: 3
            }),
            "7.3"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024",
            "2024-03-01",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-32T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01T00:00:00+01:00x",
            "+024-01-01T00:00:00Z",
            "7",
            "7.",
            ".7",
            "+7.1",
            "7.-1",
            "7.4294967296",
            "1969-12-31T00:00:00Z",
            "2024-01-01T00:00:0é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
