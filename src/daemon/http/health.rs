//! Whether the daemon lives and is ready. Both tell nothing of any show, and need no token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Door;

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// The daemon's program version.
    version: &'static str,
}

fn well() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// The daemon lives.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(super) async fn alive() -> Json<Health> {
    well()
}

/// The daemon has read its shows, and takes orders.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(super) async fn ready(State(door): State<Door>) -> Json<Health> {
    // The port is opened when the shows are read: whoever gets here finds them.
    drop(door.roster.all());
    well()
}
