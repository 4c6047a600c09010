//! The cells of a table: commas, semicolons or tabs between them, and numbers as the country of whoever
//! made it writes them.

use super::number::{Decimals, Told};
use super::{COST, DAY, Fields, INPUT_PARTS, MODEL, OUTPUT, WHOLE_INPUT};

/// What may stand between two cells; of equals, the first.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The rows below the heading (RFC 4180), and how their numbers are written.
pub(super) fn read(text: &str) -> Result<(Vec<Fields>, Decimals), String> {
    let (separator, text) = separator(text);
    let mut records = records(text, separator)?.into_iter();
    let heading = records.next().ok_or("the file is empty")?;
    let known = [&DAY[..], &MODEL, &WHOLE_INPUT, &INPUT_PARTS, &OUTPUT, &COST].concat();
    let is_twice = |name: &&&str| heading.iter().filter(|column| *column == **name).count() > 1;
    if let Some(name) = known.iter().find(is_twice) {
        return Err(format!(
            "expected each column once, found that `{name}` stands in the heading twice: leave one of them out"
        ));
    }
    let filled = records.filter(|record| record.iter().any(|cell| !cell.is_empty()));
    let rows = filled.enumerate().map(|(index, mut record)| {
        let extra = record.split_off(heading.len().min(record.len()));
        let surplus = extra.iter().rposition(|cell| !cell.is_empty());
        let found = record.len() + surplus.map_or(0, |last| last + 1);
        if found == heading.len() {
            return Ok(heading.iter().cloned().zip(record).collect());
        }
        let (row, expected) = (index + 1, heading.len());
        Err(format!(
            "row {row}: expected {expected} cells as in the heading, separated by {separator:?}, found {found}"
        ))
    });
    let rows: Vec<Fields> = rows.collect::<Result<_, _>>()?;
    // Commas between cells leave only the point for decimals.
    let decimals = match separator {
        ',' => Decimals::Point,
        _ => decimals(&rows)?,
    };
    Ok((rows, decimals))
}

/// What stands between the cells of the heading, and the table. Spreadsheets may say it in a line of its
/// own: `sep=;`.
fn separator(text: &str) -> (char, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let said = first.trim().strip_prefix("sep=");
    if let Some(separator) = said.and_then(|said| said.chars().next()) {
        return (separator, rest);
    }
    let count = |separator: char| {
        let mut is_quoted = false;
        let outside = first.chars().filter(|&character| {
            is_quoted ^= character == '"';
            !is_quoted && character == separator
        });
        outside.count()
    };
    let mut most = (',', 0);
    for separator in SEPARATORS {
        if count(separator) > most.1 {
            most = (separator, count(separator));
        }
    }
    (most.0, text)
}

/// Finds out from the numbers themselves whether a point or a comma stands before decimals. What can be
/// read in two ways is not guessed.
fn decimals(rows: &[Fields]) -> Result<Decimals, String> {
    let counts = WHOLE_INPUT.iter().chain(&INPUT_PARTS).chain(&OUTPUT);
    let columns: Vec<_> = counts.map(|name| (*name, true)).collect();
    let columns = columns.into_iter().chain(COST.map(|name| (name, false)));
    let columns: Vec<(&str, bool)> = columns.collect();
    let mut known: Option<(Decimals, String)> = None;
    let mut unclear: Option<String> = None;
    for (index, row) in rows.iter().enumerate() {
        for (name, is_count) in &columns {
            let Some(text) = row.get(*name) else { continue };
            let place = format!("row {}: `{name}`: {text:?}", index + 1);
            match (Told::by(text, *is_count), &known) {
                (Told::Nothing, _) => {}
                (Told::Either, _) => unclear = unclear.or(Some(place)),
                (Told::Decimals(told), None) => known = Some((told, place)),
                (Told::Decimals(told), Some((before, _))) if told == *before => {}
                (Told::Decimals(_), Some((_, before))) => {
                    return Err(format!(
                        "{place}: expected the sign before decimals that other numbers have, such as {before}"
                    ));
                }
            }
        }
    }
    match (known, unclear) {
        (Some((decimals, _)), _) => Ok(decimals),
        (None, None) => Ok(Decimals::Point),
        (None, Some(place)) => Err(format!(
            "{place} can be a number of thousands or one with decimals, and no other number of the file \
             shows which; expected numbers without signs between thousands, and not three decimals"
        )),
    }
}

fn records(text: &str, separator: char) -> Result<Vec<Vec<String>>, String> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut cell).trim().to_owned());
                records.push(std::mem::take(&mut record));
            }
            found if found == separator && !is_quoted => {
                record.push(std::mem::take(&mut cell).trim().to_owned());
            }
            other => cell.push(other),
        }
    }
    if is_quoted {
        return Err("expected a closing quote, found the end of the file".to_owned());
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell.trim().to_owned());
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::super::Used;
    use super::super::read as export;
    use seaworthy_core::money::Micros;

    const HEADING: &str = "date;model;input_tokens;output_tokens;cost_usd";

    /// What the only row of a table means.
    fn row(row: &str) -> Result<(u64, u64, Option<u64>), String> {
        rows(&[row]).map(|used| (used.input, used.output, used.cost.map(|cost| cost.0)))
    }

    fn rows(rows: &[&str]) -> Result<Used, String> {
        let days = export(&format!("{HEADING}\r\n{}\r\n", rows.join("\r\n")))?;
        assert_eq!(days.len(), 1, "{days:?}");
        Ok(days.into_values().next().unwrap())
    }

    #[test]
    fn tables_with_semicolons_have_decimal_commas_or_points() {
        for (text, input, output, cost) in [
            ("2026-11-27;m;1000;7;0,458", 1_000, 7, 458_000),
            ("2026-11-27;m;1000;7;0.458", 1_000, 7, 458_000),
            (
                "27.11.2026;m;1.234.567;7;1.234,5",
                1_234_567,
                7,
                1_234_500_000,
            ),
            (
                "2026-11-27;m;1,234,567;7;1,234.5",
                1_234_567,
                7,
                1_234_500_000,
            ),
            ("2026-11-27;m;1.234;7;1,234", 1_234, 7, 1_234_000),
            ("2026-11-27;m;1,234;7;1,234", 1_234, 7, 1_234_000_000),
            ("2026-11-27;m;1 234;7;12,5 $", 1_234, 7, 12_500_000),
            ("2026-11-27;m;1'234;7;USD 12.5", 1_234, 7, 12_500_000),
            ("2026-11-27;m;1\u{202f}234;7;1,5e-05", 1_234, 7, 15),
            ("\"2026-11-27\";\"a;b\";1000,0;7;3", 1_000, 7, 3_000_000),
        ] {
            assert_eq!(row(text), Ok((input, output, Some(cost))), "{text}");
        }
    }

    #[test]
    fn a_number_that_can_be_two_is_read_by_the_others_or_not_at_all() {
        let unclear = "2026-11-27;m;10;7;1,234";
        let error = row(unclear).unwrap_err();
        assert!(
            error.contains("row 1: `cost_usd`: \"1,234\" can be"),
            "{error}"
        );
        let sum = rows(&[unclear, "2026-11-27;m;10;7;0,1"]).unwrap();
        assert_eq!(sum.cost, Some(Micros(1_334_000)));
        let sum = rows(&[unclear, "2026-11-27;m;10;7;0.1"]).unwrap();
        assert_eq!(sum.cost, Some(Micros(1_234_100_000)));
        let error = rows(&["2026-11-27;m;10;7;0,1", "2026-11-27;m;10;7;0.1"]).unwrap_err();
        assert!(
            error.starts_with("row 2: `cost_usd`: \"0.1\": expected"),
            "{error}"
        );
        assert!(
            error.ends_with("such as row 1: `cost_usd`: \"0,1\""),
            "{error}"
        );
    }

    #[test]
    fn tabs_and_what_a_spreadsheet_says_of_itself_are_understood() {
        let tabs = HEADING.replace(';', "\t") + "\n2026-11-27\tm\t1\t2\t0,5\n";
        let said = format!("\u{feff}sep=;\r\n{HEADING}\r\n2026-11-27;m;1;2;0,5\r\n");
        for text in [tabs, said] {
            let days = export(&text).unwrap();
            let used = days.values().next().unwrap();
            assert_eq!(
                (used.output, used.cost),
                (2, Some(Micros(500_000))),
                "{text}"
            );
        }
    }

    #[test]
    fn cells_are_not_lost_in_silence() {
        let commas = |row: &str| export(&format!("{}\n{row}\n", HEADING.replace(';', ",")));
        let error = commas("2026-11-27,m,10,7,0,12").unwrap_err();
        assert!(error.contains("row 1: expected 5 cells"), "{error}");
        assert!(error.ends_with("found 6"), "{error}");
        assert!(commas("2026-11-27,m,10").unwrap_err().ends_with("found 3"));
        assert!(
            commas("2026-11-27,m,10,7,0.12,,").is_ok(),
            "empty ones are none"
        );
        let error = commas("2026-11-27,m,10,7,\"0,458\"").unwrap_err();
        assert!(
            error.contains("expected dollars such as 1234.56"),
            "{error}"
        );
        assert!(
            commas("2026-11-27,m,10,7,\"0.12")
                .unwrap_err()
                .contains("closing quote")
        );
    }
}
