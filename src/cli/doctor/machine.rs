//! What this machine has: GStreamer, disk, clock, memory.

use std::path::Path;

use crate::cli::check::free_bytes;
use crate::clock::Clock;
use crate::config::units::format_size;
use crate::config::{RecordingConfig, ShowConfig};
use crate::gst::{self, elements};

use super::step::Step;

/// An hour of a Space is about 60 MB as received; below this a long night may not fit beside the finished files.
const COMFORTABLE_DISK: u64 = 2_000_000_000;

/// A bridge may take 120 MB; below this the system would begin to swap or to kill.
const COMFORTABLE_MEMORY: u64 = 300_000_000;

/// No clock that runs shows an earlier year: this version was made in 2026.
const FIRST_YEAR: i16 = 2026;

/// Every step, in the order in which a fault would matter. Without a configuration every way to listen is looked at.
pub(super) fn steps(config: Option<&ShowConfig>, clock: &Clock) -> Vec<Step> {
    let recording = config.map_or_else(RecordingConfig::default, |config| config.recording.clone());
    let webrtc = config.is_none_or(|config| config.sources.iter().any(|source| source.kind.is_webrtc()));
    let mut steps = gstreamer(webrtc);
    if recording.enabled {
        steps.push(disk(&recording.folder, recording.min_free_bytes));
    }
    steps.extend([memory(), wall_clock(clock), synchronised(), time_zones()]);
    steps
}

fn gstreamer(webrtc: bool) -> Vec<Step> {
    if let Err(error) = gst::init() {
        let remedy = "Install gstreamer1.0-plugins-base, -good, -bad, -ugly and gstreamer1.0-libav";
        return vec![Step::failed("gstreamer", error.to_string(), remedy)];
    }
    let missing = elements::missing(webrtc);
    let plugins = if missing.is_empty() {
        Step::ok("plugins", "every element that is needed is there, the encoders x264enc and avenc_aac among them")
    } else {
        let names: Vec<&str> = missing.iter().map(|(element, _)| *element).collect();
        let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        packages.sort_unstable();
        packages.dedup();
        let remedy = format!("apt-get install {}", packages.join(" "));
        Step::failed("plugins", format!("missing: {}", names.join(", ")), remedy)
    };
    let tls = if elements::tls_available() {
        Step::ok("tls", "RTMPS outputs can be reached")
    } else {
        Step::failed("tls", "there is no TLS backend: no RTMPS output can work", "apt-get install glib-networking")
    };
    vec![Step::ok("gstreamer", elements::version()), plugins, tls]
}

/// Judges the disk that the recording folder is on, or would be created on.
pub(super) fn disk(folder: &Path, min_free: u64) -> Step {
    let name = "disk";
    let remedy = "Make room, or choose another recording folder";
    let existing = folder.ancestors().find(|path| path.exists());
    let existing = existing.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !existing.is_dir() {
        return Step::failed(name, format!("{} is no folder", existing.display()), "Choose another recording folder");
    }
    if let Err(error) = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK) {
        let detail = format!("{} cannot be written: {error}", existing.display());
        return Step::failed(name, detail, "Choose a folder that this user may write, or change its owner");
    }
    let Some(free) = free_bytes(existing) else {
        return Step::warning(name, format!("the free space of {} is unknown", existing.display()), remedy);
    };
    let detail = format!("{} free for {}", format_size(free), folder.display());
    match free {
        free if free < min_free => Step::failed(name, format!("{detail}; less than recording.min_free"), remedy),
        free if free < COMFORTABLE_DISK => Step::warning(name, detail, remedy),
        _ => Step::ok(name, detail),
    }
}

fn memory() -> Step {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match available_memory(&text) {
        None => Step::ok("memory", "not told by this system"),
        Some(bytes) if bytes < COMFORTABLE_MEMORY => {
            let remedy = "End other programs: a bridge needs about 120 MB for itself";
            Step::warning("memory", format!("{} available", format_size(bytes)), remedy)
        }
        Some(bytes) => Step::ok("memory", format!("{} available", format_size(bytes))),
    }
}

pub(super) fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn wall_clock(clock: &Clock) -> Step {
    let now = clock.wall();
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    let shown = format!("{}", now.strftime("%Y-%m-%d %H:%M:%S UTC"));
    if year < FIRST_YEAR {
        let remedy = "Set the clock: with a wrong one, TLS certificates look invalid";
        return Step::failed("clock", format!("it shows {shown}"), remedy);
    }
    Step::ok("clock", shown)
}

/// The kernel's own answer needs a call that this program, free of unsafe code, does not make: what time services leave
/// in the file system has to do.
fn synchronised() -> Step {
    let synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    let service = [
        ("/run/systemd/timesync", "systemd-timesyncd"),
        ("/run/chrony", "chrony"),
        ("/run/chronyd.pid", "chrony"),
        ("/run/ntpd.pid", "ntpd"),
        ("/run/ntpsec", "ntpsec"),
        ("/run/openntpd.sock", "openntpd"),
    ];
    let running = service.iter().find(|(path, _)| Path::new(path).exists()).map(|(_, name)| *name);
    match (synchronised, running) {
        (true, _) => Step::ok("time service", "the clock is synchronised by systemd-timesyncd"),
        (false, Some("systemd-timesyncd")) => {
            let remedy = "Check timedatectl: announced starts and the journal's times would be off";
            Step::warning("time service", "systemd-timesyncd has not synchronised the clock yet", remedy)
        }
        (false, Some(name)) => Step::ok("time service", format!("{name} is there")),
        (false, None) => Step::ok("time service", "none found here; in a container the host keeps the clock"),
    }
}

fn time_zones() -> Step {
    match jiff::tz::TimeZone::get("Europe/Berlin") {
        Ok(_) => Step::ok("time zones", "known"),
        Err(_) => Step::warning("time zones", "none but UTC are known", "apt-get install tzdata"),
    }
}
