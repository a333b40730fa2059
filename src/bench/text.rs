//! The report for people: one page of a terminal.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;

use super::args::Mode;
use super::plan::Pace;
use super::report::Report;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    write(report, &mut page).expect("a string takes everything");
    page
}

fn write(report: &Report, page: &mut String) -> fmt::Result {
    let plan = &report.shared.plan;
    let tally = &report.tally;
    writeln!(page, "{} of {}", plan.mode.name(), plan.url)?;
    let plural = if plan.connections == 1 { "" } else { "s" };
    write!(page, "  {} connection{plural}", plan.connections)?;
    if plan.mode == Mode::Broadcast {
        write!(page, ", {} of them sending", plan.senders)?;
    }
    write!(page, ", {} thread{}", plan.threads, if plan.threads == 1 { "" } else { "s" })?;
    if plan.senders > 0 {
        match plan.pace {
            Pace::Closed { depth } => write!(page, ", {} bytes, {depth} in flight", plan.size)?,
            Pace::Open { rate } => write!(page, ", {} bytes, {rate} due a second", plan.size)?,
        }
    }
    writeln!(page, ", {:.2} s", report.seconds())?;

    writeln!(page)?;
    let rate = |count| grouped(report.per_second(count));
    match plan.mode {
        Mode::Echo => {
            let (count, bytes) = (tally.window_received, tally.window_bytes);
            writeln!(
                page,
                "  {:>14} round trips/s   {} MiB/s each way",
                rate(count),
                mebi(report, bytes)
            )?;
        }
        Mode::Broadcast => {
            let (count, bytes) = (tally.window_received, tally.window_bytes);
            writeln!(page, "  {:>14} messages/s", rate(tally.window_sent))?;
            writeln!(page, "  {:>14} deliveries/s   {} MiB/s", rate(count), mebi(report, bytes))?;
        }
        Mode::Handshake => writeln!(page, "  {:>14} handshakes/s", rate(tally.window_closed))?,
        Mode::Idle => writeln!(
            page,
            "  {:>14} open, after {:.2} s",
            grouped(tally.opened as f64),
            report.usage.opening.as_secs_f64()
        )?,
    }
    if !tally.latency.is_empty() {
        let from = match plan.pace {
            Pace::Closed { .. } => "sent",
            Pace::Open { .. } => "due",
        };
        plot(page, &format!("latency, from when a message was {from}"), &tally.latency)?;
    }
    if plan.mode == Mode::Handshake || plan.mode == Mode::Idle {
        plot(page, "handshake, from connect to 101", &tally.opening)?;
    }
    if matches!(plan.mode, Mode::Echo | Mode::Broadcast) {
        let [sent, expected, received, lost, late, skipped, other] = [
            tally.sent,
            tally.expected,
            tally.received,
            tally.lost(),
            tally.late,
            tally.skipped,
            tally.other,
        ]
        .map(|count| grouped(count as f64));
        writeln!(
            page,
            "\nmessages\n  {sent} sent, {expected} expected, {received} received\n  {lost} lost, {late} late or double, {skipped} skipped, {other} other",
        )?;
    }
    writeln!(
        page,
        "\nconnections\n  {} opened, {} failed, {} broken",
        tally.opened, tally.failed, tally.broken
    )?;
    if !tally.close_codes.is_empty() {
        let codes: Vec<String> =
            tally.close_codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
        writeln!(page, "  close codes: {}", codes.join(", "))?;
    }
    for (error, count) in &tally.errors {
        writeln!(page, "  {count} x {error}")?;
    }
    costs(report, page)?;
    for warning in report.warnings() {
        writeln!(page)?;
        wrap(page, &format!("warning: {warning}"))?;
    }
    Ok(())
}

fn costs(report: &Report, page: &mut String) -> fmt::Result {
    if let Some(cost) = report.server() {
        writeln!(page, "\nserver (pid {})", report.shared.plan.pid.unwrap_or_default())?;
        write!(
            page,
            "  cpu       {:.2} s, {:.0} % of a core",
            cost.cpu.as_secs_f64(),
            cost.cpu_share * 100.0
        )?;
        match cost.cpu_per_million {
            Some(seconds) => {
                writeln!(page, ", {seconds:.3} s per million {}", what(report.mode()))?
            }
            None => writeln!(page)?,
        }
        let kib = |bytes: u64| grouped((bytes / 1024) as f64);
        writeln!(
            page,
            "  resident  {} KiB before, {} KiB with all open, {} KiB at the end",
            kib(cost.before.rss),
            kib(cost.opened.rss),
            kib(cost.end.rss)
        )?;
        if let Some(each) = cost.rss_each.filter(|_| tells_of_each(report)) {
            write!(page, "  a connection  {each:.0} bytes resident")?;
            if let Some(each) = cost.private_each {
                write!(page, ", {each:.0} bytes private")?;
            }
            writeln!(page, "\n                (whole pages; of a fresh server, and by thousands)")?;
        }
    }
    if let Some(cost) =
        report.kernel().filter(|_| report.shared.plan.pid.is_some() && tells_of_each(report))
    {
        write!(
            page,
            "\nkernel (the whole machine, both ends)\n  {:+} sockets, {:+} KiB of buffers",
            cost.sockets,
            cost.buffers / 1024
        )?;
        match cost.objects {
            Some(bytes) if report.tally.opened > 0 && report.mode() != Mode::Handshake => writeln!(
                page,
                ", {:+} KiB of socket objects: {:.0} bytes a connection",
                bytes / 1024,
                bytes as f64 / report.tally.opened as f64
            )?,
            _ => writeln!(page)?,
        }
    }
    writeln!(
        page,
        "\ngenerator\n  {:.2} s of cpu, busiest thread {:.0} %",
        report.own_cpu().as_secs_f64(),
        report.busiest() * 100.0
    )
}

/// Whether what one connection takes stands out from what all else does meanwhile.
fn tells_of_each(report: &Report) -> bool {
    report.mode() == Mode::Idle || report.tally.opened >= 1000
}

/// Breaks a sentence between words, where a usual terminal ends.
fn wrap(page: &mut String, sentence: &str) -> fmt::Result {
    let mut column = 0;
    for word in sentence.split(' ') {
        if column > 0 && column + 1 + word.len() > COLUMNS {
            page.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            page.push(' ');
            column += 1;
        }
        page.push_str(word);
        column += word.len();
    }
    writeln!(page)
}

fn what(mode: Mode) -> &'static str {
    match mode {
        Mode::Echo => "round trips",
        Mode::Broadcast => "deliveries",
        Mode::Handshake => "handshakes",
        Mode::Idle => "messages",
    }
}

/// Percentiles with bars, on a logarithmic scale from the least to the most.
fn plot(page: &mut String, title: &str, histogram: &Histogram<u64>) -> fmt::Result {
    if histogram.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n{title}")?;
    let low = (histogram.min() as f64).max(1.0).ln();
    let high = (histogram.max() as f64).max(1.0).ln();
    let rows = [
        ("min", histogram.min()),
        ("p50", histogram.value_at_quantile(0.5)),
        ("p90", histogram.value_at_quantile(0.9)),
        ("p99", histogram.value_at_quantile(0.99)),
        ("p99.9", histogram.value_at_quantile(0.999)),
        ("max", histogram.max()),
    ];
    for (name, nanos) in rows {
        let place = ((nanos as f64).max(1.0).ln() - low) / (high - low).max(1e-9);
        let cells = (1..=BAR).filter(|cell| *cell as f64 <= place * BAR as f64 + 0.5).count();
        writeln!(page, "  {name:>5} {:>11}  {}", time(nanos), "#".repeat(cells.max(1)))?;
    }
    Ok(())
}

fn time(nanos: u64) -> String {
    let nanos = nanos as f64;
    match nanos {
        0.0..1e3 => format!("{nanos:.0} ns"),
        1e3..1e6 => format!("{:.1} us", nanos / 1e3),
        1e6..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

fn mebi(report: &Report, bytes: u64) -> String {
    format!("{:.1}", report.per_second(bytes) / f64::from(1 << 20))
}

/// `1234567.8` as `1,234,568`.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Characters of a line of text.
const COLUMNS: usize = 80;

/// Characters of the longest bar.
const BAR: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_groups() {
        assert_eq!(grouped(7.4), "7");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1_234_567.8), "1,234,568");
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        let (mut page, sentence) = (String::new(), "ten bytes ".repeat(20));
        wrap(&mut page, sentence.trim_end()).unwrap();
        assert!(page.lines().count() == 3 && page.lines().all(|it| it.len() <= COLUMNS), "{page}");
        assert_eq!(page.split_whitespace().count(), 40);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        assert_eq!(time(999), "999 ns");
        assert_eq!(time(82_000), "82.0 us");
        assert_eq!(time(1_250_000_000), "1.25 s");
    }
}
