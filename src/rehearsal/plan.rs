//! What happens in a rehearsal, and when. Inert data, read from `config/rehearsals/`.

use serde::Deserialize;

use super::RehearsalError;
use super::space::{Order, SpaceArgs};

/// The plans that the program brings along, by name.
const SHIPPED: &[(&str, &str)] = &[
    ("plain", include_str!("../../config/rehearsals/plain.toml")),
    ("rough_night", include_str!("../../config/rehearsals/rough_night.toml")),
];

/// A plan of one rehearsal.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seconds of live space between the bridge's first fetch and the end.
    pub live_seconds: u32,
    /// Seconds that the space has been running when the bridge joins.
    pub running_for_seconds: u32,
    /// Media sequence number of the space's first chunk.
    #[serde(default)]
    pub first_sequence: u64,
    /// Chunks are listed late by up to so many ms.
    #[serde(default)]
    pub jitter_ms: u64,
    /// Whether the plan makes gaps, so that gaps fail nothing.
    #[serde(default)]
    pub gaps_planned: bool,
    /// Orders to the space.
    #[serde(default, rename = "order")]
    pub orders: Vec<TimedOrder>,
}

/// An order and its time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TimedOrder {
    /// Seconds after the bridge's first fetch.
    pub at_seconds: u32,
    /// What the space is told.
    #[serde(flatten)]
    pub order: Order,
}

impl Plan {
    /// The shipped plan of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, RehearsalError> {
        let Some((_, text)) = SHIPPED.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Err(RehearsalError::Options(format!(
                "no rehearsal is named {name:?}; there are {}",
                names.join(", ")
            )));
        };
        Self::parse(text)
    }

    /// A plan from the text of a file.
    ///
    /// # Errors
    /// When it is not a plan.
    pub fn parse(text: &str) -> Result<Self, RehearsalError> {
        let mut plan: Self =
            toml::from_str(text).map_err(|error| RehearsalError::Options(format!("the plan is wrong: {error}")))?;
        plan.orders.sort_by_key(|order| order.at_seconds);
        if let Some(late) = plan.orders.iter().find(|order| order.at_seconds > plan.live_seconds) {
            let (at, end) = (late.at_seconds, plan.live_seconds);
            return Err(RehearsalError::Options(format!("an order comes at second {at}, after the end at {end}")));
        }
        Ok(plan)
    }

    /// How the space is to be for this plan.
    pub fn space(&self) -> SpaceArgs {
        SpaceArgs {
            running_for_seconds: self.running_for_seconds,
            first_sequence: self.first_sequence,
            jitter_ms: self.jitter_ms,
            ..SpaceArgs::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_plan_is_read() {
        for (name, _) in SHIPPED {
            assert!(Plan::named(name).is_ok(), "{name}: {:?}", Plan::named(name));
        }
        let plan = Plan::named("rough_night").expect("a plan");
        assert_eq!(plan.orders[2].order, Order::HostDrop);
    }

    #[test]
    fn a_wrong_plan_says_what_is_wrong() {
        let late = "live_seconds = 5\nrunning_for_seconds = 0\n[[order]]\nat_seconds = 9\ndo = \"end\"";
        for (text, expected) in [("", "live_seconds"), (late, "after the end"), ("nonsense = 1", "nonsense")] {
            let error = Plan::parse(text).expect_err("wrong").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Plan::named("x").expect_err("unknown").to_string().contains("plain"));
    }
}
