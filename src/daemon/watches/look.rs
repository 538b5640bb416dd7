//! The task that looks for hosts, one after the other, and begins the shows of those that are live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::pace::{Went, is_blind, pause};
use super::{Seen, WatchDraft, Watches};
use crate::alert::Level;
use crate::daemon::{Cue, Refusal, Ward};
use crate::source::SourceFault;
use crate::source::x_space::api::XApi;
use crate::source::x_space::{self, ApiError};

/// Pause between two hosts; 1.1 s is what twspace-crawler keeps.
const APART: Duration = Duration::from_secs(2);

/// Longest sleep.
const LONGEST: Duration = Duration::from_secs(3600);

/// A host that is looked for.
#[derive(Debug)]
struct Eye {
    due: Instant,
    /// As whom X is asked; made anew after trouble, since cookies may have been mended.
    api: Option<(XApi, Duration)>,
    /// The host's user id, once it is known.
    id: Option<String>,
    times_wrong: u32,
    /// X has said when it may be asked again.
    is_limited: bool,
    is_blind: bool,
}

impl Eye {
    fn new(due: Instant) -> Self {
        Self { due, api: None, id: None, times_wrong: 0, is_limited: false, is_blind: false }
    }

    /// A watch was made or changed: it is looked at once what it is worth, unless X wants to be left alone.
    fn hasten(&mut self, now: Instant) {
        if !self.is_limited {
            self.due = self.due.min(now);
        }
    }
}

/// Why a look gave nothing.
struct Blind {
    fault: SourceFault,
    message: String,
}

impl From<ApiError> for Blind {
    fn from(error: ApiError) -> Self {
        Self { fault: error.class(), message: error.to_string() }
    }
}

/// Looks until `token` ends.
pub async fn run(watches: Arc<Watches>, token: CancellationToken) {
    let mut eyes: BTreeMap<Host, Eye> = BTreeMap::new();
    loop {
        let hosts = watches.hosts();
        eyes.retain(|host, _| hosts.contains_key(host));
        let now = watches.clock.now();
        for host in hosts.keys() {
            eyes.entry(host.clone()).or_insert_with(|| Eye::new(now));
        }
        let next = eyes.iter_mut().min_by_key(|(_, eye)| eye.due);
        let wait = match next {
            Some((host, eye)) if eye.due <= now => {
                let about = hosts.get(host).cloned().unwrap_or_default();
                tokio::select! {
                    () = token.cancelled() => return,
                    () = watches.look(host, eye, &about) => APART,
                }
            }
            Some((_, eye)) => eye.due - now,
            None => LONGEST,
        };
        tokio::select! {
            () = token.cancelled() => return,
            () = watches.changed.notified() => eyes.values_mut().for_each(|eye| eye.hasten(watches.clock.now())),
            () = watches.clock.sleep(wait) => {}
        }
    }
}

impl Watches {
    /// The watches by their hosts, with their names.
    fn hosts(&self) -> BTreeMap<Host, Vec<(String, WatchDraft)>> {
        let mut hosts: BTreeMap<Host, Vec<(String, WatchDraft)>> = BTreeMap::new();
        for (name, watch) in self.kept().watches.clone() {
            if let Some(host) = Host::parse(&watch.host) {
                hosts.entry(host).or_default().push((name, watch));
            }
        }
        hosts
    }

    /// One look for one host, and what comes of it.
    async fn look(self: &Arc<Self>, host: &Host, eye: &mut Eye, about: &[(String, WatchDraft)]) {
        let looked = self.ask(host, eye, about).await;
        let interval = eye.api.as_ref().map(|(_, interval)| *interval).unwrap_or_default();
        let (went, seen) = match looked {
            Ok((live, refresh)) => {
                self.sees_again(eye, about);
                (eye.times_wrong, eye.is_limited) = (0, false);
                (Went::Well(refresh), Seen { live, ..Seen::default() })
            }
            Err(blind) => {
                eye.is_limited = matches!(blind.fault, SourceFault::RateLimited(_));
                if !eye.is_limited {
                    eye.api = None;
                }
                eye.times_wrong = eye.times_wrong.saturating_add(1);
                self.tell_blind(eye, &blind, about);
                (Went::Wrong(blind.fault, eye.times_wrong), Seen { error: Some(blind.message), ..Seen::default() })
            }
        };
        for (name, watch) in about {
            let mut seen = Seen { at: Some(self.clock.wall()), ..seen.clone() };
            if let Some(space) = &seen.live {
                let (this, show, space) = (Arc::clone(self), watch.show.clone(), space.clone());
                // Starting a show reads and writes files.
                let begun = tokio::task::spawn_blocking(move || this.begin(&show, &space)).await;
                seen.error = begun.unwrap_or_else(|error| Err(error.to_string())).err();
                self.tell_failed(name, &watch.show, seen.error.as_deref());
            }
            self.seen().insert(name.clone(), seen);
        }
        eye.due = self.clock.now() + pause(went, interval, fastrand::f64());
    }

    /// The Space that the host is live in and that is not over; and how long X wants to be left alone.
    async fn ask(
        &self,
        host: &Host,
        eye: &mut Eye,
        about: &[(String, WatchDraft)],
    ) -> Result<(Option<String>, Duration), Blind> {
        let (api, _) = match eye.api.take() {
            Some(api) => eye.api.insert(api),
            None => eye.api.insert(self.api_of(about).await?),
        };
        let id = match &eye.id {
            Some(id) => id.clone(),
            None => eye.id.insert(host.id(api).await?).clone(),
        };
        let content = api.live_content_of(&id).await?;
        let refresh = content.refresh.unwrap_or_default();
        let Some(space) = content.space else { return Ok((None, refresh)) };
        let is_new = about.iter().any(|(_, watch)| !self.was_begun(&watch.show, space.as_str()));
        // X names a Space that is over for a while.
        let is_over = is_new && api.space(&space).await?.state.is_over();
        Ok(((!is_over).then(|| space.as_str().to_owned()), refresh))
    }

    /// X is asked as the show of the first watch that can ask it would.
    async fn api_of(&self, about: &[(String, WatchDraft)]) -> Result<(XApi, Duration), Blind> {
        let wards: Vec<Arc<Ward>> = about.iter().filter_map(|(_, watch)| self.roster.get(&watch.show)).collect();
        let clock = self.clock.clone();
        let made = tokio::task::spawn_blocking(move || {
            let mut why = "no watched show is there any more".to_owned();
            for ward in wards {
                match ward.asking(&clock) {
                    Ok((config, auth)) => {
                        let api = x_space::api(&config, auth, &clock).map_err(|error| error.message)?;
                        return Ok((api, config.lookup_interval));
                    }
                    Err(refusal) => why = refusal.to_string(),
                }
            }
            Err(why)
        });
        let made = made.await.unwrap_or_else(|error| Err(error.to_string()));
        made.map_err(|message| Blind { fault: SourceFault::Operator, message })
    }

    /// Begins the show with the Space, unless that was done before.
    fn begin(&self, show: &str, space: &str) -> Result<(), String> {
        if self.was_begun(show, space) {
            return Ok(());
        }
        let ward = self.roster.get(show).ok_or("there is no such show any more")?;
        let view = ward.view();
        let session = view.status.as_ref().and_then(|status| status.session.as_ref());
        if view.on_the_air && session.is_some_and(|session| x_space::is_session_of(&session.id, space)) {
            self.remember(show, space);
            return Ok(());
        }
        if ward.is_free() {
            self.roster.refresh(&ward);
        }
        match ward.start_with(&Cue { link: Some(space.to_owned()), start: None }) {
            Ok(()) => {
                self.remember(show, space);
                let message = format!("The host is live: the show {show} begins with the Space {space}");
                self.roster.hub().tell(show, Level::Info, "daemon.watch_begun", message, None);
                Ok(())
            }
            // It ends, or carries another Space: the next look tries again.
            Err(Refusal::OnTheAir(why)) => Err(format!("waiting for the show to end: {why}")),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    fn tell_failed(&self, name: &str, show: &str, error: Option<&str>) {
        let before = self.seen().get(name).and_then(|seen| seen.error.clone());
        if let Some(error) = error.filter(|error| before.as_deref() != Some(*error)) {
            let message = format!("The host is live, and the show {show} does not begin: {error}");
            let remedy = Some("Mend it: every look tries again while the Space is live.");
            self.roster.hub().tell(show, Level::Error, "daemon.watch_failed", message, remedy);
        }
    }

    fn tell_blind(&self, eye: &mut Eye, blind: &Blind, about: &[(String, WatchDraft)]) {
        if eye.is_blind || !is_blind(blind.fault, eye.times_wrong) {
            return;
        }
        eye.is_blind = true;
        for (name, watch) in about {
            let message = format!("The watch {name} sees nothing: {}", blind.message);
            let remedy = Some("Until it is mended, start the show by hand when its host goes live.");
            self.roster.hub().tell(&watch.show, Level::Warning, "daemon.watch_blind", message, remedy);
        }
    }

    fn sees_again(&self, eye: &mut Eye, about: &[(String, WatchDraft)]) {
        if !std::mem::take(&mut eye.is_blind) {
            return;
        }
        for (name, watch) in about {
            let message = format!("The watch {name} sees again");
            self.roster.hub().tell(&watch.show, Level::Info, "daemon.watch_sees", message, None);
        }
    }
}
