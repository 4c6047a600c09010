//! Reads a server-sent event stream that has been received in full.

/// One event: its name, if any, and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

/// The events of a stream; comments and unfinished events are left out.
pub(crate) fn events(stream: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut name = None;
    let mut data: Option<String> = None;
    for line in stream.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            if let Some(data) = data.take() {
                events.push(Event {
                    name: name.take(),
                    data,
                });
            }
            name = None;
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value.to_owned()),
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::events;

    #[test]
    fn joins_data_lines_and_skips_comments() {
        let seen = events(": ping\n\nevent: a\ndata: 1\ndata:2\n\r\ndata: [DONE]\n\n");
        let seen: Vec<_> = seen
            .iter()
            .map(|e| (e.name.as_deref(), e.data.as_str()))
            .collect();
        assert_eq!(seen, [(Some("a"), "1\n2"), (None, "[DONE]")]);
    }

    #[test]
    fn leaves_out_an_event_that_was_cut_off() {
        assert!(events("data: [DONE]").is_empty());
        assert!(events("data: [DONE]\n").is_empty());
    }
}
