//! Every drill, as data.

use super::{
    Drill, Need, Pace, Way, alert, away, budget, certificate, drain, injection, kill, load, network,
};
use super::{outage, restore, rollback, rotation, state};

/// Every drill, in the order of `drill all`.
pub static DRILLS: &[Drill] = &[
    Drill {
        name: "provider-outage",
        title: "Callers are answered while a provider is dead or frozen",
        why: "Providers fail every week; callers should not learn of it.",
        scratch: Way {
            answers: &["dr.failover-tested", "chaos.recovery-validated"],
            needs: &[],
            steps: outage::OUTAGE_STEPS,
            seconds: 90,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(outage::provider_outage(stage)),
        },
        away: Some(Way {
            answers: &["dr.failover-tested", "chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "provider-limits",
        title: "A provider that limits its calls is left alone, and callers are answered by another",
        why: "Providers limit exactly when you need them, and punish those who go on.",
        scratch: Way {
            answers: &["chaos.provider-rate-limited", "chaos.recovery-validated"],
            needs: &[],
            steps: outage::LIMIT_STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(outage::provider_limits(stage)),
        },
        away: Some(Way {
            answers: &["chaos.provider-rate-limited", "chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "network-partition",
        title: "Callers are answered while the path to a provider is dead",
        why: "A half-open network is worse than a closed one: nobody says no.",
        scratch: Way {
            answers: &["chaos.network-partition", "chaos.recovery-validated"],
            needs: &[],
            steps: network::STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(network::partition(stage)),
        },
        away: Some(Way {
            answers: &["chaos.network-partition", "chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "redis-loss",
        title: "Redis is lost and comes back, and limits hold meanwhile",
        why: "A cache must not take the service down, nor open it to everyone.",
        scratch: Way {
            answers: &["chaos.redis-failure", "chaos.recovery-validated"],
            needs: &[Need::Redis],
            steps: state::REDIS_STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(state::redis_loss(stage)),
        },
        away: Some(Way {
            answers: &["chaos.redis-failure", "chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "database-loss",
        title: "The database is lost and comes back, and no record is lost",
        why: "A restart of the database must cost neither answers nor accounts.",
        scratch: Way {
            answers: &["chaos.recovery-validated"],
            needs: &[Need::Postgres],
            steps: state::DATABASE_STEPS,
            seconds: 90,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(state::database_loss(stage)),
        },
        away: Some(Way {
            answers: &["chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "kill",
        title: "kill -9 under load loses no work, and the next process goes on",
        why: "Machines die without a word; what was paid for must be in the books.",
        scratch: Way {
            answers: &["chaos.recovery-validated"],
            needs: &[],
            steps: kill::STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(kill::kill(stage)),
        },
        away: Some(Way {
            answers: &["chaos.recovery-validated"],
            needs: &[Need::Key, Need::Commands],
            steps: away::BACK_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::comes_back(stage)),
        }),
    },
    Drill {
        name: "drain",
        title: "SIGTERM under load cuts nothing that runs",
        why: "Every deployment sends it; answers cut in the middle are paid for and lost.",
        scratch: Way {
            answers: &["shutdown.graceful-drain"],
            needs: &[],
            steps: drain::STEPS,
            seconds: 75,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(drain::drain(stage)),
        },
        away: Some(Way {
            answers: &["chaos.pod-eviction", "deploy.zero-downtime"],
            needs: &[Need::Key, Need::Commands],
            steps: away::ANSWERED_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::answered(stage)),
        }),
    },
    Drill {
        name: "config-rollback",
        title: "Back from a harmful configuration, measured",
        why: "The quickest repair is the way back, if somebody has walked it.",
        scratch: Way {
            answers: &["rollback.tested"],
            needs: &[],
            steps: rollback::STEPS,
            seconds: 120,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(rollback::rollback(stage)),
        },
        away: Some(Way {
            answers: &["rollback.tested"],
            needs: &[Need::Key, Need::Commands],
            steps: away::BACK_STEPS,
            seconds: 180,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(away::comes_back(stage)),
        }),
    },
    Drill {
        name: "restore",
        title: "A backup is restored into an empty place, RPO and RTO measured",
        why: "A backup that nobody restored is a hope.",
        scratch: Way {
            answers: &["backup.restore-tested"],
            needs: &[],
            steps: restore::STEPS,
            seconds: 150,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(restore::restore(stage)),
        },
        away: None,
    },
    Drill {
        name: "key-rotation",
        title: "A key is changed under load and no call fails",
        why: "A rotation that breaks callers is put off until it is an incident.",
        scratch: Way {
            answers: &["secrets.zero-downtime-rotation"],
            needs: &[],
            steps: rotation::STEPS,
            seconds: 45,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(rotation::scratch(stage)),
        },
        away: Some(Way {
            answers: &["secrets.zero-downtime-rotation"],
            needs: &[Need::AdminKey],
            steps: rotation::STEPS,
            seconds: 45,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(rotation::away(stage)),
        }),
    },
    Drill {
        name: "certificate",
        title: "A certificate is renewed under load, and a broken one is never put in force",
        why: "A renewal that needs a restart is forgotten until the certificate has ended.",
        scratch: Way {
            answers: &["tls.certificate-reload"],
            needs: &[],
            steps: certificate::STEPS,
            seconds: 75,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(certificate::scratch(stage)),
        },
        away: Some(Way {
            answers: &["tls.certificate-reload"],
            needs: &[Need::Key, Need::Commands],
            steps: certificate::AWAY_STEPS,
            seconds: 240,
            phases: 1,
            pace: Pace::Beside,
            run: |stage| Box::pin(certificate::away(stage)),
        }),
    },
    Drill {
        name: "alert",
        title: "Something breaks, an alert fires, arrives and ends",
        why: "The way from a rule to a person is long and breaks quietly.",
        scratch: Way {
            answers: &["alert.tested"],
            needs: &[Need::Prometheus],
            steps: alert::STEPS,
            seconds: 240,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(alert::scratch(stage)),
        },
        away: Some(Way {
            answers: &["alert.tested"],
            needs: &[Need::Key, Need::Commands, Need::PrometheusUrl],
            steps: alert::AWAY_STEPS,
            seconds: 2_000,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(alert::away(stage)),
        }),
    },
    Drill {
        name: "budget",
        title: "A spent budget blocks, also when many callers come at once",
        why: "A budget that is checked after the call is spent twice.",
        scratch: Way {
            answers: &["budget.enforcement-tested"],
            needs: &[],
            steps: budget::STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::AtOnce(budget::CALLS),
            run: |stage| Box::pin(budget::enforcement(stage)),
        },
        away: None,
    },
    Drill {
        name: "load",
        title: "Twice the stated peak is served within its targets",
        why: "What was never tried at the peak fails at the peak.",
        scratch: Way {
            answers: &[
                "load.test-performed",
                "perf.throughput-measured",
                "limits.validated-under-load",
            ],
            needs: &[],
            steps: load::STEPS,
            seconds: 140,
            phases: 3,
            pace: Pace::TwicePeak,
            run: |stage| Box::pin(load::scratch(stage)),
        },
        away: Some(Way {
            answers: &["load.test-performed", "perf.throughput-measured"],
            needs: &[Need::Key],
            steps: load::STEPS,
            seconds: 140,
            phases: 3,
            pace: Pace::TwicePeak,
            run: |stage| Box::pin(load::away(stage)),
        }),
    },
    Drill {
        name: "injection",
        title: "Prompts that try to take over are refused, and others are not",
        why: "A guard that lets attacks through, or stops everyone, is none.",
        scratch: Way {
            answers: &[],
            needs: &[],
            steps: injection::STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(injection::scratch(stage)),
        },
        away: Some(Way {
            answers: &[],
            needs: &[Need::Key],
            steps: injection::STEPS,
            seconds: 60,
            phases: 0,
            pace: Pace::Beside,
            run: |stage| Box::pin(injection::away(stage)),
        }),
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::DRILLS;
    use crate::requirement::Requirements;

    #[test]
    fn every_drill_has_its_own_name_explains_itself_and_answers_what_exists() {
        let requirements = Requirements::builtin().expect("the data parses");
        let mut names = BTreeSet::new();
        for drill in DRILLS {
            assert!(names.insert(drill.name), "{} appears twice", drill.name);
            assert!(!drill.title.is_empty() && !drill.why.is_empty());
            for way in [Some(&drill.scratch), drill.away.as_ref()]
                .into_iter()
                .flatten()
            {
                assert!(way.steps.len() >= 3, "{} has no plan", drill.name);
                for id in way.answers {
                    assert!(requirements.get(id).is_some(), "{}: no {id}", drill.name);
                }
            }
        }
    }
}
