//! The test vectors that AWS has published, and what makes a signature worthless.

use super::*;

const VECTORS: Credentials<'_> = Credentials {
    access_key_id: "AKIDEXAMPLE",
    secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session_token: None,
};
const AT: UnixMillis = UnixMillis(1_440_938_160_000);
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn scope(service: &str) -> Scope<'_> {
    Scope {
        region: "us-east-1",
        service,
    }
}

/// The signature of a request to the service of the published vectors.
fn vector(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut all = vec![("Host", "example.amazonaws.com")];
    all.extend(headers);
    let request = Request {
        method,
        path,
        query,
        headers: &all,
        body_sha256: EMPTY,
    };
    let signed = sign(request, VECTORS, scope("service"), AT);
    assert_eq!(signed.date, "20150830T123600Z");
    signed.authorization.rsplit_once('=').unwrap().1.to_owned()
}

#[test]
fn published_vectors_are_signed_as_published() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, Headers<'_>, &str); 7] = [
        (
            "GET",
            "/",
            &[],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/example/..",
            &[],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "//",
            &[],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "/",
            &[],
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "POST",
            "/",
            &[("My-Header1", "value1")],
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "GET",
            "/",
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\" ")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ];
    for (method, target, headers, expected) in cases {
        assert_eq!(
            vector(method, target, headers),
            expected,
            "{method} {target}"
        );
    }
}

#[test]
fn the_example_of_the_documentation_is_signed_as_documented() {
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    let request = Request {
        method: "GET",
        path: "/",
        query: "Action=ListUsers&Version=2010-05-08",
        headers: &[
            ("content-type", content_type),
            ("host", "iam.amazonaws.com"),
        ],
        body_sha256: EMPTY,
    };
    let signed = sign(request, VECTORS, scope("iam"), AT);
    assert_eq!(
        signed.authorization,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

const HEADERS: [(&str, &str); 2] = [("host", "gateway.test"), ("x-other", "1")];
const MODEL: &str = "/model/anthropic.claude%3A0/converse";

fn request(body: &str) -> Request<'_> {
    Request {
        method: "POST",
        path: MODEL,
        query: "",
        headers: &HEADERS,
        body_sha256: body,
    }
}

/// A signed request as the other side gets it: its headers and its `authorization`.
fn presented() -> (Vec<(&'static str, String)>, Presented, String) {
    let body = body_sha256(b"{}");
    let signed = sign(request(&body), VECTORS, scope("bedrock"), AT);
    let mut headers: Vec<_> = HEADERS.map(|(name, value)| (name, value.to_owned())).into();
    headers.push(("x-amz-date", signed.date.clone()));
    headers.push(("user-agent", "not signed".to_owned()));
    let presented = Presented::read(&signed.authorization).unwrap();
    (headers, presented, signed.date)
}

#[test]
fn a_signature_counts_for_what_it_was_made_for_and_nothing_else() {
    let (headers, presented, date) = presented();
    assert_eq!(presented.access_key_id, "AKIDEXAMPLE");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let body = body_sha256(b"{}");
    let good = Request {
        headers: &headers,
        ..request(&body)
    };
    let secret = VECTORS.secret_access_key;
    assert_eq!(presented.verify(good, &date, secret), Ok(()));

    let changed = [("host", "elsewhere.test"), ("x-other", "1"), headers[2]];
    let missing = [headers[0], headers[2]];
    for (bad, secret) in [
        (good, "another secret"),
        (
            Request {
                method: "GET",
                ..good
            },
            secret,
        ),
        (
            Request {
                path: "/model/other/converse",
                ..good
            },
            secret,
        ),
        (
            Request {
                query: "a=b",
                ..good
            },
            secret,
        ),
        (
            Request {
                body_sha256: EMPTY,
                ..good
            },
            secret,
        ),
        (
            Request {
                headers: &changed,
                ..good
            },
            secret,
        ),
        (
            Request {
                headers: &missing,
                ..good
            },
            secret,
        ),
    ] {
        let verdict = presented.verify(bad, &date, secret);
        assert_eq!(verdict, Err(Unsigned::Mismatch), "{bad:?}");
    }
}

#[test]
fn what_cannot_count_is_known_before_the_body_is() {
    let (_, presented, date) = presented();
    let check = |service: &str, date: &str, now| presented.check(service, date, now);
    let minutes = |n: i64| UnixMillis(AT.0 + n * 60_000);
    assert_eq!(check("bedrock", &date, minutes(4)), Ok(()));
    assert_eq!(check("bedrock", &date, minutes(-4)), Ok(()));
    assert_eq!(
        check("bedrock", &date, minutes(6)),
        Err(Unsigned::Skewed(360))
    );
    assert_eq!(
        check("bedrock", &date, minutes(-6)),
        Err(Unsigned::Skewed(-360))
    );
    assert_eq!(check("s3", &date, AT), Err(Unsigned::Service));
    for date in [
        "",
        "20150831T000000Z",
        "20150830",
        "20150830T123600",
        "yesterday",
    ] {
        assert_eq!(check("bedrock", date, AT), Err(Unsigned::Date), "{date}");
    }
}

#[test]
fn half_a_header_is_no_signature() {
    let whole = "AWS4-HMAC-SHA256 Credential=A/20150830/r/bedrock/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=aa";
    assert!(Presented::is_in(whole) && Presented::read(whole).is_ok());
    for broken in [
        whole.replace("Credential", "credential"),
        whole.replace("/aws4_request", ""),
        whole.replace(", Signature=aa", ""),
        whole.replace("SignedHeaders=host;x-amz-date, ", ""),
        whole.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        "Bearer x".to_owned(),
    ] {
        assert_eq!(
            Presented::read(&broken),
            Err(Unsigned::Incomplete),
            "{broken}"
        );
    }
    let unsigned = Presented::read(&whole.replace("host;x-amz-date", "x-amz-date")).unwrap();
    let verdict = unsigned.check("bedrock", "20150830T123600Z", AT);
    assert_eq!(verdict, Err(Unsigned::Headers));
}

#[test]
fn secrets_are_derived_from_both_the_deployment_and_the_key() {
    let secret = derived_secret("deployment", "key_a");
    assert_eq!(secret.len(), 64);
    assert_ne!(secret, derived_secret("deployment", "key_b"));
    assert_ne!(secret, derived_secret("another", "key_a"));
}
