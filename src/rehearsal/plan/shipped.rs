//! The plans that the program brings along, by name.

macro_rules! shipped {
    ($($name:literal: $file:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../config/rehearsals/", $file)))),*]
    };
}

pub(super) const SHIPPED: &[(&str, &str)] = shipped![
    "plain": "plain.toml",
    "smooth": "smooth.toml",
    "rough_night": "rough_night.toml",
    "august-12": "august-12.toml",
    "host-drops": "host-drops.toml",
    "cdn-storm": "cdn-storm.toml",
    "ingest-storm": "ingest-storm.toml",
    "everything": "everything.toml",
];
