//! What the kernel says of the machine and of single processes. It reads and decides nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Machine;

/// Ticks of the processor times in /proc, a second: the same on every architecture (proc_pid_stat(5), `USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// What one process has taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daemon) struct Usage {
    /// The process.
    pub(super) pid: u32,
    /// Time on processors since its start.
    pub(super) cpu: Duration,
    /// Bytes that it holds, shared ones divided among those that share them.
    pub(super) memory: u64,
}

/// What a process has taken; none if it is gone.
pub(in crate::daemon) fn usage(pid: u32) -> Option<Usage> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let (cpu, memory) = (cpu(&read("stat")?)?, kilobytes(&read("smaps_rollup")?, "Pss:")?);
    Some(Usage { pid, cpu, memory })
}

/// What the machine has now.
pub(in crate::daemon) fn now() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let available = kilobytes(&read("/proc/meminfo"), "MemAvailable:").unwrap_or(u64::MAX);
    let load = read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    Machine {
        // Knows of the bound of a control group.
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_available: left_in_group().map_or(available, |left| left.min(available)),
        load,
    }
}

/// User and system time of /proc/PID/stat. The name in its second field may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND))
}

/// A value of /proc that is given in kB, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that the control group of this process, or one above it, may still take (cgroup v2).
fn left_in_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    root.join(path).ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left_in).min()
}

fn left_in(folder: &Path) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    left_of(&read("memory.max")?, &read("memory.current")?, &read("memory.stat").unwrap_or_default())
}

/// Pages of files that nobody has asked for lately are given up when memory is wanted, so they count as free.
fn left_of(most: &str, current: &str, stat: &str) -> Option<u64> {
    let (most, current) = (most.trim().parse::<u64>().ok()?, current.trim().parse::<u64>().ok()?);
    let line = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cached = line.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    Some(most.saturating_sub(current.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_hostile_name_is_read_like_any_other() {
        let stat = "42 (a) R 1 (b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 900 900 20 0 9 0 100";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        for cut in ["", "42 (a", "42 (a) S 1"] {
            assert_eq!(cpu(cut), None, "{cut}");
        }
    }

    #[test]
    fn a_container_has_what_its_group_leaves_it() {
        for (most, current, stat, left) in [
            ("max\n", "5\n", "", None),
            ("1000\n", "400\n", "anon 1\ninactive_file 300\n", Some(900)),
            ("1000\n", "400\n", "", Some(600)),
            ("1000\n", "1400\n", "", Some(0)),
        ] {
            assert_eq!(left_of(most, current, stat), left, "{most:?} {current:?}");
        }
    }

    #[test]
    fn this_process_and_this_machine_are_known() {
        let own = usage(std::process::id()).expect("we live");
        assert!(own.memory > 1_000_000, "{own:?}");
        let machine = now();
        assert!(machine.cores >= 1 && machine.memory_available > 0, "{machine:?}");
        assert_eq!(usage(u32::MAX), None);
    }
}
