//! The files that a show leaves for posting.

use jiff::tz::TimeZone;

use super::Archive;
use crate::alert::Events;
use crate::config::ShowConfig;
use crate::episode::{self, EpisodeMeta};
use crate::recording::Closing;

impl Archive {
    /// Makes the files for posting; their paths. May be called again when more is kept.
    pub(in crate::bridge) async fn make_files(&self, config: &ShowConfig, events: &Events) -> Vec<String> {
        let Some(recording) = &self.recording else { return Vec::new() };
        let meta = EpisodeMeta {
            title: config.show.title.clone(),
            host: config.show.host.clone(),
            timezone: TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC),
            cover: config.slate.artwork.clone(),
        };
        match episode::finish(recording, meta).await {
            Ok(finished) => {
                for note in finished.notes {
                    events.info("recording.note", "recording", note);
                }
                let path = |file: &str| recording.folder().join(file).display().to_string();
                finished.files.iter().map(|file| path(&file.file)).collect()
            }
            Err(error) => {
                let message = format!("The files for posting could not be made: {error}");
                events.error("recording.finish", "recording", message, Some("The recording itself is whole."));
                Vec::new()
            }
        }
    }

    /// Makes the files for posting and closes the archive; their paths.
    pub(in crate::bridge) async fn finish(&self, config: &ShowConfig, events: &Events) -> Vec<String> {
        let files = self.make_files(config, events).await;
        self.close(Closing::Ended).await;
        files
    }
}
