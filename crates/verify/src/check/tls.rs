//! TLS: versions, certificate, and what happens without it.

use jiff::Timestamp;
use x509_parser::parse_x509_certificate;

use super::rows::Row;
use super::{Kind, Need};
use crate::evidence::{Action, Observed};
use crate::http::{Base, Inspection, OldVersion, Request, speaks};
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::session::{Session, Started};

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "tls.certificate-valid",
        needs: &[Need::Network],
        kind: Kind::Live,
        how: "The certificate of a handshake: chain, name, and the days that are left.",
        probe: |s| Box::pin(certificate(s)),
    },
    Row {
        id: "tls.min-version",
        needs: &[Need::Network],
        kind: Kind::Live,
        how: "A handshake with the newest version, and greetings in TLS 1.0 and 1.1 that must be refused.",
        probe: |s| Box::pin(versions(s)),
    },
    Row {
        id: "tls.hsts",
        needs: &[Need::Network],
        kind: Kind::Live,
        how: "The header Strict-Transport-Security: a year or more, with subdomains.",
        probe: |s| Box::pin(hsts(s)),
    },
    Row {
        id: "tls.http-redirect",
        needs: &[Need::Network],
        kind: Kind::Live,
        how: "GET over plain HTTP, on port 80 or where --plain-url says: a redirect to the same path over TLS.",
        probe: |s| Box::pin(redirect(s)),
    },
    Row {
        id: "tls.enforced",
        needs: &[Need::Network],
        kind: Kind::Live,
        how: "GET over plain HTTP, on the port of TLS and on port 80 or where --plain-url says: no content.",
        probe: |s| Box::pin(enforced(s)),
    },
];

/// What the handshake showed; a server that is reached without TLS shows nothing.
fn shown<'a>(s: &Session<'a>) -> Result<&'a Inspection, Stop> {
    match &s.facts().tls {
        Some(seen) => Ok(seen),
        None => not_verified(format!("an https URL; this run reached {}", s.base().url())),
    }
}

async fn certificate(s: &Session<'_>) -> Probed {
    let seen = shown(s)?;
    let started = Started::now();
    let (_, leaf) = parse_x509_certificate(&seen.leaf)
        .or_else(|e| fail("a certificate in X.509", e.to_string()))?;
    let ends = leaf.validity().not_after.timestamp();
    let now = Timestamp::now().as_second();
    let days = (ends - now).div_euclid(86_400);
    let until = Timestamp::from_second(ends)
        .map(|t| t.to_string())
        .unwrap_or_default();
    let subject = leaf.subject().to_string();
    let observed = Observed {
        excerpt: format!(
            "{}, {} certificates, subject {subject}, issuer {}, until {until}",
            seen.version,
            seen.chain,
            leaf.issuer()
        ),
        error: seen.trusted.clone().err(),
        ..Observed::default()
    };
    let sent = "a TLS handshake".to_owned();
    s.record(&started, Action::Raw { sent }, observed);
    let least = s.options().profile.certificate_days;
    ensure(
        days >= least,
        format!("a certificate that holds for {least} days or more"),
        format!("{days} days are left, until {until}"),
    )?;
    if let Err(why) = &seen.trusted {
        return fail(
            format!("a chain to a trusted authority, for {}", s.base().host),
            format!("{why}; no key was sent to it"),
        );
    }
    Ok(format!(
        "{subject}, {days} days left, chain of {}",
        seen.chain
    ))
}

async fn versions(s: &Session<'_>) -> Probed {
    let seen = shown(s)?;
    for version in [OldVersion::Tls10, OldVersion::Tls11] {
        let started = Started::now();
        let taken = speaks(s.base(), version, s.options().request_timeout).await?;
        let observed = Observed {
            excerpt: if taken { "accepted" } else { "refused" }.to_owned(),
            ..Observed::default()
        };
        let sent = format!("a greeting in {}", version.name());
        s.record(&started, Action::Raw { sent }, observed);
        ensure(
            !taken,
            "TLS 1.2 and newer only",
            format!("the server answers a greeting in {}", version.name()),
        )?;
    }
    Ok(format!(
        "{} was agreed on, 1.0 and 1.1 are refused",
        seen.version
    ))
}

async fn hsts(s: &Session<'_>) -> Probed {
    const YEAR: u64 = 31_536_000;
    shown(s)?;
    let answer = s.send(Request::get("/health")).await?;
    let expected = "Strict-Transport-Security with max-age of a year and includeSubDomains";
    let Some(header) = answer.header("strict-transport-security") else {
        return fail(expected, "no such header");
    };
    let lower = header.to_ascii_lowercase();
    let age = lower.split(';').find_map(|part| {
        part.trim()
            .strip_prefix("max-age=")?
            .trim_matches('"')
            .parse()
            .ok()
    });
    let holds = age.is_some_and(|age: u64| age >= YEAR) && lower.contains("includesubdomains");
    ensure(holds, expected, header)?;
    Ok(header.to_owned())
}

/// Where the server might be reached without TLS.
fn plain(s: &Session<'_>) -> Result<Base, Stop> {
    let url = match &s.options().plain_url {
        Some(url) => url.clone(),
        None => format!("http://{}", s.base().host_in_url()),
    };
    Base::parse(&url).or_else(|why| not_verified(format!("a URL without TLS: {why}")))
}

async fn redirect(s: &Session<'_>) -> Probed {
    const PATH: &str = "/health?redirect=1";
    shown(s)?;
    let base = plain(s)?;
    let there = s.of_instance(base.clone(), base.url());
    let Ok(answer) = there.send(Request::get(PATH)).await else {
        return not_verified(format!("an answer at {}, to see a redirect", base.url()));
    };
    let expected = format!("a permanent redirect to https and {PATH}");
    let place = answer.header("location").unwrap_or_default();
    let found = format!("{} {place}", answer.status());
    let secure = place.starts_with("https://") && place.ends_with(PATH);
    ensure(
        matches!(answer.status(), 301 | 308) && secure,
        expected,
        found.as_str(),
    )?;
    Ok(found)
}

async fn enforced(s: &Session<'_>) -> Probed {
    if !s.base().https {
        let answer = s.send(Request::get("/health")).await?;
        return fail(
            "TLS for everything that leaves the machine",
            format!(
                "{} answers {} in plain text",
                s.base().url(),
                answer.status()
            ),
        );
    }
    let mut same_port = s.base().clone();
    same_port.https = false;
    let mut seen = Vec::new();
    for base in [same_port, plain(s)?] {
        let there = s.of_instance(base.clone(), base.url());
        let found = match there.send(Request::get("/health")).await {
            Ok(answer) if (200..300).contains(&answer.status()) => {
                return fail(
                    "no content without TLS",
                    format!("{} answers {} in plain text", base.url(), answer.status()),
                );
            }
            Ok(answer) => format!("{} answers {}", base.url(), answer.status()),
            Err(_) => format!("{} answers nothing", base.url()),
        };
        seen.push(found);
    }
    Ok(seen.join("; "))
}
