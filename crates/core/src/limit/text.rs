//! Limits as text: `10/second;100/minute`.

use super::{Period, Quota};

/// Why a text is not a list of limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A part does not have the form.
    #[error("expected limits such as \"10/second;100/minute\"")]
    Form,
    /// The number is 0 or too large.
    #[error("expected a limit from 1 to {largest} for a {}", period.as_str())]
    Range {
        /// The period of the limit.
        period: Period,
        /// The largest limit for it.
        largest: u64,
    },
    /// A period is named twice.
    #[error("expected one limit for a {}, found two", .0.as_str())]
    Twice(Period),
}

/// Reads limits separated by `;` or `,`, each `number/period` or `number per period`, with the
/// periods `second`, `minute`, `hour` and `day`, also in the plural and as `s`, `min`, `m`, `h`, `d`.
pub fn parse(text: &str) -> Result<Vec<Quota>, ParseError> {
    let mut quotas: Vec<Quota> = Vec::new();
    for part in text.split([';', ',']) {
        let (number, period) = part
            .split_once('/')
            .or_else(|| part.split_once(" per "))
            .ok_or(ParseError::Form)?;
        let number = number.trim().replace('_', "");
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseError::Form);
        }
        let period = period_named(period.trim()).ok_or(ParseError::Form)?;
        let quota = number
            .parse()
            .ok()
            .and_then(|limit| Quota::new(limit, period))
            .ok_or(ParseError::Range {
                period,
                largest: Quota::largest(period),
            })?;
        if quotas.iter().any(|known| known.period() == period) {
            return Err(ParseError::Twice(period));
        }
        quotas.push(quota);
    }
    Ok(quotas)
}

fn period_named(name: &str) -> Option<Period> {
    Some(match name {
        "second" | "seconds" | "sec" | "s" => Period::Second,
        "minute" | "minutes" | "min" | "m" => Period::Minute,
        "hour" | "hours" | "h" => Period::Hour,
        "day" | "days" | "d" => Period::Day,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_limits_are_read() {
        let read = |text: &str| {
            let quotas = parse(text).unwrap();
            quotas
                .iter()
                .map(|quota| (quota.limit(), quota.period().as_str()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            read("10/second;100/minute"),
            [(10, "second"), (100, "minute")]
        );
        assert_eq!(
            read("5 per hour, 1_000/ days "),
            [(5, "hour"), (1000, "day")]
        );
    }

    #[test]
    fn what_is_not_a_limit_is_refused() {
        for text in ["", "10", "ten/second", "10/fortnight", "10/second;", "-1/s"] {
            assert_eq!(parse(text), Err(ParseError::Form), "{text:?}");
        }
        for text in ["0/second", "104249992/day", "99999999999999999999/s"] {
            assert!(matches!(parse(text), Err(ParseError::Range { .. })));
        }
        assert_eq!(
            parse("1/s;2/second"),
            Err(ParseError::Twice(Period::Second))
        );
    }
}
