// OpenAI's client for JavaScript. NODE_PATH names the folder that has the package.
const { OpenAI } = require("openai");
const { answerCases, firstPieces } = require("./case.js");

function complete(asked, fields = {}) {
  const client = new OpenAI({ baseURL: asked.url + "/v1", apiKey: asked.key, maxRetries: 0 });
  return client.chat.completions.create({
    model: asked.model,
    messages: [{ role: "user", content: asked.question }],
    max_tokens: asked.max_tokens,
    temperature: 0,
    ...fields,
  });
}

const counted = (usage) => [usage.prompt_tokens, usage.completion_tokens];

async function plain(asked) {
  const { choices, usage } = await complete(asked);
  const text = choices[0].message.content;
  return { text, finish: choices[0].finish_reason, usage: counted(usage) };
}

async function stream(asked) {
  const chunks = await complete(asked, { stream: true, stream_options: { include_usage: true } });
  const seen = { text: "", finish: null, usage: null };
  for await (const { choices, usage } of chunks) {
    for (const choice of choices) {
      seen.text += choice.delta.content ?? "";
      seen.finish = choice.finish_reason ?? seen.finish;
    }
    if (usage) seen.usage = counted(usage);
  }
  return seen;
}

async function tool(asked) {
  const { choices } = await complete(asked, {
    tools: [{ type: "function", function: { ...asked.tool, strict: true } }],
    tool_choice: { type: "function", function: { name: asked.tool.name } },
    frequency_penalty: asked.penalty,
  });
  const call = choices[0].message.tool_calls[0].function;
  return { tool: [call.name, JSON.parse(call.arguments)], finish: choices[0].finish_reason };
}

async function structured(asked) {
  const form = { name: "verdict", schema: asked.schema, strict: true };
  const { choices } = await complete(asked, {
    response_format: { type: "json_schema", json_schema: form },
    frequency_penalty: asked.penalty,
  });
  return { value: JSON.parse(choices[0].message.content), finish: choices[0].finish_reason };
}

async function cancel(asked) {
  const read = await firstPieces(await complete(asked, { stream: true, ignore_eos: true }));
  return { pieces: read.length };
}

answerCases({ plain, stream, tool, structured, cancel });
