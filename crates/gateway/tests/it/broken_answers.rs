//! Answers that are not what a provider's API promises.

use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;

use crate::support::app::TestApp;
use crate::support::client::code_of;
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, http, last_chunk, ok, openai_usage_event, path, stream,
    stream_head,
};

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_http_or_no_answer_at_all_are_502() {
    for dialect in DIALECTS {
        for bytes in ["", "\x16\x03\x01\x02\x00", "SSH-2.0-OpenSSH_9.9\r\n"] {
            let app = TestApp::start().await;
            app.upstream.will([Step::Send(bytes.into()), Step::HangUp]);
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_unreachable");
            assert_eq!(app.upstream.requests(), 1, "a call is never sent twice");
            assert!(app.only_settlement().await.usage.estimated);
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_json_or_not_announced_as_such_is_502() {
    for dialect in DIALECTS {
        for (kind, body) in [
            ("application/json", "not json"),
            ("application/json", "{\"id\":\"cut"),
            ("text/html", "<html>hello</html>"),
            ("application/octet-stream", "{}"),
        ] {
            let app = TestApp::start().await;
            app.upstream
                .will_send(http(200, &[("content-type", kind)], body));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
            let settled = app.only_settlement().await;
            assert_eq!(settled.outcome, Outcome::Failure);
            assert!(settled.usage.total() > 0);
            app.finish().await;
        }
    }
}

/// What stands in a body that comes with 200 and is no answer, and what callers are told of it.
const NO_ANSWERS: [(&str, &str); 4] = [
    ("{}", "its API does not promise"),
    ("null", "its API does not promise"),
    (
        r#"{"id":"x","choices":null,"content":null}"#,
        "its API does not promise",
    ),
    (
        r#"{"type":"error","error":{"type":"api_error","message":"the reactor is cold"}}"#,
        "and an error: the reactor is cold",
    ),
];

#[tokio::test(start_paused = true)]
async fn a_200_that_is_no_answer_is_502_and_another_target_may_be_asked() {
    for dialect in DIALECTS {
        for (body, told) in NO_ANSWERS {
            let app = TestApp::start().await;
            let kind = [("content-type", "application/json")];
            app.upstream.will_send(http(200, &kind, body));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
            assert!(answer.text().contains(told), "{}", answer.text());
            assert_eq!(app.only_settlement().await.outcome, Outcome::Failure);
            app.finish().await;
        }
    }
    let app = TestApp::builder().attempts(2).start().await;
    let kind = [("content-type", "application/json")];
    app.upstream.will_send(http(200, &kind, NO_ANSWERS[3].0));
    app.upstream.will_send(ok(Dialect::OpenAiChat));
    let ask = ask(Dialect::OpenAiChat, false);
    let answer = app.post(path(Dialect::OpenAiChat), ask).send().await;
    assert_eq!((answer.status, app.upstream.requests()), (200, 2));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_or_an_error_instead_of_a_stream_is_502_and_paid_for() {
    for dialect in DIALECTS {
        for is_error in [false, true] {
            let app = TestApp::start().await;
            let kind = [("content-type", "application/json")];
            app.upstream.will_send(match is_error {
                false => ok(dialect),
                true => http(200, &kind, NO_ANSWERS[3].0),
            });
            let answer = app.post(path(dialect), ask(dialect, true)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
            let told = answer.text().contains("the reactor is cold");
            assert_eq!(told, is_error, "{}", answer.text());
            let settled = app.only_settlement().await;
            assert_eq!(settled.outcome, Outcome::Failure);
            assert_eq!(settled.usage.estimated, is_error);
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_instead_of_a_whole_answer_is_502_and_another_target_may_be_asked() {
    for dialect in DIALECTS {
        let app = TestApp::builder().attempts(2).start().await;
        for _ in 0..2 {
            app.upstream.will(stream(events(dialect, false).concat()));
        }
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
        assert_eq!(app.upstream.requests(), 2);
        for settled in app.settlements().await {
            assert_eq!(settled.outcome, Outcome::Failure);
            assert!(settled.usage.total() > 0);
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_breaks_off_is_502() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let whole = ok(dialect);
        app.upstream
            .will([Step::Send(whole.slice(..whole.len() - 1)), Step::HangUp]);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_unreachable");
        assert!(app.only_settlement().await.usage.total() > 0);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_limit_is_502_and_not_read_to_its_end() {
    for dialect in DIALECTS {
        let app = TestApp::builder()
            .server("max_response_size = \"100KB\"")
            .start()
            .await;
        let piece = Bytes::from(vec![b' '; 10_000]);
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n";
        let mut script = vec![Step::Send(head.into())];
        script.extend(std::iter::repeat_n(Step::Send(piece), 2_000));
        app.upstream.will(script);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_response_too_large");
        assert_eq!(app.upstream.left_early(), 1);
        app.finish().await;
    }
}

/// A stream that fails before its first event is an error like any other.
async fn assert_is_error(app: TestApp, dialect: Dialect, code: &str) {
    let answer = app.post(path(dialect), ask(dialect, true)).send().await;
    answer.assert_error(dialect.family(), 502, code);
    assert_eq!(app.only_settlement().await.outcome, Outcome::Failure);
    app.finish().await;
}

/// A stream that begins well and then breaks off has to end like this.
async fn assert_ends_with_error(app: TestApp, dialect: Dialect, begun: &str, code: &str) {
    let answer = app.post(path(dialect), ask(dialect, true)).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.whole, "the framing ends properly");
    let text = answer.text();
    let error = text
        .strip_prefix(begun)
        .unwrap_or_else(|| panic!("{text:?}"));
    assert_eq!(error.matches("data: ").count(), 1, "{error:?}");
    assert_eq!(code_of(&answer.last_event(), dialect.family()), code);
    let settled = app.only_settlement().await;
    assert_eq!(settled.outcome, Outcome::Failure);
    assert!(settled.usage.total() > 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_ends_with_whole_events_and_one_error_event() {
    for dialect in DIALECTS {
        for in_an_event in [false, true] {
            let app = TestApp::start().await;
            let events = events(dialect, false);
            let begun = events[..3].concat();
            let torn = if in_an_event { &events[3][..30] } else { "" };
            app.upstream
                .will([stream_head(), chunk(format!("{begun}{torn}")), Step::HangUp]);
            assert_ends_with_error(app, dialect, &begun, "upstream_unreachable").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_the_model_has_stopped_ends_with_one_error_event() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let begun = events(dialect, false)[..3].concat();
        app.upstream.will(stream(&begun));
        assert_ends_with_error(app, dialect, &begun, "upstream_unreachable").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_only_lacks_its_terminator_is_complete_and_given_one() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let events = events(dialect, false);
        app.upstream
            .will(stream(events[..events.len() - 1].concat()));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!(
            answer.text(),
            events.concat().replace(&openai_usage_event(), "")
        );
        assert_eq!(app.only_settlement().await.outcome, Outcome::Success);
        app.finish().await;
    }
}

const COMMENTS: &str = ": working\n\n: still\n\ndata:\n\n";

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_after_comments_never_began() {
    for dialect in DIALECTS {
        for says_more in [false, true] {
            let app = TestApp::builder().attempts(2).start().await;
            let pause = Step::Pause(Duration::from_millis(1_900));
            app.upstream
                .will([stream_head(), chunk(COMMENTS), pause, Step::HangUp]);
            let text = format!("{COMMENTS}{}", events(dialect, false).concat());
            match says_more {
                true => app.upstream.will(stream(&text)),
                false => app.upstream.will(stream(COMMENTS)),
            }
            let answer = app.post(path(dialect), ask(dialect, true)).send().await;
            match says_more {
                true => assert_eq!(answer.text(), text.replace(&openai_usage_event(), "")),
                false => answer.assert_error(dialect.family(), 502, "upstream_unreachable"),
            }
            assert_eq!(app.upstream.requests(), 2);
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn comments_of_a_stream_that_takes_long_to_begin_are_passed_on_meanwhile() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let pause = || Step::Pause(Duration::from_secs(20));
        let begun = format!(
            "{COMMENTS}{COMMENTS}{}",
            events(dialect, false)[..3].concat()
        );
        let rest = &begun[2 * COMMENTS.len()..];
        app.upstream.will([
            stream_head(),
            chunk(COMMENTS),
            pause(),
            chunk(COMMENTS),
            pause(),
            chunk(rest),
            Step::HangUp,
        ]);
        let asked = tokio::time::Instant::now();
        let mut open = app.post(path(dialect), ask(dialect, true)).open().await;
        let first = open.next().await.unwrap();
        assert_eq!(
            (open.response.status().as_u16(), &first[..]),
            (200, COMMENTS.as_bytes())
        );
        assert_eq!(asked.elapsed().as_secs(), 2);
        let answer = open.rest().await;
        let told = answer.text();
        let told = told.strip_prefix(&begun[COMMENTS.len()..]).unwrap();
        assert_eq!(told.matches("data: ").count(), 1, "{told}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn comments_that_were_held_back_come_before_what_they_were_held_for() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let text = events(dialect, false).concat();
        app.upstream.will([
            stream_head(),
            chunk(COMMENTS),
            Step::Pause(Duration::from_millis(500)),
            chunk(&text),
            last_chunk(),
        ]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        let told = format!("{COMMENTS}{text}").replace(&openai_usage_event(), "");
        assert_eq!(answer.text(), told);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_thousand_comments_are_held_back() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let many = ": working\n\n".repeat(6_000);
        app.upstream.will([
            stream_head(),
            chunk(&many),
            Step::Pause(Duration::from_secs(20)),
            Step::HangUp,
        ]);
        let asked = tokio::time::Instant::now();
        let mut open = app.post(path(dialect), ask(dialect, true)).open().await;
        let first = open.next().await.unwrap();
        assert!(many.as_bytes().starts_with(&first));
        assert_eq!(asked.elapsed().as_secs(), 0);
        drop(open);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_garbage_is_502() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        app.upstream
            .will(stream([0xff, 0x00, b'{', b'\n', 0xfe, b'a']));
        assert_is_error(app, dialect, "upstream_unreachable").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_event_is_given_up() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let piece = "data: ".to_owned() + &"x".repeat(50_000);
        let mut script = vec![stream_head()];
        script.extend(std::iter::repeat_n(chunk(piece), 200));
        script.push(last_chunk());
        app.upstream.will(script);
        assert_is_error(app, dialect, "upstream_invalid_response").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_own_error_event_is_passed_on_as_it_is_and_ends_the_stream() {
    for dialect in DIALECTS {
        for hangs_up in [false, true] {
            let app = TestApp::start().await;
            let begun = events(dialect, false)[..4].concat();
            let error = match dialect.family() {
                Family::OpenAi => {
                    "data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\"}}\n\n"
                }
                _ => {
                    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
                }
            };
            let text = format!("{begun}{error}");
            let end = if hangs_up { Step::HangUp } else { last_chunk() };
            app.upstream.will([stream_head(), chunk(&text), end]);
            let answer = app.post(path(dialect), ask(dialect, true)).send().await;
            assert_eq!(answer.text(), text);
            assert!(answer.whole);
            let settled = app.only_settlement().await;
            assert_eq!(settled.outcome, Outcome::Failure);
            assert!(settled.usage.total() > 0);
            let log = app.finish().await;
            assert!(log.contains("\"error_code\":\"upstream_error\""), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_the_words_of_another_api_or_without_a_word_is_502_and_another_target_may_be_asked()
 {
    let [openai, anthropic] = DIALECTS.map(|dialect| events(dialect, false).concat());
    for (dialect, text, told) in [
        (Dialect::OpenAiChat, &*anthropic, "`anthropic_messages`"),
        (Dialect::AnthropicMessages, &*openai, "`openai_chat`"),
        (Dialect::OpenAiChat, "data: [DONE]\n\n", "without one"),
    ] {
        // A comment goes before, and is no word.
        let text = format!(": wait\n\n{text}");
        let app = TestApp::start().await;
        app.upstream.will(stream(&text));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
        assert!(answer.text().contains(told), "{}", answer.text());
        let settled = app.only_settlement().await;
        assert_eq!(settled.outcome, Outcome::Failure);
        assert!(settled.usage.estimated);
        app.finish().await;
        let app = TestApp::builder().attempts(2).start().await;
        app.upstream.will(stream(&text));
        app.upstream.will(stream(events(dialect, false).concat()));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!((answer.status, app.upstream.requests()), (200, 2));
        app.finish().await;
    }
}
