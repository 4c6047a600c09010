//! Serves a fake provider from code: `cargo run -p seaworthy-fake-provider --example serve`.

use std::io::Write as _;

use seaworthy_fake_provider::{Options, run};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::default();
    let listener = TcpListener::bind(options.listen).await?;
    let addr = listener.local_addr()?;
    writeln!(std::io::stdout(), "{{\"listening\":\"{addr}\"}}")?;
    run(listener, options, std::future::pending()).await;
    Ok(())
}
