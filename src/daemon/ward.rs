//! One show in the daemon's care: whether it shall be on the air, its supervisor, and what its bridge says.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::admission::{Ledger, machine};
use super::fan::Ears;
use super::folders::{Folders, Wish};
use super::hub::Hub;
use super::plan::{Plan, Planner};
use crate::bridge::client::{BridgeClient, ClientError};
use crate::bridge::state_folder::{ShowRecord, StateError, StateFolder};
use crate::clock::Clock;
use crate::config::{Problem, ShowConfig};
use crate::status::ShowStatus;
use crate::supervisor::Order;

mod asking;
mod cue;
mod due;
mod follow;
mod keys;
mod supervised;

pub use cue::Cue;

/// Where a show's configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file of the operator's.
    File(PathBuf),
    /// The API; its file is the daemon's own.
    Api,
}

/// Where a show stands with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody carries it.
    Off,
    /// Its bridge is supervised here, and started again when it dies.
    Supervised,
    /// Its bridge lives, and another process supervises it, or nobody does.
    Elsewhere,
    /// It cannot go on, or its bridge died again and again: it waits for the operator.
    Held,
}

/// Why an order to a show was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is on the air already, carried here or by another process.
    OnTheAir(String),
    /// It is not on the air.
    OffTheAir,
    /// Its configuration or its secrets are at fault.
    Faulty(Vec<Problem>),
    /// The machine does not carry one show more; the words hold the figures.
    MachineFull(String),
    /// The machine refused.
    Failed(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OnTheAir(why) | Self::MachineFull(why) | Self::Failed(why) => f.write_str(why),
            Self::OffTheAir => f.write_str("The show is not on the air."),
            Self::Faulty(faults) => {
                let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(" "))
            }
        }
    }
}

/// What is known of a show.
#[derive(Debug, Clone)]
pub struct WardView {
    /// Its name.
    pub name: String,
    /// Where its configuration comes from.
    pub origin: Origin,
    /// Where it stands.
    pub standing: Standing,
    /// Why it is held.
    pub why: Option<String>,
    /// What is wrong with its configuration.
    pub faults: Vec<Problem>,
    /// Its configuration; none while it is at fault.
    pub config: Option<Arc<ShowConfig>>,
    /// Whether its bridge answers.
    pub on_the_air: bool,
    /// The last that its bridge said; the last word of a show that is over stays.
    pub status: Option<Arc<ShowStatus>>,
}

/// What all shows of a daemon share.
pub(super) struct Common {
    pub(super) planner: Arc<dyn Planner>,
    pub(super) folders: Folders,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Clock,
    /// What the shows cost.
    pub(super) ledger: Ledger,
    /// What relative paths of shows from the API belong to.
    pub(super) data: PathBuf,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("folders", &self.folders).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Care {
    config: Result<Arc<ShowConfig>, Vec<Problem>>,
    orders: Option<mpsc::Sender<Order>>,
    held: Option<String>,
    /// Whether the operator has asked for the end that is coming.
    asked: bool,
}

/// A show.
#[derive(Debug)]
pub struct Ward {
    name: String,
    origin: Origin,
    folder: StateFolder,
    common: Arc<Common>,
    care: Mutex<Care>,
    /// The last status, and whether the bridge answers.
    seen: watch::Sender<(bool, Option<Arc<ShowStatus>>)>,
    following: Mutex<Option<AbortOnDropHandle<()>>>,
    /// The recording's folder, which the status that clients see does not tell.
    archive: Mutex<Option<PathBuf>>,
    ears: Ears,
}

impl Ward {
    /// Takes a show into care, and follows its bridge if there is one.
    pub(super) fn take(
        name: &str,
        origin: Origin,
        config: Result<ShowConfig, Vec<Problem>>,
        state: &std::path::Path,
        common: Arc<Common>,
    ) -> Result<Arc<Self>, StateError> {
        let care = Care { config: config.map(Arc::new), orders: None, held: None, asked: false };
        let ward = Arc::new(Self {
            name: name.to_owned(),
            origin,
            folder: StateFolder::open_in(state, name)?,
            common,
            care: Mutex::new(care),
            seen: watch::Sender::new((false, None)),
            following: Mutex::new(None),
            archive: Mutex::default(),
            ears: Ears::default(),
        });
        let following = AbortOnDropHandle::new(tokio::spawn(follow::follow(Arc::downgrade(&ward))));
        *ward.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(following);
        Ok(ward)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its configuration comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Speaks to its bridge.
    pub fn client(&self) -> BridgeClient {
        BridgeClient::new(self.folder.clone())
    }

    /// What its bridge says, as it says it; and whether it answers.
    pub fn watch(&self) -> watch::Receiver<(bool, Option<Arc<ShowStatus>>)> {
        self.seen.subscribe()
    }

    /// How loud it is, in whole server-sent events; everybody reads the same ones.
    ///
    /// # Errors
    /// When its bridge does not give them.
    pub async fn levels(&self) -> Result<broadcast::Receiver<Bytes>, ClientError> {
        self.ears.levels(self.client()).await
    }

    /// What is heard of it, in whole ADTS frames; everybody reads the same ones.
    ///
    /// # Errors
    /// When its bridge does not give it.
    pub async fn audio(&self) -> Result<broadcast::Receiver<Bytes>, ClientError> {
        self.ears.audio(self.client()).await
    }

    /// What is known of it.
    pub fn view(&self) -> WardView {
        let (on_the_air, status) = self.seen.borrow().clone();
        let care = self.care();
        let standing = match (&care.orders, on_the_air, &care.held) {
            (Some(_), _, _) => Standing::Supervised,
            (None, true, _) => Standing::Elsewhere,
            (None, false, Some(_)) => Standing::Held,
            (None, false, None) => Standing::Off,
        };
        WardView {
            name: self.name.clone(),
            origin: self.origin.clone(),
            standing,
            why: care.held.clone(),
            faults: care.config.as_ref().err().cloned().unwrap_or_default(),
            config: care.config.as_ref().ok().cloned(),
            on_the_air,
            status,
        }
    }

    fn care(&self) -> MutexGuard<'_, Care> {
        self.care.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody carries it: its lock is free.
    pub fn is_free(&self) -> bool {
        self.care().orders.is_none() && self.folder.lock().is_ok()
    }

    /// From now on this is its configuration. The bridge that carries it now keeps its own.
    pub(super) fn set_config(&self, config: Result<ShowConfig, Vec<Problem>>) {
        self.care().config = config.map(Arc::new);
    }

    /// Puts the show on the air. Without a `cue`, what the last start brought along still holds.
    /// By `force` also where the machine may not carry it.
    fn begin(self: &Arc<Self>, cue: Option<&Cue>, force: bool) -> Result<(), Refusal> {
        let mut care = self.care();
        if care.orders.is_some() {
            return Err(Refusal::OnTheAir(format!("The show {} is carried by this daemon already.", self.name)));
        }
        // Free again at once, for the bridge to take.
        match self.folder.lock() {
            Ok(_) => {}
            Err(error @ StateError::Locked { .. }) => return Err(Refusal::OnTheAir(format!("{error}."))),
            Err(error) => return Err(Refusal::Failed(error.to_string())),
        }
        if let Some(cue) = cue {
            let kept = self.common.folders.save_cue(&self.name, cue);
            kept.map_err(|error| Refusal::Failed(format!("What the start brings along cannot be kept: {error}.")))?;
        }
        let plan = self.plan(&care)?;
        let admitted = self.common.ledger.admit(&self.name, &machine::now(), force);
        admitted.map_err(|refused| Refusal::MachineFull(refused.to_string()))?;
        self.common.folders.save_wish(&self.name, Wish::On, self.common.clock.wall());
        self.supervise(&mut care, plan, None);
        Ok(())
    }

    /// Supervises a bridge that lives and lost its supervisor.
    fn adopt(self: &Arc<Self>, pid: u32) -> Result<(), Refusal> {
        let mut care = self.care();
        if care.orders.is_some() {
            return Ok(());
        }
        let plan = self.plan(&care)?;
        self.common.ledger.count(&self.name);
        self.supervise(&mut care, plan, Some(pid));
        Ok(())
    }

    fn plan(&self, care: &Care) -> Result<Plan, Refusal> {
        let mut config = care.config.clone().map_err(Refusal::Faulty)?.as_ref().clone();
        self.common.folders.cue(&self.name).apply(&mut config);
        let keys = (self.origin == Origin::Api).then(|| self.common.folders.keys(&self.name));
        let secrets = self.common.planner.secrets(&config, keys.as_ref()).map_err(Refusal::Faulty)?;
        let launch = self.common.planner.launch(&config).map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(Plan { config, secrets, launch })
    }

    fn record(&self) -> Option<ShowRecord> {
        self.folder.load().ok().flatten()
    }

    /// Whether a daemon that starts puts the show on the air: it shall be there, it did not end while no daemon was there
    /// to see it, and it was not suspended for longer than an audience waits.
    pub(super) fn is_due(&self) -> bool {
        let made = self.common.folders.wish(&self.name);
        due::is_due(made, self.record().as_ref(), &self.origin, self.common.clock.wall())
    }

    /// Ends or suspends the show, by its supervisor or, where that is another process, by its bridge.
    ///
    /// # Errors
    /// When it is not on the air.
    pub async fn finish(&self, order: Order) -> Result<(), Refusal> {
        let orders = {
            let mut care = self.care();
            care.asked |= care.orders.is_some();
            care.orders.clone()
        };
        if let Some(orders) = orders {
            // Its supervisor has ended in this very moment.
            return orders.send(order).await.map_err(|_| Refusal::OffTheAir);
        }
        if !self.seen.borrow().0 {
            return Err(Refusal::OffTheAir);
        }
        let client = self.client();
        let asked = match order {
            Order::End => client.end().await,
            Order::Suspend | Order::Leave => client.suspend().await,
        };
        asked.map_err(|error| Refusal::Failed(error.to_string()))
    }
}
