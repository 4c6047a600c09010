//! What repositories and exports of clouds hold.

use seaworthy_verify::Status::{Fail, NotVerified, Pass};

use super::Case;

pub(super) const IN_REPOSITORIES: &[Case] = &[
    (
        "container.base-pinned",
        NotVerified,
        &["repo/Dockerfile\nARG V\nFROM rust:$V\n"],
    ),
    (
        "container.base-pinned",
        Pass,
        &["repo/Dockerfile\nFROM rust:${V:-1.95-slim}\n"],
    ),
    (
        "container.base-pinned",
        Fail,
        &["repo/Dockerfile\nARG V=1.95\nARG VERSION=latest\nFROM rust:$VERSION\n"],
    ),
    (
        "container.command-exists",
        Pass,
        &[
            "repo/app.py\nx = 1\n",
            "repo/Dockerfile\nFROM python:3.12-slim\nCMD python gone.py\nCMD python app.py\n",
        ],
    ),
    (
        "compose.no-privileges",
        Fail,
        &["repo/compose.yaml\nservices: {a: {image: 'a:1.2', volumes: ['~:/home/a']}}\n"],
    ),
    (
        "compose.secrets-not-inline",
        Fail,
        &[
            "repo/compose.yaml\nservices: {a: {build: {context: ., args: {DB_PASSWORD: hunter2hunter2}}}}\n",
        ],
    ),
    (
        "deploy.staging-first",
        Pass,
        &[
            "repo/.github/workflows/a.yml\non: push\njobs: {staging: {steps: [{run: ./deploy staging}]}, \
          production: {needs: staging, steps: [{run: ./deploy production}]}}\n",
        ],
    ),
    (
        "deploy.staging-first",
        Pass,
        &[
            "repo/.github/workflows/a.yml\non: push\njobs: {staging: {steps: [{run: ./deploy staging}]}}\n",
            "repo/.github/workflows/b.yml\non: push\njobs: {production: {steps: [{run: ./deploy production}]}}\n",
        ],
    ),
    (
        "ci.tests-automated",
        Pass,
        &[
            "repo/.github/workflows/a.yml\non: push\ndefaults: {run: {shell: bash}}\njobs: {a: {steps: [{run: pytest | tee out}]}}\n",
        ],
    ),
    (
        "ci.tests-automated",
        Pass,
        &[
            "repo/.github/workflows/a.yml\non: push\njobs: {a: {steps: [{run: pytest | tee out, shell: bash}]}}\n",
        ],
    ),
    (
        "ci.tests-automated",
        Fail,
        &[
            "repo/.github/workflows/a.yml\non: push\njobs: {a: {steps: [{run: pytest, shell: 'bash -e {0} || true'}]}}\n",
        ],
    ),
    (
        "deploy.db-migrations",
        Pass,
        &["repo/migrations/0001_a.down.sql\ndrop table a;\n"],
    ),
    (
        "deploy.db-migrations",
        Pass,
        &["repo/migrations/0001_a.sql\ncreate table a (b int);\n-- +goose Down\ndrop table a;\n"],
    ),
    (
        "deploy.db-migrations",
        Pass,
        &[
            "repo/migrations/0001_a.sql\n-- the next one may drop column b\ncreate table a (b int);\n",
        ],
    ),
    (
        "deploy.db-migrations",
        Fail,
        &["repo/migrations/0001_a.sql\ntruncate a;\n"],
    ),
    (
        "deploy.db-migrations",
        Fail,
        &["repo/migrations/0001_a.sql\nalter table a rename column b to c;\n"],
    ),
    (
        "deploy.db-migrations",
        Fail,
        &["repo/migrations/0001_a.sql\ndrop schema a;\n"],
    ),
    (
        "deploy.recorded",
        NotVerified,
        &["repo/CHANGELOG.md\n# Changes\n\n## Unreleased, for 1.0\n\n- It begins.\n"],
    ),
    (
        "deps.update-strategy",
        Fail,
        &["repo/renovate.json\n{\"enabled\": false}\n"],
    ),
    (
        "test.externals-mocked",
        Pass,
        &[
            "repo/tests/test_a.py\nfrom unittest import mock\n\ndef test_a():\n    assert mock.Mock()\n",
        ],
    ),
    (
        "test.externals-mocked",
        Fail,
        &["repo/app/a.py\nfrom unittest import mock\n"],
    ),
    (
        "code.no-print",
        Pass,
        &["repo/app/a.py\nf = lambda: print(1)\n"],
    ),
    // The level, and the rule, may stand in an extension of the tool.
    (
        "security.scan-passed",
        Fail,
        &[
            "repo/scan.sarif\n{\"runs\": [{\"tool\": {\"driver\": {}, \"extensions\": [{\"rules\": [{\"id\": \"a\", \
          \"defaultConfiguration\": {\"level\": \"error\"}}]}]}, \"results\": [{\"rule\": {\"id\": \"a\"}}]}]}\n",
        ],
    ),
    (
        "security.scan-passed",
        NotVerified,
        &["repo/scan.sarif\n{\"runs\": []}\n"],
    ),
    (
        "security.scan-passed",
        NotVerified,
        &[
            "repo/scan.sarif\n{\"runs\": [{\"results\": [], \"invocations\": [{\"executionSuccessful\": false}]}]}\n",
        ],
    ),
    (
        "cloud.waf",
        Pass,
        &[
            "cloud/plan.json\n{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_wafv2_web_acl_association\", \
          \"address\": \"a\", \"values\": {}}]}}}",
        ],
    ),
    (
        "cost.allocation-tags",
        Fail,
        &[
            "cloud/plan.json\n{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_s3_bucket\", \"address\": \"a\", \
          \"values\": {\"tags\": [{\"Key\": \"team\", \"Value\": \"\"}]}}]}}}",
        ],
    ),
];
