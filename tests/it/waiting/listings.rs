//! Those who read along.

use std::future::ready;
use std::pin::pin;

use nusku::service::Followed;

use super::scene::{Scene, number, soon};

fn numbers(messages: &[nusku::model::Message]) -> Vec<u64> {
    messages.iter().map(|message| number(&message.body)).collect()
}

pub async fn all_who_read_along_hear_of_a_post(scene: Scene) {
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(scene.reader("q", None).await);
    }
    scene.post_as("reader", "q", &[1], 0).await;
    scene.post("q", &[2]).await;
    for reader in readers {
        let page = soon(reader).await.unwrap();
        assert_eq!(numbers(&page.messages), [2], "nobody sees what it posted itself");
    }
}

pub async fn a_listing_waits_behind_its_marker(scene: Scene) {
    scene.post("q", &[1]).await;
    let mut follower = scene.follow("q").await;
    let Ok(Some(Followed::Messages(first))) = follower.next().await else { panic!() };
    let reader = scene.reader("q", Some(first[0].marker)).await;
    scene.post("q", &[2]).await;
    assert_eq!(numbers(&soon(reader).await.unwrap().messages), [2]);
}

pub async fn a_follower_gets_everything_once_and_in_order(scene: Scene) {
    const ALL: u64 = 200;
    scene.post("q", &(0..7).collect::<Vec<_>>()).await;
    let mut follower = scene.follow("q").await;
    let reading = async {
        let mut seen = Vec::new();
        while (seen.len() as u64) < ALL {
            match soon(follower.next()).await.unwrap() {
                Some(Followed::Messages(messages)) => seen.extend(numbers(&messages)),
                other => panic!("{other:?}"),
            }
        }
        seen
    };
    let posting = async {
        for number in 7..ALL {
            scene.post("q", &[number]).await;
        }
    };
    let (seen, ()) = tokio::join!(reading, posting);
    assert_eq!(seen, (0..ALL).collect::<Vec<_>>());
}

pub async fn a_follower_hears_a_heart_beat_and_an_end(scene: Scene) {
    let mut follower = scene.follow("q").await;
    let mut beats = 0;
    loop {
        let mut next = pin!(follower.next());
        let came = tokio::select! {
            biased;
            came = &mut next => came,
            // It has begun to wait by now; a store may take its time to answer.
            () = ready(()) => {
                scene.clock.advance(15);
                soon(next).await
            }
        };
        let came = came.unwrap();
        match came {
            Some(came) => assert_eq!(came, Followed::Quiet),
            None => break,
        }
        beats += 1;
    }
    assert!((200..=240).contains(&beats), "{beats} of them in an hour");
}
