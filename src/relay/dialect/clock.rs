//! The time of day that an `im` packet shows: from what a browser's clock may have written, as a
//! browser would read it. Knows no clock of its own; the zone is given.

use crate::relay::json::Value;
use crate::relay::limits::Zone;

/// `HH:MM` in the zone, or what the tutorial shows for a time that it cannot read.
pub(super) fn time_of_day(written: Option<Value<'_>>, zone: &Zone) -> String {
    let minutes = match written.and_then(read) {
        Some(Time::Utc { ms }) => ms.div_euclid(MINUTE) + i64::from(zone.offset_minutes(ms)),
        Some(Time::Local { minutes }) => minutes,
        None => return "0NaN:0NaN".to_owned(),
    };
    let of_day = minutes.rem_euclid(24 * 60);
    format!("{:02}:{:02}", of_day / 60, of_day % 60)
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The furthest moment that ECMAScript knows, in milliseconds from 1970 either way.
const FURTHEST: f64 = 8.64e15;

/// Longer strings are no times.
const WRITTEN_BYTES_MAX: usize = 128;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Time {
    /// Milliseconds since 1970.
    Utc { ms: i64 },
    /// Written without a zone: it is the server's, and the minutes of the day need no conversion.
    Local { minutes: i64 },
}

/// ECMAScript's reading of a JSON value as a time: `null` and `false` are 0, `true` is 1.
fn read(written: Value<'_>) -> Option<Time> {
    if let Some(text) = written.text() {
        if written.as_written().len() > WRITTEN_BYTES_MAX {
            return None;
        }
        let mut plain = Vec::new();
        text.unescape(&mut plain);
        let plain = str::from_utf8(&plain).ok()?;
        return standard(plain).or_else(|| spelled_out(plain));
    }
    match written.as_written() {
        "null" | "false" => Some(Time::Utc { ms: 0 }),
        "true" => Some(Time::Utc { ms: 1 }),
        number => {
            // Arrays and objects are no numbers to `parse` either.
            let ms = number.parse::<f64>().ok().filter(|ms| ms.abs() <= FURTHEST)?;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "cut towards zero, as ECMAScript does"
            )]
            Some(Time::Utc { ms: ms as i64 })
        }
    }
}

/// The date and time that a text names, as numbers.
#[derive(Default)]
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    /// Minutes since midnight.
    minutes: i64,
    ms: i64,
    /// Minutes east; `None` is the server's zone.
    offset: Option<i64>,
}

impl Fields {
    fn time(&self) -> Option<Time> {
        let in_range = (1..=12).contains(&self.month) && (1..=31).contains(&self.day);
        if !in_range {
            return None;
        }
        let Some(offset) = self.offset else {
            return Some(Time::Local { minutes: self.minutes });
        };
        let days = days_since_1970(self.year, self.month, self.day);
        Some(Time::Utc { ms: days * DAY + (self.minutes - offset) * MINUTE + self.ms })
    }
}

/// Years begin in March here, so that a leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// ECMAScript's own format, `2019-10-08T03:56:47.000Z` and its shorter forms; a space for the `T`, too.
/// A date alone is UTC, a time without a zone is local. A year alone is a number, and no time.
fn standard(text: &str) -> Option<Time> {
    let mut rest = text;
    let year = match rest.strip_prefix(['+', '-']) {
        Some(after) => {
            let year = digits(after, 6)?;
            rest = year.1;
            if text.starts_with('-') { -year.0 } else { year.0 }
        }
        None => {
            let year = digits(rest, 4)?;
            rest = year.1;
            year.0
        }
    };
    let mut fields = Fields { year, month: 1, day: 1, offset: Some(0), ..Fields::default() };
    (fields.month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    if let Some(after) = rest.strip_prefix('-') {
        (fields.day, rest) = digits(after, 2)?;
    }
    if let Some(after) = rest.strip_prefix(['T', 't', ' ']) {
        rest = fields.time_of_day(after)?;
        (fields.offset, rest) = zone(rest)?;
    }
    rest.is_empty().then(|| fields.time())?
}

impl Fields {
    /// Reads `HH:MM`, `HH:MM:SS`, `HH:MM:SS.s...`.
    fn time_of_day<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let (hours, rest) = digits(text, 2).or_else(|| digits(text, 1))?;
        let (minutes, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
        let mut seconds = 0;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = digits(after, 2)?;
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
                let (fraction, after) = after.split_at_checked(end).filter(|_| end > 0)?;
                let thousandths = format!("{fraction:0<3}");
                self.ms = digits(&thousandths, 3)?.0;
                rest = after;
            }
        }
        let midnight = hours == 24 && minutes == 0 && seconds == 0;
        if (hours > 23 && !midnight) || minutes > 59 || seconds > 59 {
            return None;
        }
        self.minutes = 60 * hours + minutes;
        self.ms += 1000 * seconds;
        Some(rest)
    }
}

/// Nothing (local), `Z`, `+08:00` or `+0800`.
fn zone(text: &str) -> Option<(Option<i64>, &str)> {
    if text.is_empty() {
        return Some((None, text));
    }
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((Some(0), rest));
    }
    let after = text.strip_prefix(['+', '-'])?;
    let (hours, rest) = digits(after, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    let east = 60 * hours + minutes;
    Some((Some(if text.starts_with('-') { -east } else { east }), rest))
}

/// Exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((all.then(|| digits.parse().ok())??, rest))
}

/// What `Date` and its `toString`, `toUTCString`, `toLocaleString` write in English:
/// `Tue Oct 08 2019 11:56:47 GMT+0800 (China Standard Time)`, `10/8/2019, 11:56:47 AM`, `2019/10/08 11:56`.
fn spelled_out(text: &str) -> Option<Time> {
    let mut fields = Fields::default();
    let mut numbers = Vec::new();
    let mut has_time = false;
    let mut rest = text.split('(').next()?.trim();
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end)?;
            rest = after;
            match word.to_ascii_lowercase().as_str() {
                "z" | "gmt" | "utc" => fields.offset = Some(0),
                "am" | "pm" if !has_time || !(60..13 * 60).contains(&fields.minutes) => {
                    return None;
                }
                "am" => fields.minutes %= 12 * 60,
                "pm" => fields.minutes = fields.minutes % (12 * 60) + 12 * 60,
                name => match (month(name), numbers.is_empty() && fields.month == 0) {
                    (Some(month), _) if fields.month == 0 => fields.month = month,
                    // The day of the week, before all else.
                    (None, true) => {}
                    _ => return None,
                },
            }
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at_checked(end)?;
            if after.starts_with(':') && !has_time {
                rest = fields.time_of_day(rest)?;
                has_time = true;
            } else {
                numbers.push(digits(number, number.len().min(6))?.0);
                rest = after;
            }
        } else if matches!(first, '+' | '-') && has_time {
            (fields.offset, rest) = zone(rest)?;
        } else if matches!(first, ' ' | ',' | '/' | '-' | '.' | '\u{202f}') {
            rest = rest.strip_prefix(first)?;
        } else {
            return None;
        }
    }
    match (fields.month, numbers.as_slice()) {
        (1.., &[day, year]) => (fields.day, fields.year) = (day, full(year)),
        (0, &[year, month, day]) if year > 31 => {
            (fields.year, fields.month, fields.day) = (full(year), month, day);
        }
        (0, &[month, day, year]) => {
            (fields.month, fields.day, fields.year) = (month, day, full(year));
        }
        _ => return None,
    }
    fields.time()
}

/// Two digits are a year near 2000.
fn full(year: i64) -> i64 {
    match year {
        0..50 => 2000 + year,
        50..100 => 1900 + year,
        _ => year,
    }
}

fn month(name: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.get(..3)?;
    (1..).zip(MONTHS).find(|&(_, month)| month == name).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: &str, zone_minutes: i32) -> String {
        time_of_day(Value::read(written, 9), &Zone::fixed(zone_minutes))
    }

    #[test]
    fn moments_are_shown_in_the_zone() {
        for (written, utc, china, newfoundland) in [
            ("1570507007000", "03:56", "11:56", "00:26"),
            ("1570507007000.5", "03:56", "11:56", "00:26"),
            ("1.570507007e12", "03:56", "11:56", "00:26"),
            ("0", "00:00", "08:00", "20:30"),
            ("null", "00:00", "08:00", "20:30"),
            ("true", "00:00", "08:00", "20:30"),
            ("false", "00:00", "08:00", "20:30"),
            ("-1", "23:59", "07:59", "20:29"),
            ("-0.5", "00:00", "08:00", "20:30"),
            ("8.64e15", "00:00", "08:00", "20:30"),
            (r#""2019-10-08T03:05:00.000Z""#, "03:05", "11:05", "23:35"),
            (r#""2019-10-08T03:05:00+08:00""#, "19:05", "03:05", "15:35"),
            (r#""2019-10-08T03:05:00.5-0330""#, "06:35", "14:35", "03:05"),
            (r#""\u0032019-10-08T03:05Z""#, "03:05", "11:05", "23:35"),
            (r#""2019-10-08""#, "00:00", "08:00", "20:30"),
            (r#""2019-10""#, "00:00", "08:00", "20:30"),
            (r#""-000001-01-01T01:02Z""#, "01:02", "09:02", "21:32"),
            (r#""Tue, 08 Oct 2019 03:56:47 GMT""#, "03:56", "11:56", "00:26"),
            (
                r#""Tue Oct 08 2019 11:56:47 GMT+0800 (China Standard Time)""#,
                "03:56",
                "11:56",
                "00:26",
            ),
        ] {
            assert_eq!(shown(written, 0), utc, "{written}");
            assert_eq!(shown(written, 480), china, "{written}");
            assert_eq!(shown(written, -210), newfoundland, "{written}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_the_server_s() {
        for written in [
            r#""2019-10-08T11:56:47""#,
            r#""2019-10-08 11:56""#,
            r#""2019-10-08T11:56:47.123456""#,
            r#""2019/10/08 11:56:47""#,
            r#""2019/10/8 11:56""#,
            r#""10/8/2019, 11:56:47 AM""#,
            r#""Oct 8, 2019, 11:56 AM""#,
            r#""8 October 2019 11:56""#,
            r#""2019.10.08 11:56""#,
            r#""10/8/19 11:56""#,
            r#""8 Oct 99 11:56""#,
        ] {
            assert_eq!(shown(written, 0), "11:56", "{written}");
            assert_eq!(shown(written, 480), "11:56", "{written}");
        }
        assert_eq!(shown(r#""10/8/2019, 12:05:00 AM""#, 0), "00:05");
        assert_eq!(shown(r#""10/8/2019, 12:05:00 PM""#, 0), "12:05");
        assert_eq!(shown(r#""10/8/2019, 1:05:00 PM""#, 0), "13:05");
        assert_eq!(shown(r#""2019-10-08T24:00""#, 0), "00:00");
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_the_tutorial_does() {
        for written in [
            r#""1570507007000""#,
            r#""0""#,
            r#""2019""#,
            r#""""#,
            r#"" ""#,
            r#""now""#,
            r#""Tuesday""#,
            "{}",
            "[]",
            "[0]",
            "1e20",
            "-1e20",
            "8640000000000001",
            "1e999",
            r#""2019-13-01""#,
            r#""2019-10-32""#,
            r#""2019-10-08T25:00""#,
            r#""2019-10-08T11:60""#,
            r#""2019-10-08T24:01""#,
            r#""2019-10-08T""#,
            r#""2019-10-08T11:56:""#,
            r#""2019-10-08T11:56x""#,
            r#""2019-10-08T11:56+8""#,
            r#""\ud800""#,
            r#""13:00 PM 10/8/2019""#,
            r#""8 Oct Nov 2019""#,
            r#""é""#,
            r#""2019年10月08日""#,
            r#""1/2""#,
            r#""2019-10-08T11:56:47.""#,
            r#""20191008T115600""#,
            r#""2019-10-08T11:56:47 +0800""#,
        ] {
            assert_eq!(shown(written, 0), "0NaN:0NaN", "{written}");
        }
        assert_eq!(time_of_day(None, &Zone::default()), "0NaN:0NaN");
        let long = format!("\"2019-10-08{}\"", " ".repeat(200));
        assert_eq!(shown(&long, 0), "0NaN:0NaN");
    }

    #[test]
    fn a_zone_is_asked_for_the_moment_itself() {
        let summer = Zone::new(|ms| if ms > 1_000_000 { 120 } else { 60 });
        assert_eq!(time_of_day(Value::read("1", 1), &summer), "01:00");
        assert_eq!(time_of_day(Value::read("1570507007000", 1), &summer), "05:56");
    }

    #[test]
    fn days_are_counted_over_leap_years_and_before_1970() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2100, 3, 1), 47_541),
            ((0, 1, 1), -719_528),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }
}
