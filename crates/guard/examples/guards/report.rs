//! Figures beside their limits.

/// How a figure is to compare with its limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// Lines of figures with their limits.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(String, String, String, Option<bool>)>,
}

impl Report {
    /// Adds a figure with a limit.
    pub(crate) fn judge(&mut self, what: &str, figure: f64, shown: String, limit: Limit) {
        let (kept, bar) = match limit {
            Limit::AtLeast(least) => (figure >= least, format!("≥ {least}")),
            Limit::AtMost(most) => (figure <= most, format!("≤ {most}")),
        };
        self.lines.push((what.to_owned(), shown, bar, Some(kept)));
    }

    /// Adds a figure without one.
    pub(crate) fn tell(&mut self, what: &str, shown: String) {
        self.lines
            .push((what.to_owned(), shown, String::new(), None));
    }

    /// Adds a share with its Wilson interval; a limit is in percent.
    pub(crate) fn share(&mut self, what: &str, hits: usize, count: usize, limit: Option<Limit>) {
        let (low, high) = wilson(hits, count);
        let percent = 100.0 * hits as f64 / count.max(1) as f64;
        let shown = format!("{hits} of {count}: {percent:.2} % ({low:.2} to {high:.2})");
        match limit {
            Some(limit) => self.judge(what, percent, shown, limit),
            None => self.tell(what, shown),
        }
    }

    /// Whether every limit is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.lines.iter().all(|(.., kept)| *kept != Some(false))
    }

    pub(crate) fn print(&self) {
        println!("| what | measured (Wilson 95 %) | limit | kept |\n|---|---|---|---|");
        for (what, shown, bar, kept) in &self.lines {
            let kept = match kept {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            println!("| {what} | {shown} | {bar} | {kept} |");
        }
    }
}

/// The Wilson interval of a share, in percent.
fn wilson(hits: usize, count: usize) -> (f64, f64) {
    if count == 0 {
        return (0.0, 0.0);
    }
    let (n, z) = (count as f64, 1.96_f64);
    let share = hits as f64 / n;
    let middle = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    (
        100.0 * ((middle - spread) / whole).max(0.0),
        100.0 * (middle + spread) / whole,
    )
}

/// Precision, recall and their harmonic mean.
pub(crate) fn scores(hits: usize, wanted: usize, wrong: usize) -> (f64, f64, f64) {
    let precision = hits as f64 / (hits + wrong).max(1) as f64;
    let recall = hits as f64 / wanted.max(1) as f64;
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::EPSILON);
    (precision, recall, f1)
}
