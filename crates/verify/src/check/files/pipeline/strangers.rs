//! What strangers may bring into a pipeline: their code, and their words.

use super::{NO_WORKFLOWS, starts_on, workflows};
use crate::check::files::Looked;
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::Node;

/// Words that a stranger chooses.
const WORDS_OF_STRANGERS: [&str; 20] = [
    "github.event.issue.title",
    "github.event.issue.body",
    "github.event.pull_request.title",
    "github.event.pull_request.body",
    "github.event.pull_request.head.ref",
    "github.event.comment.body",
    "github.event.review.body",
    "github.event.discussion.body",
    "github.head_ref",
    "github.event.discussion.title",
    "github.event.review_comment.body",
    "github.event.pull_request.head.label",
    "github.event.pull_request.head.repo",
    "github.event.head_commit.message",
    "github.event.head_commit.author",
    "github.event.commits",
    "github.event.pages",
    "github.event.workflow_run.head_branch",
    "github.event.workflow_run.head_commit",
    "tojson(github.event)",
];

pub(super) fn strangers(r: &Repository) -> Looked {
    let workflows = workflows(r);
    if workflows.is_empty() {
        return Looked::Nothing(NO_WORKFLOWS);
    }
    let mut problems = Vec::new();
    for (path, workflow) in &workflows {
        let trusted = !["pull_request_target", "workflow_run"]
            .iter()
            .any(|t| starts_on(workflow, t));
        let jobs = workflow.get("jobs").map_or(&[][..], Node::entries);
        let steps = jobs
            .iter()
            .flat_map(|(_, job)| job.items_at("steps").iter().map(move |step| (job, step)));
        for (job, step) in steps {
            let run = step.text_at("run").unwrap_or_default();
            let script = step.text_at("with.script").unwrap_or_default();
            // A variable is safe in a shell, and no better than its words as `${{ env.NAME }}`.
            let set = [workflow, job, step]
                .into_iter()
                .filter_map(|node| node.get("env"))
                .flat_map(Node::entries);
            let theirs = set.filter(|(_, value)| {
                let value = value.text().unwrap_or_default();
                WORDS_OF_STRANGERS
                    .iter()
                    .any(|word| interpolates(value, word))
            });
            let named = theirs.map(|(name, _)| format!("env.{}", name.to_ascii_lowercase()));
            let words = WORDS_OF_STRANGERS.iter().map(|&word| word.to_owned());
            let is_in = |word: &String| [run, script].iter().any(|text| interpolates(text, word));
            if let Some(word) = words.chain(named).find(is_in) {
                let found = format!("`{word}` is part of a command");
                problems.push(Problem::new(path, step.line, found));
            }
            let checks_out = step
                .text_at("uses")
                .is_some_and(|u| u.starts_with("actions/checkout"));
            let given = ["with.ref", "with.repository"].map(|key| step.text_at(key));
            let given = given.map(Option::unwrap_or_default).join(" ");
            let is_theirs = [
                "head",
                "github.event.pull_request",
                "refs/pull",
                "workflow_run",
            ]
            .iter()
            .any(|part| given.contains(part));
            if !trusted && (checks_out && is_theirs || fetches_theirs(run)) {
                let found = "checks out a stranger's code where secrets are";
                problems.push(Problem::new(path, step.line, found));
            }
        }
    }
    Looked::At(format!("{} workflows", workflows.len()), problems)
}

/// Whether a command fetches the code of a pull request by hand.
fn fetches_theirs(run: &str) -> bool {
    let fetches =
        run.contains("git fetch") || run.contains("git pull") || run.contains("git clone");
    let names = [
        "pull/",
        "head.ref",
        "head.sha",
        "head_ref",
        "HEAD_REF",
        "HEAD_SHA",
        "merge_commit_sha",
    ];
    run.contains("gh pr checkout") || fetches && names.iter().any(|name| run.contains(name))
}

fn interpolates(text: &str, word: &str) -> bool {
    // The other notation of the same, `event['issue']`.
    let text = text
        .to_ascii_lowercase()
        .replace("['", ".")
        .replace("']", "");
    let mut parts = text.split("${{").skip(1);
    parts.any(|part| {
        part.split("}}")
            .next()
            .is_some_and(|inner| inner.contains(word))
    })
}
