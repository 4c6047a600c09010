//! How usage is asked for and written down.

use std::fmt::Write as _;

use super::{GroupBy, UsageTotal};
use crate::clock::UnixMillis;

/// Most groups of one answer.
pub const MAX_PAGE: usize = 1_000;

/// Groups of a report, and whether more follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The groups.
    pub totals: Vec<UsageTotal>,
    /// Where the next page begins, if there is one.
    pub next: Option<usize>,
}

/// A part of a report. Hours and days are put in the order of time; other groups stay in theirs,
/// the largest number of tokens first.
#[must_use]
pub fn page(mut totals: Vec<UsageTotal>, by: GroupBy, offset: usize, limit: usize) -> Page {
    if matches!(by, GroupBy::Hour | GroupBy::Day) {
        totals.sort_by(|a, b| a.group.cmp(&b.group));
    }
    let limit = limit.clamp(1, MAX_PAGE);
    let end = offset.saturating_add(limit);
    let next = (end < totals.len()).then_some(end);
    Page {
        totals: totals.into_iter().skip(offset).take(limit).collect(),
        next,
    }
}

/// Reads a moment: `2026-11-27`, `2026-11-27T14:00:00Z`, or how long ago: `24h`, `30d`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn moment(text: &str, now: UnixMillis) -> Result<UnixMillis, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixMillis(moment.as_millisecond()));
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && let Ok(start) = day.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(UnixMillis(start.timestamp().as_millisecond()));
    }
    let millis = |unit: char| match unit {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    };
    let ago = text.chars().last().and_then(millis).and_then(|millis| {
        let count: i64 = text.get(..text.len() - 1)?.parse().ok()?;
        (count >= 0).then(|| now.0.saturating_sub(count.saturating_mul(millis)))
    });
    ago.map(UnixMillis).ok_or_else(|| {
        format!(
            "expected a day such as 2026-11-27, a moment such as 2026-11-27T14:00:00Z or a time \
             that has passed such as 24h, found {text:?}"
        )
    })
}

/// The columns of [`csv`] after the group.
const COLUMNS: &str = "calls,unsuccessful_calls,estimated_calls,unpriced_calls,\
                       over_reserved_calls,input_tokens,cached_read_tokens,cache_write_tokens,\
                       output_tokens,reasoning_tokens,images,tool_calls,cost_usd";

/// Totals as comma-separated values (RFC 4180) with a heading; the first column has the name of the
/// dimension. A name that a spreadsheet would take for a formula gets a `'` in front.
#[must_use]
pub fn csv(by: GroupBy, totals: &[UsageTotal]) -> String {
    let mut text = format!("{},{COLUMNS}\r\n", by.as_str());
    for total in totals {
        let formula = total.group.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let mark = if formula { "'" } else { "" };
        let name = total.group.replace('"', "\"\"");
        let counts = [
            total.calls,
            total.unsuccessful_calls,
            total.estimated_calls,
            total.unpriced_calls,
            total.over_reserved_calls,
            total.input_tokens,
            total.cached_read_tokens,
            total.cache_write_tokens,
            total.output_tokens,
            total.reasoning_tokens,
            total.images,
            total.tool_calls,
        ];
        let counts = counts.map(|count| count.to_string()).join(",");
        let _ = write!(text, "\"{mark}{name}\",{counts},{}\r\n", total.cost);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Micros;

    fn total(group: &str, input_tokens: u64) -> UsageTotal {
        UsageTotal {
            group: group.to_owned(),
            calls: 1,
            input_tokens,
            cost: Micros(1_500_000),
            ..UsageTotal::default()
        }
    }

    #[test]
    fn pages_are_bounded_and_follow_each_other() {
        let all: Vec<_> = (0..5).map(|n| total(&n.to_string(), 9)).collect();
        let first = page(all.clone(), GroupBy::User, 0, 2);
        assert_eq!((first.totals.len(), first.next), (2, Some(2)));
        let last = page(all.clone(), GroupBy::User, 4, 2);
        assert_eq!((last.totals.len(), last.next), (1, None));
        assert_eq!(page(all.clone(), GroupBy::User, 99, 2).totals, []);
        assert_eq!(page(all, GroupBy::User, 0, 0).totals.len(), 1);
        let days = vec![total("2026-11-27", 9), total("2026-11-26", 1)];
        assert_eq!(page(days, GroupBy::Day, 0, 9).totals[0].group, "2026-11-26");
    }

    #[test]
    fn moments_are_read_in_three_ways() {
        let now = UnixMillis(1_700_000_000_000);
        for (text, moment) in [
            ("2023-11-14", 1_699_920_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
            ("90m", 1_699_994_600_000),
            ("2d", 1_699_827_200_000),
        ] {
            assert_eq!(super::moment(text, now), Ok(UnixMillis(moment)), "{text}");
        }
        for text in ["", "d", "-1d", "1w", "yesterday", "\u{e9}"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn names_cannot_break_a_line_or_become_a_formula() {
        let text = csv(GroupBy::Agent, &[total("=1+\"1\"", 7)]);
        let (heading, row) = text.split_once("\r\n").unwrap();
        assert!(heading.starts_with("agent,calls,"), "{heading}");
        assert_eq!(
            row,
            "\"'=1+\"\"1\"\"\",1,0,0,0,0,7,0,0,0,0,0,0,1.500000\r\n"
        );
        assert_eq!(heading.split(',').count(), row.split(',').count());
    }
}
