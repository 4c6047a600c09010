//! What a journal gives back after its process was gone.

use std::borrow::Cow;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{Attribution, Flags, Outcome};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::usage::Usage;

use super::*;

fn intent(call_id: &str) -> Intent {
    Intent {
        call_id: call_id.to_owned(),
        request_id: format!("req \"{call_id}\"\n"),
        opened_at: UnixMillis(7),
        key_id: "key_1".into(),
        user_id: "ada".into(),
        attribution: Attribution {
            team: Some("research".into()),
            agent: None,
            session: Some("s-1".into()),
        },
        attempt: 2,
        operation: Cow::Borrowed("chat"),
        model: "smart".into(),
        target: "openai/gpt".into(),
        stream: true,
        worst_case: Usage {
            input_tokens: 10,
            output_tokens: 90,
            ..Usage::default()
        },
        worst_case_cost: Micros(77),
    }
}

fn ending() -> Ending {
    Ending {
        settled_at: UnixMillis(9),
        duration_ms: 2,
        outcome: Outcome::Success,
        status: 200,
        usage: Usage {
            input_tokens: 4,
            output_tokens: 5,
            ..Usage::default()
        },
        extras: Extras {
            images: 1,
            tool_calls: 2,
        },
        cost: Micros(9),
        flags: Flags {
            unpriced: false,
            over_reserved: true,
        },
    }
}

/// What a kill does: nothing is dropped in order, the lock goes with the process.
fn kill(journal: FileJournal, entries: Vec<Box<dyn JournalEntry>>) {
    journal._lock.unlock().unwrap();
    std::mem::forget(entries);
    std::mem::forget(journal);
}

#[test]
fn a_killed_process_leaves_open_calls_at_worst_case_and_ended_ones_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovery) = FileJournal::open(folder.path(), 2).unwrap();
    assert!(recovery.settlements().is_empty());
    let open = journal.record(0, &intent("open")).unwrap();
    let ended = journal.record(1, &intent("ended")).unwrap();
    ended.end(&ending()).unwrap();
    let void = journal.record(0, &intent("void")).unwrap();
    void.void().unwrap();
    kill(journal, vec![open, ended, void]);

    let (_journal, recovery) = FileJournal::open(folder.path(), 2).unwrap();
    assert_eq!(recovery.interrupted(), 1);
    let mut settled = recovery.settlements();
    settled.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    assert_eq!(
        settled,
        [
            intent("ended").settled(ending()),
            intent("open").interrupted()
        ]
    );
    assert!(settled[1].usage.estimated && settled[1].usage.output_tokens == 90);
    recovery.finish().unwrap();
}

#[test]
fn recovery_repeats_until_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = FileJournal::open(folder.path(), 1).unwrap();
    let entry = journal.record(0, &intent("open")).unwrap();
    kill(journal, vec![entry]);
    let (journal, first) = FileJournal::open(folder.path(), 1).unwrap();
    assert_eq!(first.settlements().len(), 1);
    kill(journal, Vec::new());
    let (journal, again) = FileJournal::open(folder.path(), 1).unwrap();
    assert_eq!(again.settlements(), first.settlements());
    again.finish().unwrap();
    drop(journal);
    let (_journal, done) = FileJournal::open(folder.path(), 1).unwrap();
    assert!(done.settlements().is_empty());
}

#[test]
fn a_clean_end_leaves_nothing_but_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = FileJournal::open(folder.path(), 1).unwrap();
    let entry = journal.record(0, &intent("a")).unwrap();
    entry.end(&ending()).unwrap();
    entry.forget();
    drop(journal);
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [LOCK_FILE]);
}

#[test]
fn a_file_goes_when_it_has_grown_and_its_last_call_is_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = FileJournal::open(folder.path(), 1).unwrap();
    let first = journal.record(0, &intent("first")).unwrap();
    let filler = vec![b' '; MAX_SEGMENT_BYTES];
    assert!(journal.lanes[0].lock().pages.lock().append(&filler));
    let second = journal.record(0, &intent("second")).unwrap();
    let files = || {
        let is_segment = |name: &std::ffi::OsString| name != LOCK_FILE;
        fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .filter(is_segment)
            .count()
    };
    assert_eq!(files(), 2);
    first.forget();
    assert_eq!(files(), 1);
    second.forget();
    drop(journal);
    assert_eq!(files(), 0);
}

#[test]
fn a_torn_or_garbled_record_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = record::intent(&intent("whole"));
    let mut garbled = record::intent(&intent("garbled"));
    garbled[40] ^= 1;
    text.extend_from_slice(&garbled);
    text.extend_from_slice(&record::ending("whole", &ending()));
    let torn = record::intent(&intent("torn"));
    text.extend_from_slice(&torn[..torn.len() / 2]);
    fs::write(
        folder
            .path()
            .join(format!("00000000000000000001.{EXTENSION}")),
        text,
    )
    .unwrap();
    let (_journal, recovery) = FileJournal::open(folder.path(), 1).unwrap();
    assert_eq!(recovery.settlements(), [intent("whole").settled(ending())]);
    assert_eq!(recovery.damaged_records(), 2);
}

#[test]
fn one_process_at_a_time_has_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (_journal, _) = FileJournal::open(folder.path(), 1).unwrap();
    let refused = FileJournal::open(folder.path(), 1).unwrap_err();
    assert!(matches!(refused, JournalError::InUse(_)), "{refused}");
}

#[test]
fn endings_that_no_longer_fit_are_found_beside() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = FileJournal::open(folder.path(), 1).unwrap();
    let entry = journal.record(0, &intent("late")).unwrap();
    let pages_are_full = {
        let lane = journal.lanes[0].lock();
        let mut pages = lane.pages.lock();
        while pages.append(b"\n") {}
        pages.filled_bytes() == SEGMENT_CAPACITY_BYTES
    };
    assert!(pages_are_full);
    entry.end(&ending()).unwrap();
    kill(journal, vec![entry]);
    let (_journal, recovery) = FileJournal::open(folder.path(), 1).unwrap();
    assert_eq!(recovery.settlements(), [intent("late").settled(ending())]);
    recovery.finish().unwrap();
}
