//! Remembered answers at every face, in the form in which they were not asked for at first.

use seaworthy_core::call::Reply;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::decode_reply;
use serde_json::json;

use super::{FACES, Face, deltas};
use crate::support::app::TestApp;
use crate::support::client::Answer;

const ON: &str = "[cache]\nenabled = true\n";

/// What an answer says, in either form.
fn said(face: &Face, streams: bool, answer: &Answer) -> Reply {
    match streams {
        true => Reply::gathered(deltas(face, answer)).unwrap(),
        false => decode_reply(face.dialect, &answer.body).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_answer_is_told_in_either_form_at_every_face() {
    for face in &FACES {
        for streams_first in [false, true] {
            let name = format!("{}, first a stream: {streams_first}", face.name);
            let app = TestApp::builder().sections(ON).start().await;
            let ask = async |streams: bool| {
                let more = match (face.dialect, streams) {
                    (Dialect::OpenAiChat, true) => {
                        json!({"stream_options": {"include_usage": true}})
                    }
                    _ => json!({}),
                };
                face.call(&app, streams, &app.user_key, &more).send().await
            };
            let first = ask(streams_first).await;
            assert_eq!(first.header("x-seaworthy-cache"), "miss", "{name}");
            let second = ask(!streams_first).await;
            assert_eq!(second.status, 200, "{name}: {}", second.text());
            assert_eq!(second.header("x-seaworthy-cache"), "hit", "{name}");
            assert!(second.whole, "{name}");
            let expected = match streams_first {
                true => "application/json",
                false => face.framing.content_type(),
            };
            let found = second.header("content-type");
            assert!(found.starts_with(expected), "{name}: {found}");
            let first = said(face, streams_first, &first);
            let second = said(face, !streams_first, &second);
            assert_eq!(first.blocks, second.blocks, "{name}");
            assert_eq!(first.stop_reason, second.stop_reason, "{name}");
            assert_eq!(first.usage, second.usage, "{name}");
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_say_what_it_used_is_no_whole_answer() {
    let app = TestApp::builder().sections(ON).start().await;
    let face = &FACES[0];
    for streams in [true, false] {
        let call = face.call(&app, streams, &app.user_key, &json!({}));
        let answer = call.send().await;
        assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    }
    app.finish().await;
}
