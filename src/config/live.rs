//! An output that is added while the show is on the air, by the same rules as one of a file.

use super::check::{KeyDraft, OutputDraft, Place, outputs};
use super::known::{Known, PresetDefaults};
use super::problem::Report;
use super::{OutputConfig, WhenSpent};

/// Checks an output that somebody names to a live show whose outputs' names are `taken`. Its key is handed over beside
/// it.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn live_output(
    (name, preset, url): (Option<&str>, Option<&str>, Option<&str>),
    presets: &[PresetDefaults],
    taken: &[String],
) -> Result<OutputConfig, String> {
    let report = Report::default();
    let draft = OutputDraft {
        name: name.map(str::to_owned),
        preset: preset.map(str::to_owned),
        url: url.map(str::to_owned),
        key: KeyDraft::Faulty,
        backup: false,
        enabled: true,
        broadcasts_per_hour: None,
        when_spent: WhenSpent::Slow,
    };
    let known = Known { presets, space_link: &|_| Err(String::new()) };
    let of = |key: &str| (key.to_owned(), None);
    let mut taken = taken.to_vec();
    let output = outputs(draft, known, &mut taken, Place { report: &report, of: &of }).into_iter().next();
    let problems: Vec<String> = report.into_problems().iter().map(ToString::to_string).collect();
    output.filter(|_| problems.is_empty()).ok_or_else(|| problems.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::presets;

    #[test]
    fn an_added_output_is_judged_as_one_of_a_file_is() {
        let taken = ["youtube".to_owned()];
        let of = |name, preset, url| live_output((name, preset, url), &presets(), &taken);
        let added = of(Some("church"), None, Some("rtmp://live.example.com/app")).expect("an output");
        assert_eq!((added.name.as_str(), added.preset.as_str(), added.key), ("church", "custom", None));
        assert_eq!(of(Some("second"), Some("youtube"), None).expect("an output").url.scheme(), "rtmps");
        for (name, preset, url, said) in [
            (Some("youtube"), Some("youtube"), None, "name of two outputs"),
            (None, Some("youtube"), None, "two outputs have this preset"),
            (Some("a/b"), None, Some("rtmp://live.example.com/app"), "name"),
            (Some("b"), None, None, "url"),
            (Some("b"), Some("yutube"), None, "Did you mean youtube"),
            (Some("b"), None, Some("http://live.example.com/app"), "url"),
        ] {
            let error = of(name, preset, url).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
    }
}
