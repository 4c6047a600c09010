//! For tests: a worker, and one that the code has broken out of its interpreter. With the name of an
//! escape, it locks itself as a worker does and then tries that as the machine would.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs as unix;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, io, thread};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::time::{ClockId, clock_gettime, clock_settime};
use nix::unistd::{Pid, Uid, chroot, mkfifo, setsid, setuid};
use seaworthy_sandbox::worker;

fn main() -> ExitCode {
    let Some(name) = env::args().nth(1) else {
        return worker::run();
    };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match worker::lock(&mut input, &mut output) {
        Ok(Some(())) => {}
        _ => return ExitCode::FAILURE,
    }
    let came_back = match name.as_str() {
        "flood" => flood(&mut output),
        "memory" => hoard(),
        "loop" => spin(),
        "stack" => deeper(0) > 0,
        name => files(name) || network(name) || processes(name) || rights(name),
    };
    // Whoever comes here was let through.
    let told = match came_back {
        true => b"r\0\0\0\x09\"escaped\"",
        false => b"r\0\0\0\x09\"unknown\"",
    };
    let _told = output.write_all(told);
    let finished = br#"{"exit":"completed","error":null,"cpu_ms":0,"memory_bytes":0}"#;
    let _told = output.write_all(&[b'f', 0, 0, 0, finished.len() as u8]);
    let _told = output.write_all(finished);
    let _told = output.flush();
    ExitCode::SUCCESS
}

fn files(name: &str) -> bool {
    match name {
        "read" => drop(fs::read("/etc/passwd")),
        "write" => drop(fs::write("/tmp/sandbox-escape", "here")),
        "list" => drop(fs::read_dir("/")),
        "stat" => drop(fs::metadata("/etc/passwd")),
        "environment" => drop(fs::read("/proc/self/environ")),
        "maps" => drop(fs::read("/proc/self/maps")),
        "program" => drop(env::current_exe()),
        "symlink" => drop(unix::symlink("/etc/passwd", "/tmp/sandbox-escape")),
        "link" => drop(fs::hard_link("/etc/passwd", "/tmp/sandbox-escape")),
        "rename" => drop(fs::rename("/tmp/sandbox-a", "/tmp/sandbox-b")),
        "remove" => drop(fs::remove_file("/tmp/sandbox-escape")),
        "folder" => drop(fs::create_dir("/tmp/sandbox-escape")),
        "fifo" => drop(mkfifo("/tmp/sandbox-escape", Mode::S_IRWXU)),
        "working-folder" => drop(env::set_current_dir("/tmp")),
        "device" => drop(fs::read("/dev/mem")),
        "duplicate" => drop(io::stdout().as_fd().try_clone_to_owned()),
        _ => return false,
    }
    true
}

fn network(name: &str) -> bool {
    match name {
        "connect" => drop(TcpStream::connect("127.0.0.1:9")),
        "listen" => drop(TcpListener::bind("127.0.0.1:0")),
        "datagram" => drop(UdpSocket::bind("127.0.0.1:0")),
        "local-socket" => drop(UnixStream::pair()),
        _ => return false,
    }
    true
}

fn processes(name: &str) -> bool {
    match name {
        "fork" => drop(Command::new("/bin/true").spawn()),
        "exec" => drop(Command::new("/bin/true").exec()),
        "thread" => drop(thread::Builder::new().spawn(|| {})),
        "kill" => drop(kill(Pid::from_raw(1), Signal::SIGKILL)),
        "session" => drop(setsid()),
        "sleep" => thread::sleep(Duration::from_millis(1)),
        _ => return false,
    }
    true
}

fn rights(name: &str) -> bool {
    match name {
        "root" => drop(setuid(Uid::from_raw(0))),
        "chroot" => drop(chroot("/tmp")),
        "limits" => drop(setrlimit(Resource::RLIMIT_AS, u64::MAX, u64::MAX)),
        "dumpable" => drop(prctl::set_dumpable(true)),
        "mask" => drop(umask(Mode::empty())),
        "clock" => {
            let clock = ClockId::CLOCK_REALTIME;
            let now = clock_gettime(clock);
            let _is_refused = now.and_then(|now| clock_settime(clock, now));
        }
        _ => return false,
    }
    true
}

/// Says more than a worker may.
fn flood(output: &mut impl io::Write) -> bool {
    let line = b"o\0\0\0\x08flood...";
    while output.write_all(line).is_ok() {}
    true
}

/// Takes memory until there is none.
fn hoard() -> bool {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for round in 0..1_000_000_u32 {
        held.push(vec![round as u8 | 1; 1 << 20]);
    }
    held.len() > 1_000_000
}

fn spin() -> bool {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
        if number == 0 {
            return true;
        }
    }
}

fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    match depth {
        u64::MAX => 0,
        depth => deeper(depth + 1) + here[1],
    }
}
