//! Code in the sandbox, through the gateway and from the command line.

use serde_json::{Value, json};

use crate::support::{Request, Server, Ship, eventually};

const SANDBOX: &str = r#"
[sandbox]
enabled = true
price_per_run = 0.01
max_concurrent = 1
max_cpu_time = "500ms"
max_time = "5m"
[rate_limits.per_operation.sandbox]
requests_per_minute = 8
[budgets.each]
scope = "user"
window = "day"
budget_usd = 0.05
"#;

fn execute(server: &Server, key: &str, code: &str) -> (u16, Value) {
    let body = json!({"language": "javascript", "code": code, "arguments": ["x"], "stdin": "in"});
    let request = Request::new(server.address, "POST", "/v1/sandbox/execute");
    let answer = request.key(key).body(&body.to_string()).send();
    let status = answer.status;
    (status, answer.json())
}

#[test]
fn code_runs_apart_and_is_charged_counted_and_not_logged() {
    let ship = Ship::new();
    ship.configure(None, SANDBOX);
    let server = ship.serve_config();
    let key = ship.create_key("crew", "user");
    let (status, ran) = execute(
        &server,
        &key,
        "console.log(args[0] + stdin); const magic = 6 * 7; magic",
    );
    assert_eq!(status, 200, "{ran}");
    assert_eq!(ran["exit"], "completed", "{ran}");
    assert_eq!(
        (&ran["result"], &ran["stdout"]),
        (&json!(42), &json!("xin\n"))
    );
    assert!(ran["usage"]["memory_bytes"].as_u64().unwrap() > 0, "{ran}");
    // What the kernel and the interpreter end, in the program that is shipped.
    for (code, exit) in [
        ("for (;;);", "cpu_time"),
        ("'a'.repeat(2 ** 29)", "memory"),
        ("await import('/etc/passwd')", "error"),
        ("for (;;) console.log('flood')", "output"),
    ] {
        let (status, ran) = execute(&server, &key, code);
        assert_eq!((status, &ran["exit"]), (200, &json!(exit)), "{code}: {ran}");
    }
    // Five runs at a cent each.
    let (status, refused) = execute(&server, &key, "1");
    assert_eq!(
        (status, &refused["error"]["code"]),
        (429, &json!("budget_exceeded")),
        "{refused}"
    );
    let admin = ship.create_key("captain", "admin");
    let usage = || {
        server
            .get("/admin/v1/usage?by=operation")
            .key(&admin)
            .send()
            .json()
            .to_string()
    };
    eventually("the runs are in the ledger", || {
        usage().contains("\"sandbox\"").then_some(())
    });
    let metrics = server.get("/metrics").send().text();
    for (exit, count) in [
        ("completed", 1),
        ("cpu_time", 1),
        ("memory", 1),
        ("output", 1),
    ] {
        let line = format!(
            "seaworthy_sandbox_runs_total{{language=\"javascript\",exit=\"{exit}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    let said = server.said();
    assert!(!said.contains("magic") && !said.contains("6 * 7"), "{said}");
    server.stop();
}

#[test]
fn as_many_run_at_a_time_as_may() {
    let ship = Ship::new();
    ship.configure(None, SANDBOX);
    let server = ship.serve_config();
    let key = ship.create_key("crew", "user");
    let body = json!({"language": "javascript", "code": "for (;;);"}).to_string();
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            eventually("there is room for the first", || {
                let request = Request::new(server.address, "POST", "/v1/sandbox/execute");
                let told = request.key(&key).body(&body).send().json();
                (told["exit"] != Value::Null).then_some(told)
            })
        });
        eventually("the second is refused", || {
            let (status, told) = execute(&server, &key, "1");
            (status == 503 && told["error"]["code"] == "overloaded").then_some(())
        });
        first.join().unwrap()
    });
    assert_eq!(first["exit"], "cpu_time", "{first}");
    server.stop();
}

#[test]
fn the_command_line_runs_files_and_says_how_they_ended() {
    let ship = Ship::new();
    ship.write(
        "code.js",
        "console.log('hello ' + args.join()); console.error('beside'); [1, 2]",
    );
    let ran = ship.run(&["sandbox", "run", "code.js", "a", "b"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "hello a,b\n[1,2]\n"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr, "beside\n");
    ship.write("wrong.js", "null.x");
    let ran = ship.run(&["sandbox", "run", "wrong.js", "--format", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (ran.code, &told["error"]["name"]),
        (Some(1), &json!("TypeError"))
    );
    let ran = ship.run(&["sandbox", "check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
