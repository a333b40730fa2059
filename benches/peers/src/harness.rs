//! How things are measured. The machine's speed drifts and others use it too, so the candidates take
//! turns: each round times every candidate once, each round begins with another one, and what is
//! compared are medians over the rounds of one run. Numbers of different runs are not comparable.

use std::time::{Duration, Instant};

/// One candidate's work: does it this many times over.
pub type Work<'a> = Box<dyn FnMut(usize) + 'a>;

/// One line of a table: the candidates over one input.
pub struct Row<'a> {
    pub label: String,
    /// How many things one repetition handles; times are per thing.
    pub things: usize,
    /// In the order of the table's columns; `None` where a candidate does not take part.
    pub work: Vec<Option<Work<'a>>>,
}

/// Time for one candidate in one round. Long beside the clock's resolution, short beside the
/// scheduler's slices.
const TURN: Duration = Duration::from_micros(100);

/// Prints a table of median nanoseconds: `names[0]` is ours, the next `baselines` are for
/// orientation, the others are peers. Ends with how we compare to the fastest peer of each line.
pub fn table<'a>(
    names: &[&str],
    baselines: usize,
    rounds: usize,
    rows: impl Iterator<Item = Row<'a>>,
) {
    println!("| | {} | fastest peer | ours / fastest |", names.join(" | "));
    println!("|---|{}---|---:|", "---:|".repeat(names.len()));
    let mut worst = (0.0, String::new());
    for row in rows {
        let label = row.label.clone();
        let medians = measure(row, rounds);
        let fastest = (1 + baselines..names.len())
            .filter(|&i| medians[i].is_finite())
            .min_by(|&a, &b| medians[a].total_cmp(&medians[b]));
        let mut line = format!("| {label} |");
        for ns in &medians {
            line += &if ns.is_finite() { format!(" {} |", pretty(*ns)) } else { " |".into() };
        }
        match fastest {
            Some(i) if medians[0].is_finite() => {
                let ratio = medians[0] / medians[i];
                line += &format!(" {} | {ratio:.2} |", names[i]);
                if ratio > worst.0 {
                    worst = (ratio, label);
                }
            }
            Some(i) => line += &format!(" {} | |", names[i]),
            None => line += " | |",
        }
        println!("{line}");
    }
    println!(
        "\nMedian ns of {rounds} interleaved rounds. Worst line for us: {:.2} ({}).",
        worst.0, worst.1
    );
}

fn measure(mut row: Row<'_>, rounds: usize) -> Vec<f64> {
    let candidates = row.work.len();
    let mut samples = vec![Vec::with_capacity(rounds); candidates];
    let mut times = vec![1; candidates];
    for (work, times) in row.work.iter_mut().zip(&mut times) {
        let Some(work) = work else { continue };
        loop {
            let start = Instant::now();
            work(*times);
            let took = start.elapsed();
            if took >= TURN / 2 || *times >= 1 << 24 {
                *times = (*times as f64 * TURN.as_secs_f64() / took.as_secs_f64()).ceil() as usize;
                break;
            }
            *times *= 2;
        }
    }
    for round in 0..rounds {
        for turn in 0..candidates {
            let i = (round + turn) % candidates;
            let Some(work) = &mut row.work[i] else {
                continue;
            };
            // Untimed: the caches hold what the candidate before left.
            work(1);
            let start = Instant::now();
            work(times[i]);
            let ns = start.elapsed().as_nanos() as f64;
            samples[i].push(ns / (times[i] * row.things) as f64);
        }
    }
    samples.into_iter().map(median).collect()
}

fn median(mut samples: Vec<f64>) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn pretty(ns: f64) -> String {
    match ns {
        ..10.0 => format!("{ns:.2}"),
        ..100.0 => format!("{ns:.1}"),
        _ => format!("{ns:.0}"),
    }
}
