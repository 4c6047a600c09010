//! Faults behind checks that read exports of a cloud.

use super::super::faults::{Fault, fault, wide};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "iam.no-wildcards",
        "cloud/aws.json",
        "\"arn:aws:bedrock:eu-central-1::foundation-model/one\"",
        "\"*\"",
    ),
    fault(
        "iam.least-privilege",
        "cloud/aws.json",
        "[\"bedrock:InvokeModel\"]",
        "[\"bedrock:*\"]",
    ),
    fault(
        "iam.roles-assigned",
        "cloud/azure.json",
        "\"principalId\": \"2\", ",
        "",
    ),
    wide(
        "iam.secrets-access",
        "cloud/aws.json",
        "\"arn:aws:secretsmanager:eu-central-1:1:secret:agent\"",
        "\"*\"",
        &["iam.no-wildcards"],
    ),
    fault(
        "iam.workload-identity",
        "cloud/aws.json",
        "\"instanceRecommendations\"",
        "\"AccessKeyMetadata\": [{\"UserName\": \"bot\", \"Status\": \"Active\"}],\n  \"instanceRecommendations\"",
    ),
    fault(
        "access.kubectl",
        "cloud/cluster.json",
        "\"name\": \"operators\"}]",
        "\"name\": \"system:authenticated\"}]",
    ),
    fault(
        "cloud.no-public-endpoints",
        "cloud/aws.json",
        "\"PubliclyAccessible\": false",
        "\"PubliclyAccessible\": true",
    ),
    fault(
        "cloud.private-endpoints",
        "cloud/azure.json",
        "\"name\": \"blob\", \"provisioningState\": \"Succeeded\"",
        "\"name\": \"blob\", \"provisioningState\": \"Failed\"",
    ),
    fault(
        "cloud.private-endpoint-openai",
        "cloud/azure.json",
        "\"account\"",
        "\"vault\"",
    ),
    fault(
        "cloud.private-endpoint-redis",
        "cloud/azure.json",
        "\"redisCache\"",
        "\"vault\"",
    ),
    fault(
        "cloud.private-endpoint-storage",
        "cloud/azure.json",
        "[\"blob\"]",
        "[\"vault\"]",
    ),
    fault(
        "cloud.private-subnets",
        "cloud/aws.json",
        "\"eu-central-1b\", \"MapPublicIpOnLaunch\": false",
        "\"eu-central-1b\", \"MapPublicIpOnLaunch\": true",
    ),
    fault(
        "cloud.security-groups",
        "cloud/aws.json",
        "\"FromPort\": 443",
        "\"FromPort\": 22",
    ),
    fault(
        "cloud.waf",
        "cloud/aws.json",
        "[\"arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/front\"]",
        "[]",
    ),
    fault(
        "data.encryption-at-rest",
        "cloud/aws.json",
        "\"StorageEncrypted\": true",
        "\"StorageEncrypted\": false",
    ),
    fault(
        "backup.point-in-time-recovery",
        "cloud/aws.json",
        "\"BackupRetentionPeriod\": 7",
        "\"BackupRetentionPeriod\": 0",
    ),
    fault(
        "dr.cross-region-replication",
        "cloud/aws.json",
        "[{\"RegionName\": \"eu-west-1\"}]",
        "[]",
    ),
    fault(
        "ha.multi-zone",
        "cloud/aws.json",
        "eu-central-1b\"",
        "eu-central-1a\"",
    ),
    fault(
        "k8s.pods-running",
        "cloud/cluster.json",
        "\"restartCount\": 0",
        "\"restartCount\": 50",
    ),
    fault(
        "net.lb-health-checks",
        "cloud/aws.json",
        "\"/health/ready\"",
        "\"/\"",
    ),
    fault(
        "log.aggregation-azure-monitor",
        "cloud/azure.json",
        "/subscriptions/1/workspaces/w",
        "",
    ),
    fault(
        "cost.allocation-tags",
        "cloud/terraform.json",
        "{\"team\": \"agents\"}",
        "{\"colour\": \"red\"}",
    ),
    fault(
        "cost.right-sized",
        "cloud/aws.json",
        "\"Optimized\"",
        "\"OVER_PROVISIONED\"",
    ),
    fault(
        "review.two-approvers",
        "cloud/protection.json",
        ": 2}",
        ": 1}",
    ),
];
