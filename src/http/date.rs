//! The date as HTTP writes it (RFC 9110 §5.6.7). The clock is the caller's.

use std::time::Duration;

/// `since_1970` as in `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// ```
/// # use sockeye::http::http_date;
/// # use std::time::Duration;
/// assert_eq!(http_date(Duration::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn http_date(since_1970: Duration) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let seconds = since_1970.as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let weekday =
        WEEKDAYS.get(usize::try_from(days % 7).unwrap_or_default()).copied().unwrap_or_default();
    // Years from March on, so that the leap day is the last: 1970-01-01 is day 719,468 since 0000-03-01.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = MONTHS.get(usize::try_from(month).unwrap_or_default()).copied().unwrap_or_default();
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}
