// The official SDKs for Node, before every kind of provider. What to do comes as JSON on standard input; for
// each cell a line goes out: where, and what is wrong with it, or null. `tests/sdk/cells.py` starts it, and
// says what a cell has to show.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import OpenAI from "openai";

const SYSTEM = "be brief";
const EARLIER = [
  { role: "user", content: "ahoy" },
  { role: "assistant", content: "aye" },
];
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const SAMPLE = { city: "sample", days: 1 };
const TOOLS = ["weather", "news"];
const RESULT = "sunny";
const MOST_TOKENS = 999;
const WORDS = "the ship holds her course";
const CACHED = 11;
const STOPS = {
  stop: "end",
  end_turn: "end",
  completed: "end",
  tool_calls: "tools",
  tool_use: "tools",
};

const order = JSON.parse(await read(process.stdin));

async function read(stream) {
  let text = "";
  for await (const piece of stream) text += piece;
  return text;
}

const dataUrl = (picture) => (picture.startsWith("http") ? picture : `data:image/png;base64,${picture}`);
const tokens = (...texts) => Math.ceil(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 4);
const fn = (name) => ({ name, description: name, parameters: SCHEMA, strict: true });

class Chat {
  connect(key, maxRetries = 0) {
    return new OpenAI({ baseURL: `${order.url}/v1`, apiKey: key, maxRetries, timeout: 30_000 });
  }

  client = this.connect(order.key);
  stranger = this.connect("sk-wrong");
  patient = this.connect(order.key, 2);

  messages({ text, pictures = [] }) {
    const shown = pictures.map((picture) => ({ type: "image_url", image_url: { url: dataUrl(picture) } }));
    const content = pictures.length ? [{ type: "text", text }, ...shown] : text;
    return [{ role: "system", content: SYSTEM }, ...EARLIER, { role: "user", content }];
  }

  ask(model, ask, stream, client = this.client) {
    return this.say(client, model, this.messages(ask), ask.tools, stream);
  }

  goOn(model, ask, answer, stream) {
    const calls = answer.own.tool_calls.map(({ id, type, function: { name, arguments: text } }) => ({
      id,
      type,
      function: { name, arguments: text },
    }));
    const results = calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: RESULT }));
    const said = [...this.messages(ask), { role: "assistant", tool_calls: calls }, ...results];
    return this.say(this.client, model, said, ask.tools, stream);
  }

  async say(client, model, messages, tools, stream, more = {}) {
    const body = { model, messages, max_tokens: MOST_TOKENS, ...more };
    if (tools) body.tools = TOOLS.map((name) => ({ type: "function", function: fn(name) }));
    const whole = stream
      ? await client.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion()
      : await client.chat.completions.create(body);
    const [{ message, finish_reason: reason }] = whole.choices;
    return {
      text: message.content ?? "",
      calls: (message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
      stop: STOPS[reason] ?? reason,
      tokens: [whole.usage.prompt_tokens, whole.usage.completion_tokens],
      own: message,
    };
  }

  async forecast(model, text, stream) {
    const format = { type: "json_schema", json_schema: { name: "forecast", schema: SCHEMA, strict: true } };
    const said = [{ role: "user", content: text }];
    return JSON.parse((await this.say(this.client, model, said, false, stream, { response_format: format })).text);
  }

  pieces(model, text) {
    return this.client.chat.completions.create({ model, messages: [{ role: "user", content: text }], stream: true });
  }
}

class Responses extends Chat {
  input({ text, pictures = [] }) {
    const shown = pictures.map((picture) => ({ type: "input_image", image_url: dataUrl(picture), detail: "auto" }));
    return [...EARLIER, { role: "user", content: [{ type: "input_text", text }, ...shown] }];
  }

  ask(model, ask, stream, client = this.client) {
    return this.respond(client, model, this.input(ask), ask.tools, stream);
  }

  goOn(model, ask, answer, stream) {
    const calls = answer.own.filter((item) => item.type === "function_call");
    const own = calls.map(({ call_id, name, arguments: text }) => ({
      type: "function_call",
      call_id,
      name,
      arguments: text,
    }));
    const results = calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: RESULT }));
    return this.respond(this.client, model, [...this.input(ask), ...own, ...results], ask.tools, stream);
  }

  async respond(client, model, input, tools, stream, more = {}) {
    const body = { model, input, instructions: SYSTEM, max_output_tokens: MOST_TOKENS, store: false, ...more };
    if (tools) body.tools = TOOLS.map((name) => ({ type: "function", ...fn(name) }));
    const whole = stream
      ? await client.responses.stream(body).finalResponse()
      : await client.responses.create(body);
    const calls = whole.output.filter((item) => item.type === "function_call");
    return {
      text: whole.output_text,
      calls: calls.map((item) => [item.name, JSON.parse(item.arguments)]),
      stop: calls.length ? "tools" : (STOPS[whole.status] ?? whole.status),
      tokens: [whole.usage.input_tokens, whole.usage.output_tokens],
      own: whole.output,
    };
  }

  async forecast(model, text, stream) {
    const format = { type: "json_schema", name: "forecast", schema: SCHEMA, strict: true };
    return JSON.parse((await this.respond(this.client, model, text, false, stream, { text: { format } })).text);
  }

  pieces(model, text) {
    return this.client.responses.create({ model, input: text, stream: true, store: false });
  }
}

class Messages {
  connect(key, maxRetries = 0) {
    return new Anthropic({ baseURL: order.url, apiKey: key, maxRetries, timeout: 30_000 });
  }

  client = this.connect(order.key);
  stranger = this.connect("sk-wrong");
  patient = this.connect(order.key, 2);

  messages({ text, pictures = [] }) {
    const shown = pictures.map((picture) => ({
      type: "image",
      source: picture.startsWith("http")
        ? { type: "url", url: picture }
        : { type: "base64", media_type: "image/png", data: picture },
    }));
    return [...EARLIER, { role: "user", content: [{ type: "text", text }, ...shown] }];
  }

  ask(model, ask, stream, client = this.client) {
    return this.say(client, model, this.messages(ask), ask.tools, stream);
  }

  goOn(model, ask, answer, stream) {
    const calls = answer.own.filter((block) => block.type === "tool_use");
    const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: RESULT }));
    const turns = [{ role: "assistant", content: answer.own }, { role: "user", content: results }];
    return this.say(this.client, model, [...this.messages(ask), ...turns], ask.tools, stream);
  }

  async say(client, model, messages, tools, stream) {
    const body = { model, max_tokens: MOST_TOKENS, system: SYSTEM, messages };
    if (tools) body.tools = TOOLS.map((name) => ({ name, description: name, input_schema: SCHEMA }));
    const whole = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
    const { usage } = whole;
    const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
    return {
      text: whole.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
      calls: whole.content.filter((block) => block.type === "tool_use").map((block) => [block.name, block.input]),
      stop: STOPS[whole.stop_reason] ?? whole.stop_reason,
      tokens: [usage.input_tokens + cached, usage.output_tokens],
      own: whole.content,
    };
  }

  async forecast(model, text, stream) {
    const format = jsonSchemaOutputFormat(SCHEMA);
    const said = [{ role: "user", content: text }];
    const body = { model, max_tokens: MOST_TOKENS, messages: said, output_config: { format } };
    const whole = stream
      ? await this.client.messages.stream(body).finalMessage()
      : await this.client.messages.parse(body);
    return whole.parsed_output;
  }

  pieces(model, text) {
    const messages = [{ role: "user", content: text }];
    return this.client.messages.create({ model, max_tokens: MOST_TOKENS, messages, stream: true });
  }
}

/** The class of an exception and its status. */
async function raised(call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    // What Python has a class of its own for.
    const name = error.constructor.name === "APIError" ? "APIStatusError" : error.constructor.name;
    return [name, error.status];
  }
  assert.fail(`nothing was raised: ${JSON.stringify(answer)}`);
}

/** Reads a stream to where it breaks; how much came before. */
async function broken(pieces) {
  const kinds = [];
  try {
    for await (const piece of await pieces) kinds.push(piece.type);
  } catch (error) {
    assert.ok(error instanceof OpenAI.APIError || error instanceof Anthropic.APIError, error);
    return kinds.length;
  }
  assert.ok(["response.failed", "error"].includes(kinds.at(-1)), "the stream looks whole");
  return kinds.length;
}

const CASES = {
  async text(judge, provider, stream) {
    const text = `words? [[fake:cached_tokens=${CACHED},reasoning_tokens=3,output_tokens=5]]`;
    const answer = await judge.ask(provider, { text }, stream);
    assert.equal(answer.text, WORDS);
    assert.equal(answer.stop, "end");
    assert.deepEqual(answer.tokens, [tokens(SYSTEM, "ahoy", "aye", text) + CACHED, 5 + 3]);
  },

  async tools(judge, provider, stream) {
    const asked = await judge.ask(provider, { text: `weather? [[fake:tool=${TOOLS.join("+")}]]`, tools: true }, stream);
    assert.deepEqual(asked.calls, TOOLS.map((name) => [name, SAMPLE]));
    assert.equal(asked.stop, "tools");
    const told = { text: "weather? [[fake:echo=request]]", tools: true };
    const answer = await judge.goOn(provider, told, asked, stream);
    assert.equal(answer.text.split(RESULT).length, 3, answer.text);
    assert.equal(answer.stop, "end");
  },

  async schema(judge, provider, stream) {
    assert.deepEqual(await judge.forecast(provider, "forecast?", stream), SAMPLE);
  },

  async images(judge, provider, stream) {
    const text = "what is it? [[fake:echo=request]]";
    const answer = await judge.ask(provider, { text, pictures: [order.picture] }, stream);
    assert.ok(answer.text.includes(order.picture), answer.text);
    const link = { text, pictures: [order.link] };
    if (order.without_links.includes(provider)) {
      const refused = await raised(() => judge.ask(provider, link, stream));
      assert.deepEqual(refused, ["BadRequestError", 400]);
    } else {
      assert.ok((await judge.ask(provider, link, stream)).text.includes(order.link));
    }
  },

  async errors(judge, provider, stream, expected) {
    // After a 429 the next call waits, and on a slow machine so long that its stream begins before it fails.
    const statuses = Object.entries(expected).sort(([a], [b]) => (a === "429") - (b === "429"));
    for (const [status, wanted] of statuses) {
      if (stream && !["400", "429", "529"].includes(status)) continue;
      const ask = { text: `fail [[fake:status=${status}]]` };
      assert.deepEqual(await raised(() => judge.ask(provider, ask, stream)), wanted, `status ${status}`);
    }
    if (stream) {
      for (const fault of ["error_after_tokens=3", "cut_after_bytes=2500,chunks=100"]) {
        assert.ok((await broken(judge.pieces(provider, `break [[fake:${fault}]]`))) > 1, fault);
      }
      return;
    }
    const ask = { text: "hi" };
    const stranger = await raised(() => judge.ask(provider, ask, stream, judge.stranger));
    assert.deepEqual(stranger, ["AuthenticationError", 401]);
    assert.deepEqual(await raised(() => judge.ask("no-such-model", ask, stream)), ["NotFoundError", 404]);
  },
};

/** `x-should-retry: false` is final, whatever the status, and what may be tried again is. */
async function retries(judge, name, provider) {
  const model = `retries-${name}-${provider}`.replaceAll(" ", "-");
  const calls = async () => (await (await fetch(`${order.fake}/__control/stats`)).json()).by_model[model] ?? 0;
  for (const stream of [false, true]) {
    for (const [fault, times] of [["status=429,should_retry=false", 1], ["status=503,retry_after_ms=1", 3]]) {
      const before = await calls();
      await raised(() => judge.ask(model, { text: `[[fake:${fault}]]` }, stream, judge.patient));
      assert.equal((await calls()) - before, times, fault);
    }
  }
}

const judges = { "node openai": new Chat(), "node openai responses": new Responses(), "node anthropic": new Messages() };
const waiting = [...order.cells];

async function work() {
  for (let at = waiting.shift(); at; at = waiting.shift()) {
    const [name, provider, way, what] = at;
    let problem = null;
    try {
      if (way === "other") await retries(judges[name], name, provider);
      else await CASES[what](judges[name], provider, way === "stream", order.errors[`${name} ${provider}`]);
    } catch (error) {
      problem = error.stack;
    }
    console.log(JSON.stringify([at, problem]));
  }
}

// A few at a time, so that neither side waits for the other.
await Promise.all([work(), work(), work()]);
