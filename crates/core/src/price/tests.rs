//! Golden costs, worked out by hand from the providers' documentation.

use super::*;

const MILLION: u64 = 1_000_000;

fn sonnet() -> Price {
    *PriceList::built_in()
        .find("anthropic", "anthropic", "claude-sonnet-4-6")
        .unwrap()
}

#[test]
fn every_class_is_charged_at_its_own_price() {
    let price = Price {
        rates: Rates {
            input: Micros(1),
            cached_read: Micros(10),
            cache_write_5m: Micros(100),
            cache_write_1h: Micros(1_000),
            output: Micros(10_000),
            reasoning: Micros(100_000),
            audio_input: Micros(1_000_000),
            audio_output: Micros(10_000_000),
        },
        request: Micros(100_000_000),
        ..Price::default()
    };
    let usage = Usage {
        input_tokens: 3 * MILLION,
        audio_input_tokens: MILLION,
        cached_read_tokens: 3 * MILLION,
        cache_write_5m_tokens: 4 * MILLION,
        cache_write_1h_tokens: 5 * MILLION,
        output_tokens: 21 * MILLION,
        reasoning_tokens: 7 * MILLION,
        audio_output_tokens: 8 * MILLION,
        estimated: false,
    };
    assert_eq!(cost(&usage, &price), Micros(181_765_432));
}

#[test]
fn cache_writes_are_not_counted_twice() {
    // 21 tokens of input, 3,000 written for five minutes, 12,000 read, 400 generated:
    // 63 + 11,250 + 3,600 + 6,000 micro-dollars.
    let usage = Usage {
        input_tokens: 21,
        cached_read_tokens: 12_000,
        cache_write_5m_tokens: 3_000,
        output_tokens: 400,
        ..Usage::default()
    };
    assert_eq!(cost(&usage, &sonnet()), Micros(20_913));
}

#[test]
fn a_sum_is_rounded_up_once_and_not_class_by_class() {
    let third = Price::of_tokens(KnownRates {
        input: Micros(400_000),
        output: Micros(400_000),
        ..KnownRates::default()
    });
    let usage = |input_tokens, output_tokens| Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    };
    assert_eq!(cost(&usage(1, 0), &third), Micros(1));
    assert_eq!(cost(&usage(1, 1), &third), Micros(1));
    assert_eq!(cost(&usage(2, 1), &third), Micros(2));
    assert_eq!(cost(&usage(0, 0), &third), Micros(0));
}

#[test]
fn a_long_call_is_dearer_as_a_whole() {
    let list = PriceList::built_in();
    let gemini = list.find("g", "gemini", "models/gemini-2.5-pro").unwrap();
    let usage = |cached_read_tokens| Usage {
        input_tokens: 100_000,
        cached_read_tokens,
        output_tokens: 1_000,
        ..Usage::default()
    };
    assert_eq!(
        cost(&usage(100_000), gemini),
        Micros(125_000 + 12_500 + 10_000)
    );
    assert_eq!(
        cost(&usage(100_001), gemini),
        Micros(250_000 + 25_001 + 15_000)
    );
}

#[test]
fn absurd_counts_saturate() {
    let usage = Usage {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
        ..Usage::default()
    };
    assert_eq!(
        cost(
            &usage,
            &Price::of_tokens(KnownRates {
                input: Micros::MAX,
                output: Micros::MAX,
                ..KnownRates::default()
            })
        ),
        Micros::MAX
    );
}

proptest::proptest! {
    /// Whatever a call turns out to be within its extent, it was reserved.
    #[test]
    fn the_worst_case_covers_every_case(
        classes in proptest::array::uniform4(0_u64..150_000),
        output in 0_u64..100_000,
        reasoning in 0_u64..100_000,
        (audio_input, audio_output) in (0_u64..100_000, 0_u64..100_000),
        attempts in 1_u64..4,
    ) {
        let usage = Usage {
            input_tokens: classes[0],
            cached_read_tokens: classes[1],
            cache_write_5m_tokens: classes[2],
            cache_write_1h_tokens: classes[3],
            output_tokens: output,
            reasoning_tokens: reasoning,
            audio_input_tokens: audio_input,
            audio_output_tokens: audio_output,
            estimated: false,
        };
        let extent = Extent {
            max_input_tokens: usage.total_input(),
            max_output_tokens: output,
            writes_cache: classes[2] + classes[3] > 0,
            has_audio: audio_input + audio_output > 0,
            attempts,
            extras: Extras::default(),
        };
        let list = PriceList::built_in();
        for (kind, model) in [
            ("anthropic", "claude-sonnet-4-5"),
            ("openai", "gpt-audio"),
            ("gemini", "gemini-2.5-flash"),
            ("cohere", "rerank-v3.5"),
        ] {
            let price = list.find("x", kind, model).unwrap();
            let spent = cost(&usage, price).times(attempts);
            proptest::prop_assert!(worst_case(&extent, price) >= spent);
        }
    }
}

#[test]
fn the_worst_case_counts_attempts_images_and_tools() {
    let price = Price {
        image: Micros(40),
        tool_call: Micros(7),
        ..Price::default()
    };
    let extent = Extent {
        extras: Extras {
            images: 2,
            tool_calls: 3,
        },
        attempts: 2,
        ..Extent::default()
    };
    assert_eq!(worst_case(&extent, &price), Micros(2 * (80 + 21)));
}

#[test]
fn dated_versions_cost_what_their_model_costs() {
    let list = PriceList::built_in();
    for (kind, dated, model) in [
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("openai", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai", "gpt-5.2-chat-latest", "gpt-5.2-chat"),
        ("openai", "gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4-5",
        ),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic", "claude-3-5-haiku@20241022", "claude-3-5-haiku"),
        ("gemini", "models/gemini-2.0-flash-001", "gemini-2.0-flash"),
        (
            "bedrock",
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5",
        ),
        (
            "bedrock",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "global.anthropic.claude-sonnet-4-5",
        ),
        ("bedrock", "us.amazon.nova-pro-v1:0", "amazon.nova-pro"),
        ("bedrock", "us.deepseek.r1-v1:0", "deepseek.r1"),
        ("echo", "anything", "echo"),
    ] {
        let found = list.find("x", kind, dated);
        assert!(found.is_some(), "{dated}");
        assert_eq!(found, list.find("x", kind, model), "{dated}");
    }
}

#[test]
fn a_model_that_only_begins_like_a_known_one_has_no_price() {
    let list = PriceList::built_in();
    for (kind, model) in [
        ("openai", "gpt-5-ultra"),
        ("openai", "gpt-5-2"),
        ("openai", "gpt"),
        ("anthropic", "claude-opus-4-99"),
        ("bedrock", "anthropic.claude-opus-9-v1:0"),
        ("openai-compatible", "gpt-5"),
        ("openai", "gpt-5-\u{e9}\u{e9}\u{e9}-08-07"),
        ("openai", ""),
    ] {
        assert_eq!(list.find("x", kind, model), None, "{model}");
    }
    let global = list.find("x", "bedrock", "global.anthropic.claude-haiku-4-5");
    let regional = list.find("x", "bedrock", "us.anthropic.claude-haiku-4-5");
    assert_ne!(global, regional);
}

#[test]
fn the_configuration_has_the_last_word() {
    let mut list = PriceList::built_in();
    let flat = |micros| {
        Price::of_tokens(KnownRates {
            input: Micros(micros),
            ..KnownRates::default()
        })
    };
    list.set("openai/gpt-5", flat(1));
    list.set("local/*", flat(2));
    list.set("local/big-*", flat(3));
    let input = |provider, kind, model| {
        let price = list.find(provider, kind, model);
        price.map(|price| price.rates.input)
    };
    assert_eq!(input("openai", "openai", "gpt-5"), Some(Micros(1)));
    assert_eq!(input("azure", "openai", "gpt-5"), Some(Micros(1_250_000)));
    let local = |model| input("local", "openai-compatible", model);
    assert_eq!(local("small"), Some(Micros(2)));
    assert_eq!(local("big-one"), Some(Micros(3)));
}

#[test]
fn the_built_in_list_is_dated_and_says_where_it_comes_from() {
    let list = PriceList::built_in();
    let kinds: Vec<_> = list.sources().iter().map(|s| s.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["echo", "openai", "anthropic", "gemini", "cohere", "bedrock"]
    );
    for source in list.sources() {
        assert!(source.as_of.parse::<jiff::civil::Date>().is_ok());
        assert!(source.source.len() > 10, "{}", source.kind);
    }
}

#[test]
fn cache_prices_of_anthropic_are_its_multiples_of_the_input_price() {
    let list = PriceList::built_in();
    for model in ["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"] {
        let price = list.find("x", "anthropic", model).unwrap();
        let mut sets = vec![price.rates];
        sets.extend(price.long.map(|(_, rates)| rates));
        for rates in sets {
            assert_eq!(rates.cached_read.times(10), rates.input, "{model}");
            assert_eq!(
                rates.cache_write_5m.times(4),
                rates.input.times(5),
                "{model}"
            );
            assert_eq!(rates.cache_write_1h, rates.input.times(2), "{model}");
        }
    }
}

#[test]
fn a_list_that_cannot_be_trusted_is_refused() {
    let list = |model: &str| {
        format!("[[provider]]\nkind='k'\nas_of='2026-01-01'\nsource='s'\nmodels=[{model}]")
    };
    for (model, message) in [
        ("{id='m', input='1'}", "k/m: output is missing"),
        (
            "{id='m', input=1, output='1'}",
            "k/m: input: expected dollars as a text",
        ),
        (
            "{id='m', input='x', output='1'}",
            "k/m: input: expected dollars such as",
        ),
        (
            "{id='m', input='1', output='1', cached='1'}",
            "k/m: unknown key cached",
        ),
        (
            "{id='m', input='1', output='1', long={input='1', output='1'}}",
            "k/m: expected long",
        ),
    ] {
        let error = PriceList::read(&list(model)).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert!(PriceList::read("x = 1").is_err());
    assert!(PriceList::read("[[provider]]\nkind = 'k'").is_err());
}

#[test]
fn an_unknown_price_endangers_no_budget() {
    let flat = UnknownPrice::ReserveFlat(Micros(5));
    assert_eq!(UnknownPrice::default().decide(true), Unpriced::Refused);
    let free = Unpriced::Flagged(Micros::ZERO);
    assert_eq!(UnknownPrice::Deny.decide(false), free);
    assert_eq!(UnknownPrice::AllowFlagged.decide(true), free);
    assert_eq!(flat.decide(true), Unpriced::Flagged(Micros(5)));
}
