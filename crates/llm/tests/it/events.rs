//! The splitter's promises that fixtures do not show.

use crate::support::events;
use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{
    sse::{EventTooLarge, Splitter},
    usage::{Seen, UsageMeter},
};

#[test]
fn an_event_within_one_frame_is_not_copied() {
    let frame = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
    let range = frame.as_ptr_range();
    let mut splitter = Splitter::new(100);
    splitter.push(frame.clone());
    for _ in 0..2 {
        let event = splitter.next_event().unwrap().unwrap();
        assert!(range.contains(&event.raw().as_ptr()));
    }
    assert_eq!(splitter.next_event(), Ok(None));
}

#[test]
fn an_event_is_complete_at_its_blank_line_and_not_before() {
    let mut splitter = Splitter::new(100);
    splitter.push(Bytes::from_static(b"data: a\n"));
    assert_eq!(splitter.next_event(), Ok(None));
    splitter.push(Bytes::from_static(b"\n"));
    assert_eq!(
        splitter.next_event().unwrap().unwrap().data(),
        Some(&b"a"[..])
    );
}

#[test]
fn fields_are_read_as_the_standard_says() {
    let stream = b"event: delta\ndata:  two\ndata\ndata:three\nid: 1\nretry: 5\nodd\n\n: note\n\n";
    let events = events([&stream[..]], 100).unwrap();
    assert_eq!(events[0].name(), b"delta");
    assert_eq!(events[0].data(), Some(&b" two\n\nthree"[..]));
    assert_eq!(events[1].name(), b"");
    assert_eq!(events[1].data(), None);
    assert_eq!(&events[1].raw()[..], b": note\n\n");
}

#[test]
fn an_endless_event_is_refused_as_soon_as_it_is_too_long() {
    let mut splitter = Splitter::new(10);
    splitter.push(Bytes::from_static(b"data: 6789"));
    assert_eq!(splitter.next_event(), Ok(None));
    splitter.push(Bytes::from_static(b"0"));
    let refusal = EventTooLarge {
        max_event_bytes: 10,
    };
    assert_eq!(splitter.next_event(), Err(refusal));
}

#[test]
fn a_large_event_in_small_frames_is_joined_in_linear_time() {
    let mut splitter = Splitter::new(64 << 20);
    let piece = Bytes::from(vec![b'x'; 256]);
    splitter.push(Bytes::from_static(b"data: "));
    for _ in 0..80_000 {
        splitter.push(piece.clone());
        assert_eq!(splitter.next_event(), Ok(None));
    }
    splitter.push(Bytes::from_static(b"\n\n"));
    let event = splitter.next_event().unwrap().unwrap();
    assert_eq!(event.data().unwrap().len(), 80_000 * 256);
}

#[test]
fn text_that_speaks_of_usage_and_errors_is_only_text() {
    let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"{\"usage\":{\"prompt_tokens\":9},\"error\":{}}"}}],"usage":null}

"#;
    let mut meter = UsageMeter::new(Dialect::OpenAiChat);
    let events = events([chunk.as_bytes()], 1_000).unwrap();
    assert_eq!(meter.observe(&events[0]), Seen::Content);
    assert_eq!(meter.reported(), None);
    assert!(!meter.error_seen());
}

#[test]
fn an_aborted_stream_never_counts_as_nothing() {
    let chunk = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let output_after = |texts: &[&str]| {
        let stream: String = texts.iter().map(|text| chunk(text)).collect();
        let mut meter = UsageMeter::new(Dialect::OpenAiChat);
        for event in events([stream.as_bytes()], 1_000).unwrap() {
            meter.observe(&event);
        }
        assert!(!meter.is_complete());
        let usage = meter.usage_or_estimate(10);
        assert!(usage.estimated);
        assert_eq!(usage.input_tokens, 3);
        usage.output_tokens
    };
    assert_eq!(output_after(&[]), 0);
    assert_eq!(output_after(&["a", "b", "c"]), 3);
    assert_eq!(output_after(&["a text of twenty-four by"]), 6);
}
