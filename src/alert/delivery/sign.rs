//! Signatures of webhooks after <https://www.standardwebhooks.com>: who gets one can tell that it came from here, that
//! nobody changed it, and when it was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// What a secret of the scheme begins with; base64 follows.
const PREFIX: &str = "whsec_";

/// Signs with one secret.
#[derive(Debug, Clone)]
pub struct Signer {
    secret: Secret,
}

impl Signer {
    /// Signs with `secret`: `whsec_` and base64, or any other text as it is.
    ///
    /// # Errors
    /// What is wrong with it, without a full stop.
    pub fn new(secret: Secret) -> Result<Self, &'static str> {
        let signer = Self { secret };
        match signer.key().map(|key| key.len()) {
            None => Err("its secret begins with whsec_ and is no base64 from there on"),
            Some(0..16) => Err("its secret is shorter than 16 bytes"),
            Some(_) => Ok(signer),
        }
    }

    fn key(&self) -> Option<Vec<u8>> {
        let text = self.secret.expose();
        match text.strip_prefix(PREFIX) {
            Some(base64) => STANDARD.decode(base64).ok(),
            None => Some(text.as_bytes().to_vec()),
        }
    }

    /// The value of `webhook-signature`; `at` is in Unix seconds.
    pub(super) fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let key = self.key().unwrap_or_default();
        let mac: Hmac<Sha256> = KeyInit::new_from_slice(&key).expect("a key of any length");
        let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_the_schemes_own_libraries_make() {
        // The example of the scheme's reference libraries.
        let signer = Signer::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).expect("a secret");
        let body = br#"{"test": 2432232314}"#;
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_331, body), signature);
    }

    #[test]
    fn a_secret_that_protects_nothing_is_refused() {
        for (secret, fine) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("whsec_not base64", false),
            ("whsec_", false),
            ("short", false),
            ("a-plain-secret-of-some-length", true),
        ] {
            assert_eq!(Signer::new(Secret::new(secret)).is_ok(), fine, "{secret}");
        }
    }
}
