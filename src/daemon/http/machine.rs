//! What the machine carries, and how much more.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Door;
use super::problem::{Answer, Problem};

/// What the machine has, what its shows take, and how many more it carries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MachineView {
    /// Processors that the daemon may use.
    cores: usize,
    /// Of these, what shows may take.
    cores_for_shows: f64,
    /// Bytes of memory that can still be had.
    memory_available_bytes: u64,
    /// Bytes of these that are kept free.
    memory_reserve_bytes: u64,
    /// Mean number of processes of the machine that ran or waited to run in the last minute.
    load: f64,
    /// Shows that are carried or about to be.
    shows: usize,
    /// Of these, those whose cost was measured; the others are counted as one more show is.
    shows_measured: usize,
    /// Processors that the shows take.
    shows_cores: f64,
    /// Bytes of memory that the shows take.
    shows_memory_bytes: u64,
    /// Processors that one more show is expected to take.
    one_more_cores: f64,
    /// Bytes of memory that one more show is expected to take.
    one_more_memory_bytes: u64,
    /// Most shows at one time, if the configuration says so.
    max_shows: Option<usize>,
    /// How many shows more the machine carries.
    room: usize,
}

/// What the machine has, what its shows cost as measured, and how many more it carries.
#[utoipa::path(get, path = "/api/v1/machine", tag = "health",
    responses((status = 200, body = MachineView), (status = 500, body = Problem)))]
pub(super) async fn machine(State(door): State<Door>) -> Answer<Json<MachineView>> {
    let limits = door.roster.settings().limits;
    let read = tokio::task::spawn_blocking(move || door.roster.standing()).await;
    let (machine, standing) = read.map_err(|error| Problem::new("internal", format!("It cannot be read: {error}.")))?;
    Ok(Json(MachineView {
        cores: machine.cores,
        cores_for_shows: standing.cores_for_shows,
        memory_available_bytes: machine.memory_available,
        memory_reserve_bytes: limits.memory_reserve,
        load: machine.load,
        shows: standing.shows,
        shows_measured: standing.measured,
        shows_cores: standing.taken.cores,
        shows_memory_bytes: standing.taken.memory,
        one_more_cores: standing.one_more.cores,
        one_more_memory_bytes: standing.one_more.memory,
        max_shows: limits.max_shows,
        room: standing.room,
    }))
}
