//! How launcher and worker talk: a byte that says what comes, four that say how much, and that.

use std::io::{self, Read, Write};

/// The limits of the job, from the launcher.
pub(crate) const LIMITS: u8 = b'l';
/// The job, from the launcher.
pub(crate) const JOB: u8 = b'j';
/// The worker is locked; the names of what holds it.
pub(crate) const LOCKED: u8 = b'k';
/// The worker could not be locked; what the kernel lacks.
pub(crate) const LACKING: u8 = b'x';
/// The code wrote to its standard output.
pub(crate) const STDOUT: u8 = b'o';
/// The code wrote to its standard error.
pub(crate) const STDERR: u8 = b'e';
/// The value of the last statement.
pub(crate) const RESULT: u8 = b'r';
/// The end, and how it came.
pub(crate) const FINISHED: u8 = b'f';

/// Length of what stands before the content.
pub(crate) const HEAD: usize = 5;
/// No frame is longer: code, input and output are all bounded below it.
pub(crate) const LONGEST: usize = 64 << 20;

/// Writes a frame.
pub(crate) fn write(out: &mut impl Write, kind: u8, content: &[u8]) -> io::Result<()> {
    out.write_all(&bytes(kind, content))?;
    out.flush()
}

/// A frame as bytes.
pub(crate) fn bytes(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(HEAD + content.len());
    frame.push(kind);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

/// Reads a frame that must be of this kind.
pub(crate) fn read(from: &mut impl Read, kind: u8) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let (found, length) = parse(head);
    if found != kind || length > LONGEST {
        return Err(io::Error::other("a frame of another kind came"));
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content)?;
    Ok(content)
}

/// What a head says: the kind, and the length of the content.
pub(crate) fn parse(head: [u8; HEAD]) -> (u8, usize) {
    let [kind, a, b, c, d] = head;
    (kind, u32::from_be_bytes([a, b, c, d]) as usize)
}
