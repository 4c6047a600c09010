//! A deployment under test: replicas, servers of state, a provider, a key. And how figures are told.

use seaworthy_test_servers::Redis;
use serde_json::Value;

use crate::support::{PATIENCE, Provider, Request, Server, Ship};

/// A budget of 20 calls for each session: each costs 100 micro-dollars, whatever it says.
pub(crate) const TWENTY_CALLS: &str = "[prices.\"o/gpt-real\"]\ninput = 0\noutput = 0\n\
     request = 0.0001\n\
     [budgets.round]\nscope = \"session\"\nwindow = \"total\"\nbudget_usd = 0.002\n";
/// What one of those calls costs, in micro-dollars.
pub(crate) const CALL_COST: u64 = 100;

/// How often something is repeated: by default few times, `SEAWORTHY_TEST_ROUNDS` for more.
pub(crate) fn rounds(default: usize) -> usize {
    let asked = std::env::var("SEAWORTHY_TEST_ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(default)
}

/// Tells a figure and holds it to its limit.
pub(crate) fn at_most(what: &str, measured: u64, limit: u64) {
    let is_kept = is_at_most(what, measured, limit);
    assert!(is_kept, "{what}: {measured}, expected at most {limit}");
}

/// Tells a figure, and whether it keeps its limit, for a test that has more to tell.
pub(crate) fn is_at_most(what: &str, measured: u64, limit: u64) -> bool {
    tell(what, "most", (measured, limit), measured <= limit)
}

/// Tells a figure that has to be reached.
pub(crate) fn at_least(what: &str, measured: u64, limit: u64) {
    let is_kept = is_at_least(what, measured, limit);
    assert!(is_kept, "{what}: {measured}, expected at least {limit}");
}

/// [`is_at_most`] for what has to be reached.
pub(crate) fn is_at_least(what: &str, measured: u64, limit: u64) -> bool {
    tell(what, "least", (measured, limit), measured >= limit)
}

/// `cargo xtask bench money` gathers these lines.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn tell(what: &str, side: &str, (measured, limit): (u64, u64), is_kept: bool) -> bool {
    let verdict = if is_kept { "pass" } else { "**FAIL**" };
    println!("figure: {what} | at {side} {limit} | {measured} | {verdict}");
    is_kept
}

/// Tells how far a test is that takes long; `cargo xtask bench money` makes a bar of it.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub(crate) fn progress(done: usize, all: usize, what: &str) {
    println!("progress: {done} of {all} {what}");
}

/// A number out of a seed: the same every time, and without order.
pub(crate) fn scattered(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A deployment: servers of state, a provider, a configuration, a key.
pub(crate) struct Fleet {
    pub(crate) ship: Ship,
    pub(crate) provider: Provider,
    pub(crate) key: String,
    pub(crate) replicas: Vec<Server>,
}

impl Fleet {
    /// Starts `size` replicas before a provider with these directives; `money` is the part of the
    /// configuration with prices and budgets.
    pub(crate) fn launch(
        storage: &str,
        redis: Option<&Redis>,
        size: usize,
        directives: &str,
        money: &str,
    ) -> Self {
        Self::launch_with(storage, (redis, "local"), size, directives, money)
    }

    /// [`Self::launch`], with what a replica does that has lost Redis.
    pub(crate) fn launch_with(
        storage: &str,
        (redis, on_loss): (Option<&Redis>, &str),
        size: usize,
        directives: &str,
        money: &str,
    ) -> Self {
        let ship = Ship::new();
        let provider = ship.provider(&["--defaults", directives]);
        let at = provider.address;
        let shared_state = redis.map_or_else(String::new, |redis| {
            format!(
                "[shared_state]\nurl = \"{}\"\nreplicas = {size}\non_loss = \"{on_loss}\"\n",
                redis.url()
            )
        });
        ship.write(
            "c.toml",
            &format!(
                "[storage]\nurl = \"{storage}\"\n{shared_state}[server]\ndrain_delay = \"100ms\"\n\
                 workers = 1\n\
                 [providers.o]\nkind = \"openai\"\nbase_url = \"http://{at}/v1\"\n\
                 api_key = \"secret://file/provider.key\"\n\
                 [models.gpt]\ntargets = [\"o/gpt-real\"]\n{money}"
            ),
        );
        ship.write("provider.key", "any");
        let key = ship.create_key("crew", "user");
        let replicas = (0..size).map(|_| ship.serve_config()).collect();
        Self {
            ship,
            provider,
            key,
            replicas,
        }
    }

    /// A call on behalf of a session, which has a budget of its own.
    pub(crate) fn ask(&self, replica: usize, session: &str) -> Request {
        self.replicas[replica]
            .ask(&self.key, "gpt", false)
            .header(&format!("x-seaworthy-session-id: {session}"))
    }

    /// [`Self::ask`] as SDKs do, which come again after 503: a busy machine keeps Redis from
    /// answering in time, and then it is lost for a moment.
    pub(crate) fn status_of(&self, replica: usize, session: &str) -> u16 {
        let mut status = self.ask(replica, session).status();
        for _ in 0..60 {
            if status != 503 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
            status = self.ask(replica, session).status();
        }
        status
    }

    /// A call that is under no budget.
    pub(crate) fn ask_freely(&self, replica: usize) -> Request {
        self.replicas[replica].ask(&self.key, "gpt", false)
    }

    /// An embedding that is under no limit and no budget.
    pub(crate) fn embed(&self, replica: usize) -> Request {
        let at = self.replicas[replica].address;
        Request::new(at, "POST", "/v1/embeddings")
            .key(&self.key)
            .body("{\"model\":\"gpt\",\"input\":\"Ahoy there\"}")
    }

    /// Waits until a replica asks Redis again.
    pub(crate) fn wait_for_shared_state(&self, replica: usize) {
        let deadline = std::time::Instant::now() + PATIENCE;
        let is_up = || {
            let metrics = self.replicas[replica].get("/metrics").send().text();
            // A line of its own: the one that says what it means begins in the same way.
            let mut lines = metrics.lines();
            lines.any(|line| line == "seaworthy_shared_state_up 1")
        };
        while !is_up() {
            assert!(
                std::time::Instant::now() < deadline,
                "the shared state is not back"
            );
            // Metrics are work for the thread that serves the others as well.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Calls that the provider has seen, whole ones.
    pub(crate) fn seen_by_provider(&self) -> u64 {
        let stats = Request::new(self.provider.address, "GET", "/__control/stats");
        let stats = stats.send().json();
        stats["calls"].as_u64().unwrap()
    }

    /// The figures of the model in the ledger.
    pub(crate) fn used(&self) -> Value {
        let usage = ["usage", "--format", "json", "--config", "c.toml"];
        let totals = self.ship.json(&usage);
        let mut totals = totals.as_array().unwrap().iter();
        totals
            .find(|total| total["group"] == "gpt")
            .cloned()
            .unwrap_or_default()
    }
}
