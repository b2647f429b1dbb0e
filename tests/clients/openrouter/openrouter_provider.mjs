// Calls of the unmodified AI SDK with OpenRouter's provider. Prints one JSON object of findings.
import { readFileSync } from "node:fs";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { experimental_generateVideo as generateVideo } from "ai";

const apiKey = process.env.OPENROUTER_API_KEY;
const baseURL = process.env.OPENROUTER_SERVER;
const image = new Uint8Array(readFileSync(process.argv[2]));

// OpenRouter's URLs need the key too, and the AI SDK downloads without one.
async function download({ url }) {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` } });
  return { data: new Uint8Array(await answer.arrayBuffer()), mediaType: answer.headers.get("content-type") };
}

async function video(prompt, { key = apiKey, model = "bytedance/seedance-2.0", ...changes } = {}) {
  const provider = createOpenRouter({ apiKey: key, baseURL });
  return generateVideo({
    model: provider.videoModel(model, { pollIntervalMs: 200 }),
    prompt: { text: `${prompt} openrouter provider`, image },
    duration: 4,
    resolution: "854x480",
    maxRetries: 0,
    download,
    ...changes,
  });
}

async function refusal(...options) {
  try {
    await video(...options);
    return null;
  } catch (error) {
    return [error.statusCode ?? null, error.message];
  }
}

const made = await video("sandbox:seconds=0.2");
const findings = {
  type: made.video.mediaType,
  bytes: Buffer.from(made.video.uint8Array.slice(4, 8)).toString(),
  metadata: made.providerMetadata.openrouter,
  failed: await refusal("sandbox:policy sandbox:seconds=0.2"),
  budget: await refusal("refused", { key: process.env.POOR_KEY }),
  ceiling: await refusal("refused", { providerOptions: { openrouter: { max_cost_usd: "0.01" } } }),
  invalid: await refusal("refused", { duration: 99 }),
  model: await refusal("refused", { model: "google/veo-3.1" }),
};
process.stdout.write(JSON.stringify(findings));
