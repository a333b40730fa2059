//! Times and sizes as people write them on a command line.

use std::time::Duration;

/// `10s`, `500ms`, `2m`, `1.5s`; a number alone is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit of time; write ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| "a time is a number and a unit: 10s, 500ms, 2m")?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// `65536`, `64KiB`, `16MiB`, `1GiB`.
#[cfg(feature = "connect")]
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("{unit:?} is no unit of size; write KiB, MiB or GiB")),
    };
    let number: u64 = number.parse().map_err(|_| "a size is bytes, or has a unit: 64KiB, 16MiB")?;
    number.checked_mul(scale).ok_or_else(|| format!("{text} is more than can be counted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "10y", "-1s", "1.2.3"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[cfg(feature = "connect")]
    #[test]
    fn a_size_is_bytes_or_has_a_unit() {
        assert_eq!(bytes("7"), Ok(7));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        for bad in ["", "KiB", "1.5MiB", "5MB", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
