//! Frames as written by others, by us, and by nobody in their right mind.

use super::*;

/// A frame from the description of the format: no headers, no payload.
const EMPTY: [u8; 16] = [
    0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
];

fn events(bytes: &[u8], chunk: usize) -> Result<Vec<Event>, FramingError> {
    let mut splitter = Splitter::new(1_000);
    let mut events = Vec::new();
    for chunk in bytes.chunks(chunk) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = splitter.next_event()? {
            events.push(event);
        }
    }
    while let Some(event) = splitter.finish()? {
        events.push(event);
    }
    Ok(events)
}

#[test]
fn the_smallest_frame_is_an_event_without_a_name() {
    let events = events(&EMPTY, 5).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].name(), events[0].data()),
        (&b""[..], Some(&b""[..]))
    );
}

#[test]
fn what_is_written_is_read_in_whatever_pieces_it_comes() {
    let mut stream = Vec::new();
    write(Kind::Event, "messageStart", b"{}", &mut stream);
    write(
        Kind::Exception,
        "throttlingException",
        br#"{"message":"m"}"#,
        &mut stream,
    );
    for chunk in 1..=stream.len() {
        let events = events(&stream, chunk).unwrap();
        let seen: Vec<_> = events
            .iter()
            .map(|e| (e.name(), e.data().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [
                (&b"messageStart"[..], &b"{}"[..]),
                (b"throttlingException", br#"{"message":"m"}"#),
            ]
        );
        let raw: Vec<u8> = events
            .iter()
            .flat_map(|event| event.raw().to_vec())
            .collect();
        assert_eq!(raw, stream);
    }
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let mut stream = Vec::new();
    write(Kind::Event, "metadata", br#"{"usage":{}}"#, &mut stream);
    for at in 0..stream.len() {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x10;
        assert!(events(&damaged, damaged.len()).is_err(), "byte {at}");
    }
}

#[test]
fn headers_of_every_type_are_passed_over_and_an_error_tells_its_sentence() {
    let mut headers = Vec::new();
    for (kind, value) in [
        (0_u8, &[][..]),
        (1, &[]),
        (2, &[1]),
        (3, &[1, 2]),
        (4, &[1, 2, 3, 4]),
        (5, &[0; 8]),
        (6, &[0, 2, 9, 9]),
        (8, &[0; 8]),
        (9, &[0; 16]),
    ] {
        headers.extend_from_slice(&[1, b'x', kind]);
        headers.extend_from_slice(value);
    }
    header(":error-code", "InternalFailure", &mut headers);
    header(":error-message", "broken", &mut headers);
    let events = events(&framed(&headers), 7).unwrap();
    assert_eq!(events[0].name(), b"InternalFailure");
    assert_eq!(events[0].data(), Some(&b"broken"[..]));
}

#[test]
fn impossible_lengths_are_refused_at_once() {
    for headers in [&[5, b'a'][..], &[1, b'a', 99], &[1, b'a', 7, 0xff, 0xff]] {
        assert_eq!(
            events(&framed(headers), 64),
            Err(corrupt("headers of a frame"))
        );
    }
    let mut large = EMPTY;
    large[2] = 0xff;
    let checksum = crc32fast::hash(&large[..8]).to_be_bytes();
    large[8..12].copy_from_slice(&checksum);
    assert!(matches!(events(&large, 16), Err(FramingError::TooLarge(_))));
    let mut small = EMPTY;
    small[3] = 0x0f;
    let checksum = crc32fast::hash(&small[..8]).to_be_bytes();
    small[8..12].copy_from_slice(&checksum);
    assert!(matches!(
        events(&small, 16),
        Err(FramingError::Corrupt { .. })
    ));
}

/// A frame with these headers and checksums that are right.
fn framed(headers: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&saturated(16 + headers.len()).to_be_bytes());
    frame.extend_from_slice(&saturated(headers.len()).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}
