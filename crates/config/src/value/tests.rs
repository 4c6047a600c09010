//! What the kinds of values accept, and how they are written back.

use super::*;

fn canonical<T: Text>(text: &str) -> String {
    T::parse(text).map_or_else(|refusal| format!("{refusal:?}"), |value| value.to_string())
}

#[test]
fn durations_are_read_with_any_unit_and_written_with_the_largest_exact_one() {
    for (written, shown) in [
        ("500ms", "500ms"),
        ("5s", "5s"),
        ("10 minutes", "10m"),
        ("1h 30m", "90m"),
        ("1.5s", "1500ms"),
        ("90d", "90d"),
        ("120 s", "2m"),
        ("1m30s", "90s"),
    ] {
        assert_eq!(canonical::<Duration>(written), shown, "{written}");
    }
    for wrong in [
        "",
        "5",
        "s",
        "5 parsecs",
        "-5s",
        "5s!",
        "1..5s",
        "5s and more",
        "∞s",
    ] {
        assert_eq!(Duration::parse(wrong), Err(Refusal::Unlike), "{wrong}");
    }
    assert!(canonical::<Duration>("0s").contains("above zero"));
    assert!(canonical::<Duration>("99999999999999999999 days").contains("ten years"));
}

#[test]
fn sizes_know_powers_of_ten_and_of_two() {
    for (written, bytes, shown) in [
        ("10MB", 10_000_000, "10MB"),
        ("32KiB", 32_768, "32KiB"),
        ("1.5 kb", 1_500, "1500B"),
        ("1048576", 1_048_576, "1MiB"),
        ("64 mib", 67_108_864, "64MiB"),
    ] {
        let size = ByteSize::parse(written).unwrap();
        assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown));
    }
    for wrong in ["", "MB", "10 apples", "-1MB"] {
        assert_eq!(ByteSize::parse(wrong), Err(Refusal::Unlike), "{wrong}");
    }
}

#[test]
fn targets_split_at_the_first_slash() {
    let target = Target::parse("openrouter/meta/llama").unwrap();
    assert_eq!(
        (target.provider.as_str(), target.model.as_str()),
        ("openrouter", "meta/llama")
    );
    for wrong in ["gpt-5", "/gpt-5", "openai/", "openai/gpt 5"] {
        assert_eq!(Target::parse(wrong), Err(Refusal::Unlike), "{wrong}");
    }
}

#[test]
fn urls_lose_their_last_slash_and_may_not_carry_passwords() {
    assert_eq!(
        canonical::<BaseUrl>("http://localhost:9000/v1/"),
        "http://localhost:9000/v1"
    );
    for wrong in [
        "api.openai.com",
        "ftp://host",
        "https://",
        "https:///v1",
        "not a url",
    ] {
        assert_eq!(BaseUrl::parse(wrong), Err(Refusal::Unlike), "{wrong}");
    }
    assert!(canonical::<BaseUrl>("https://me:pw@host/v1").contains("without user"));
    assert!(
        BaseUrl::parse("http://127.0.0.1:1/v1")
            .unwrap()
            .is_private()
    );
    assert!(BaseUrl::parse("http://[::1]:1").unwrap().is_private());
    assert!(!BaseUrl::parse("http://example.com").unwrap().is_private());
}

#[test]
fn state_is_in_a_file_in_memory_or_in_a_server_whose_password_is_not_shown() {
    assert_eq!(
        canonical::<StorageUrl>("sqlite:/var/lib/x.db"),
        "sqlite:/var/lib/x.db"
    );
    assert_eq!(canonical::<StorageUrl>("sqlite://x.db"), "sqlite:x.db");
    assert_eq!(canonical::<StorageUrl>("memory:"), "memory:");
    assert_eq!(
        canonical::<StorageUrl>("postgres://u:p@h/d"),
        "postgres://u:[redacted]@h/d"
    );
    assert_eq!(
        canonical::<SharedStateUrl>("redis://:pw@h/1"),
        "redis://:[redacted]@h/1"
    );
    assert_eq!(StorageUrl::parse("x.db"), Err(Refusal::Unlike));
}

#[test]
fn networks_are_addresses_that_begin_alike() {
    assert_eq!(canonical::<Network>("10.0.0.0/8"), "10.0.0.0/8");
    assert_eq!(canonical::<Network>("192.0.2.1"), "192.0.2.1/32");
    assert_eq!(canonical::<Network>("0.0.0.0/0"), "0.0.0.0/0");
    assert_eq!(canonical::<Network>("fd00::/8"), "fd00::/8");
    assert!(canonical::<Network>("10.1.0.0/8").contains("10.0.0.0"));
    for wrong in [
        "",
        "10.0.0",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/999",
        "host/8",
    ] {
        assert_eq!(Network::parse(wrong), Err(Refusal::Unlike), "{wrong}");
    }
    assert!(canonical::<Network>("10.0.0.0/33").contains("at most 32"));
    let network = Network::parse("172.16.0.0/12").unwrap();
    let contains = |address: &str| network.contains(address.parse().unwrap());
    assert!(contains("172.31.255.255") && contains("::ffff:172.16.0.1"));
    assert!(!contains("172.32.0.0") && !contains("::1"));
    let all = Network::parse("::/0").unwrap();
    assert!(all.contains("2001:db8::1".parse().unwrap()));
}
