// What case.py is for Python: cases from stdin, what came of each on stdout, a line of JSON each.
const readline = require("node:readline");

const PIECES = 3;

/** As many pieces as a caller reads that then leaves. */
async function firstPieces(pieces) {
  const read = [];
  for await (const piece of pieces) {
    read.push(piece);
    if (read.length === PIECES) break;
  }
  return read;
}

function failure(error) {
  return {
    error: error.constructor.name,
    status: error.status ?? error.statusCode ?? null,
    code: error.code ?? null,
    message: error.message,
  };
}

async function answerCases(ways) {
  const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
  say({ ready: Object.keys(ways).sort() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    try {
      say(await ways[asked.name](asked));
    } catch (error) {
      console.error(error);
      say(failure(error));
    }
  }
}

module.exports = { answerCases, firstPieces };
