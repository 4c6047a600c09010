//! A strict reader of the Prometheus text format (0.0.4 and OpenMetrics 1.0), for judging what a
//! server exposes.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that one scrape says.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// The declared type of each family, by its name.
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
}

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

const TYPES: [&str; 9] = [
    "counter",
    "gauge",
    "histogram",
    "summary",
    "untyped",
    "unknown",
    "info",
    "stateset",
    "gaugehistogram",
];

impl Metrics {
    /// Reads a scrape; the error names the first line that breaks the format.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut metrics = Self::default();
        let mut helps = BTreeSet::new();
        let mut series = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let at = |what: String| format!("line {}: {what}", index + 1);
            if line.trim().is_empty() {
                continue;
            }
            if line == "# EOF" {
                break;
            }
            if let Some(comment) = line.strip_prefix("# ") {
                metrics.comment(comment, &mut helps).map_err(at)?;
            } else if !line.starts_with('#') {
                let sample = parse_sample(line).map_err(at)?;
                let mut labels = sample.labels.clone();
                labels.sort();
                if !series.insert((sample.name.clone(), labels)) {
                    return Err(at(format!("the series {} appears twice", sample.name)));
                }
                metrics.samples.push(sample);
            }
        }
        if text.trim().is_empty() {
            Err("the scrape is empty".to_owned())
        } else {
            Ok(metrics)
        }
    }

    fn comment(&mut self, comment: &str, helps: &mut BTreeSet<String>) -> Result<(), String> {
        let mut words = comment.splitn(3, ' ');
        let (Some(keyword), Some(name)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let rest = words.next().unwrap_or_default();
        if matches!(keyword, "HELP" | "TYPE") && !is_metric_name(name) {
            return Err(format!(
                "{keyword} for {name:?}, which is not a metric name"
            ));
        }
        match keyword {
            "HELP" if !helps.insert(name.to_owned()) => Err(format!("a second HELP for {name}")),
            "TYPE" => {
                if !TYPES.contains(&rest.trim()) {
                    return Err(format!("{name} has the unknown type {rest:?}"));
                }
                let own = |s: &Sample| s.name == name || s.name == format!("{name}_total");
                if self.samples.iter().any(own) {
                    return Err(format!("TYPE of {name} comes after its samples"));
                }
                match self.types.insert(name.to_owned(), rest.trim().to_owned()) {
                    Some(_) => Err(format!("a second TYPE for {name}")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Sum of all series with this exact name; `None` when there is no such series.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self
            .samples
            .iter()
            .filter(|s| s.name == name)
            .map(|s| s.value)
            .peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// The sums of every counter, by sample name.
    pub(crate) fn counters(&self) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for sample in &self.samples {
            let family = sample.name.strip_suffix("_total").unwrap_or(&sample.name);
            let kind = self
                .types
                .get(&sample.name)
                .or_else(|| self.types.get(family));
            if kind.is_some_and(|kind| kind == "counter") && !sample.name.ends_with("_created") {
                *sums.entry(sample.name.as_str()).or_insert(0.0) += sample.value;
            }
        }
        sums
    }

    /// The histograms' contradictions: buckets that fall, a missing or wrong `+Inf`, counts that
    /// differ.
    pub(crate) fn histogram_faults(&self) -> Vec<String> {
        let histograms = self.types.iter().filter(|(_, kind)| *kind == "histogram");
        histograms
            .flat_map(|(name, _)| self.faults_of(name))
            .collect()
    }

    /// How many histograms are declared.
    pub(crate) fn histogram_count(&self) -> usize {
        self.types
            .values()
            .filter(|kind| *kind == "histogram")
            .count()
    }

    fn faults_of(&self, family: &str) -> Vec<String> {
        /// Bounds with their counts, and the declared count, of one label set.
        type Ladder = (Vec<(f64, f64)>, Option<f64>);
        let mut ladders: BTreeMap<Vec<(String, String)>, Ladder> = BTreeMap::new();
        let (bucket, count) = (format!("{family}_bucket"), format!("{family}_count"));
        let mut faults = Vec::new();
        for sample in &self.samples {
            let mut labels = sample.labels.clone();
            labels.retain(|(name, _)| name != "le");
            labels.sort();
            if sample.name == bucket {
                match sample.label("le").map(parse_value) {
                    Some(Some(bound)) => {
                        ladders
                            .entry(labels)
                            .or_default()
                            .0
                            .push((bound, sample.value));
                    }
                    _ => faults.push(format!("{bucket} has a bucket without a valid le")),
                }
            } else if sample.name == count {
                ladders.entry(labels).or_default().1 = Some(sample.value);
            }
        }
        for (labels, (mut bounds, total)) in ladders {
            let series = format!("{family}{labels:?}");
            bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            if bounds.windows(2).any(|pair| pair[0].1 > pair[1].1) {
                faults.push(format!(
                    "{series}: a bucket counts fewer than a smaller one"
                ));
            }
            match (bounds.last(), total) {
                (Some((bound, _)), _) if *bound != f64::INFINITY => {
                    faults.push(format!("{series}: there is no +Inf bucket"));
                }
                (Some((_, all)), Some(total)) if (all - total).abs() > f64::EPSILON => {
                    faults.push(format!("{series}: +Inf counts {all}, _count says {total}"));
                }
                (Some(_), Some(_)) => {}
                (None, _) => faults.push(format!("{series}: there are no buckets")),
                (Some(_), None) => faults.push(format!("{series}: there is no _count")),
            }
        }
        faults
    }
}

fn parse_sample(line: &str) -> Result<Sample, String> {
    let name_end = line
        .find(['{', ' ', '\t'])
        .ok_or_else(|| format!("no value in {line:?}"))?;
    let name = &line[..name_end];
    if !is_metric_name(name) {
        return Err(format!("{name:?} is not a metric name"));
    }
    let mut rest = &line[name_end..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = parse_labels(inside)?;
    }
    // An OpenMetrics exemplar follows the value after " # ".
    let rest = rest.split(" # ").next().unwrap_or_default();
    let mut words = rest.split_whitespace();
    let value = words.next().and_then(parse_value);
    let value = value.ok_or_else(|| format!("{name} has no valid value"))?;
    if words
        .next()
        .is_some_and(|time| time.parse::<f64>().is_err())
        || words.next().is_some()
    {
        return Err(format!(
            "{name} has something other than a time after its value"
        ));
    }
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Label pairs and what follows them.
type Labels<'a> = (Vec<(String, String)>, &'a str);

fn parse_labels(mut rest: &str) -> Result<Labels<'_>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("labels are not closed by }")?;
        let name = name.trim();
        if !is_label_name(name) {
            return Err(format!("{name:?} is not a label name"));
        }
        if labels.iter().any(|(n, _)| n == name) {
            return Err(format!("the label {name} appears twice in one series"));
        }
        let quoted = after.trim_start().strip_prefix('"');
        let quoted = quoted.ok_or_else(|| format!("the value of {name} is not in quotes"))?;
        let (value, after) = parse_quoted(quoted)
            .ok_or_else(|| format!("the value of {name} is not properly quoted"))?;
        labels.push((name.to_owned(), value));
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
        } else if !rest.starts_with('}') {
            return Err(format!("expected , or }} after the label {name}"));
        }
    }
}

fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

fn parse_value(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        number if number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            number.parse().ok()
        }
        _ => None,
    }
}

fn is_metric_name(name: &str) -> bool {
    is_name(name, |b| b == b'_' || b == b':')
}

fn is_label_name(name: &str) -> bool {
    is_name(name, |b| b == b'_')
}

fn is_name(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || extra(b))
}

#[cfg(test)]
mod tests;
