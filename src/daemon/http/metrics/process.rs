//! What a bridge's process takes of the machine, as the kernel counts it (proc(5)).

use std::fs;

/// Units of the times in `/proc/PID/stat`: `USER_HZ` is 100 on every machine that Debian runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has taken.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Taken {
    /// Processor time of all its threads.
    pub(super) cpu_seconds: f64,
    /// Resident memory, with its share of what it has in common with others: what it costs.
    pub(super) proportional: u64,
    /// Resident memory, all of it.
    pub(super) resident: u64,
}

/// What the process has taken; none if it is gone.
pub(super) fn taken(pid: u32) -> Option<Taken> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let cpu_seconds = cpu_seconds(&read("stat")?)?;
    let memory = read("smaps_rollup")?;
    Some(Taken { cpu_seconds, proportional: bytes(&memory, "Pss:")?, resident: bytes(&memory, "Rss:")? })
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, in which anything may stand.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

fn bytes(rollup: &str, field: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 9 0 1000 500 60 1844 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(bytes("7f-8f ---p [rollup]\nRss:    2048 kB\nPss:   1024 kB\n", "Pss:"), Some(1 << 20));
        assert_eq!((cpu_seconds("7 (a) S"), bytes("Rss: many", "Rss:")), (None, None));
        let own = taken(std::process::id()).expect("this process is there");
        assert!(own.resident >= own.proportional && own.proportional > 0, "{own:?}");
        assert_eq!(taken(u32::MAX), None);
    }
}
