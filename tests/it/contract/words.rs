//! What drivers promise that keep the very text of a body.

use nusku::model::{Body, NewMessage};

use super::{Store, plain};

pub async fn bodies_are_kept_word_for_word(store: Store) {
    let queue = store.make("q").await;
    let long = format!("[{}0]", "1.50e3, ".repeat(25_000));
    let texts = [
        "null",
        "{}",
        r#"{"b":1,  "a":{"b":1},"b":2}"#,
        r#""\u00e9 é \ud83d\ude00 \u0000""#,
        "-0.0",
        "[1.0,1e400, 9223372036854775807]",
        long.as_str(),
    ];
    let new = texts.iter().map(|&text| NewMessage { body: text.into(), ..plain("") }).collect();
    store.post_all(&queue, new).await;
    let claimed = store.claim(&queue, 100).await.messages;
    for (messages, how) in [(store.all(&queue).await, "listed"), (claimed, "claimed")] {
        for (message, text) in messages.iter().zip(texts) {
            assert_eq!(message.body, Body::from(text), "{how}");
        }
        assert_eq!(messages.len(), texts.len(), "{how}");
    }
}
