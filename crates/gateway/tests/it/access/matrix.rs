//! Every route and every role, walked from the route table against the written matrix.

use http::Method;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::Role;

use crate::support::app::TestApp;

const MATRIX: &str = include_str!("matrix.txt");
const CALLERS: [&str; 7] = [
    "none", "user", "auditor", "operator", "admin", "mini", "gone",
];
const ROLES: &str = "
[auth.roles.mini]
permissions = [\"list_models\"]
";

/// The lines of the matrix: route, and what each caller meets.
fn lines() -> Vec<(String, Vec<char>)> {
    let lines = MATRIX.lines().filter(|line| !line.starts_with('#'));
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let route = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let cells: Vec<char> = words.map(|cell| cell.chars().next().unwrap()).collect();
        assert_eq!(cells.len(), CALLERS.len(), "{route}");
        (route, cells)
    };
    lines.map(line).collect()
}

#[test]
fn the_matrix_has_a_line_for_every_route_and_no_other() {
    let written: Vec<String> = lines().into_iter().map(|(route, _)| route).collect();
    let mut served = seaworthy_gateway::route_names();
    let mut sorted = written.clone();
    sorted.sort();
    served.sort();
    assert_eq!(sorted, served, "tests/it/access/matrix.txt and the table");
}

#[tokio::test(start_paused = true)]
async fn every_role_gets_exactly_where_the_matrix_says() {
    let app = TestApp::builder().sections(ROLES).start().await;
    let mut keys = vec![None];
    for caller in &CALLERS[1..] {
        let role: Role = caller.parse().unwrap();
        let (key, _) = app.issue(NewKey::of("test", caller, role)).await;
        keys.push(Some(key));
    }
    app.keys_noticed().await;
    let mut wrong = Vec::new();
    for (route, cells) in lines() {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path
            .replace("{model}", "gpt")
            .replace("{id}", "no-such")
            .replace("{name}", "no-such");
        for ((caller, key), expected) in CALLERS.iter().zip(&keys).zip(cells) {
            let call = app.call(method.parse::<Method>().unwrap(), &path);
            let call = match key {
                Some(key) => call.key(key),
                None => call,
            };
            // What comes after the look at the caller refuses an empty body, or finds nothing.
            let found = match call.send().await.status {
                401 => '?',
                403 => '-',
                _ => '+',
            };
            if found != expected {
                wrong.push(format!(
                    "{route} by {caller}: expected {expected}, found {found}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    app.finish().await;
}
