//! Words of the configuration language that this version knows but cannot act on yet. They are
//! errors: a control that is configured and not enforced is worse than none.

/// Sections and keys, with what is going to read them.
const SECTIONS: [(&str, &str); 28] = [
    ("cost_dashboard", "the dashboard"),
    ("alerts", "alerting"),
    ("audit_log", "the audit log"),
    ("logging_levels", "log contents"),
    ("structured_log_format", "log contents"),
    ("agent_metrics", "metric selection"),
    ("rollback_procedure", "releases"),
    ("escalation", "alerting"),
    ("min_capacity", "autoscaling"),
    ("max_capacity", "autoscaling"),
    ("target_cpu", "autoscaling"),
    ("agent.azure_openai", "the agent runtime"),
    ("agent.default_model", "the agent runtime"),
    ("agent.mcp", "the agent runtime"),
    ("agent.mcp_sessions", "the agent runtime"),
    ("agent.memory", "the agent runtime"),
    ("agent.observability.tracing_enabled", "telemetry"),
    ("agent.observability.tracing_exporter", "telemetry"),
    ("agent.observability.sample_rate", "telemetry"),
    ("agent.max_tokens", "the agent runtime"),
    ("agent.models", "the agent runtime"),
    ("agent.name", "the agent runtime"),
    ("agent.system_prompt", "the agent runtime"),
    ("agent.temperature", "the agent runtime"),
    ("agent.version", "the agent runtime"),
    ("agent.tools", "the agent runtime"),
    ("agent.workflows", "the agent runtime"),
    ("agent.security.auth", "authentication"),
];

/// What is going to read the key at `path`, if it is a word of the language.
pub(crate) fn section(path: &str) -> Option<&'static str> {
    SECTIONS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, reader)| *reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_reserved_that_can_be_configured() {
        let schema = crate::schema();
        for (name, _) in SECTIONS {
            let mut section = &schema;
            let supported = name.split('.').all(|key| {
                section = &section["properties"][key];
                if let Some(reference) = section["$ref"].as_str() {
                    section = schema.pointer(&reference[1..]).unwrap();
                }
                !section.is_null()
            });
            assert!(!supported, "{name} is supported");
        }
    }
}
