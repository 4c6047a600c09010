//! Escapes by code in the language: each is contained, and the next run is as good as new.

use seaworthy_sandbox::Exit::{self, Completed, CpuTime, Error, Memory, Output, Pending};

use crate::{job, result, run};

/// Name, code, and how it may end; what completes must say `"held"`.
#[rustfmt::skip]
const ESCAPES: &[(&str, &str, &[Exit])] = &[
    ("no modules of Node", "typeof require + typeof process + typeof module === 'undefinedundefinedundefined' ? 'held' : 'out'", &[Completed]),
    ("no modules of QuickJS", "typeof std + typeof os + typeof scriptArgs === 'undefinedundefinedundefined' ? 'held' : 'out'", &[Completed]),
    ("no Deno, Bun or browser", "[typeof Deno, typeof Bun, typeof fetch, typeof XMLHttpRequest, typeof WebSocket, typeof Worker].every(t => t === 'undefined') ? 'held' : 'out'", &[Completed]),
    ("import of a file", "await import('/etc/passwd')", &[Error]),
    ("import of a built-in", "await import('fs')", &[Error]),
    ("import of the interpreter's own", "await import('std')", &[Error]),
    ("import by URL", "await import('https://example.com/x.js')", &[Error]),
    ("import of data", "await import('data:text/javascript,1')", &[Error]),
    ("constructor of a host function", "console.log.constructor('return typeof process + typeof require')() === 'undefinedundefined' ? 'held' : 'out'", &[Completed]),
    ("global of a sloppy function", "(function () { return typeof this.process })() === 'undefined' ? 'held' : 'out'", &[Completed]),
    ("indirect eval", "(0, eval)('typeof std') === 'undefined' ? 'held' : 'out'", &[Completed]),
    ("polluted toJSON", "Object.prototype.toJSON = () => 'polluted'; console.log({}); 'held'", &[Completed]),
    ("polluted String", "String.prototype.toString = () => { throw 1 }; Array.prototype.join = null; console.log('a', [1]); 'held'", &[Completed]),
    ("polluted promises", "Promise.prototype.then = null; 'held'", &[Completed, Error, Pending]),
    ("polluted Object", "Object.prototype.value = 'planted'; Object.prototype.exit = 'completed'; undefined; 'held'", &[Completed]),
    ("errors with getters", "const e = new Error('x'); Object.defineProperty(e, 'name', {get() { for (;;); }}); throw e", &[CpuTime]),
    ("error that lies about its stack", "const e = new Error('x'); e.stack = {toString() { return 'y'.repeat(1e9) }}; throw e", &[Error, Memory]),
    ("coercion that never ends", "console.log({toJSON() { for (;;); }})", &[CpuTime]),
    ("coercion that throws", "console.log({toJSON() { throw {toString() { throw 1 }} }, toString() { throw 1 }})", &[Error, Completed]),
    ("proxy as argument", "console.log(new Proxy({}, {get() { for (;;); }, ownKeys() { for (;;); }}))", &[CpuTime]),
    ("endless loop", "for (;;);", &[CpuTime]),
    ("endless loop that catches", "for (;;) { try { for (;;); } catch {} finally { for (;;); } }", &[CpuTime]),
    ("endless generator", "[...(function* () { for (;;) yield 1 })()]", &[CpuTime, Memory]),
    ("endless promises", "(function again() { Promise.resolve().then(again) })()", &[CpuTime]),
    ("endless loop in a promise", "Promise.resolve().then(() => { for (;;); })", &[CpuTime]),
    ("endless async generator", "for await (const x of (async function* () { for (;;) yield 1 })());", &[CpuTime]),
    ("promise that never resolves", "await new Promise(() => {})", &[Pending]),
    ("thenable that never resolves", "await {then() {}}", &[Pending]),
    ("result that never resolves", "new Promise(() => {})", &[Pending]),
    ("blocking wait", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", &[Error]),
    ("clock by spinning", "const until = Date.now() + 1e9; while (Date.now() < until);", &[CpuTime]),
    ("regular expression that blows up", "/^(a+)+$/.test('a'.repeat(40) + 'b')", &[CpuTime, Error]),
    ("regular expression with lookbehind", "/(?<=(a|aa)+)b$/.test('a'.repeat(50000) + 'c') ? 'out' : 'held'", &[Completed, CpuTime, Error, Memory]),
    ("deep recursion", "(function deeper() { deeper() })()", &[Error]),
    ("deep recursion that catches", "(function deeper() { try { deeper() } catch { deeper() } })()", &[Error, CpuTime]),
    ("deep recursion by JSON", "JSON.parse('['.repeat(1e6)); 'out'", &[Error, CpuTime, Memory]),
    ("deep value as result", "let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep]; deep", &[Error, Memory, CpuTime, Completed, Output]),
    ("deep code", "eval('('.repeat(1e5) + ')'.repeat(1e5))", &[Error, Memory]),
    ("huge string", "'a'.repeat(2 ** 29)", &[Memory, Error]),
    ("doubling string", "let s = 'a'; for (;;) s += s", &[Memory, Error]),
    ("doubling string, read", "let s = 'ab'; for (;;) { s += s; s.charCodeAt(s.length - 1); }", &[Memory, Error]),
    ("huge array", "new Array(2 ** 30).fill(0)", &[Memory, Error, CpuTime]),
    ("huge buffer", "new ArrayBuffer(2 ** 32)", &[Memory, Error]),
    ("huge typed array", "new Float64Array(2 ** 33)", &[Memory, Error]),
    ("huge integer", "2n ** (2n ** 40n)", &[Memory, Error, CpuTime]),
    ("memory that is caught and taken again", "const held = []; for (;;) try { for (;;) held.push(new Uint8Array(1e5)) } catch {}", &[CpuTime, Memory]),
    ("many objects", "const all = new Map(); for (let i = 0; ; i++) all.set(i, {i})", &[Memory, Error, CpuTime]),
    ("length that lies", "Array.from({length: 2 ** 53 - 1})", &[CpuTime, Memory, Error]),
    ("sort that never agrees", "Array.from({length: 1e6}, () => 1).sort(() => Math.random() - 0.5); 'held'", &[CpuTime, Completed, Memory]),
    ("output flood", "for (;;) console.log('flood')", &[Output]),
    ("output flood by errors", "for (;;) try { console.error('flood') } catch {}", &[Output]),
    ("one huge line", "console.log('x'.repeat(1 << 20))", &[Output]),
    ("huge result", "'x'.repeat(1 << 20)", &[Output]),
    ("forged frames", "console.log('\\u0000\\u0000\\u0000\\u0009\"escaped\"'); console.log('f\\0\\0\\0\\x02{}'); 'held'", &[Completed]),
    ("host functions replaced", "console.log = globalThis.print = () => { throw 1 }; 'held'", &[Completed]),
    ("globals removed", "for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}; 'held'", &[Completed, Error]),
    ("finalizers", "const r = new FinalizationRegistry(() => { for (;;); }); for (let i = 0; i < 1e4; i++) r.register({}, i); 'held'", &[Completed, CpuTime]),
    ("zero bytes in code", "'held' // \0 \u{2028} \u{feff}", &[Completed, Error]),
    ("another realm by iframe or vm", "typeof ShadowRealm + typeof vm + typeof document === 'undefinedundefinedundefined' ? 'held' : 'out'", &[Completed]),
    ("WebAssembly", "typeof WebAssembly === 'undefined' ? 'held' : 'out'", &[Completed]),
];

#[test]
fn every_escape_is_contained() {
    assert!(ESCAPES.len() >= 40);
    for (name, code, allowed) in ESCAPES {
        let outcome = run(&job(code));
        println!("contained: {name}: {}", outcome.exit.as_str());
        assert!(allowed.contains(&outcome.exit), "{name}: {outcome:?}");
        assert_ne!(result(&outcome), "\"out\"", "{name}");
        assert!(outcome.stdout.len() + outcome.stderr.len() <= 64 << 10);
    }
    assert_eq!(result(&run(&job("'alive'"))), "\"alive\"");
}
