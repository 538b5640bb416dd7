use super::*;

fn answer(endpoint: &str, room: &str) -> Vec<u8> {
    serde_json::json!({"access_token": "secret-4711", "endpoint": endpoint, "room_id": room}).to_string().into_bytes()
}

#[test]
fn an_access_answer_is_believed_only_as_far_as_it_can_be_used() {
    for (endpoint, expected) in [
        ("https://prod-chatman-ancillary-us-east-1.pscp.tv", "https://prod-chatman-ancillary-us-east-1.pscp.tv/"),
        ("wss://chat.example/x", "https://chat.example/x"),
        ("ws://127.0.0.1:9", "http://127.0.0.1:9/"),
    ] {
        let access = access_of(&answer(endpoint, "1ABDEGJKLMNOP")).expect(endpoint);
        assert_eq!((access.endpoint.as_str(), access.room.as_str()), (expected, "1ABDEGJKLMNOP"));
        assert!(!format!("{:?}", access.token).contains("4711"));
    }
    for (endpoint, room) in [("no address", "1ABDEGJKLMNOP"), ("https://x.com", ""), ("https://x.com", "../x\"")] {
        assert!(access_of(&answer(endpoint, room)).is_none(), "{endpoint} {room}");
    }
    assert!(access_of(b"<html>").is_none() && access_of(b"{}").is_none());
}

#[test]
fn words_about_a_lost_chat_hold_nothing_that_strangers_sent() {
    let error = left(&tokio_tungstenite::tungstenite::Error::Utf8("\u{1b}[31m".repeat(100)));
    let words = error.to_string();
    assert!(!words.contains('\u{1b}') && words.len() < 400, "{words}");
}
