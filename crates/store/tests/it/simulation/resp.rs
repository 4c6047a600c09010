//! The protocol of Redis, as far as it is spoken here.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Nil,
    Number(i64),
    Text(String),
    Done,
    Error(String),
    Several(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self::Several(texts.into_iter().map(Self::Text).collect())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let line = match self {
            Self::Nil => "$-1\r\n".to_owned(),
            Self::Number(number) => format!(":{number}\r\n"),
            Self::Text(text) => format!("${}\r\n{text}\r\n", text.len()),
            Self::Done => "+OK\r\n".to_owned(),
            Self::Error(text) => format!("-{text}\r\n"),
            Self::Several(replies) => format!("*{}\r\n", replies.len()),
        };
        out.extend_from_slice(line.as_bytes());
        if let Self::Several(replies) = self {
            replies.iter().for_each(|reply| reply.encode(out));
        }
    }
}

/// The words of the next command; `None` where there will be none any more.
pub(super) async fn command(from: &mut (impl AsyncBufRead + Unpin)) -> Option<Vec<String>> {
    let count = number(from, '*').await?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(from, '$').await?;
        let mut word = vec![0; length + 2];
        from.read_exact(&mut word).await.ok()?;
        word.truncate(length);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

async fn number(from: &mut (impl AsyncBufRead + Unpin), kind: char) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}
