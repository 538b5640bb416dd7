//! Ids of sessions that have none of their own: they name folders, and tell one address from another without telling it.

use sha2::{Digest as _, Sha256};

/// `prefix`, and the first `bytes` bytes of the hash of `of` in hexadecimal.
pub(super) fn hashed(prefix: &str, of: &str, bytes: usize) -> String {
    let digest = Sha256::digest(of.as_bytes());
    let hex: String = digest.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_has_another_id_and_the_same_one_has_the_same_for_ever() {
        assert_eq!(hashed("whep", "abc", 6), "whep-ba7816bf8f01");
        assert_ne!(hashed("whep", "abd", 6), hashed("whep", "abc", 6));
    }
}
