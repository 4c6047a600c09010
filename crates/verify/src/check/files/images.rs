//! Whether the name of an image stands for one image, or for another one next week.

/// Tags that move.
const MOVING: [&str; 14] = [
    "latest", "main", "master", "trunk", "develop", "dev", "edge", "nightly", "stable", "canary",
    "rolling", "snapshot", "mainline", "unstable",
];

/// Releases of distributions that have a name in place of a number.
const RELEASES: [&str; 7] = [
    "buster", "bullseye", "bookworm", "trixie", "focal", "jammy", "noble",
];

/// Whether an image is named by a digest, or by a tag that says a version.
pub(super) fn is_pinned(image: &str) -> bool {
    if let Some((_, digest)) = image.split_once('@') {
        let hash = digest.strip_prefix("sha256:").unwrap_or_default();
        return hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let Some((name, tag)) = last.split_once(':') else {
        return false;
    };
    // Only who starts it knows what stands for a variable.
    if tag.contains('$') {
        return true;
    }
    let tag = tag.to_ascii_lowercase();
    let words = || tag.split(['-', '.', '_']);
    let has_number = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    let moves = MOVING.contains(&tag.as_str());
    !tag.is_empty()
        && !moves
        && (has_number(&tag) || words().any(|w| RELEASES.contains(&w)) || has_number(name))
}

#[cfg(test)]
mod tests {
    use super::is_pinned;

    #[test]
    fn a_version_is_told_from_a_tag_that_moves() {
        let digest = format!("a/b@sha256:{}", "0a".repeat(32));
        for image in [
            digest.as_str(),
            "postgres:17.2",
            "debian:bookworm-slim",
            "registry:5000/a/b:v1",
            "gcr.io/distroless/static-debian12:nonroot",
            "agent:main-0a1b2c3",
            "agent:${TAG:?name a version}",
        ] {
            assert!(is_pinned(image), "{image}");
        }
        for image in [
            "postgres",
            "postgres:latest",
            "postgres:LATEST",
            "gcr.io/distroless/static-debian12:latest",
            "postgres:alpine",
            "registry:5000/a/b",
            "agent:stable",
            "agent@sha256:latest",
            "agent:",
        ] {
            assert!(!is_pinned(image), "{image}");
        }
    }
}
