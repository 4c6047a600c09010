// The official SDKs for Node read streams whose callers are told to wait. Where the gateway is comes as JSON on
// standard input; for each SDK a line goes out: its name, the text it read, and the error it raised or null.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const order = JSON.parse(await read(process.stdin));
const messages = [{ role: "user", content: order.says }];

async function read(stream) {
  let text = "";
  for await (const piece of stream) text += piece;
  return text;
}

const openai = new OpenAI({ baseURL: `${order.url}/v1`, apiKey: order.key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: order.url, apiKey: order.key, maxRetries: 0 });

const sdks = {
  async *chat(model) {
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) yield chunk.choices[0]?.delta?.content ?? "";
  },
  async *responses(model) {
    const stream = await openai.responses.create({ model, input: order.says, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") yield event.delta;
  },
  async *messages(model) {
    const stream = anthropic.messages.stream({ model, max_tokens: 500, messages });
    for await (const event of stream) if (event.type === "content_block_delta") yield event.delta.text ?? "";
  },
};

for (const [name, ask] of Object.entries(sdks)) {
  let [text, error] = ["", null];
  try {
    for await (const piece of ask(name)) text += piece;
  } catch (raised) {
    error = `${raised.constructor.name}: ${raised.message}`;
  }
  console.log(JSON.stringify([name, text, error]));
}
