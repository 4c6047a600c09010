//! Where a run takes place: the rules, the prices, the callers and when it begins.

use std::sync::Arc;

use seaworthy_core::budget::watch::Share;
use seaworthy_core::budget::{Amount, Calendar, Unit, WindowKind};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::{
    Attributes, BudgetRule, Demand, Policy, RateRule, Scope, SlotRule, Subjects,
};
use seaworthy_core::limit::{self, Period, Quota};
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Extent, KnownRates, Price};
use seaworthy_core::usage::Usage;

use super::super::random::Random;

pub(super) struct Setting {
    pub policy: Arc<Policy>,
    pub price: Price,
    pub start: UnixMillis,
}

/// Midnights and changes of the clock, in zones where they are unlike those of UTC.
const PLACES: [(&str, i64); 4] = [
    ("Europe/Berlin", 1_792_886_400_000), // 2026-10-25, summer time ends
    ("America/New_York", 1_772_953_200_000), // 2026-03-08, summer time begins
    ("Asia/Kathmandu", 1_777_572_900_000), // a month ends, UTC+05:45
    ("Australia/Lord_Howe", 1_775_314_800_000), // half an hour of summer time ends
];

pub(super) fn draw(random: &mut Random) -> Setting {
    let (zone, moment) = PLACES[random.index(PLACES.len())];
    let start = UnixMillis(moment - 3_600_000 + random.below(5_400_000) as i64);
    let (rates, budgets) = (rates(random), budgets(random));
    let slots = vec![SlotRule {
        name: "per_user".into(),
        subjects: Subjects::all(Scope::User),
        max: 2 + random.below(3),
    }];
    let price = Price::of_tokens(KnownRates {
        input: Micros(3_000_000),
        cached_read: Some(Micros(300_000)),
        cache_write_5m: Some(Micros(3_750_000)),
        output: Micros(15_000_000),
        reasoning: Some(Micros(9_000_001)),
        ..KnownRates::default()
    });
    Setting {
        policy: Arc::new(Policy {
            deployment: "main".to_owned(),
            rates,
            slots,
            budgets,
            caps: Caps::default(),
            operation_caps: Vec::new(),
            calendar: Calendar::named(zone).unwrap(),
        }),
        price,
        start,
    }
}

fn rates(random: &mut Random) -> Vec<RateRule> {
    let quota = |limit: u64, period, burst| Quota::with_burst(limit, period, burst).unwrap();
    let rate = |name: &str, scope, unit, quota| RateRule {
        name: name.into(),
        subjects: Subjects::all(scope),
        unit,
        quota,
    };
    let per_minute = 3 + random.below(6);
    vec![
        rate(
            "per_user",
            Scope::User,
            limit::Unit::Requests,
            quota(per_minute, Period::Minute, per_minute + random.below(4)),
        ),
        rate(
            "global",
            Scope::Global,
            limit::Unit::Tokens,
            quota(7_000 + random.below(9_000), Period::Minute, 9_000),
        ),
    ]
}

fn budgets(random: &mut Random) -> Vec<BudgetRule> {
    let budget = |name: &str, scope, unit, window, limit| BudgetRule {
        name: name.into(),
        subjects: Subjects::all(scope),
        unit,
        window,
        limit,
        thresholds: vec![Share::EIGHTY_PERCENT, Share::NINETY_FIVE_PERCENT],
    };
    vec![
        budget(
            "per_user",
            Scope::User,
            Unit::Micros,
            WindowKind::Day,
            30_000 + random.below(60_000),
        ),
        budget(
            "per_team",
            Scope::Team,
            Unit::Tokens,
            WindowKind::Hour,
            10_000 + random.below(30_000),
        ),
        budget(
            "global",
            Scope::Global,
            Unit::Micros,
            WindowKind::Month,
            90_000 + random.below(200_000),
        ),
        budget(
            "per_agent",
            Scope::Agent,
            Unit::Tokens,
            WindowKind::Day,
            20_000 + random.below(30_000),
        ),
        budget(
            "per_session",
            Scope::Session,
            Unit::Micros,
            WindowKind::Day,
            20_000 + random.below(40_000),
        ),
    ]
}

/// Who is calling. Agents and sessions come into being with their first call; some calls have none.
#[derive(Clone)]
pub(super) struct Names {
    user: String,
    team: &'static str,
    agent: Option<String>,
    session: Option<String>,
}

impl Names {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes {
            user: Some(&self.user),
            team: Some(self.team),
            agent: self.agent.as_deref(),
            session: self.session.as_deref(),
            ..Attributes::default()
        }
    }
}

pub(super) fn names(random: &mut Random) -> Names {
    let user = random.below(3);
    Names {
        user: format!("user-{user}"),
        team: ["red", "blue"][random.index(2)],
        agent: random
            .percent(60)
            .then(|| format!("agent-{}", random.below(2))),
        session: random
            .percent(60)
            .then(|| format!("session-{}", random.below(5))),
    }
}

/// What a call reserves, and what it is going to use. One in twenty reserves more than some budgets
/// have, and one in fifty uses more than was foreseen.
pub(super) fn call(random: &mut Random, price: &Price) -> (Demand, Usage) {
    let large = if random.percent(5) { 6_000 } else { 0 };
    let (input, output) = (100 + random.below(1_500), 50 + random.below(900) + large);
    let extent = Extent {
        max_input_tokens: input,
        max_output_tokens: output,
        writes_cache: true,
        attempts: 1,
        ..Extent::default()
    };
    let tokens = input + output;
    let demand = Demand {
        amount: Amount {
            tokens,
            cost: price::worst_case(&extent, price),
        },
        rate_tokens: tokens,
    };
    let unforeseen = if random.percent(2) { 2_000 } else { 0 };
    let output_tokens = random.below(output + 1) + unforeseen;
    let cached_read_tokens = random.below(input / 3 + 1);
    let usage = Usage {
        input_tokens: random.below(input / 3 + 1),
        cached_read_tokens,
        cache_write_5m_tokens: random.below(input / 3 + 1),
        output_tokens,
        reasoning_tokens: random.below(output_tokens + 1),
        ..Usage::default()
    };
    (demand, usage)
}
