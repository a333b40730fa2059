//! What the system knows of this process, by the names that are usual for it. Where it does not tell as Linux
//! does, there is nothing.

use std::fs;
use std::path::Path;

/// One reading.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let own = Path::new("/proc/self");
        let text = |name: &str| fs::read_to_string(own.join(name)).unwrap_or_default();
        let status = text("status");
        Self {
            cpu_seconds: cpu_seconds(&text("stat")),
            resident_bytes: kilobytes(&status, "VmRSS:"),
            virtual_bytes: kilobytes(&status, "VmSize:"),
            open_fds: open_fds(&own.join("fd")),
            max_fds: max_fds(&text("limits")),
            threads: number(&status, "Threads:"),
        }
    }
}

/// User's and system's together. What follows the program's name, which may hold anything, in parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    // In hundredths of a second, whatever the kernel itself counts in.
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / 100.0)
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    number(status, name)?.checked_mul(1024)
}

/// The directory's size is their number on kernels since 6.2, which costs nothing; else they are counted.
fn open_fds(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => u64::try_from(fs::read_dir(directory).ok()?.count()).ok(),
        count => Some(count),
    }
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_times() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 99 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        assert_eq!(kilobytes("VmSize:\t  2 kB\nVmRSS:\t   3 kB\n", "VmRSS:"), Some(3072));
        assert_eq!(kilobytes("", "VmRSS:"), None);
        assert_eq!(
            max_fds("Max open files            1024                 4096      files\n"),
            Some(1024)
        );
        assert_eq!(
            max_fds("Max open files            unlimited            unlimited files\n"),
            None
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_read() {
        let read = Process::read();
        assert!(read.resident_bytes.unwrap() > 100_000 && read.open_fds.unwrap() > 2, "{read:?}");
        assert!(read.cpu_seconds.is_some() && read.threads.unwrap() > 0, "{read:?}");
    }
}
