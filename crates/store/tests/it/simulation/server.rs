//! A Redis server in memory that runs the very scripts that real ones run, in Lua as they do, and can
//! be killed, started with old data, and made to run scripts with a mistake in them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Function, Lua, MultiValue, Table, Value, Variadic};

use super::clock::Time;
use super::memory::Memory;
use super::planted::Mistake;
use super::resp::Reply;

pub(super) struct Server {
    lua: Lua,
    memory: Rc<RefCell<Memory>>,
    time: Time,
    scripts: RefCell<HashMap<String, Function>>,
    /// Counts the processes that there were.
    run: RefCell<u64>,
    /// What is on the disk.
    saved: RefCell<Memory>,
    mistake: Option<Mistake>,
    restored: RefCell<Box<dyn Fn()>>,
}

impl Server {
    pub(super) fn start(time: Time, mistake: Option<Mistake>) -> Self {
        let (lua, memory) = (Lua::new(), Rc::<RefCell<Memory>>::default());
        let redis = lua.create_table().unwrap();
        let (at_call, clock) = (Rc::clone(&memory), time.clone());
        let call = lua.create_function(move |lua, words: Variadic<Value>| {
            let words: Vec<String> = words.iter().map(word).collect();
            let reply = at_call.borrow_mut().command(clock.server_ms(), &words);
            value(lua, &reply)
        });
        redis.set("call", call.unwrap()).unwrap();
        lua.globals().set("redis", redis).unwrap();
        lua.load(PACKING).exec().unwrap();
        Self {
            lua,
            memory,
            time,
            scripts: RefCell::default(),
            run: RefCell::new(1),
            saved: RefCell::default(),
            mistake,
            restored: RefCell::new(Box::new(|| ())),
        }
    }

    /// Has somebody told when it knows accounts again that it had forgotten.
    pub(super) fn when_restored(&self, tell: impl Fn() + 'static) {
        *self.restored.borrow_mut() = Box::new(tell);
    }

    /// The claims that have expired, as the clock shows now.
    pub(super) fn expired(&self) -> Vec<Arc<str>> {
        let now_ms = self.time.server_ms();
        let (from, to) = ("-inf".to_owned(), now_ms.to_string());
        let words = [
            "ZRANGEBYSCORE".to_owned(),
            "sw:{x}:open".to_owned(),
            from,
            to,
        ];
        match self.memory.borrow_mut().command(now_ms, &words) {
            Reply::Several(ids) => ids.into_iter().filter_map(id).collect(),
            _ => Vec::new(),
        }
    }

    fn is_blank(&self) -> bool {
        let words = ["HEXISTS", "sw:{x}:epoch", "id"].map(str::to_owned);
        let answer = self.memory.borrow_mut().command(0, &words);
        matches!(answer, Reply::Number(0))
    }

    /// It is killed and started anew, with nothing or with what is on the disk.
    pub(super) fn restart(&self, with_old_data: bool) {
        let data = match with_old_data {
            true => self.saved.borrow().clone(),
            false => Memory::default(),
        };
        *self.memory.borrow_mut() = data;
        *self.run.borrow_mut() += 1;
        self.scripts.borrow_mut().clear();
    }

    /// Somebody empties it.
    pub(super) fn flush(&self) {
        *self.memory.borrow_mut() = Memory::default();
    }

    pub(super) fn save(&self) {
        *self.saved.borrow_mut() = self.memory.borrow().clone();
    }

    /// Answers one command.
    pub(super) fn answer(&self, words: &[String]) -> Reply {
        match words.first().map(String::as_str) {
            Some("INFO") => Reply::text(format!("run_id:run-{}\r\n", self.run.borrow())),
            Some("SCRIPT") => Reply::text(self.load(&words[2])),
            Some("EVALSHA") => {
                let script = self.scripts.borrow().get(&words[1]).cloned();
                match script {
                    Some(script) => self.run(&script, &words[2..]),
                    None => Reply::Error("NOSCRIPT No matching script.".to_owned()),
                }
            }
            _ => self
                .memory
                .borrow_mut()
                .command(self.time.server_ms(), words),
        }
    }

    fn load(&self, script: &str) -> String {
        let sha = redis::Script::new(script).get_hash().to_owned();
        let script = match self.mistake {
            Some(mistake) => mistake.make(script),
            None => script.to_owned(),
        };
        let script = self.lua.load(script).into_function().unwrap();
        self.scripts.borrow_mut().insert(sha.clone(), script);
        sha
    }

    fn run(&self, script: &Function, words: &[String]) -> Reply {
        let keys: usize = words[0].parse().unwrap();
        let (keys, args) = words[1..].split_at(keys);
        let globals = self.lua.globals();
        globals.set("KEYS", keys).unwrap();
        globals.set("ARGV", args).unwrap();
        let was_blank = self.is_blank();
        match script.call::<Value>(MultiValue::new()) {
            Ok(answer) => {
                if was_blank && !self.is_blank() {
                    (self.restored.borrow())();
                }
                reply(answer)
            }
            Err(error) => panic!("a script failed: {error}"),
        }
    }
}

/// Tables are kept as they are, and named.
const PACKING: &str = "
    local packed = {}
    cmsgpack = {
        pack = function(value)
            packed[#packed + 1] = value
            return 'packed-' .. #packed
        end,
        unpack = function(name) return packed[tonumber(string.sub(name, 8))] end,
    }";

fn id(reply: Reply) -> Option<Arc<str>> {
    match reply {
        Reply::Text(id) => Some(Arc::from(id)),
        _ => None,
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string_lossy(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => format!("{number:.0}"),
        other => panic!("no word: {other:?}"),
    }
}

fn value(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Number(number) => Value::Number(*number as f64),
        Reply::Text(text) => Value::String(lua.create_string(text)?),
        Reply::Done => Value::Boolean(true),
        Reply::Error(error) => return Err(mlua::Error::runtime(error)),
        Reply::Several(replies) => {
            let table = lua.create_table()?;
            for (index, reply) in replies.iter().enumerate() {
                table.set(index + 1, value(lua, reply)?)?;
            }
            Value::Table(table)
        }
    })
}

fn reply(value: Value) -> Reply {
    match value {
        Value::Nil | Value::Boolean(false) => Reply::Nil,
        Value::Boolean(true) => Reply::Done,
        Value::Integer(number) => Reply::Number(number),
        Value::Number(number) => Reply::Number(number as i64),
        Value::String(text) => Reply::text(text.to_string_lossy()),
        Value::Table(table) => Reply::Several(replies(&table)),
        other => panic!("no reply: {other:?}"),
    }
}

fn replies(table: &Table) -> Vec<Reply> {
    let values = table.sequence_values::<Value>();
    values.map(|value| reply(value.unwrap())).collect()
}
