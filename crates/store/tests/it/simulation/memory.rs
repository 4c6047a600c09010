//! What a Redis server keeps, and the commands that the scripts and their callers use. Nothing in it
//! expires: a run is shorter than anything lives.

use std::collections::BTreeMap;

use super::resp::Reply;

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Hash(BTreeMap<String, String>),
    /// Members by name, with their scores.
    Sorted(BTreeMap<String, f64>),
}

/// All keys of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(BTreeMap<String, Value>);

impl Memory {
    /// Carries out a command at a moment of the server's clock.
    pub(super) fn command(&mut self, now_ms: i64, words: &[String]) -> Reply {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["TIME"] => Reply::texts([
                (now_ms / 1_000).to_string(),
                (now_ms % 1_000 * 1_000).to_string(),
            ]),
            ["PING" | "SELECT" | "CLIENT", ..] => Reply::Done,
            ["EXISTS", key] => count(self.0.contains_key(*key)),
            ["DEL", keys @ ..] => {
                let gone = keys.iter().filter(|key| self.0.remove(**key).is_some());
                Reply::Number(gone.count() as i64)
            }
            ["PEXPIRE", key, _] => count(self.0.contains_key(*key)),
            ["GET", key] => match self.0.get(*key) {
                Some(Value::Text(text)) => Reply::text(text),
                _ => Reply::Nil,
            },
            ["SET", key, value, options @ ..] => self.set(key, value, options),
            ["INCR", key] => self.add(key, 1),
            ["DECR", key] => self.add(key, -1),
            ["HEXISTS", key, field] => count(self.field(key, field).is_some()),
            ["HGET", key, field] => nil_or(self.field(key, field)),
            ["HMGET", key, fields @ ..] => Reply::Several(
                fields
                    .iter()
                    .map(|field| nil_or(self.field(key, field)))
                    .collect(),
            ),
            ["HGETALL", key] => match self.0.get(*key) {
                Some(Value::Hash(hash)) => {
                    let pairs = hash.iter().flat_map(|(field, value)| [field, value]);
                    Reply::texts(pairs.cloned())
                }
                _ => Reply::Several(Vec::new()),
            },
            ["HSET", key, pairs @ ..] => {
                let hash = self.hash(key);
                for pair in pairs.chunks(2) {
                    hash.insert(pair[0].to_owned(), pair[1].to_owned());
                }
                Reply::Number(0)
            }
            ["HINCRBY", key, field, by] => {
                let hash = self.hash(key);
                let before = hash.get(*field).map_or(0, |value| whole(value));
                let after = before + whole(by);
                hash.insert((*field).to_owned(), after.to_string());
                Reply::Number(after)
            }
            [name, rest @ ..] if name.starts_with('Z') => self.sorted(name, rest),
            _ => Reply::Error(format!("ERR unknown command {words:?}")),
        }
    }

    fn set(&mut self, key: &str, value: &str, options: &[&str]) -> Reply {
        if options.contains(&"NX") && self.0.contains_key(key) {
            return Reply::Nil;
        }
        self.0.insert(key.to_owned(), Value::Text(value.to_owned()));
        Reply::Done
    }

    fn add(&mut self, key: &str, by: i64) -> Reply {
        let before = match self.0.get(key) {
            Some(Value::Text(text)) => whole(text),
            _ => 0,
        };
        let after = Value::Text((before + by).to_string());
        self.0.insert(key.to_owned(), after);
        Reply::Number(before + by)
    }

    fn field(&self, key: &str, field: &str) -> Option<&String> {
        match self.0.get(key)? {
            Value::Hash(hash) => hash.get(field),
            _ => None,
        }
    }

    fn hash(&mut self, key: &str) -> &mut BTreeMap<String, String> {
        let value = self
            .0
            .entry(key.to_owned())
            .or_insert_with(|| Value::Hash(BTreeMap::new()));
        match value {
            Value::Hash(hash) => hash,
            other => panic!("{key} is no hash: {other:?}"),
        }
    }

    fn sorted(&mut self, name: &str, rest: &[&str]) -> Reply {
        let [key, rest @ ..] = rest else {
            return Reply::Error("ERR wrong number of arguments".to_owned());
        };
        let value = self
            .0
            .entry((*key).to_owned())
            .or_insert_with(|| Value::Sorted(BTreeMap::new()));
        let Value::Sorted(members) = value else {
            panic!("{key} is no sorted set");
        };
        match (name, rest) {
            ("ZADD", ["XX", pairs @ ..]) => {
                for pair in pairs.chunks(2) {
                    if let Some(score) = members.get_mut(pair[1]) {
                        *score = number(pair[0]);
                    }
                }
                Reply::Number(0)
            }
            ("ZADD", pairs) => {
                for pair in pairs.chunks(2) {
                    members.insert(pair[1].to_owned(), number(pair[0]));
                }
                Reply::Number(0)
            }
            ("ZSCORE", [member]) => nil_or(members.get(*member).map(f64::to_string).as_ref()),
            ("ZREM", [member]) => count(members.remove(*member).is_some()),
            ("ZCARD", []) => Reply::Number(members.len() as i64),
            ("ZREMRANGEBYSCORE", [from, to]) => {
                let (from, to) = (number(from), number(to));
                members.retain(|_, score| *score < from || *score > to);
                Reply::Number(0)
            }
            ("ZRANGE", _) => Reply::texts(in_order(members)),
            ("ZRANGEBYSCORE", [from, to, limit @ ..]) => {
                let (from, to) = (number(from), number(to));
                let found = within(members, from, to);
                Reply::texts(found.into_iter().take(most(limit)))
            }
            ("ZREVRANGEBYSCORE", [to, from, limit @ ..]) => {
                let (from, to) = (number(from), number(to));
                let found = within(members, from, to);
                Reply::texts(found.into_iter().rev().take(most(limit)))
            }
            _ => Reply::Error(format!("ERR unknown command {name}")),
        }
    }
}

fn in_order(members: &BTreeMap<String, f64>) -> Vec<String> {
    within(members, f64::NEG_INFINITY, f64::INFINITY)
}

fn within(members: &BTreeMap<String, f64>, from: f64, to: f64) -> Vec<String> {
    let found = members
        .iter()
        .filter(|(_, score)| (from..=to).contains(*score));
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| a.1.total_cmp(b.1).then_with(|| a.0.cmp(b.0)));
    found
        .into_iter()
        .map(|(member, _)| member.clone())
        .collect()
}

/// The number of `LIMIT 0 NUMBER`.
fn most(limit: &[&str]) -> usize {
    match limit {
        [_, _, most] => most.parse().unwrap(),
        _ => usize::MAX,
    }
}

fn number(text: &str) -> f64 {
    match text {
        "-inf" => f64::NEG_INFINITY,
        "+inf" => f64::INFINITY,
        _ => text.parse().unwrap(),
    }
}

fn whole(text: &str) -> i64 {
    text.parse().unwrap()
}

fn count(is_so: bool) -> Reply {
    Reply::Number(i64::from(is_so))
}

fn nil_or(text: Option<&String>) -> Reply {
    text.map_or(Reply::Nil, Reply::text)
}
