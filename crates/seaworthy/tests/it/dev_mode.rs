//! The first five minutes.

use std::time::{Duration, Instant};

use crate::support::{Ran, Request, Ship};

/// The words of a line of shell, as far as single quotes go.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    assert!(!is_quoted, "{line}");
    words
}

fn key_in(line: &str) -> String {
    let (_, key) = line.split_once("(shown once): ").unwrap();
    key.to_owned()
}

#[test]
fn without_a_configuration_it_prints_a_curl_line_that_works_when_pasted() {
    let ship = Ship::new();
    let server = ship.serve(&["--listen", "127.0.0.1:0"]);
    let line = server.printed("curl ");
    let words = words(&line);
    let url = words[1].strip_prefix("http://").unwrap();
    let (authority, path) = url.split_at(url.find('/').unwrap());
    assert_eq!(authority.parse(), Ok(server.address));
    let mut request = Request::new(server.address, "POST", path);
    for option in words[2..].chunks(2) {
        request = match option[0].as_str() {
            "-H" => request.header(&option[1]),
            "-d" => request.body(&option[1]),
            other => panic!("an option of curl that this test does not know: {other}"),
        };
    }
    let answer = request.send();
    assert_eq!(answer.status, 200);
    let said = answer.json();
    assert_eq!(said["choices"][0]["message"]["content"], "Ahoy!");
    let key = key_in(&server.printed("API key"));
    assert!(line.contains(&key) && key.starts_with("swk_"));
    server.stop();
}

#[test]
fn a_fresh_instance_is_found_ready() {
    let ship = Ship::new();
    let server = ship.serve(&["--listen", "127.0.0.1:0"]);
    let ran = ship.run(&["check", "--url", &format!("http://{}", server.address)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("Ready for production"), "{ran:?}");
    assert!(!ran.stdout.contains("failed"), "{ran:?}");
    server.stop();
}

#[test]
fn the_key_of_an_earlier_start_works_no_longer() {
    let ship = Ship::new();
    let first = ship.serve(&["--listen", "127.0.0.1:0"]);
    let old = key_in(&first.printed("API key"));
    first.stop();
    let second = ship.serve(&["--listen", "127.0.0.1:0"]);
    let new = key_in(&second.printed("API key"));
    assert_eq!(second.get("/v1/models").key(&old).status(), 401);
    assert_eq!(second.get("/v1/models").key(&new).status(), 200);
    second.stop();
}

#[test]
fn it_refuses_to_listen_to_the_network() {
    let ship = Ship::new();
    let ran = ship.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(78), ""), "{ran:?}");
    assert!(ran.stderr.contains("seaworthy init"), "{ran:?}");
    assert_eq!(ship.run(&["serve", "--listen", "[::]:0"]).code, Some(78));
    let mut command = ship.command(&["serve"]);
    command.env("SEAWORTHY__SERVER__LISTEN", "0.0.0.0:0");
    assert_eq!(Ran::of(command).code, Some(78));
    assert!(!ship.path("seaworthy.db").exists(), "nothing was touched");
}

#[test]
fn a_signal_in_the_first_moment_is_an_orderly_end() {
    for _ in 0..3 {
        let ship = Ship::new();
        ship.serve(&["--listen", "127.0.0.1:0"]).stop();
    }
}

#[test]
fn it_answers_within_a_second_of_its_start() {
    // The best of a few, because the machine does other things as well.
    let fastest = (0..3).map(|_| {
        let ship = Ship::new();
        let started = Instant::now();
        let server = ship.serve(&["--listen", "127.0.0.1:0"]);
        assert_eq!(server.get("/health/ready").status(), 200);
        started.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

#[test]
fn a_port_that_is_taken_is_69_and_named() {
    let ship = Ship::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = ship.run(&["serve", "--listen", &address]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.stderr.contains(&address), "{ran:?}");
}
