//! Whom a watch is about, as people write it.

use crate::source::x_space::api::XApi;
use crate::source::x_space::url::{SpaceAddress, SpaceId};
use crate::source::x_space::{ApiError, user};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    /// By its user id.
    Id(String),
    /// By its handle, in lower case.
    Handle(String),
    /// The host of a Space.
    Of(String),
}

impl Host {
    /// Reads `@handle`, a user id, or a Space's link.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('/') {
            return match SpaceAddress::parse(text).ok()? {
                SpaceAddress::Space { id, .. } => Some(Self::Of(id.as_str().to_owned())),
                SpaceAddress::Playlist(_) => None,
            };
        }
        if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Id(text.to_owned()));
        }
        user::handle(text).map(|handle| Self::Handle(handle.to_ascii_lowercase()))
    }

    /// Its user id.
    pub(super) async fn id(&self, api: &XApi) -> Result<String, ApiError> {
        match self {
            Self::Id(id) => Ok(id.clone()),
            Self::Handle(handle) => api.user_id(handle).await,
            Self::Of(space) => {
                let id = SpaceId::new(space).ok_or(ApiError::InvalidId)?;
                api.space(&id).await?.host_id.ok_or(ApiError::NoUser)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_as_people_write_it() {
        let handle = |name: &str| Some(Host::Handle(name.to_owned()));
        for (text, expected) in [
            ("@Some_Host", handle("some_host")),
            ("Some_Host", handle("some_host")),
            ("@12345", handle("12345")),
            ("12345", Some(Host::Id("12345".to_owned()))),
            ("https://x.com/i/spaces/1YpKkWmbnQaGj", Some(Host::Of("1YpKkWmbnQaGj".to_owned()))),
            ("https://x.com/somebody", None),
            ("two words", None),
            ("", None),
        ] {
            assert_eq!(Host::parse(text), expected, "{text}");
        }
    }
}
