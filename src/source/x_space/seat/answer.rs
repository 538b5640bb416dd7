//! The last answer of a service whose caller is about to go.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long what was asked for is waited for once the attempt is cancelled.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// The answer to a call that gives something; when `token` is cancelled it is waited for a little longer, so that what was
/// given can be given back. None where it does not come even then, or where nothing was asked yet.
pub(super) async fn last_answer<T>(token: &CancellationToken, call: impl Future<Output = T>) -> Option<T> {
    if token.is_cancelled() {
        return None;
    }
    let mut call = std::pin::pin!(call);
    match token.run_until_cancelled(&mut call).await {
        Some(answer) => Some(answer),
        None => tokio::time::timeout(LAST_ANSWER, call).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn what_x_grants_while_the_show_ends_is_known_so_that_it_is_given_back() {
        for (answers, cancelled, expected, what) in [
            (20, 200, Some("session"), "before the end"),
            (200, 20, Some("session"), "on its way when the show ends"),
            (20_000, 20, None, "nobody waits for ever"),
            (0, 0, None, "nothing is asked for any more"),
        ] {
            let (token, began) = (CancellationToken::new(), Instant::now());
            if cancelled == 0 {
                token.cancel();
            }
            let call = async {
                tokio::time::sleep(Duration::from_millis(answers)).await;
                "session"
            };
            let end = async {
                tokio::time::sleep(Duration::from_millis(cancelled)).await;
                token.cancel();
            };
            let (answer, ()) = tokio::join!(last_answer(&token, call), end);
            assert_eq!(answer, expected, "{what}");
            assert!(began.elapsed() < LAST_ANSWER * 3, "{what}");
        }
    }
}
