// Vercel's AI SDK with its provider for OpenAI's API. NODE_PATH names the folder of the packages.
const { generateObject, generateText, jsonSchema, streamText, tool: aTool } = require("ai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { answerCases, firstPieces } = require("./case.js");

function settings(asked, extra = {}) {
  const provider = createOpenAICompatible({
    name: "tierflow",
    baseURL: asked.url + "/v1",
    apiKey: asked.key,
    includeUsage: true,
    supportsStructuredOutputs: true,
    transformRequestBody: (body) => ({ ...body, ...extra }),
  });
  return {
    model: provider(asked.model),
    prompt: asked.question,
    maxOutputTokens: asked.max_tokens,
    temperature: 0,
    maxRetries: 0,
  };
}

const counted = (usage) => [usage.inputTokens, usage.outputTokens];

async function plain(asked) {
  const answer = await generateText(settings(asked));
  return { text: answer.text, finish: answer.finishReason, usage: counted(answer.usage) };
}

async function stream(asked) {
  let failed;
  const answer = streamText({
    ...settings(asked),
    onError: ({ error }) => {
      failed = error;
    },
  });
  let text = "";
  for await (const part of answer.textStream) text += part;
  if (failed) throw failed;
  return { text, finish: await answer.finishReason, usage: counted(await answer.usage) };
}

async function tool(asked) {
  const { name, description, parameters } = asked.tool;
  const answer = await generateText({
    ...settings(asked),
    tools: { [name]: aTool({ description, inputSchema: jsonSchema(parameters), strict: true }) },
    toolChoice: { type: "tool", toolName: name },
    frequencyPenalty: asked.penalty,
  });
  const [call] = answer.toolCalls;
  return { tool: [call.toolName, call.input], finish: answer.finishReason };
}

async function structured(asked) {
  const answer = await generateObject({
    ...settings(asked),
    schema: jsonSchema(asked.schema),
    schemaName: "verdict",
    frequencyPenalty: asked.penalty,
  });
  return { value: answer.object, finish: answer.finishReason };
}

async function cancel(asked) {
  const leaving = new AbortController();
  const answer = streamText({
    ...settings(asked, { ignore_eos: true }),
    abortSignal: leaving.signal,
  });
  const read = await firstPieces(answer.textStream);
  leaving.abort();
  return { pieces: read.length };
}

answerCases({ plain, stream, tool, structured, cancel });
