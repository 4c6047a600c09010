//! Managers that refuse, fail, are slow, talk nonsense or are gone.

use std::sync::Arc;
use std::time::Instant;

use seaworthy_config::{Config, SecretSource as _};

use crate::support::{Asked, Fake, PATIENCE, Said, config, secrets, value};

/// Each manager with its secret at a fake one, tokens included.
fn configurations(fake: &Fake) -> [(&'static str, Arc<Config>); 4] {
    configurations_with("http", fake, "")
}

/// The same over this scheme, with further options of the manager.
pub(crate) fn configurations_with(
    scheme: &str,
    fake: &Fake,
    options: &str,
) -> [(&'static str, Arc<Config>); 4] {
    let at = fake.address;
    let of = |reference: &'static str, more: String| {
        let more = more.replace("http://", &format!("{scheme}://"));
        (reference, config(reference, &format!("{more}{options}")))
    };
    [
        of(
            "secret://aws/name",
            format!("[secret_managers.aws]\nregion = \"r\"\nendpoint = \"http://{at}\"\n"),
        ),
        of(
            "secret://vault/name#key",
            format!(
                "[secret_managers.vault]\naddress = \"http://{at}\"\ntoken = \"secret://env/OWN_SECRET\"\n"
            ),
        ),
        of(
            "secret://azure/vault/name",
            format!(
                "[secret_managers.azure]\nendpoint = \"http://{at}\"\ntoken_endpoint = \"http://{at}\"\n"
            ),
        ),
        of(
            "secret://gcp/project/name",
            format!(
                "[secret_managers.gcp]\nendpoint = \"http://{at}\"\ntoken_endpoint = \"http://{at}\"\n"
            ),
        ),
    ]
}

/// What a manager that is well says, whichever it is.
pub(crate) fn well(asked: &Asked) -> Said {
    let body = if asked.line.contains("token") {
        r#"{"access_token":"t","expires_in":3599}"#
    } else {
        r#"{"SecretString":"sk-1","value":"sk-1","payload":{"data":"c2stMQ=="},"data":{"data":{"key":"sk-1"}}}"#
    };
    (200, body.to_owned())
}

/// Well with tokens, and this otherwise.
fn ill(said: (u16, &'static str)) -> impl FnMut(&Asked) -> Said + Send + 'static {
    move |asked| match asked.line.contains("token") {
        true => well(asked),
        false => (said.0, said.1.to_owned()),
    }
}

#[tokio::test]
async fn every_fault_is_named_and_the_last_good_value_stays() {
    let fake = Fake::start(well).await;
    for (reference, config) in configurations(&fake) {
        fake.says(well);
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        assert_eq!(value(&secrets, &config), "sk-1");
        for (said, why) in [
            ((403, "canary"), "we may not read this secret"),
            ((404, "canary"), "there is no such secret"),
            ((429, "canary"), "asked too often"),
            ((500, "canary"), "something is wrong there"),
            ((200, "canary"), "something else than JSON"),
            ((200, "{}"), "something else than"),
            ((0, ""), "does not answer"),
        ] {
            fake.says(ill(said));
            let told = secrets.refresh(&config).await;
            let failed = &told[0].failed[0];
            assert!(
                failed.starts_with(reference) && failed.contains(why),
                "{failed}"
            );
            assert!(!failed.contains("canary"), "{failed}");
            assert_eq!(secrets.troubles(), *told[0].failed);
            assert_eq!(value(&secrets, &config), "sk-1");
        }
        fake.says(well);
        assert_eq!(secrets.refresh(&config).await[0].fetched, 1);
        assert_eq!(secrets.troubles(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_start_tries_again_what_may_pass_and_says_what_does_not() {
    let fake = Fake::start(well).await;
    for (_, config) in configurations(&fake) {
        let mut faults = 2;
        fake.says(move |asked| {
            if asked.line.contains("token") || faults == 0 {
                return well(asked);
            }
            faults -= 1;
            (503, String::new())
        });
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        let before = fake.asked().len();
        fake.says(ill((403, "")));
        let (secrets, _) = crate::support::secrets();
        let error = secrets.prepare(&config).await.unwrap_err();
        assert!(
            !error.is_passing() && error.to_string().contains("cannot be fetched"),
            "{error}"
        );
        let asked = fake.asked().len() - before;
        assert!(asked <= 2, "what does not pass is asked for once: {asked}");
    }
}

#[tokio::test]
async fn a_start_without_a_manager_ends_soon() {
    let fake = Fake::start(|_| (0, String::new())).await;
    for (reference, config) in configurations(&fake) {
        let (secrets, _) = secrets();
        let started = Instant::now();
        let error = secrets.prepare(&config).await.unwrap_err();
        assert!(started.elapsed() < PATIENCE);
        let text = error.to_string();
        assert!(
            error.is_passing() && text.contains(reference) && text.contains("does not answer"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn nothing_shows_a_value() {
    let fake = Fake::start(well).await;
    for (_, config) in configurations(&fake) {
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        let shown = format!(
            "{secrets:?} {:?} {config:?} {}",
            secrets.refresh(&config).await,
            seaworthy_config::show(&config, seaworthy_config::Format::Toml)
        );
        assert!(
            !shown.contains("sk-1") && !shown.contains("own-canary"),
            "{shown}"
        );
    }
}
