//! Formats of media in the words of Bedrock, and their media types.

use seaworthy_core::call::MediaKind;

/// Format and media type; of several types for one format the first is the usual one.
const FORMATS: &[(MediaKind, &str, &str)] = &[
    (MediaKind::Image, "png", "image/png"),
    (MediaKind::Image, "jpeg", "image/jpeg"),
    (MediaKind::Image, "jpeg", "image/jpg"),
    (MediaKind::Image, "gif", "image/gif"),
    (MediaKind::Image, "webp", "image/webp"),
    (MediaKind::Audio, "mp3", "audio/mpeg"),
    (MediaKind::Audio, "mp3", "audio/mp3"),
    (MediaKind::Audio, "wav", "audio/wav"),
    (MediaKind::Audio, "wav", "audio/x-wav"),
    (MediaKind::Audio, "ogg", "audio/ogg"),
    (MediaKind::Audio, "flac", "audio/flac"),
    (MediaKind::Audio, "aac", "audio/aac"),
    (MediaKind::Document, "pdf", "application/pdf"),
    (MediaKind::Document, "csv", "text/csv"),
    (MediaKind::Document, "doc", "application/msword"),
    (
        MediaKind::Document,
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (MediaKind::Document, "xls", "application/vnd.ms-excel"),
    (
        MediaKind::Document,
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (MediaKind::Document, "html", "text/html"),
    (MediaKind::Document, "txt", "text/plain"),
    (MediaKind::Document, "md", "text/markdown"),
];

/// The media type of a format.
pub(super) fn media_type(kind: MediaKind, format: &str) -> Option<&'static str> {
    let mut formats = FORMATS.iter();
    let found = formats.find(|known| (known.0, known.1) == (kind, format));
    found.map(|known| known.2)
}

/// The format of a media type.
pub(super) fn format(kind: MediaKind, media_type: &str) -> Option<&'static str> {
    let mut formats = FORMATS.iter();
    let found = formats.find(|known| (known.0, known.2) == (kind, media_type));
    found.map(|known| known.1)
}
