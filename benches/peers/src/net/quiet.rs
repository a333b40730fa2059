//! Waiting for the machine to be quiet: whoever else computes takes caches and clock from what is measured, and the core
//! as well.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long one may still wait, over the whole run.
pub struct Patience {
    left: Duration,
    cores: [usize; 2],
}

impl Patience {
    pub fn new(left: Duration, cores: [usize; 2]) -> Self {
        Self { left, cores }
    }

    /// Returns when nobody uses the cores, or when patience is at its end.
    pub fn wait(&mut self) {
        while !self.left.is_zero() {
            let begin = Instant::now();
            let before = busy(&self.cores);
            thread::sleep(LOOK);
            let used = busy(&self.cores).saturating_sub(before);
            // In steps of 10 ms: one on each core is what watching takes.
            if used <= 2 * self.cores.len() as u64 {
                return;
            }
            self.left = self.left.saturating_sub(begin.elapsed());
        }
    }
}

/// Time that the cores were not idle, in hundredths of a second.
fn busy(cores: &[usize]) -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    cores.iter().map(|core| busy_of(&stat, *core)).sum()
}

/// All that the kernel counts of a core but the fourth and fifth number: idle, and waiting for a disk.
fn busy_of(stat: &str, core: usize) -> u64 {
    let name = format!("cpu{core} ");
    let Some(line) = stat.lines().find_map(|line| line.strip_prefix(&name)) else {
        return 0;
    };
    let numbers = line.split_whitespace().map(|it| it.parse::<u64>().unwrap_or(0));
    // Time of guests is counted in the first two already.
    numbers.take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|it| it.1).sum()
}

/// Long beside the kernel's steps.
const LOOK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 1000 1000 8 16 32 64 64\ncpu1 5 0 0 7 0 0 0 0 0 0\n";
        assert_eq!(busy_of(stat, 0), 63);
        assert_eq!(busy_of(stat, 1), 5);
        assert_eq!(busy_of(stat, 2), 0);
    }

    #[test]
    fn patience_ends() {
        let mut patience = Patience::new(Duration::from_millis(1), [0, 1]);
        patience.wait();
        patience.wait();
        assert!(Patience::new(Duration::ZERO, [0, 1]).left.is_zero());
    }
}
