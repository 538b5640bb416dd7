//! All shows of the daemon: those of the operator's folder and those that the API made.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::admission::machine::{self, Usage};
use super::admission::{Ledger, Machine, Standing as Room};
use super::folders::{Folders, Wish};
use super::hub::Hub;
use super::plan::Planner;
use super::ward::Common;
use super::{DaemonError, Origin, Refusal, Settings, Standing, Ward};
use crate::alert::Level;
use crate::bridge::state_folder::{StateError, StateFolder};
use crate::clock::Clock;
use crate::config::{Problem, ShowConfig};
use crate::supervisor::Order;

/// Most shows that a daemon knows: each is followed by a task of its own.
const SHOWS_MAX: usize = 256;

/// Largest configuration that is read; the reader has its own bound below this.
const FILE_MAX: u64 = 2 << 20;

/// Pause between two looks at what the shows cost.
const MEASURE: Duration = Duration::from_secs(5);

/// Pause between two looks whether a show has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Why a show could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// There is one of this name.
    #[error("there is a show named {0} already")]
    Exists(String),
    /// There are too many.
    #[error("there are {SHOWS_MAX} shows already: delete some that are over")]
    Full,
    /// The disk is full.
    #[error("there is no room for it on the disk of the state: free some space")]
    NoRoom,
    /// The file system refused.
    #[error("the show cannot be kept: {0}")]
    Io(String),
}

impl From<io::Error> for RosterError {
    fn from(error: io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if full { Self::NoRoom } else { Self::Io(error.to_string()) }
    }
}

/// All shows by name.
#[derive(Debug)]
pub struct Roster {
    settings: Settings,
    common: Arc<Common>,
    shows: RwLock<BTreeMap<String, Arc<Ward>>>,
}

impl Roster {
    /// Reads every show, finds the bridges that live, and puts on the air what shall be there.
    ///
    /// # Errors
    /// When the folder of shows cannot be read; a show that is at fault is no error.
    pub fn open(
        settings: Settings,
        folders: Folders,
        planner: Arc<dyn Planner>,
        hub: Arc<Hub>,
        clock: Clock,
    ) -> Result<Self, DaemonError> {
        let ledger = Ledger::new(settings.limits);
        let common = Arc::new(Common { planner, folders, hub, clock, data: settings.data.clone(), ledger });
        let roster = Self { settings, common, shows: RwLock::default() };
        roster.scan()?;
        Ok(roster)
    }

    /// Reads the folders again: new shows are taken into care, files that were mended are read anew.
    ///
    /// # Errors
    /// When the folder of shows cannot be read.
    pub fn scan(&self) -> Result<(), DaemonError> {
        fs::create_dir_all(&self.settings.shows).map_err(DaemonError::at(&self.settings.shows))?;
        let mut found = Vec::new();
        for path in toml_files(&self.settings.shows)? {
            found.push((Origin::File(path.clone()), path));
        }
        for path in toml_files(&self.common.folders.shows())? {
            found.push((Origin::Api, path));
        }
        for (origin, path) in found {
            self.take_file(origin, &path);
        }
        Ok(())
    }

    fn take_file(&self, origin: Origin, path: &Path) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = self.read_file(&origin, path);
        // A show that does not load keeps the name of its file, so that its bridge, if it lives, is seen.
        let name = read.as_ref().map_or(stem, |config| config.show.name.clone());
        if let Err(faults) = &read {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let message = format!("{} does not load: {}", path.display(), words.join("; "));
            let remedy = "Mend it (spacebridge check FILE tells every fault); no other show is affected.";
            self.common.hub.tell(&name, Level::Error, "daemon.show_faulty", message, Some(remedy));
        }
        if let Some(known) = self.get(&name) {
            if known.origin() == &origin {
                known.set_config(read);
            } else {
                let message = format!("{} names a show {name} that there is already; it is left out", path.display());
                let remedy = Some("Give it another name.");
                self.common.hub.tell(&name, Level::Error, "daemon.show_faulty", message, remedy);
            }
            return;
        }
        match self.take(&name, origin, read) {
            Ok(ward) => self.put_on_air(&ward),
            Err(error) => {
                let message = format!("{} is left out: {error}", path.display());
                self.common.hub.tell(&name, Level::Error, "daemon.show_faulty", message, None);
            }
        }
    }

    fn read_file(&self, origin: &Origin, path: &Path) -> Result<ShowConfig, Vec<Problem>> {
        let base = match origin {
            Origin::File(path) => path.parent().unwrap_or(Path::new("/")).to_owned(),
            Origin::Api => self.common.data.clone(),
        };
        read_bounded(path).and_then(|text| self.common.planner.read(&text, &base, &[]))
    }

    /// Reads a show's file again, which may have been changed or mended since.
    pub fn refresh(&self, ward: &Ward) {
        let path = match ward.origin() {
            Origin::File(path) => path.clone(),
            Origin::Api => self.common.folders.show_file(ward.name()),
        };
        let read = self.read_file(ward.origin(), &path);
        if read.as_ref().is_ok_and(|config| config.show.name != ward.name()) {
            tracing::warn!(show = ward.name(), "The file names another show now; the daemon finds it when it starts.");
            return;
        }
        ward.set_config(read);
    }

    /// Ends every show that is supervised here, and waits for it.
    pub async fn end_all(&self) {
        let supervised = || self.all().into_iter().filter(|ward| ward.view().standing == Standing::Supervised);
        for ward in supervised() {
            if let Err(refusal) = ward.finish(Order::End).await {
                tracing::warn!(show = ward.name(), %refusal, "The show could not be asked to end.");
            }
        }
        // Its supervisor gives each a deadline.
        while supervised().next().is_some() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts what shall be on the air, unless its bridge lives.
    fn put_on_air(&self, ward: &Arc<Ward>) {
        if !ward.is_due() || !ward.is_free() || ward.view().config.is_none() {
            return;
        }
        match ward.start_again() {
            Ok(()) => {}
            Err(Refusal::MachineFull(why)) => {
                let message = format!("The show {} is not started, the machine does not carry it: {why}", ward.name());
                let remedy = "End another show, then start it; or start it by force.";
                self.common.hub.tell(ward.name(), Level::Error, "daemon.show_refused", message, Some(remedy));
            }
            Err(refusal) => {
                let message = format!("The show {} could not be started: {refusal}", ward.name());
                self.common.hub.tell(ward.name(), Level::Error, "daemon.show_held", message, None);
            }
        }
    }

    fn take(
        &self,
        name: &str,
        origin: Origin,
        config: Result<ShowConfig, Vec<Problem>>,
    ) -> Result<Arc<Ward>, RosterError> {
        let mut shows = self.shows.write().unwrap_or_else(PoisonError::into_inner);
        if shows.contains_key(name) {
            return Err(RosterError::Exists(name.to_owned()));
        }
        if shows.len() >= SHOWS_MAX {
            return Err(RosterError::Full);
        }
        let ward = Ward::take(name, origin, config, &self.settings.state, Arc::clone(&self.common));
        let ward = ward.map_err(|error| match error {
            StateError::Io { error, .. } => error.into(),
            error => RosterError::Io(error.to_string()),
        })?;
        shows.insert(name.to_owned(), Arc::clone(&ward));
        Ok(ward)
    }

    /// The show of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Ward>> {
        self.shows.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All shows, by name.
    pub fn all(&self) -> Vec<Arc<Ward>> {
        self.shows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What the machine has, and what its shows take of it. It reads /proc.
    pub fn standing(&self) -> (Machine, Room) {
        let machine = machine::now();
        (machine, self.common.ledger.standing(&machine))
    }

    /// Measures what every show costs, until the future is dropped.
    pub async fn measure(self: Arc<Self>) {
        let mut last = tokio::time::Instant::now();
        loop {
            let roster = Arc::clone(&self);
            let seen = tokio::task::spawn_blocking(move || roster.usages()).await.unwrap_or_default();
            let now = tokio::time::Instant::now();
            self.common.ledger.look(&seen, now - last);
            last = now;
            tokio::time::sleep(MEASURE).await;
        }
    }

    /// What every bridge that lives has taken so far.
    fn usages(&self) -> BTreeMap<String, Usage> {
        let views = self.all().into_iter().map(|ward| ward.view()).filter(|view| view.on_the_air);
        let usage = |pid| machine::usage(pid).filter(|_| pid > 0);
        views.filter_map(|view| Some((view.name, usage(view.status?.bridge.pid)?))).collect()
    }

    /// Events of all shows.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.common.hub
    }

    /// The daemon's own folder.
    pub fn folders(&self) -> &Folders {
        &self.common.folders
    }

    /// Reads configurations.
    pub fn planner(&self) -> &Arc<dyn Planner> {
        &self.common.planner
    }

    /// Where the daemon finds and keeps things.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads a configuration that the API brought. Files of secrets that are `awaited` need not be there yet.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn read(&self, text: &str, awaited: &[PathBuf]) -> Result<ShowConfig, Vec<Problem>> {
        self.common.planner.read(text, &self.common.data, awaited)
    }

    /// Keeps a show that the API brought; it is not started.
    ///
    /// # Errors
    /// When there is one of its name.
    pub fn create(&self, config: ShowConfig, text: &str) -> Result<Arc<Ward>, RosterError> {
        let name = config.show.name.clone();
        // A bridge of another daemon or of `run` may carry a show of this name.
        if StateFolder::at(&self.settings.state, &name).is_ok_and(|folder| folder.is_on_the_air()) {
            return Err(RosterError::Exists(name));
        }
        let ward = self.take(&name, Origin::Api, Ok(config))?;
        let folders = &self.common.folders;
        if let Err(error) = super::folders::replace(&folders.show_file(&name), text.as_bytes()) {
            self.shows.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
            return Err(error.into());
        }
        folders.save_wish(&name, Wish::Off, self.common.clock.wall());
        Ok(ward)
    }

    /// Gives a show that the API made another configuration of the same name.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn replace(&self, ward: &Ward, config: ShowConfig, text: &str) -> Result<(), RosterError> {
        let file = self.common.folders.show_file(ward.name());
        super::folders::replace(&file, text.as_bytes())?;
        ward.set_config(Ok(config));
        Ok(())
    }

    /// Shows the show of another process for as long as that runs; nothing of it is kept.
    ///
    /// # Errors
    /// When there is one of its name, or there are too many.
    pub fn take_guest(&self, name: &str) -> Result<Arc<Ward>, RosterError> {
        let text = format!("[show]\nname = \"{name}\"\n[[source]]\nkind = \"tone\"\n");
        self.take(name, Origin::Api, self.read(&text, &[]))
    }

    /// Forgets a guest and its state.
    pub fn drop_guest(&self, name: &str) {
        self.shows.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let removed = StateFolder::at(&self.settings.state, name).map(|folder| fs::remove_dir_all(folder.path()));
        if let Ok(Err(error)) = removed {
            tracing::warn!(show = name, %error, "The state of a rehearsal is left over.");
        }
    }

    /// Forgets a show that the API made. Its recordings stay.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        self.common.folders.forget(name)?;
        self.shows.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, DaemonError> {
    let entries = fs::read_dir(folder).map_err(DaemonError::at(folder))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml") && path.is_file())
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
        .collect();
    files.sort();
    Ok(files)
}

fn read_bounded(path: &Path) -> Result<String, Vec<Problem>> {
    use std::io::Read;
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
    let fault = |error: io::Error| Problem {
        key: path.display().to_string(),
        line: None,
        message: format!("cannot be read: {error}"),
        remedy: "Check who may read it, and that it is UTF-8 text".to_owned(),
    };
    read.map(|_| text).map_err(|error| vec![fault(error)])
}
