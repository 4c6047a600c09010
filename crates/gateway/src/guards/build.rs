//! From the configuration to the rules of the guards. What nothing follows is not built.

use std::collections::HashSet;
use std::sync::Arc;

use regex::RegexSetBuilder;
use seaworthy_config::{GuardSeverity, Guards as GuardsConfig, InputValidation};
use seaworthy_guard::custom::Custom;
use seaworthy_guard::engine::DEFAULT_HOLDBACK_BYTES;
use seaworthy_guard::injection::InjectionJudge;
use seaworthy_guard::input::Lengths;
use seaworthy_guard::input::path::{AbsolutePaths, ResolveLinks};
use seaworthy_guard::input::reference::FileRules;
use seaworthy_guard::input::scope::Scope;
use seaworthy_guard::leak::Canary;
use seaworthy_guard::moderation::ModerationJudge;
use seaworthy_guard::pii::Pii;
use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::{Category, Detector, Engine, Place, Policy, Severity, VaultKey};
use seaworthy_guard_code::CodePolicy;

use super::links::RealLinks;
use super::policy::{INBOUND, Lines, OUTBOUND, restrict};
use super::{GuardError, Rules, Sided, Source};

/// What the judge of harmful content names.
pub(super) const MODERATION_CATEGORIES: [&str; 7] = [
    "hate",
    "violence",
    "self_harm",
    "sexual_minors",
    "illicit",
    "profanity",
    "abuse",
];

/// Rules that exist for one request only, or find no places in a text.
const OTHER_RULES: [&str; 3] = ["system_prompt", "canary", "denied_topic"];

/// The most memory that the compiled patterns of an operator may take, in bytes.
const MAX_PATTERNS: usize = 4 * 1024 * 1024;

/// Builds everything; `None` where the configuration asks for nothing.
pub(super) fn rules(source: &Source, vault_key: VaultKey) -> Result<Option<Rules>, GuardError> {
    let (input, output, guards) = (&source.input, &source.output, &source.guards);
    let is_silent = *input == without_limits(input)
        && *output == seaworthy_config::OutputHandling::default()
        && *guards == GuardsConfig::default();
    if is_silent {
        return Ok(None);
    }
    let lines = Lines::new(guards, input, output, !source.rules.is_empty());
    let detectors = detectors(source)?;
    know_all_rules(&lines, &detectors)?;
    let wanted = |category: Category, at: &[Place]| {
        let none = HashSet::new();
        lines.want(category, &none, at)
    };
    let moderation: HashSet<String> = MODERATION_CATEGORIES.map(str::to_owned).into();
    let moderates = lines.want(Category::Moderation, &moderation, &Place::ALL);
    let leaks = &guards.prompt_leaks;
    Ok(Some(Rules {
        shared: (!lines.has_overrides()).then(|| lines.policy(None)),
        inbound: sided(&lines, &detectors, &INBOUND)?,
        outbound: sided(&lines, &detectors, &OUTBOUND)?,
        lengths: Lengths {
            max_input_length: input.max_input_length.map(Into::into),
            max_question_length: input.max_question_length.map(Into::into),
            max_tool_param_length: input.max_tool_param_length.map(Into::into),
        },
        strip_html_tags: input.strip_html_tags,
        injection: match wanted(Category::Injection, &INBOUND) {
            true => Some(InjectionJudge::built_in()?),
            false => None,
        },
        blocked_patterns: match input.blocked_patterns.is_empty() {
            true => None,
            false => Some(
                RegexSetBuilder::new(&input.blocked_patterns)
                    .case_insensitive(true)
                    .size_limit(MAX_PATTERNS)
                    .build()?,
            ),
        },
        moderation: match moderates {
            true => Some(ModerationJudge::built_in()?),
            false => None,
        },
        least_severity: of_severity(guards.moderation.least_severity),
        files: files(input, &guards.project_root)?,
        scope: Scope {
            allowed_topics: guards.scope.allowed_topics.clone(),
            denied_topics: guards.scope.denied_topics.clone(),
            allowed_tools: guards.scope.allowed_tools.clone(),
            denied_tools: guards.scope.denied_tools.clone(),
        },
        side_effect_tools: guards.scope.side_effect_tools.clone(),
        after_untrusted: guards.scope.after_untrusted,
        overlap_words: leaks.overlap_words.map(Into::into),
        plant_canary: leaks.plant_canary,
        code: CodePolicy {
            forbidden_names: guards.code.forbidden_names.clone(),
            refuse_dangerous_shell: guards.code.forbid_dangerous_shell,
            forbidden_sql: guards.code.forbidden_sql.clone(),
        },
        sandbox_only: output.sandbox_code_execution,
        asks_others: !guards.opinions.is_empty(),
        mark_untrusted: guards.mark_untrusted,
        on_failure: guards.on_failure,
        unread_parts: guards.unread_parts,
        vault_key,
        lines,
    }))
}

/// The section without its rates, which are no matter of guards, and nothing else.
fn without_limits(input: &InputValidation) -> InputValidation {
    InputValidation {
        requests_per_minute: input.requests_per_minute,
        requests_per_hour: input.requests_per_hour,
        concurrent_requests: input.concurrent_requests,
        ..InputValidation::default()
    }
}

type Found = (Category, Arc<dyn Detector>);

/// Every detector that finds places in texts, with the family that its matches are of.
fn detectors(source: &Source) -> Result<Vec<Found>, GuardError> {
    let mut found: Vec<Found> = vec![
        (Category::Secret, Arc::new(Secrets::built_in()?)),
        (Category::Pii, Arc::new(Pii::built_in()?)),
        (Category::Path, Arc::new(AbsolutePaths::built_in()?)),
    ];
    let names_of_files = source.guards.rule_files.iter().map(String::as_str);
    let files = names_of_files.zip(source.rules.iter().map(String::as_str));
    if let Some(custom) = Custom::from_toml(files).map_err(GuardError::Rule)? {
        let is_known = |id: &String| {
            let families = Category::ALL.iter().map(|category| category.as_str());
            let others = families.chain(MODERATION_CATEGORIES).chain(OTHER_RULES);
            let mut built_in = found.iter().flat_map(|(_, detector)| names(&**detector));
            others.into_iter().any(|name| name == id) || built_in.any(|name| name == *id)
        };
        if let Some(taken) = names(&custom).find(is_known) {
            return Err(GuardError::Taken(taken));
        }
        found.push((Category::Custom, Arc::new(custom)));
    }
    let topics = &source.guards.scope.denied_topics;
    let topics = Custom::phrases("denied_topic", Category::Scope, topics);
    if let Some(topics) = topics.map_err(GuardError::Topic)? {
        found.push((Category::Scope, Arc::new(topics)));
    }
    for canary in &source.guards.prompt_leaks.canaries {
        found.push((Category::Leak, Arc::new(Canary::new(canary)?)));
    }
    Ok(found)
}

fn names(detector: &dyn Detector) -> impl Iterator<Item = String> {
    detector.rules().iter().map(|rule| rule.id.to_string())
}

fn know_all_rules(lines: &Lines, detectors: &[Found]) -> Result<(), GuardError> {
    let mut known: Vec<String> = detectors
        .iter()
        .flat_map(|(_, detector)| names(&**detector))
        .collect();
    known.extend(MODERATION_CATEGORIES.map(str::to_owned));
    known.extend(OTHER_RULES.map(str::to_owned));
    match lines
        .rules()
        .find(|rule| !known.iter().any(|id| id == rule))
    {
        Some(unknown) => {
            known.sort_unstable();
            known.dedup();
            Err(GuardError::Unknown(unknown.to_owned(), known.join(", ")))
        }
        None => Ok(()),
    }
}

/// The engine of one direction, if anything follows what its detectors find there.
fn sided(lines: &Lines, detectors: &[Found], at: &[Place]) -> Result<Option<Sided>, GuardError> {
    let mut used: Vec<Arc<dyn Detector>> = Vec::new();
    let mut rules = HashSet::new();
    for (category, detector) in detectors {
        // What users may talk about is judged by itself.
        if *category == Category::Scope && at == INBOUND {
            continue;
        }
        let own: HashSet<String> = names(&**detector).collect();
        let also = match category {
            Category::Secret => lines.want(Category::GenericSecret, &own, at),
            _ => false,
        };
        if also || lines.want(*category, &own, at) {
            used.push(Arc::clone(detector));
            rules.extend(own);
        }
    }
    if used.is_empty() {
        return Ok(None);
    }
    let policy = restrict(&lines.policy(None), at, &rules);
    let engine = Engine::new(Vec::new(), Policy::default(), DEFAULT_HOLDBACK_BYTES)?;
    let engine = Arc::new(engine.derive(policy, used)?);
    Ok(Some(Sided { engine, rules }))
}

fn files(input: &InputValidation, root: &str) -> Result<Option<FileRules>, GuardError> {
    let extension = |listed: &String| listed.trim_start_matches('.').to_ascii_lowercase();
    let within = match input.require_within_project {
        true => {
            let resolved = RealLinks::default().resolve(root.as_ref());
            Some(resolved.map_err(|source| GuardError::Root {
                path: root.to_owned(),
                source,
            })?)
        }
        false => None,
    };
    let rules = FileRules {
        no_traversal: input.no_path_traversal,
        extensions: input.whitelist_extensions.iter().map(extension).collect(),
        within,
    };
    Ok((!rules.is_empty()).then_some(rules))
}

fn of_severity(severity: GuardSeverity) -> Severity {
    match severity {
        GuardSeverity::Low => Severity::Low,
        GuardSeverity::Medium => Severity::Medium,
        GuardSeverity::High => Severity::High,
        GuardSeverity::Critical => Severity::Critical,
    }
}
