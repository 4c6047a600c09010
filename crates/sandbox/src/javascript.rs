//! JavaScript in QuickJS, with nothing of the host in reach but a way to write.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;

use nix::time::{ClockId, clock_gettime};
use rquickjs::context::EvalOptions;
use rquickjs::function::Rest;
use rquickjs::promise::PromiseState;
use rquickjs::{
    Coerced, Context, Ctx, Error, Exception, Function, Object, Promise, Runtime, Value,
};

use crate::frame;
use crate::job::{Exit, Job, Thrown};

/// The most of the machine's stack that the interpreter uses; deeper code gets a `RangeError`.
const STACK_BYTES: usize = 512 << 10;
/// The most that is told of an error.
const MOST_TOLD: usize = 4 << 10;

/// How it ended.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) error: Option<Thrown>,
}

/// What bounds the run.
struct Bounds {
    /// When the process has used up its time of the processor.
    cpu_ends_ms: u64,
    output_left: Cell<u64>,
    /// Why the code has to stop, whatever it catches.
    stopped: Cell<Option<Exit>>,
}

impl Bounds {
    fn is_over(&self) -> bool {
        if self.stopped.get().is_none() && cpu_ms() >= self.cpu_ends_ms {
            self.stopped.set(Some(Exit::CpuTime));
        }
        self.stopped.get().is_some()
    }

    /// Takes so much of what may be written. Less when there is no more.
    fn take_output(&self, wanted: usize) -> usize {
        let left = usize::try_from(self.output_left.get()).unwrap_or(usize::MAX);
        if wanted > left {
            self.stopped.set(Some(Exit::Output));
        }
        let taken = wanted.min(left);
        self.output_left.set((left - taken) as u64);
        taken
    }
}

fn cpu_ms() -> u64 {
    // A clock that cannot be read has no time left.
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(u64::MAX, |spent| {
        let nanos = spent.tv_nsec().max(0).cast_unsigned();
        spent.tv_sec().max(0).cast_unsigned() * 1_000 + nanos / 1_000_000
    })
}

/// Where what the code writes goes.
type Tell<'t> = &'t mut dyn FnMut(u8, &[u8]);

/// Gathered lines; the interpreter's functions cannot borrow from outside.
type Written = Rc<RefCell<Vec<(u8, String)>>>;

/// Lets the interpreter do once what it does only the first time.
pub(crate) fn warm_up() {
    if let Ok(runtime) = Runtime::new()
        && let Ok(context) = Context::full(&runtime)
    {
        let code = "new Date().getTimezoneOffset() + Math.random() + `${new Date(0)}`";
        let _unused = context.with(|ctx| ctx.eval::<Coerced<String>, _>(code));
    }
}

/// Runs the code of a job.
pub(crate) fn run(job: &Job, tell: Tell<'_>) -> Ended {
    let bounds = Rc::new(Bounds {
        cpu_ends_ms: cpu_ms().saturating_add(job.limits.cpu_ms),
        output_left: Cell::new(job.limits.output_bytes),
        stopped: Cell::new(None),
    });
    let ended = prepare(job, &bounds).and_then(|context| {
        context.with(|ctx| {
            let written = Written::default();
            provide(&ctx, job, &bounds, &written)?;
            let said = evaluate(&ctx, job, &bounds, tell, &written);
            flush(&written, tell);
            Ok(said)
        })
    });
    let mut ended = ended.unwrap_or(Ended {
        exit: Exit::Memory,
        error: None,
    });
    if let Some(stopped) = bounds.stopped.get() {
        ended = Ended {
            exit: stopped,
            error: None,
        };
    }
    ended
}

fn prepare(job: &Job, bounds: &Rc<Bounds>) -> Result<Context, Error> {
    let runtime = Runtime::new()?;
    let memory = usize::try_from(job.limits.memory_bytes).unwrap_or(usize::MAX);
    runtime.set_memory_limit(memory);
    runtime.set_max_stack_size(STACK_BYTES);
    let bounds = Rc::clone(bounds);
    runtime.set_interrupt_handler(Some(Box::new(move || bounds.is_over())));
    Context::full(&runtime)
}

/// Gives the code what it may use: `console`, `print`, `stdin` and `args`.
fn provide<'js>(
    ctx: &Ctx<'js>,
    job: &Job,
    bounds: &Rc<Bounds>,
    written: &Written,
) -> Result<(), Error> {
    let globals = ctx.globals();
    let console = Object::new(ctx.clone())?;
    for name in ["log", "info", "debug"] {
        console.set(name, writer(ctx, frame::STDOUT, bounds, written)?)?;
    }
    for name in ["error", "warn"] {
        console.set(name, writer(ctx, frame::STDERR, bounds, written)?)?;
    }
    globals.set("console", console)?;
    globals.set("print", writer(ctx, frame::STDOUT, bounds, written)?)?;
    globals.set("stdin", job.stdin.as_str())?;
    globals.set("args", job.arguments.clone())
}

/// A function that writes its arguments as a line.
fn writer<'js>(
    ctx: &Ctx<'js>,
    kind: u8,
    bounds: &Rc<Bounds>,
    written: &Written,
) -> Result<Function<'js>, Error> {
    let (bounds, written) = (Rc::clone(bounds), Rc::clone(written));
    let write = move |ctx: Ctx<'js>, values: Rest<Value<'js>>| -> Result<(), Error> {
        let mut line = String::new();
        for (index, value) in values.0.into_iter().enumerate() {
            if index > 0 {
                line.push(' ');
            }
            line.push_str(&shown(&ctx, value)?);
        }
        line.push('\n');
        let taken = line.floor_char_boundary(bounds.take_output(line.len()));
        line.truncate(taken);
        written.borrow_mut().push((kind, line));
        match bounds.is_over() {
            true => Err(Exception::throw_internal(&ctx, "too much output")),
            false => Ok(()),
        }
    };
    Function::new(ctx.clone(), write)
}

/// A value as a line shows it: texts as they are, other things as JSON where they can be.
fn shown<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<String, Error> {
    if let Some(error) = value.as_object().cloned().and_then(Exception::from_object) {
        let thrown = thrown(&error);
        return Ok(format!(
            "{}: {}\n{}",
            thrown.name, thrown.message, thrown.stack
        ));
    }
    if value.is_object() && !value.is_function() {
        if let Ok(Some(json)) = ctx.json_stringify(value.clone()) {
            return json.to_string();
        }
        let _what_stringify_threw = ctx.catch();
    }
    if let Some(symbol) = value.as_symbol() {
        let name = symbol.description()?.get::<Coerced<String>>()?;
        return Ok(format!("Symbol({})", name.0));
    }
    Ok(value.get::<Coerced<String>>()?.0)
}

fn flush(written: &Written, tell: Tell<'_>) {
    for (kind, text) in written.borrow_mut().drain(..) {
        tell(kind, text.as_bytes());
    }
}

/// Runs the code and then its jobs, until nothing is left to do.
fn evaluate<'js>(
    ctx: &Ctx<'js>,
    job: &Job,
    bounds: &Rc<Bounds>,
    tell: Tell<'_>,
    written: &Written,
) -> Ended {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.promise = true;
    options.filename = Some("code.js".to_owned());
    let started = ctx.eval_with_options::<Promise<'js>, _>(job.code.as_str(), options);
    let promise = match started {
        Ok(promise) => promise,
        Err(error) => return failed(ctx, &error),
    };
    while !bounds.is_over() && ctx.execute_pending_job() {
        flush(written, tell);
    }
    let value = match settled(&promise) {
        Settled::Value(holder) => holder.as_object().map(|holder| holder.get("value")),
        Settled::Failed(error) => return failed(ctx, &error),
        Settled::Pending => return pending(),
    };
    let value: Value<'js> = match value {
        Some(Ok(value)) => value,
        Some(Err(error)) => return failed(ctx, &error),
        None => Value::new_undefined(ctx.clone()),
    };
    // The last statement may be a promise itself.
    let value = match value.as_promise().map(settled) {
        None => value,
        Some(Settled::Value(value)) => value,
        Some(Settled::Failed(error)) => return failed(ctx, &error),
        Some(Settled::Pending) => return pending(),
    };
    flush(written, tell);
    match result(ctx, value) {
        Ok(json) => {
            let json = json.unwrap_or_default();
            if bounds.take_output(json.len()) == json.len() {
                tell(frame::RESULT, json.as_bytes());
            }
            Ended {
                exit: Exit::Completed,
                error: None,
            }
        }
        Err(error) => failed(ctx, &error),
    }
}

enum Settled<'js> {
    Value(Value<'js>),
    Failed(Error),
    Pending,
}

fn settled<'js>(promise: &Promise<'js>) -> Settled<'js> {
    if promise.state() == PromiseState::Pending {
        return Settled::Pending;
    }
    match promise.result::<Value<'js>>() {
        Some(Ok(value)) => Settled::Value(value),
        Some(Err(error)) => Settled::Failed(error),
        None => Settled::Pending,
    }
}

fn pending() -> Ended {
    Ended {
        exit: Exit::Pending,
        error: None,
    }
}

/// The value of the last statement as JSON; what has none is shown as text.
fn result<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<String>, Error> {
    if value.is_undefined() {
        return Ok(None);
    }
    match ctx.json_stringify(value.clone()) {
        Ok(Some(json)) => json.to_string().map(Some),
        _ => {
            let _what_stringify_threw = ctx.catch();
            let text = shown(ctx, value)?;
            Ok(serde_json::to_string(&text).ok())
        }
    }
}

/// What is told of an error.
fn failed(ctx: &Ctx<'_>, error: &Error) -> Ended {
    let caught = ctx.catch();
    let error = match caught.as_object().cloned().and_then(Exception::from_object) {
        _ if !matches!(error, Error::Exception) => Thrown {
            name: "Error".to_owned(),
            message: short(error.to_string()),
            stack: String::new(),
        },
        Some(exception) => thrown(&exception),
        None => Thrown {
            name: "Thrown".to_owned(),
            message: short(shown(ctx, caught).unwrap_or_default()),
            stack: String::new(),
        },
    };
    let is_memory = error.name == "InternalError" && error.message == "out of memory";
    Ended {
        exit: if is_memory { Exit::Memory } else { Exit::Error },
        error: Some(error),
    }
}

fn thrown(exception: &Exception<'_>) -> Thrown {
    let name = exception.as_object().get::<_, Coerced<String>>("name");
    Thrown {
        name: short(name.map_or_else(|_| "Error".to_owned(), |name| name.0)),
        message: short(exception.message().unwrap_or_default()),
        stack: short(exception.stack().unwrap_or_default()),
    }
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_TOLD));
    text
}
