//! In which order the targets of a model are asked.

/// How the first target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// In the order of the configuration.
    #[default]
    Ordered,
    /// By chance, in proportion to their weights.
    Weighted,
    /// Whose first token has come fastest of late.
    LeastLatency,
    /// Whose worst case costs least.
    LeastCost,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its share of the calls.
    pub weight: u32,
    /// How long its first token takes, in ms; `None` for a target that was not asked of late.
    pub latency_ms: Option<f64>,
    /// What the call costs there at most, in micro-dollars; `None` where no price is known.
    pub cost: Option<u64>,
}

/// The order in which targets are asked, as their positions in the configuration. Chance decides
/// with weights only; the configuration's order decides between equals.
#[must_use]
pub fn order(strategy: Strategy, targets: &[Known], mut chance: impl FnMut() -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..targets.len()).collect();
    match strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => {
            let mut left = std::mem::take(&mut order);
            while !left.is_empty() {
                let sum: f64 = left.iter().map(|at| f64::from(targets[*at].weight)).sum();
                let mut drawn = chance() * sum;
                let picked = left.iter().position(|at| {
                    drawn -= f64::from(targets[*at].weight);
                    drawn < 0.0
                });
                order.push(left.remove(picked.unwrap_or(0)));
            }
        }
        Strategy::LeastLatency => {
            // One that nobody knows is asked first, which makes it known.
            let latency = |at: &usize| targets[*at].latency_ms.unwrap_or(0.0);
            order.sort_by(|a, b| latency(a).total_cmp(&latency(b)));
        }
        Strategy::LeastCost => {
            order.sort_by_key(|at| targets[*at].cost.unwrap_or(u64::MAX));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(weight: u32, latency_ms: Option<f64>, cost: Option<u64>) -> Known {
        Known {
            weight,
            latency_ms,
            cost,
        }
    }

    #[test]
    fn each_strategy_has_its_order() {
        let targets = [
            known(1, Some(30.0), Some(9)),
            known(1, Some(10.0), None),
            known(1, None, Some(2)),
        ];
        let by = |strategy| order(strategy, &targets, || 0.0);
        assert_eq!(by(Strategy::Ordered), [0, 1, 2]);
        assert_eq!(by(Strategy::LeastLatency), [2, 1, 0]);
        assert_eq!(by(Strategy::LeastCost), [2, 0, 1]);
    }

    #[test]
    fn weights_are_shares_and_zero_is_the_last_resort() {
        let targets = [
            known(3, None, None),
            known(1, None, None),
            known(0, None, None),
        ];
        let (mut first, mut seed) = ([0; 3], 0_u32);
        for _ in 0..4_000 {
            let order = order(Strategy::Weighted, &targets, || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(seed >> 8) / f64::from(1_u32 << 24)
            });
            first[order[0]] += 1;
            assert_eq!(order[2], 2);
        }
        assert!((2_900..=3_100).contains(&first[0]), "{first:?}");
        assert_eq!(first[2], 0);
    }
}
