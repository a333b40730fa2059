//! The report for programs. Times are in microseconds, sizes in bytes, unless a name says otherwise.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::args::Mode;
use super::plan::{Pace, Until};
use super::report::Report;
use crate::proto::Kind;

/// The whole report, as one object and a line end.
pub(super) fn document(report: &Report) -> String {
    let plan = &report.shared.plan;
    let tally = &report.tally;
    let (depth, rate) = match plan.pace {
        Pace::Closed { depth } => (Some(depth), None),
        Pace::Open { rate } => (None, Some(rate)),
    };
    let (duration, count) = match plan.until {
        Until::Time(time) => (Some(time.as_secs_f64()), None),
        Until::Count(count) => (None, Some(count)),
    };
    let messages = match plan.mode {
        Mode::Echo | Mode::Broadcast => json!({
            "sent": tally.sent,
            "expected": tally.expected,
            "received": tally.received,
            "lost": tally.lost(),
            "late_or_double": tally.late,
            "skipped": tally.skipped,
            "other": tally.other,
        }),
        Mode::Idle | Mode::Handshake => Value::Null,
    };
    let window = json!({
        "seconds": report.seconds(),
        "sent": tally.window_sent,
        "received": tally.window_received,
        "handshakes": tally.window_closed,
        "sent_per_second": report.per_second(tally.window_sent),
        "received_per_second": report.per_second(tally.window_received),
        "handshakes_per_second": report.per_second(tally.window_closed),
        "received_bytes_per_second": report.per_second(tally.window_bytes),
    });
    let server = report.server().map(|cost| {
        json!({
            "pid": plan.pid,
            "cpu_seconds": cost.cpu.as_secs_f64(),
            "cpu_share": cost.cpu_share,
            "wait_share": cost.wait_share,
            "cpu_seconds_per_million": cost.cpu_per_million,
            "rss_before": cost.before.rss,
            "rss_open": cost.opened.rss,
            "rss_end": cost.end.rss,
            "private_before": cost.before.private,
            "private_open": cost.opened.private,
            "private_end": cost.end.private,
            "rss_per_connection": cost.rss_each,
            "private_per_connection": cost.private_each,
        })
    });
    let kernel = report.kernel().map(|cost| {
        json!({
            "tcp_sockets": cost.sockets,
            "socket_buffer_bytes": cost.buffers,
            "socket_object_bytes": cost.objects,
        })
    });
    let codes: serde_json::Map<String, Value> =
        tally.close_codes.iter().map(|(code, count)| (code.to_string(), json!(count))).collect();
    let document = json!({
        "tool": concat!("sockeye bench ", env!("CARGO_PKG_VERSION")),
        "url": plan.url,
        "address": report.address.map(|it| it.to_string()),
        "mode": plan.mode.name(),
        "settings": {
            "connections": plan.connections - if plan.mode == Mode::Broadcast { plan.senders } else { 0 },
            "senders": plan.senders,
            "threads": plan.threads,
            "ramp_per_second": plan.ramp,
            "depth": depth,
            "rate_per_second": rate,
            "duration_seconds": duration,
            "count": count,
            "warm_up_seconds": plan.warm_up.as_secs_f64(),
            "size": plan.size,
            "kind": if plan.body.kind == Kind::Binary { "binary" } else { "text" },
            "deflate": plan.deflate,
            "raw": plan.raw,
        },
        "connections": {
            "opened": tally.opened,
            "deflated": tally.deflated,
            "failed": tally.failed,
            "broken": tally.broken,
            "seconds_to_open": report.usage.opening.as_secs_f64(),
        },
        "messages": messages,
        "window": window,
        "latency_us": percentiles(&tally.latency),
        "handshake_us": percentiles(&tally.opening),
        "errors": tally.errors,
        "close_codes": codes,
        "server": server,
        "kernel": kernel,
        "generator": {
            "cpu_seconds": report.own_cpu().as_secs_f64(),
            "busiest_thread": report.busiest(),
            "kept_waiting": report.kept_waiting(),
            "bottleneck": report.is_bottleneck(),
        },
        "warnings": report.warnings(),
        "interrupted": report.interrupted,
    });
    format!("{document:#}\n")
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let at = |quantile: f64| micros(histogram.value_at_quantile(quantile));
    json!({
        "count": histogram.len(),
        "min": micros(histogram.min()),
        "mean": histogram.mean() / 1000.0,
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p99_9": at(0.999),
        "p99_99": at(0.9999),
        "max": micros(histogram.max()),
    })
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}
