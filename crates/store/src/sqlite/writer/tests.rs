//! Groups of jobs on one connection, driven without threads.

use super::*;

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    connection
}

fn rows(connection: &Connection) -> Vec<i64> {
    let mut query = connection.prepare("SELECT x FROM t ORDER BY x").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn insert(connection: &Connection, x: i64) -> Result<()> {
    let inserted = connection.execute("INSERT INTO t VALUES (?1)", [x]);
    inserted.map(drop).map_err(unavailable)
}

type Work = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

/// Runs the group and returns the answers in order.
fn commit(connection: &Connection, group: Vec<Work>) -> Vec<Result<()>> {
    let (jobs, answers): (Vec<Job>, Vec<_>) = group
        .into_iter()
        .map(|work| {
            let (reply, answer) = oneshot::channel();
            (job(work, reply), answer)
        })
        .unzip();
    commit_group(connection, Ok(()), jobs.into_iter());
    answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect()
}

fn writes(x: i64) -> Work {
    Box::new(move |connection| insert(connection, x))
}

fn cause(answer: &Result<()>) -> String {
    let error = answer.as_ref().unwrap_err();
    std::error::Error::source(error).unwrap().to_string()
}

#[test]
fn a_job_that_fails_undoes_its_own_changes_only() {
    let connection = database();
    let refused: Work = Box::new(|connection| {
        insert(connection, 2)?;
        Err(Error::Conflict("no".to_owned()))
    });
    let answers = commit(&connection, vec![writes(1), refused, writes(3)]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(answers[1], Err(Error::Conflict(_))));
    assert_eq!(rows(&connection), [1, 3]);
}

#[test]
fn nobody_is_told_of_success_when_the_transaction_is_lost() {
    let connection = database();
    let breaks: Work = Box::new(|connection| {
        // What SQLite does by itself when the disk fails.
        connection.execute_batch("ROLLBACK").unwrap();
        Err(unavailable("disk I/O error"))
    });
    let refused: Work = Box::new(|_| Err(Error::Conflict("based on what is undone".to_owned())));
    let answers = commit(&connection, vec![writes(1), refused, breaks, writes(3)]);
    for answer in &answers {
        assert!(
            matches!(answer, Err(Error::Unavailable { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(cause(&answers[2]), "disk I/O error");
    assert!(cause(&answers[0]).contains("another write"));
    assert!(cause(&answers[3]).contains("another write"));
    assert!(rows(&connection).is_empty());

    assert!(commit(&connection, vec![writes(4)])[0].is_ok());
    assert_eq!(rows(&connection), [4]);
}

#[test]
fn a_full_disk_fails_what_did_not_fit_and_the_writer_goes_on() {
    let connection = database();
    connection.pragma_update(None, "max_page_count", 8).unwrap();
    let huge: Work = Box::new(|connection| {
        let inserted = connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", []);
        inserted.map(drop).map_err(unavailable)
    });
    let answers = commit(&connection, vec![writes(1), huge]);
    assert!(matches!(answers[1], Err(Error::Unavailable { .. })));
    let kept = if answers[0].is_ok() { vec![1] } else { vec![] };
    assert_eq!(rows(&connection), kept);
    assert!(commit(&connection, vec![writes(2)])[0].is_ok());
}

#[test]
fn every_job_is_told_when_the_database_stays_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    for answer in commit(&connection, vec![writes(1), writes(2)]) {
        assert!(cause(&answer).contains("locked"));
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert!(commit(&connection, vec![writes(3)])[0].is_ok());
    assert_eq!(rows(&connection), [3]);
}
