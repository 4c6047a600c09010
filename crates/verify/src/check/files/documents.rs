//! Documents that people need under stress: there, and speaking of what belongs in them.

use super::in_repository;
use crate::check::{Area, Check, Kind, Need, Severity};

pub(super) mod find;

use find::{Wanted, document};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "docs.architecture",
        title: "The architecture is described",
        why: "Newcomers repair it one day.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Draw and describe it.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["architecture"],
                        speaks_of: &[
                            &["component", "module", "service", "crate"],
                            &["flow", "diagram", "request"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "docs.deployment-guide",
        title: "A guide says how to deploy",
        why: "The expert is on holiday.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["deployment", "deploying"],
                        speaks_of: &[&["deploy", "install"], &["config"], &["verify", "check"]],
                    },
                )
            })
        },
    },
    Check {
        id: "docs.rollback-procedure",
        title: "A guide says how to go back",
        why: "Stress forgets, and it is asked for.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["rollback", "roll-back"],
                        speaks_of: &[
                            &["when", "trigger"],
                            &["command", "run"],
                            &["verify", "check"],
                            &["contact", "notify", "on-call"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "docs.troubleshooting",
        title: "A guide lists symptoms and remedies",
        why: "Faults repeat, and it is asked for.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["troubleshooting"],
                        speaks_of: &[&["symptom", "problem"], &["fix", "remedy", "solution"]],
                    },
                )
            })
        },
    },
    Check {
        id: "incident.response-plan",
        title: "A plan says how incidents are handled",
        why: "Roles prevent chaos.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["incident-response", "incident-plan", "incident-process"],
                        speaks_of: &[
                            &["severity"],
                            &["role", "commander", "lead"],
                            &["step", "first"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "incident.communication-plan",
        title: "A plan says who is told and how",
        why: "Silence loses customers.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["communication-plan", "incident-communication"],
                        speaks_of: &[
                            &["audience", "customer", "stakeholder"],
                            &["channel", "status page"],
                            &["template"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "incident.postmortem-process",
        title: "Incidents are followed by a blameless review",
        why: "They repeat otherwise.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Keep a template.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["post-mortem", "postmortem"],
                        speaks_of: &[&["timeline"], &["cause"], &["action"]],
                    },
                )
            })
        },
    },
    Check {
        id: "runbook.agent-down",
        title: "A runbook covers the lost service",
        why: "It is the worst case.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["service-down", "agent-down", "outage"],
                        speaks_of: &[&["symptom"], &["diagnos"], &["action"], &["escalat"]],
                    },
                )
            })
        },
    },
    Check {
        id: "runbook.high-error-rate",
        title: "A runbook covers many errors",
        why: "It is the commonest case.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["error-rate", "high-errors"],
                        speaks_of: &[&["symptom"], &["diagnos"], &["action"], &["escalat"]],
                    },
                )
            })
        },
    },
    Check {
        id: "runbook.high-latency",
        title: "A runbook covers slowness",
        why: "It has many causes.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["high-latency", "slow"],
                        speaks_of: &[&["symptom"], &["diagnos"], &["action"], &["escalat"]],
                    },
                )
            })
        },
    },
    Check {
        id: "runbook.cost-spike",
        title: "A runbook covers a jump in cost",
        why: "Money goes quickly.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["cost-spike", "cost"],
                        speaks_of: &[&["symptom"], &["diagnos"], &["action"], &["escalat"]],
                    },
                )
            })
        },
    },
    Check {
        id: "runbook.redis-failure",
        title: "A runbook covers the loss of Redis",
        why: "Everyone asks the same question then.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["redis"],
                        speaks_of: &[&["symptom"], &["diagnos"], &["action"], &["escalat"]],
                    },
                )
            })
        },
    },
    Check {
        id: "backup.strategy-documented",
        title: "The plan of backups is written down",
        why: "Assumed backups do not exist.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["backup"],
                        speaks_of: &[
                            &["what", "store"],
                            &["interval", "daily", "hourly"],
                            &["retention", "kept"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "backup.recovery-documented",
        title: "How to restore is written down",
        why: "The restore is under stress.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["restore", "recovery-procedure"],
                        speaks_of: &[&["command", "run"], &["verify", "check"]],
                    },
                )
            })
        },
    },
    Check {
        id: "dr.plan-documented",
        title: "A plan covers the loss of a site",
        why: "It is too late to think then.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["disaster-recovery"],
                        speaks_of: &[
                            &["region", "site", "provider"],
                            &["rto", "recovery time"],
                            &["step", "first"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "privacy.pii-handling-documented",
        title: "How personal data is handled is written down",
        why: "The law asks.",
        severity: Severity::High,
        areas: &[Area::Compliance],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["personal-data", "pii", "privacy"],
                        speaks_of: &[&["categor", "kind"], &["purpose"], &["retention", "kept"]],
                    },
                )
            })
        },
    },
    Check {
        id: "oncall.escalation-path",
        title: "A path says who is called next",
        why: "The first may sleep.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Write it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["escalation"],
                        speaks_of: &[
                            &["first", "level 1", "primary", "minutes", "after"],
                            &["second", "level 2", "then", "next", "lead", "head of"],
                            &["phone", "pager", "contact"],
                        ],
                    },
                )
            })
        },
    },
    Check {
        id: "risk.register-documented",
        title: "Known risks are listed with owner and answer",
        why: "What is written can be weighed.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "A Markdown file or heading of that name in the repository that speaks of what belongs in it. Whether it is good, a person must judge.",
        remedy: "Keep the register.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(s, "a document that says it", |r| {
                document(
                    r,
                    &Wanted {
                        named: &["risk-register", "risks"],
                        speaks_of: &[&["severity", "impact"], &["mitigation"], &["owner"]],
                    },
                )
            })
        },
    },
];
