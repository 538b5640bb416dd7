//! `spacebridge end`: asks a show to end, or to be suspended.

use std::process::ExitCode;

use super::args::EndArgs;
use super::{client_of, runtime, say};

/// Asks, and says what will happen; the show takes its time for the closing slate.
pub(super) fn run(args: &EndArgs) -> anyhow::Result<ExitCode> {
    let client = client_of(args.show.as_deref())?;
    runtime()?.block_on(async {
        let show = client.hello().await?.show;
        if args.suspend {
            client.suspend().await?;
            say(&format!("{show} is being suspended; run it again within 30 minutes to resume it."));
        } else {
            client.end().await?;
            say(&format!("{show} is ending: closing slate, then the final files."));
        }
        Ok(ExitCode::SUCCESS)
    })
}
