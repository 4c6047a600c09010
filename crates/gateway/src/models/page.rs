//! Which part of the list of models a client asks for, in the words of its API.

use std::ops::Range;

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;

use crate::objects::parameter;
use crate::refusal::Refusal;
use crate::routes::decoded;

/// As many as the APIs have on a page at most.
const LONGEST_PAGE: usize = 1_000;

/// A part of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) range: Range<usize>,
    /// Whether there is more in the direction of reading.
    pub(super) has_more: bool,
}

/// The page that a query asks for. Without a size it is all of them: the lists are short, and who
/// does not ask for pages may not read a second one.
pub(super) fn of(names: &[&str], family: Family, query: Option<&str>) -> Result<Page, Refusal> {
    let (size, after) = match family {
        Family::Anthropic => ("limit", "after_id"),
        Family::Gemini => ("pageSize", "pageToken"),
        Family::Cohere => ("page_size", "page_token"),
        // Their lists have no pages.
        Family::OpenAi | Family::Bedrock => {
            let range = 0..names.len();
            return Ok(Page {
                range,
                has_more: false,
            });
        }
    };
    let count = match parameter(query, size) {
        None | Some("") => names.len(),
        Some(text) => match text.parse() {
            Ok(count @ 1..=LONGEST_PAGE) => count,
            _ => {
                let message = format!("`{size}` is a number from 1 to {LONGEST_PAGE}.");
                return Err(refused(size, message));
            }
        },
    };
    let position = |param: &str| -> Result<Option<usize>, Refusal> {
        let Some(name) = parameter(query, param).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let name = decoded(name);
        match names.iter().position(|known| *known == name) {
            Some(at) => Ok(Some(at)),
            None => {
                let shown: String = name.chars().take(100).collect();
                let message = format!("`{param}` names `{shown}`, which is not in the list.");
                Err(refused(param, message))
            }
        }
    };
    if family == Family::Anthropic
        && let Some(end) = position("before_id")?
    {
        let start = end.saturating_sub(count);
        let has_more = start > 0;
        return Ok(Page {
            range: start..end,
            has_more,
        });
    }
    let start = position(after)?.map_or(0, |at| at + 1);
    let end = names.len().min(start.saturating_add(count));
    Ok(Page {
        range: start..end,
        has_more: end < names.len(),
    })
}

fn refused(param: &str, message: String) -> Refusal {
    Refusal::new(Code::InvalidRequest, message).at(param.to_owned())
}
