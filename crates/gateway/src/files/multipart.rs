//! Forms with files in them, `multipart/form-data` (RFC 7578). A form is read whole: its fields are
//! slices of it.

use bytes::Bytes;
use memchr::memmem;

/// Most fields of a form.
const MAX_FIELDS: usize = 32;
/// Longest headers of a field.
const MAX_HEADERS: usize = 8 * 1024;

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) content: Bytes,
}

/// Reads a form. The error is a sentence for the caller.
pub(crate) fn parse(content_type: &str, body: &Bytes) -> Result<Vec<Field>, String> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err("Send the file as `multipart/form-data`.".to_owned());
    }
    let boundary = value(parameters, "boundary").filter(|text| (1..=70).contains(&text.len()));
    let Some(boundary) = boundary else {
        return Err("`multipart/form-data` needs a boundary of 1 to 70 characters.".to_owned());
    };
    let broken = || "The form is broken off or not framed correctly.".to_owned();
    let first = format!("--{boundary}");
    let start = memmem::find(body, first.as_bytes()).ok_or_else(broken)?;
    let mut rest = body.slice(start + first.len()..);
    let between = format!("\r\n--{boundary}");
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        if fields.len() == MAX_FIELDS {
            return Err(format!("The form has more than {MAX_FIELDS} fields."));
        }
        if !rest.starts_with(b"\r\n") {
            return Err(broken());
        }
        // The line end stays: a field without headers starts with an empty line.
        let head = &rest[..rest.len().min(MAX_HEADERS)];
        let head_end = memmem::find(head, b"\r\n\r\n").ok_or_else(broken)?;
        let headers = String::from_utf8_lossy(&rest[..head_end]).into_owned();
        let content = rest.slice(head_end + 4..);
        let end = memmem::find(&content, between.as_bytes()).ok_or_else(broken)?;
        let disposition = headers.split("\r\n").find_map(|header| {
            let (name, value) = header.split_once(':')?;
            let is_it = name.trim().eq_ignore_ascii_case("content-disposition");
            is_it.then(|| value.trim().to_owned())
        });
        let disposition = disposition.unwrap_or_default();
        let (_, parameters) = disposition.split_once(';').unwrap_or_default();
        let Some(name) = value(parameters, "name") else {
            return Err("A field of the form has no name.".to_owned());
        };
        fields.push(Field {
            name,
            filename: value(parameters, "filename"),
            content: content.slice(..end),
        });
        rest = content.slice(end + between.len()..);
    }
}

/// The value of a parameter, quoted or not.
fn value(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(|c: char| c == ';' || c.is_whitespace());
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => until_quote(quoted),
            None => {
                let (value, next) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), next)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// A quoted text without its escapes, and what follows it.
fn until_quote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            // Browsers escape quotes only; a lone backslash is part of a name.
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(characters.next().map(|(_, escaped)| escaped));
            }
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, filename: Option<&str>, content: &str) -> Field {
        Field {
            name: name.to_owned(),
            filename: filename.map(str::to_owned),
            content: Bytes::from(content.to_owned()),
        }
    }

    #[test]
    fn a_form_is_read_as_clients_write_it() {
        let body = "preamble\r\n--b--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\
                    \r\n--b--x\r\ncontent-disposition: form-data; name=file; filename=\"a \\\"b\\\".jsonl\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\nline\r\nline --b\r\n\r\n--b--x--\r\n";
        let body = Bytes::from(body);
        for content_type in [
            "multipart/form-data; boundary=b--x",
            "Multipart/Form-Data; charset=utf-8; boundary=\"b--x\"",
        ] {
            let expected = [
                field("purpose", None, "batch"),
                field("file", Some("a \"b\".jsonl"), "line\r\nline --b\r\n"),
            ];
            assert_eq!(parse(content_type, &body).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_a_form_is_refused() {
        let body =
            Bytes::from_static(b"--b\r\ncontent-disposition: form-data; name=a\r\n\r\nx\r\n--b--");
        assert_eq!(
            parse("multipart/form-data; boundary=b", &body)
                .unwrap()
                .len(),
            1
        );
        for content_type in [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
        ] {
            parse(content_type, &body).unwrap_err();
        }
        for cut in 0..body.len() - 2 {
            parse("multipart/form-data; boundary=b", &body.slice(..cut)).unwrap_err();
        }
        let nameless = Bytes::from_static(b"--b\r\n\r\nx\r\n--b--");
        parse("multipart/form-data; boundary=b", &nameless).unwrap_err();
    }
}
