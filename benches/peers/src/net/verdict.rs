//! From the load tool's report to a figure, or to why there is none: a server that loses messages has no speed.

use super::cells::{Cell, Kind};
use serde_json::Value;

/// Thousands of messages, deliveries or handshakes per CPU second of the server; or bytes per connection.
pub fn figure(cell: &Cell, report: &Value) -> Result<f64, String> {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let errors = report.get("errors").and_then(Value::as_object);
    let mut cut_off = 0.0;
    for (error, count) in errors.into_iter().flatten() {
        // Of handshakes without end some are under way at the end.
        if cell.kind == Kind::Handshake && error == CUT_OFF {
            cut_off = count.as_f64().unwrap_or(0.0);
            continue;
        }
        return Err(format!("{count} times: {error}"));
    }
    for (pointer, what) in FAULTS {
        let forgiven = if pointer == "/connections/failed" { cut_off } else { 0.0 };
        if let Some(count) = number(pointer).filter(|&count| count > forgiven) {
            return Err(format!("{count} {what}"));
        }
    }
    let (opened, deflated) = (number("/connections/opened"), number("/connections/deflated"));
    if matches!(cell.kind, Kind::Deflate { .. }) && deflated != opened {
        return Err("permessage-deflate was declined".into());
    }
    if cell.is_memory() {
        return number("/server/rss_per_connection").ok_or_else(|| "no memory reported".into());
    }
    let count = match cell.kind {
        Kind::Handshake => "/window/handshakes",
        _ => "/window/received",
    };
    let count = number(count).filter(|&count| count > 0.0).ok_or("nothing came back")?;
    let cpu = number("/server/cpu_seconds").filter(|&cpu| cpu >= CPU_LEAST);
    let cpu =
        cpu.ok_or_else(|| format!("less than {CPU_LEAST} s of CPU: too little to divide by"))?;
    Ok(count / cpu / 1000.0)
}

/// Whether the server had too little of its core for a figure, as others had it: a longer time helps.
pub fn is_starved(cell: &Cell, report: &Value) -> bool {
    let cpu = report.pointer("/server/cpu_seconds").and_then(Value::as_f64);
    !cell.is_memory() && cpu.is_some_and(|cpu| cpu < CPU_LEAST)
}

const FAULTS: [(&str, &str); 5] = [
    ("/messages/lost", "messages lost"),
    ("/messages/late_or_double", "messages late or double"),
    ("/messages/skipped", "messages skipped"),
    ("/connections/failed", "connections failed"),
    ("/connections/broken", "connections broken"),
];

/// What the load tool says of a connection that it did not wait for.
const CUT_OFF: &str = "the run ended before it was open";

/// The kernel tells the time of other processes in steps of 10 ms: of less than ten nothing can be said.
const CPU_LEAST: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::super::cells::CELLS;
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "messages": {"lost": 0, "late_or_double": 0, "skipped": 0, "other": 7},
            "connections": {"opened": 100, "deflated": 0, "failed": 0, "broken": 0},
            "errors": {},
            "window": {"received": 500_000, "handshakes": 0},
            "server": {"cpu_seconds": 0.5, "rss_per_connection": 288.5},
        })
    }

    #[test]
    fn a_figure_is_what_came_back_by_what_the_server_took() {
        assert_eq!(figure(&CELLS[0], &report()), Ok(1000.0));
        assert_eq!(figure(&CELLS[12], &report()), Ok(288.5));
        assert!(figure(&CELLS[11], &report()).is_err(), "no handshakes");
    }

    #[test]
    fn who_loses_messages_has_no_figure() {
        for (pointer, _) in FAULTS {
            let mut report = report();
            *report.pointer_mut(pointer).expect("it is there") = json!(1);
            assert!(figure(&CELLS[0], &report).is_err(), "{pointer}");
        }
        let mut failed = report();
        failed["errors"]["connection lost: reset"] = json!(2);
        let why = figure(&CELLS[0], &failed);
        assert_eq!(why, Err("2 times: connection lost: reset".into()));
    }

    #[test]
    fn handshakes_that_the_end_cut_off_are_nobodys_fault() {
        let mut report = report();
        report["window"]["handshakes"] = json!(20_000);
        report["connections"]["failed"] = json!(3);
        report["errors"][CUT_OFF] = json!(3);
        assert_eq!(figure(&CELLS[11], &report), Ok(40.0));
        assert!(figure(&CELLS[0], &report).is_err(), "elsewhere all are waited for");
        report["connections"]["failed"] = json!(4);
        assert_eq!(figure(&CELLS[11], &report), Err("4 connections failed".into()));
    }

    #[test]
    fn compression_that_was_declined_is_no_compression() {
        assert!(figure(&CELLS[7], &report()).is_err());
        let mut agreed = report();
        agreed["connections"]["deflated"] = json!(100);
        assert_eq!(figure(&CELLS[7], &agreed), Ok(1000.0));
    }

    #[test]
    fn a_moment_of_cpu_is_not_divided_by() {
        let mut report = report();
        report["server"]["cpu_seconds"] = json!(0.09);
        assert!(figure(&CELLS[0], &report).is_err());
        assert!(is_starved(&CELLS[0], &report));
        assert!(!is_starved(&CELLS[12], &report), "memory takes no time");
    }
}
