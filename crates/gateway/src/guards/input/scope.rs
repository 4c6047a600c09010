//! Is it in scope? The tools that a request offers, and the topics of its question.

use seaworthy_config::OnFailure;
use seaworthy_guard::input::scope::OutOfScope;
use seaworthy_guard::{Action, Category, Place};
use serde_json::Value;

use super::{Asked, Refused, Screening};
use crate::guards::said::{Said, offered_tools};
use crate::guards::texts::Outline;
use crate::guards::tools;
use crate::offered_tools::{chosen, offered};

impl Screening<'_> {
    /// The tools that are offered, those that a provider runs itself among them.
    pub(super) fn check_tools(
        &mut self,
        asked: &Asked<'_>,
        outline: &Outline<'_>,
    ) -> Result<(), Refused> {
        let rules = self.rules;
        let (scope, sandbox_only) = (&rules.scope, rules.sandbox_only);
        if scope.allowed_tools.is_empty() && scope.denied_tools.is_empty() && !sandbox_only {
            return Ok(());
        }
        let body: Value = match serde_json::from_str(asked.body) {
            Ok(body) => body,
            // Escapes that stand for no character, which is told already.
            Err(_) if rules.on_failure == OnFailure::Allow => return Ok(()),
            Err(_) => return Err(Refused::Unreadable),
        };
        let listed = offered(asked.dialect, &body);
        let named = offered_tools(outline).into_iter().chain(chosen(&body));
        for tool in named.map(Some).chain(listed) {
            // Some may be written in two ways, such as `googleSearch` and `google_search`.
            let tool = tool.unwrap_or_default();
            let names = [tool, &*in_snake_case(tool)];
            let checked = match sandbox_only && tools::runs_at_provider(names[1]) {
                true if !scope.names_allowed(&names) => Err(OutOfScope::Tool(tool.to_owned())),
                _ => scope.check_tool(&names),
            };
            checked.map_err(|error| self.out_of_scope(error))?;
        }
        Ok(())
    }

    fn out_of_scope(&mut self, error: OutOfScope) -> Refused {
        self.verdicts
            .judge(Category::Scope, Place::Input, Action::Block);
        Refused::Scope(error)
    }

    /// The topics of the question and of what was said before.
    pub(super) fn check_topics(&mut self, said: &[Said<'_, '_>]) -> Result<(), Refused> {
        let rules = self.rules;
        let scope = &rules.scope;
        if scope.allowed_topics.is_empty() && scope.denied_topics.is_empty() {
            return Ok(());
        }
        let mut checked = Ok(());
        let by_user = || {
            let said = said.iter();
            said.filter(|said| said.is_untrusted() && said.place == Place::Input)
        };
        let asks = |said: &&Said<'_, '_>| !said.is_beside;
        let last = by_user().rfind(asks).or_else(|| by_user().next_back());
        let last = last.map(|said| said.message);
        let mut question = String::new();
        for said in by_user() {
            if Some(said.message) == last {
                question.push_str(&said.text.value);
                question.push('\n');
            }
            checked = checked.and_then(|()| scope.check_denied(&said.text.value));
            if let Some(stripped) = self.stripped(said) {
                checked = checked.and_then(|()| scope.check_denied(&stripped));
            }
        }
        if last.is_some() {
            checked = checked.and_then(|()| scope.check_text(&question));
        }
        checked.map_err(|error| self.out_of_scope(error))
    }
}

/// The name as the other spelling of Google's APIs has it.
fn in_snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
