//! Calls and shares that the tests beside the code are about.

use std::sync::Arc;

use seaworthy_core::budget::{self, Account, Amount, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{BudgetClaim, Claim, Close, Key};
use seaworthy_core::money::Micros;

use super::encode::account_key;
use super::shares::{Shares, Touched};

/// What every budget here allows.
const LIMIT: u64 = 1_000;

/// A call that needs so much of a budget.
pub(super) fn claim(id: &str, (budget, amount): (&str, u64)) -> Claim {
    Claim {
        id: Arc::from(id),
        at: UnixMillis(0),
        expires_at: UnixMillis(0),
        rates: Vec::new(),
        slots: Vec::new(),
        budgets: vec![BudgetClaim {
            key: Key::new(budget),
            window: Window::TOTAL,
            limit: LIMIT,
            unit: budget::Unit::Micros,
            amount,
        }],
    }
}

pub(super) fn used(micros: u64) -> Close {
    Close::Used {
        amount: Amount {
            tokens: 0,
            cost: Micros(micros),
        },
        rate_tokens: 0,
    }
}

/// The budget `b` as an answer of the server shows it.
pub(super) fn touched(spent: u64, is_wanted: bool) -> [Touched; 1] {
    [Touched {
        key: account_key(&Key::new("b"), Window::TOTAL),
        account: Account {
            limit: LIMIT,
            spent,
            reserved: 0,
        },
        is_wanted,
    }]
}

/// Shares of a replica that the server has given this much of the budget `b`.
pub(super) fn holding(amount: u64) -> Shares {
    let mut shares = Shares::default();
    shares.begin("me".to_owned());
    shares.note_use(&claim("1", ("b", 10)));
    let question = shares.question(&touched(0, false), 3).unwrap();
    assert_eq!(question.accounts[0].held, 0);
    shares.granted(&question, &[amount]);
    shares
}
