//! What follows a match: the policies of the configuration before the words of the checklists, the
//! most specific one first, and of two equal ones the stricter.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use seaworthy_config::{Filter, GuardAction, GuardPlace, Guards, InputValidation, OutputHandling};
use seaworthy_guard::input::scope::covers;
use seaworthy_guard::policy::{PolicyLine, Selector};
use seaworthy_guard::{Action, Category, Place, Policy};

/// Places of texts on their way to a provider.
pub(super) const INBOUND: [Place; 2] = [Place::Input, Place::ToolResult];
/// Places of texts on their way to a caller.
pub(super) const OUTBOUND: [Place; 3] = [Place::OutputText, Place::ToolArguments, Place::Reasoning];

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    /// The model as the caller names it.
    pub(crate) model: &'a str,
    /// The name of that model in the configuration, of which the caller may use an alias.
    pub(crate) configured: &'a str,
    pub(crate) user: &'a str,
    pub(crate) key: &'a str,
    /// The keys that this one took the place of by rotation.
    pub(crate) earlier_keys: &'a [Arc<str>],
}

/// One line of the policy and whom it holds for.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) line: PolicyLine,
    models: Vec<String>,
    users: Vec<String>,
    keys: Vec<String>,
    is_checklist: bool,
}

impl Line {
    fn everyone(selector: Selector, places: &[Place], action: Action) -> Self {
        Self {
            line: PolicyLine {
                selector,
                places: places.to_vec(),
                action,
            },
            models: Vec::new(),
            users: Vec::new(),
            keys: Vec::new(),
            is_checklist: true,
        }
    }

    fn narrowness(&self) -> usize {
        let lists = [&self.models, &self.users, &self.keys];
        lists.iter().filter(|list| !list.is_empty()).count()
    }

    fn holds_for(&self, who: Who<'_>) -> bool {
        let fits = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        let models = &self.models;
        let names = |glob: &String| covers(glob, who.model) || covers(glob, who.configured);
        let fits_model = models.is_empty() || models.iter().any(names);
        let fits_key =
            fits(&self.keys, who.key) || who.earlier_keys.iter().any(|key| fits(&self.keys, key));
        fits_model && fits(&self.users, who.user) && fits_key
    }

    /// The action for a match of a family's rule at any of these places, the strictest.
    pub(super) fn wants(&self, category: Category, rules: &HashSet<String>, at: &[Place]) -> bool {
        let covers = match &self.line.selector {
            Selector::Category(wanted) => *wanted == category,
            Selector::Rule(id) => rules.contains(id),
        };
        covers
            && self.line.action != Action::Allow
            && self.line.places.iter().any(|place| at.contains(place))
    }
}

/// The lines of a configuration, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(pub(super) Vec<Line>);

impl Lines {
    pub(super) fn new(
        guards: &Guards,
        input: &InputValidation,
        output: &OutputHandling,
        has_rule_files: bool,
    ) -> Self {
        let mut lines: Vec<Line> = guards
            .policies
            .values()
            .map(|policy| Line {
                line: PolicyLine {
                    selector: selector(&policy.detector),
                    places: match policy.places.is_empty() {
                        true => Place::ALL.to_vec(),
                        false => policy.places.iter().map(|place| of_place(*place)).collect(),
                    },
                    action: of_action(policy.action),
                },
                models: policy.models.clone(),
                users: policy.users.clone(),
                keys: policy.keys.clone(),
                is_checklist: false,
            })
            .collect();
        let mut add = |category: Category, places: &[Place], action: Action| {
            let selector = Selector::Category(category);
            lines.push(Line::everyone(selector, places, action));
        };
        for category in [Category::Secret, Category::GenericSecret] {
            add(category, &INBOUND, of_filter(input.filter_secrets));
            add(category, &OUTBOUND, of_filter(output.filter_secrets));
        }
        add(Category::Pii, &INBOUND, of_filter(input.redact_pii));
        add(Category::Pii, &OUTBOUND, of_filter(output.redact_pii));
        add(Category::Path, &OUTBOUND, of_filter(output.sanitize_paths));
        if input.reject_known_injection_patterns {
            add(Category::Injection, &INBOUND, Action::Block);
        }
        if has_rule_files {
            add(Category::Custom, &Place::ALL, Action::Block);
        }
        let files = [Place::Input, Place::ToolArguments];
        add(Category::File, &files, Action::Block);
        add(Category::Scope, &Place::ALL, Action::Block);
        add(
            Category::Leak,
            &OUTBOUND,
            of_action(guards.prompt_leaks.action),
        );
        let shell = of_filter(output.escape_shell_commands);
        add(Category::Shell, &OUTBOUND, shell);
        let code = of_filter(output.validate_generated_code.0);
        add(Category::Code, &OUTBOUND, code);
        let moderation = &guards.moderation;
        add(Category::Moderation, &INBOUND, of_filter(moderation.input));
        add(
            Category::Moderation,
            &OUTBOUND,
            of_filter(moderation.output),
        );
        for (category, filter) in &moderation.categories {
            let selector = Selector::Rule(category.clone());
            lines.push(Line::everyone(selector, &Place::ALL, of_filter(*filter)));
        }
        lines.sort_by_key(|line| {
            let is_family = matches!(line.line.selector, Selector::Category(_));
            (
                line.is_checklist,
                Reverse(line.narrowness()),
                is_family,
                Reverse(line.line.action),
            )
        });
        Self(lines)
    }

    /// Whether what follows depends on who asks.
    pub(super) fn has_overrides(&self) -> bool {
        self.0.iter().any(|line| line.narrowness() > 0)
    }

    /// Whether anything follows a match of this family at any of these places.
    pub(super) fn want(&self, category: Category, rules: &HashSet<String>, at: &[Place]) -> bool {
        self.0.iter().any(|line| line.wants(category, rules, at))
    }

    /// The policy for this caller.
    pub(super) fn policy(&self, who: Option<Who<'_>>) -> Policy {
        let holds = |line: &&Line| match who {
            Some(who) => line.holds_for(who),
            None => line.narrowness() == 0,
        };
        Policy {
            lines: self
                .0
                .iter()
                .filter(holds)
                .map(|line| line.line.clone())
                .collect(),
        }
    }

    /// The names of single rules that policies speak of.
    pub(super) fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|line| match &line.line.selector {
            Selector::Rule(id) => Some(id.as_str()),
            Selector::Category(_) => None,
        })
    }
}

/// The part of a policy that an engine with these rules at these places can keep.
pub(super) fn restrict(policy: &Policy, at: &[Place], rules: &HashSet<String>) -> Policy {
    let mut lines = policy.lines.clone();
    for line in &mut lines {
        line.places.retain(|place| at.contains(place));
    }
    lines.retain(|line| {
        let is_known = match &line.selector {
            Selector::Rule(id) => rules.contains(id),
            Selector::Category(_) => true,
        };
        is_known && !line.places.is_empty()
    });
    Policy { lines }
}

fn selector(detector: &str) -> Selector {
    let family = Category::ALL.into_iter().find(|c| c.as_str() == detector);
    match family {
        Some(category) => Selector::Category(category),
        None => Selector::Rule(detector.to_owned()),
    }
}

pub(super) fn of_filter(filter: Filter) -> Action {
    match filter {
        Filter::Off => Action::Allow,
        Filter::Flag => Action::Flag,
        Filter::Redact => Action::Redact,
        Filter::Tokenize => Action::Tokenize,
        Filter::Block => Action::Block,
    }
}

pub(super) fn of_action(action: GuardAction) -> Action {
    match action {
        GuardAction::Allow => Action::Allow,
        GuardAction::Flag => Action::Flag,
        GuardAction::Redact => Action::Redact,
        GuardAction::Tokenize => Action::Tokenize,
        GuardAction::Block => Action::Block,
    }
}

fn of_place(place: GuardPlace) -> Place {
    match place {
        GuardPlace::Input => Place::Input,
        GuardPlace::ToolResult => Place::ToolResult,
        GuardPlace::OutputText => Place::OutputText,
        GuardPlace::ToolArguments => Place::ToolArguments,
        GuardPlace::Reasoning => Place::Reasoning,
    }
}
