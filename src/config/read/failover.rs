//! The section `[failover]`.

use std::time::Duration;

use super::Section;
use crate::config::{FailoverConfig, FailoverMode, SourceConfig, Standby};

const S: fn(u64) -> Duration = Duration::from_secs;

pub(super) fn failover(mut section: Section<'_>, sources: &[SourceConfig]) -> FailoverConfig {
    let default = FailoverConfig::default();
    let warm = sources.iter().any(|source| source.standby == Standby::Warm);
    let usual = if warm && sources.len() > 1 { FailoverMode::Aligned } else { FailoverMode::LowLatency };
    let mode = match section.text("mode").as_deref() {
        Some("aligned") => FailoverMode::Aligned,
        Some("low-latency") => FailoverMode::LowLatency,
        None => usual,
        Some(_) => {
            let remedy = "Write \"aligned\" (nothing is lost or said twice, the program is later) or \"low-latency\"";
            section.problem("mode", "unknown mode", remedy);
            usual
        }
    };
    let config = FailoverConfig {
        mode,
        delay: section.duration("delay", S(1)..=S(35)).unwrap_or(default.delay),
        delay_max: section.duration("delay_max", S(0)..=S(35)).unwrap_or(default.delay_max),
        back_after: section.duration("back_after", S(1)..=S(3600)).unwrap_or(default.back_after),
    };
    section.finish();
    config
}
