//! As whom the platform is asked for a show that is not on the air.

use super::{Refusal, Ward};
use crate::clock::Clock;
use crate::config::{SourceKind, XApiConfig};
use crate::source::x_space::auth::Auth;

impl Ward {
    /// How the show's first Space is asked for: its settings of the platform's API, and its login. Reads files.
    ///
    /// # Errors
    /// When the configuration or its secrets are at fault, or no source is a Space.
    pub(in crate::daemon) fn asking(&self, clock: &Clock) -> Result<(XApiConfig, Auth), Refusal> {
        let plan = self.plan(&self.care())?;
        for (index, source) in plan.config.sources.iter().enumerate() {
            let SourceKind::XSpace { cookies_file, .. } = &source.kind else { continue };
            let auth = match cookies_file {
                Some(file) => Auth::from_cookies_file(file, clock.wall()),
                None => {
                    let cookie = |name| plan.secrets.source_cookie(index, name);
                    Auth::from_secrets(cookie("auth_token"), cookie("ct0"))
                }
            };
            return Ok((plan.config.x, auth.map_err(|error| Refusal::Failed(error.to_string()))?));
        }
        Err(Refusal::Failed("The show has no source that is a Space.".to_owned()))
    }
}
