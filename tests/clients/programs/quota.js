// Asks by OpenAI's official client, TIMES at most, until a request fails or is tried again, and prints
// what came of the last one, as one line of JSON:
//   node quota.js URL KEY MODEL MAX_RETRIES TIMES
// NODE_PATH names the folder that has the package.
const { OpenAI, APIError } = require("openai");

const [url, apiKey, model, maxRetries, times] = process.argv.slice(2);
let attempts = 0;
const client = new OpenAI({
  baseURL: url,
  apiKey,
  maxRetries: Number(maxRetries),
  fetch: (...request) => {
    attempts += 1;
    return fetch(...request);
  },
});

async function ask() {
  try {
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "What is 12 plus 30?" }],
      max_tokens: 4,
    });
    return { error: "", status: 200, code: "", tokens: answer.usage.total_tokens };
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const remaining = error.headers.get("x-ratelimit-remaining-requests");
    return { error: error.constructor.name, status: error.status, code: error.code, remaining };
  }
}

async function main() {
  let seen;
  for (let asked = 0; asked < Number(times); asked += 1) {
    attempts = 0;
    seen = await ask();
    if (seen.error || attempts > 1) break;
  }
  console.log(JSON.stringify({ ...seen, attempts }));
}

main();
