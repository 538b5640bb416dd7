//! The ruler in finished files, as anybody who plays them would hear it.

use std::path::PathBuf;

use super::ear::{Heard, Search};
use crate::gst::decode_file::{decode_any, decode_m4a};

/// The ruler in all of `files`, each a session of its own, in the order in which they were spoken; and why one cannot
/// be read.
pub(super) async fn listen_to_all(files: Vec<PathBuf>) -> (Option<Heard>, Option<String>) {
    let (mut sessions, mut problem) = (Vec::new(), None);
    for file in files {
        let (heard, error) = listen_to(file).await;
        problem = problem.or(error);
        sessions.extend(heard);
    }
    // The files' names tell the spaces and not their order.
    sessions.sort_by_key(|heard| heard.seconds.first().map(|second| second.index));
    let mut all = None::<Heard>;
    for heard in sessions {
        let all = all.get_or_insert_with(Heard::default);
        all.seconds.extend(heard.seconds);
        all.samples += heard.samples;
        all.decode_errors += heard.decode_errors;
    }
    (all, problem)
}

/// The ruler in a finished file.
async fn listen_to(file: PathBuf) -> (Option<Heard>, Option<String>) {
    let listened = tokio::task::spawn_blocking(move || {
        // Pieces are searched where they come out of the decoder; what is found comes over a channel.
        let (sender, pieces) = std::sync::mpsc::sync_channel::<Vec<f32>>(64);
        let searching = std::thread::spawn(move || {
            let (mut search, mut at) = (Search::default(), 0);
            for piece in pieces {
                search.push(at, &piece);
                at += piece.len() as i64;
            }
            search.finish()
        });
        let result = if file.extension().is_some_and(|ending| ending == "m4a") {
            decode_m4a(&file, move |samples| drop(sender.send(samples.to_vec())))
        } else {
            decode_any(&file, move |samples| drop(sender.send(crate::ruler::mono(samples))))
        };
        let heard = searching.join().unwrap_or_default();
        (heard, result)
    });
    match listened.await {
        Ok((heard, Ok(()))) => (Some(heard), None),
        Ok((_, Err(error))) => (None, Some(format!("the finished file cannot be read: {error}"))),
        Err(error) => (None, Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_there_is_told_and_not_a_panic() {
        let (heard, error) = listen_to(PathBuf::from("/nowhere/x.m4a")).await;
        assert!(heard.is_none() && error.expect("a reason").contains("cannot be read"));
    }

    #[tokio::test]
    async fn the_ruler_is_found_in_a_finished_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (raw, file) = (folder.path().join("ruler.f32"), folder.path().join("show.m4a"));
        let bytes: Vec<u8> = (30..42).flat_map(crate::ruler::second).flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&raw, bytes).expect("written");
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-f", "f32le", "-ar", "48000", "-ac", "1", "-i"])
            .arg(&raw)
            .args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"])
            .arg(&file)
            .status();
        assert!(made.expect("ffmpeg is in the Debian package ffmpeg").success());
        let (heard, error) = listen_to(file).await;
        assert_eq!(error, None);
        let indices: Vec<u32> = heard.expect("sound").seconds.iter().map(|second| second.index).collect();
        assert_eq!(indices, (30..42).collect::<Vec<_>>());
    }
}
