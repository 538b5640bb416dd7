//! Comments of Opus and FLAC files; chapters are comments too.

use super::FileLabels;
use crate::episode::chapters::vorbis_comments;
use crate::gst::episode_encode::Embedded;

/// What the encoder's own container writes.
pub(in crate::episode) fn vorbis(labels: &FileLabels) -> Embedded {
    Embedded {
        tags: labels.tags.for_matroska(),
        album: labels.tags.album.clone(),
        comment: labels.tags.comment.clone(),
        extended: vorbis_comments(&labels.chapters),
    }
}
