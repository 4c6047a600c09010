//! Faults that look like the control to whoever reads only its words: rules, workflows, pages, exports.

use super::super::faults::{Fault, fault, wide};

const RULES: &str = "manifests/rules.yaml";
const MORE: &str = "manifests/more-rules.yaml";
const CI: &str = "repo/.github/workflows/ci.yml";
const AWS: &str = "cloud/aws.json";
const AZURE: &str = "cloud/azure.json";
const DOWN: &str = "repo/docs/runbooks/service-down.md";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "alert.high-latency",
        RULES,
        "[5m]))) > 10",
        "[5m]))) > 10 unless vector(1)",
    ),
    fault(
        "alert.high-latency",
        RULES,
        "histogram_quantile(0.95,",
        "histogram_quantile(0,",
    ),
    fault(
        "alert.breaker-open",
        MORE,
        "max(seaworthy_breaker_state) > 0",
        "max(seaworthy_breaker_state) < 0",
    ),
    fault("alert.budget", MORE, "> 0.8", "> Inf"),
    fault(
        "alert.budget",
        MORE,
        "max(seaworthy_budget_used_ratio) > 0.8",
        "sum(rate(agent_cost_total[1h])) > 2 * sum(rate(agent_cost_total[1h] offset 1d))",
    ),
    fault("alert.low-cache-hit-rate", MORE, ") < 0.2", ") < 0"),
    fault(
        "alert.pod-restarts",
        MORE,
        "restarts_total[1h]) > 3",
        "restarts_total[1h]) < 0",
    ),
    fault("alert.high-memory", MORE, "> 8e8", "* 0 > 8e8"),
    fault(
        "alert.rate-limit-hits",
        MORE,
        "rate_limited_total[5m])) > 5', labels",
        "rate_limited_total[5m])) > 5', for: 30d, labels",
    ),
    fault(
        "alert.runbook-links",
        RULES,
        "runbook_url: docs/runbooks/high-latency.md",
        "runbook_url: fill me in",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "cargo test --workspace",
        "cargo test --workspace --no-run",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "cargo test --workspace",
        "cargo test --workspace | tee out.txt",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "cargo test --workspace",
        "cargo test --workspace || exit 0",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "run: cargo test --workspace",
        "run: cargo test --workspace\n        continue-on-error: ${{ true }}",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: {push: {tags: [\"v*\"]}}",
    ),
    wide(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: workflow_call",
        &["ci.builds-automated", "ci.security-scanning"],
    ),
    wide(
        "ci.security-scanning",
        CI,
        "on: [push, pull_request]",
        "on: workflow_dispatch",
        &["ci.builds-automated", "ci.tests-automated"],
    ),
    fault(
        "ci.builds-automated",
        CI,
        "docker build -t agent .",
        "docker buildx version",
    ),
    fault(
        "ci.deploy-automated",
        CI,
        "kubectl apply -f manifests/",
        "kubectl apply --dry-run=server -f manifests/",
    ),
    fault(
        "code.lint-clean",
        CI,
        "ruff check",
        "ruff check --exit-zero",
    ),
    fault(
        "ci.actions-pinned",
        CI,
        "actions/checkout@v5",
        "docker://alpine:latest",
    ),
    fault(
        "ci.strangers-run-nothing",
        CI,
        "      - run: ruff check",
        "      - run: echo \"${{ github.event.pull_request['title'] }}\"\n      - run: ruff check",
    ),
    fault(
        "deploy.staging-first",
        CI,
        "jobs:\n",
        "jobs:\n  production:\n    environment: production\n    steps:\n      - run: helm upgrade agent .\n",
    ),
    fault(
        "deps.lockfile-committed",
        "repo/package.json",
        "\"left-pad\": \"^1.3.0\"",
        "\"left-pad\": \"^1.3.0\", \"right-pad\": \"^1.0.0\"",
    ),
    fault(
        "deps.update-strategy",
        "repo/.github/dependabot.yml",
        "",
        "version: 2\nupdates: []\n",
    ),
    fault(
        "deps.pinned",
        "repo/requirements/production.txt",
        "",
        "httpx>=0.27\n",
    ),
    fault("repo.licence-present", "repo/LICENSE", "", "TBD\n"),
    fault(
        "repo.tests-exist",
        "repo/tests/adds.rs",
        "assert_eq!(1 + 1, 2);",
        "assert!(true);",
    ),
    fault(
        "secrets.none-in-source",
        "repo/notes.md",
        "",
        "The key is glpat-0a1B2c3D4e5F6g7H8i9J.\n",
    ),
    fault(
        "code.no-bare-except",
        "repo/src/service.py",
        "    except ValueError:\n        return question\n",
        "    except (Exception, KeyError):\n        ...\n",
    ),
    fault(
        "runbook.agent-down",
        DOWN,
        "",
        "# Service down\n\n## Symptoms\n\n## Diagnosis\n\n## Actions\n\n## Escalation\n\nThis page was made from \
         the template of the wiki by the bot on a Monday, and waits for what somebody will surely add to it one day.\n",
    ),
    fault(
        "runbook.agent-down",
        DOWN,
        "",
        "# Service down\n\n<!-- Symptoms: nobody gets an answer from any replica of the service. Diagnosis: look at \
         the pods and at the last release. Actions: restart one pod, then roll back. Escalation: call the lead. -->\n",
    ),
    fault("runbook.agent-down", DOWN, "#", "WIP\n\n#"),
    fault(
        "risk.high-mitigated",
        "repo/docs/operations.md",
        "a second provider is configured | Ada",
        "a second provider is configured | nobody",
    ),
    fault(
        "deploy.db-migrations",
        "repo/migrations/0001_calls.sql",
        "create table calls (id integer primary key)",
        "alter table calls\n  drop   column id",
    ),
    fault(
        "test.suite-passes",
        "repo/reports/third.xml",
        "",
        "<testsuite tests=\"1\" failures=\"0\" errors=\"2\"><testcase classname=\"c\" name=\"d\"/></testsuite>\n",
    ),
    fault(
        "test.behavioral",
        "repo/reports/promptfoo.json",
        "\"failures\": 1",
        "\"failures\": 1, \"errors\": 40",
    ),
    fault(
        "security.scan-passed",
        "repo/reports/more.sarif",
        "",
        "{\"runs\": [{\"tool\": {\"driver\": {\"rules\": [{\"id\": \"x\", \"properties\": {\"security-severity\": \"9.8\"}}]}}, \
         \"results\": [{\"ruleId\": \"x\"}]}]}\n",
    ),
    fault(
        "deps.no-known-vulns",
        "repo/reports/snyk-vuln.json",
        "",
        "{\"ok\": false, \"vulnerabilities\": [{\"id\": \"SNYK-1\", \"severity\": \"critical\"}]}\n",
    ),
    fault(
        "iam.no-wildcards",
        AWS,
        "\"arn:aws:bedrock:eu-central-1::foundation-model/one\"",
        "\"arn:aws:*:*:*:*\"",
    ),
    fault(
        "iam.secrets-access",
        AWS,
        "\"arn:aws:secretsmanager:eu-central-1:1:secret:agent\"",
        "\"arn:aws:secretsmanager:eu-central-1:1:secret:*\"",
    ),
    fault(
        "iam.workload-identity",
        "cloud/key.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_iam_access_key\", \"address\": \"a\", \
         \"values\": {\"user\": \"bot\"}}]}}}\n",
    ),
    fault(
        "iam.roles-assigned",
        AZURE,
        "\"principalId\": \"2\"",
        "\"principalId\": \"\"",
    ),
    wide(
        "cloud.private-endpoints",
        AZURE,
        "\"name\": \"blob\", \"provisioningState\": \"Succeeded\"",
        "\"name\": \"blob\", \"provisioningState\": \"Succeeded\", \"a\": {\"privateLinkServiceConnectionState\": {\"status\": \"Rejected\"}}",
        &["cloud.private-endpoint-storage"],
    ),
    fault(
        "ha.multi-zone",
        "cloud/database.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_db_instance\", \"address\": \"db\", \
         \"values\": {\"multi_az\": false, \"storage_encrypted\": true}}]}}}\n",
    ),
    fault(
        "net.lb-health-checks",
        "cloud/targets.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_lb_target_group\", \"address\": \"t\", \
         \"values\": {\"health_check\": [{\"enabled\": false, \"path\": \"/health\"}]}}]}}}\n",
    ),
    fault(
        "dr.cross-region-replication",
        "cloud/buckets.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_s3_bucket_replication_configuration\", \
         \"address\": \"b\", \"values\": {\"rule\": [{\"status\": \"Disabled\"}]}}]}}}\n",
    ),
    fault(
        "cost.allocation-tags",
        "cloud/terraform.json",
        "{\"team\": \"agents\"}",
        "{\"team\": \"\"}",
    ),
    fault(
        "cloud.security-groups",
        AWS,
        "\"FromPort\": 443, \"ToPort\": 443, \"IpRanges\": [{\"CidrIp\": \"0.0.0.0/0\"}]",
        "\"FromPort\": 22, \"ToPort\": 22, \"IpRanges\": [{\"CidrIp\": \"0.0.0.0/1\"}, {\"CidrIp\": \"128.0.0.0/1\"}]",
    ),
];
