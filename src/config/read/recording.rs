//! The section `[recording]`.

use std::path::Path;
use std::time::Duration;

use super::Section;
use crate::config::units::parse_size;
use crate::config::{RecordingConfig, RetentionConfig};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn recording(mut section: Section<'_>, base: &Path) -> RecordingConfig {
    let mut config = RecordingConfig::default();
    config.enabled = section.flag("enabled").unwrap_or(config.enabled);
    config.folder = section.path("folder", base).unwrap_or_else(|| base.join(config.folder));
    config.min_free_bytes = size(&mut section, "min_free").unwrap_or(config.min_free_bytes);
    config.repair_for = match section.says("repair_for", "off") {
        true => None,
        false => section.duration("repair_for", Duration::from_secs(1)..=24 * 30 * HOUR).or(config.repair_for),
    };
    config.retention = retention(section.section("retention"));
    section.finish();
    config
}

fn retention(mut section: Section<'_>) -> RetentionConfig {
    let config = RetentionConfig {
        max_age: section.duration("max_age", HOUR..=24 * 3650 * HOUR),
        max_bytes: size(&mut section, "max_size"),
        max_count: section.integer("max_count", 1..=1_000_000, "recordings"),
    };
    section.finish();
    config
}

/// An amount of bytes with its unit.
pub(super) fn size(section: &mut Section<'_>, key: &str) -> Option<u64> {
    match parse_size(&section.text(key)?) {
        Ok(bytes) => Some(bytes),
        Err(fault) => {
            section.problem(key, fault, "Write an amount with its unit, such as \"500 MB\"");
            None
        }
    }
}
