//! What the system knows of processes and sockets, read from `/proc`. Where there is none, there are no figures.

use std::fs;
use std::io;
use std::time::Duration;

/// A process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// User and system time of all its threads, to 10 ms.
    pub(super) cpu: Duration,
    /// Bytes of its pages in memory.
    pub(super) rss: u64,
    /// Bytes that it alone uses; `None` where another user's process may not be asked.
    pub(super) private: Option<u64>,
    /// Time that its threads were ready to run and did not get a processor.
    pub(super) waited: Option<Duration>,
}

impl Process {
    pub(super) fn sample(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let cpu = cpu_of(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = kilobytes(&status, "VmRSS:").ok_or(io::ErrorKind::InvalidData)?;
        let private =
            fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| {
                Some(kilobytes(&text, "Private_Clean:")? + kilobytes(&text, "Private_Dirty:")?)
            });
        let waited = Turns::of_process(pid).map(|it| it.waited);
        Ok(Self { cpu, rss, private, waited })
    }

    pub(super) fn own() -> Self {
        Self::sample(std::process::id()).unwrap_or_default()
    }
}

/// Open files that a process may have.
pub(super) fn descriptors_of(pid: u32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// utime and stime, the 14th and 15th field. The second is the name, which may hold blanks and parentheses.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = ticks.next()?.ok()? + ticks.next()?.ok()?;
    // 100 a second is part of the interface, whatever the kernel's own clock does.
    Some(Duration::from_millis(ticks * 10))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What a thread, or several, had of the processors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// Time on a processor.
    pub(super) ran: Duration,
    /// Time ready to run and without one, as others had them all.
    pub(super) waited: Duration,
}

impl Turns {
    /// Of the calling thread.
    pub(super) fn of_this_thread() -> Self {
        let precise = fs::read_to_string("/proc/thread-self/schedstat").ok();
        let rough = || cpu_of(&fs::read_to_string("/proc/thread-self/stat").ok()?);
        precise
            .and_then(|text| Self::read(&text))
            .or_else(|| Some(Self { ran: rough()?, waited: Duration::ZERO }))
            .unwrap_or_default()
    }

    /// Of all threads that a process has now.
    fn of_process(pid: u32) -> Option<Self> {
        let mut sum = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            // A thread may end while one looks.
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).unwrap_or_default();
            let turns = Self::read(&text).unwrap_or_default();
            sum.ran += turns.ran;
            sum.waited += turns.waited;
        }
        Some(sum)
    }

    /// The first two of three numbers, in nanoseconds.
    fn read(schedstat: &str) -> Option<Self> {
        let mut fields = schedstat.split_whitespace().map(str::parse);
        let mut next = || fields.next()?.ok().map(Duration::from_nanos);
        Some(Self { ran: next()?, waited: next()? })
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

/// Memory that the kernel holds for the sockets of the whole machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sockets {
    /// TCP sockets, both ends of those within the machine.
    pub(super) inuse: u64,
    /// Bytes of their buffers, in whole pages.
    pub(super) buffers: u64,
    /// Bytes of the sockets, files and watches themselves; `None` unless root asks.
    pub(super) objects: Option<u64>,
}

impl Sockets {
    pub(super) fn sample() -> Option<Self> {
        let text = fs::read_to_string("/proc/net/sockstat").ok()?;
        let tcp = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
        let field = |wanted: &str| {
            let mut words = tcp.split_whitespace().skip_while(|word| *word != wanted);
            words.nth(1)?.parse::<u64>().ok()
        };
        let objects = fs::read_to_string("/proc/slabinfo").ok().map(|text| objects_in(&text));
        Some(Self { inuse: field("inuse")?, buffers: field("mem")? * 4096, objects })
    }
}

/// Bytes of the slab objects that exist for each socket: active objects times their size.
fn objects_in(slabinfo: &str) -> u64 {
    slabinfo
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let name = fields.next()?;
            let of_sockets = OBJECTS.contains(&name);
            let active: u64 = fields.next()?.parse().ok()?;
            let size: u64 = fields.nth(1)?.parse().ok()?;
            of_sockets.then(|| active * size)
        })
        .sum()
}

/// The kernel may keep several of these in caches that other kinds share under another name; then they are missing here.
const OBJECTS: [&str; 9] = [
    "TCP",
    "TCPv6",
    "sock_inode_cache",
    "filp",
    "dentry",
    "eventpoll_epi",
    "eventpoll_pwq",
    "tcp_bind_bucket",
    "tcp_bind2_bucket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_of("12 (a"), None);
    }

    #[test]
    fn objects_of_sockets_are_summed() {
        let text = "slabinfo - version: 2.1\n# name <active>\nTCP 10 20 2000 8 4 : tunables 0\nfoo 5 5 5 1 1\nfilp 3 4 100 1 1";
        assert_eq!(objects_in(text), 20_300);
    }

    #[test]
    fn a_threads_turns_are_in_nanoseconds() {
        let turns = Turns::read("61248 103893 2\n").unwrap();
        assert_eq!((turns.ran.as_nanos(), turns.waited.as_nanos()), (61_248, 103_893));
        assert!(Turns::read("").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_watched() {
        let own = Process::sample(std::process::id()).unwrap();
        assert!(own.rss > 100_000, "{own:?}");
        assert!(Process::sample(u32::MAX).is_err());
    }
}
