//! Which requirements stand near each other in lists: what the items around one are about tells what
//! it may be about itself.

use super::lists::Listed;

/// So many items before and after one are its company.
pub(super) const NEAR: usize = 4;
/// How much of what chance would bring is taken to have been seen before anything was counted.
const EXPECTED: f32 = 1.0;
/// The same as a count, for requirements that are rare.
const PRIOR: f32 = 0.3;

/// What the company of each requirement says for each other.
#[derive(Debug, Default)]
pub(super) struct Company {
    classes: usize,
    /// The logarithm of how much oftener two stand together than by chance.
    says: Vec<f32>,
}

impl Company {
    /// Counts lists; each item comes with its requirement, if that has a number.
    pub(super) fn of(classes: usize, items: &[(Listed, Option<usize>)]) -> Self {
        let mut together = vec![0.0_f32; classes * classes];
        for (at, (item, class)) in items.iter().enumerate() {
            let after = items.iter().skip(at + 1).take(NEAR);
            for (_, near) in after.take_while(|(other, _)| other.list == item.list) {
                if let (Some(a), Some(b)) = (*class, *near) {
                    count(&mut together, a * classes + b);
                    count(&mut together, b * classes + a);
                }
            }
        }
        let all: f32 = together.iter().sum::<f32>().max(1.0);
        let rows: Vec<f32> = together
            .chunks(classes.max(1))
            .map(|row| row.iter().sum())
            .collect();
        let mut says = Vec::with_capacity(together.len());
        for (counts, a) in together.chunks(classes.max(1)).zip(&rows) {
            says.extend(counts.iter().zip(&rows).map(|(seen, b)| {
                let chance = a * b / all;
                ((seen + EXPECTED * chance + PRIOR) / (chance + EXPECTED * chance + PRIOR)).ln()
            }));
        }
        Self { classes, says }
    }

    /// How much an item speaks for a requirement to be meant near it, by how probable it means what.
    pub(super) fn speaks(&self, shares: &[(usize, f64)], class: usize) -> f64 {
        let parts = shares
            .iter()
            .map(|(near, share)| share * f64::from(self.says(*near, class)));
        parts.sum()
    }

    /// How much one requirement near an item speaks for another to be meant by it.
    fn says(&self, near: usize, class: usize) -> f32 {
        self.says
            .get(near * self.classes + class)
            .copied()
            .unwrap_or_default()
    }
}

fn count(counts: &mut [f32], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::lists::listed;
    use super::Company;

    #[test]
    fn what_stands_together_speaks_for_each_other_and_lists_do_not_mix() {
        let mut items: Vec<_> = listed().take(4).map(|item| (item, Some(0))).collect();
        for ((item, class), (list, number)) in
            items
                .iter_mut()
                .zip([("a", 0), ("a", 1), ("b", 2), ("b", 0)])
        {
            (item.list, *class) = (list, Some(number));
        }
        let company = Company::of(3, &items);
        assert!(company.says(0, 1) > 0.0, "both of the first list");
        assert!(company.says(1, 2) < 0.0, "of different lists");
        assert_eq!(company.says(1, 2), company.says(2, 1));
        assert_eq!(company.says(9, 9), 0.0);
    }
}
