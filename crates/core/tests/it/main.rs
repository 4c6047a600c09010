//! Limits, budgets and the ledger as a whole.

#[cfg(test)]
mod simulation;
