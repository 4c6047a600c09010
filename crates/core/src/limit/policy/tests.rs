//! Who is counted under which rule.

use super::*;
use crate::limit::Period;
use crate::money::Micros;

fn policy() -> Arc<Policy> {
    let rate = |name: &str, scope, unit| RateRule {
        name: name.into(),
        subjects: Subjects::all(scope),
        unit,
        quota: Quota::new(100, Period::Minute).unwrap(),
    };
    let budget = |name: &str, subjects, unit, window| BudgetRule {
        name: name.into(),
        subjects,
        unit,
        window,
        limit: 1_000,
        thresholds: vec![Share::EIGHTY_PERCENT],
    };
    Arc::new(Policy {
        deployment: "main".to_owned(),
        rates: vec![
            rate("global", Scope::Global, Unit::Requests),
            rate("per_user", Scope::User, Unit::Tokens),
            rate("per_agent", Scope::Agent, Unit::Requests),
        ],
        slots: vec![SlotRule {
            name: "per_ip".into(),
            subjects: Subjects::all(Scope::Ip),
            max: 3,
        }],
        budgets: vec![
            budget(
                "day",
                Subjects::all(Scope::User),
                budget::Unit::Tokens,
                WindowKind::Day,
            ),
            budget(
                "research",
                Subjects {
                    scope: Scope::Team,
                    only: vec!["research".to_owned()],
                },
                budget::Unit::Micros,
                WindowKind::Total,
            ),
        ],
        caps: Caps {
            max_output_tokens: Some(4_000),
            ..Caps::default()
        },
        operation_caps: vec![(
            "simple".to_owned(),
            Caps {
                max_total_tokens: Some(5_000),
                ..Caps::default()
            },
        )],
        calendar: Calendar::utc(),
    })
}

#[test]
fn a_claim_names_every_rule_that_applies_and_no_other() {
    let bound = policy().bind(&Attributes {
        user: Some("alice"),
        ip: Some("10.0.0.1"),
        team: Some("sales"),
        ..Attributes::default()
    });
    let demand = Demand {
        amount: Amount {
            tokens: 70,
            cost: Micros(9),
        },
        rate_tokens: 50,
    };
    let at = UnixMillis(1_790_000_000_000);
    let claim = bound.claim("call".into(), at, at, demand);
    let rates: Vec<_> = claim
        .rates
        .iter()
        .map(|r| (r.key.as_str(), r.cost))
        .collect();
    assert_eq!(
        rates,
        [
            ("sw:{main}:rate:global:all", 1),
            ("sw:{main}:rate:per_user:alice", 50)
        ]
    );
    assert_eq!(
        claim.slots[0].key.as_str(),
        "sw:{main}:slot:per_ip:10.0.0.1"
    );
    assert_eq!(claim.budgets.len(), 1);
    assert_eq!(claim.budgets[0].key.as_str(), "sw:{main}:budget:day:alice");
    assert_eq!(claim.budgets[0].amount, 70);
    assert!(claim.budgets[0].window.contains(at));
    assert!(!bound.draws_on_money());
}

#[test]
fn a_class_of_work_is_counted_beside_its_operation() {
    let only = |class: &str| RateRule {
        name: class.into(),
        subjects: Subjects {
            scope: Scope::Operation,
            only: vec![class.to_owned()],
        },
        unit: Unit::Requests,
        quota: Quota::new(1, Period::Minute).unwrap(),
    };
    let policy = Arc::new(Policy {
        rates: vec![only("chat"), only("research")],
        operation_caps: vec![("lookup".to_owned(), Caps::default())],
        ..Policy::default()
    });
    let bound = |operation, class| {
        let attributes = Attributes {
            operation: Some(operation),
            class,
            ..Attributes::default()
        };
        let bound = policy.bind(&attributes);
        let rules = bound.rates().map(|(rule, _)| rule.name.to_string());
        rules.collect::<Vec<_>>()
    };
    assert_eq!(bound("chat", None), ["chat"]);
    assert_eq!(bound("chat", Some("research")), ["chat", "research"]);
    assert_eq!(bound("embeddings", Some("research")), ["research"]);
    assert_eq!(bound("chat", Some("chat")), ["chat"]);
    let classes: Vec<_> = policy.classes().collect();
    assert_eq!(classes, ["chat", "research", "lookup"]);
}

#[test]
fn a_key_that_took_the_place_of_others_is_counted_as_the_first_of_them() {
    let only = |name: &str, only: &[&str]| SlotRule {
        name: name.into(),
        subjects: Subjects {
            scope: Scope::Key,
            only: only.iter().map(|id| (*id).to_owned()).collect(),
        },
        max: 1,
    };
    let policy = Arc::new(Policy {
        slots: vec![
            only("every", &[]),
            only("first", &["key_a"]),
            only("second", &["key_b"]),
            only("other", &["key_x"]),
        ],
        ..Policy::default()
    });
    let counted = |key, earlier: &[&str]| {
        let earlier: Vec<Arc<str>> = earlier.iter().map(|id| Arc::from(*id)).collect();
        let attributes = Attributes {
            key: Some(key),
            earlier_keys: &earlier,
            ..Attributes::default()
        };
        let bound = policy.bind(&attributes);
        let slots = bound.slots().map(|(_, key)| key.as_str().to_owned());
        slots.collect::<Vec<_>>()
    };
    let slot = |name: &str| format!("sw:{{main}}:slot:{name}:key_a");
    assert_eq!(counted("key_a", &[]), [slot("every"), slot("first")]);
    // A rule that names a key is a rule for those that take its place, and for none before it.
    let all = [slot("every"), slot("first"), slot("second")];
    assert_eq!(counted("key_b", &["key_a"]), all);
    assert_eq!(counted("key_c", &["key_b", "key_a"]), all);
}

#[test]
fn a_rule_for_some_subjects_leaves_the_others_alone() {
    let policy = policy();
    let bind = |team| {
        policy.bind(&Attributes {
            team: Some(team),
            ..Attributes::default()
        })
    };
    assert!(bind("research").draws_on_money());
    assert!(!bind("sales").draws_on_money());
}

#[test]
fn nothing_is_claimed_where_nothing_is_limited() {
    let empty = Arc::new(Policy {
        deployment: "main".to_owned(),
        rates: Vec::new(),
        slots: Vec::new(),
        budgets: Vec::new(),
        caps: Caps::default(),
        operation_caps: Vec::new(),
        calendar: Calendar::utc(),
    });
    let claim = empty.bind(&Attributes::default()).claim(
        "call".into(),
        UnixMillis(0),
        UnixMillis(0),
        Demand::default(),
    );
    assert!(claim.is_empty());
}

#[test]
fn a_key_leads_back_to_its_budget_whatever_the_subject_is_called() {
    let policy = policy();
    let bound = policy.bind(&Attributes {
        user: Some("a:{b}:c"),
        ..Attributes::default()
    });
    let (_, key) = bound.budgets().next().unwrap();
    let (rule, subject) = policy.budget_of(key).unwrap();
    assert_eq!((&*rule.name, subject), ("day", "a:{b}:c"));
    assert!(
        policy
            .budget_of(&Key::new("sw:{other}:budget:day:x"))
            .is_none()
    );
}

#[test]
fn the_caps_of_a_class_narrow_those_of_every_request() {
    let policy = policy();
    let caps = policy.caps(Some("simple"));
    assert_eq!(caps.output_allowance(2_000), Some(3_000));
    assert_eq!(caps.output_allowance(500), Some(4_000));
    assert_eq!(caps.output_allowance(9_000), Some(0));
    assert_eq!(policy.caps(Some("other")), policy.caps(None));
    assert_eq!(Caps::default().output_allowance(1), None);
    let over = caps.check(2_000, 3_001, Micros::ZERO).unwrap_err();
    assert_eq!(
        (over.cap, over.allowed, over.needed),
        ("max_total_tokens", 5_000, 5_001)
    );
    assert_eq!(caps.check(2_000, 3_000, Micros::MAX), Ok(()));
}

#[test]
fn standings_are_shown_under_the_names_of_their_rules() {
    let bound = policy().bind(&Attributes {
        user: Some("alice"),
        ..Attributes::default()
    });
    let standing = Standing {
        remaining: 7,
        reset_ms: 5,
    };
    let shown = bound.shown(&[standing, standing]);
    let names: Vec<_> = shown.iter().map(|shown| shown.rule).collect();
    assert_eq!(names, ["\"global\"", "\"per_user\""]);
}
