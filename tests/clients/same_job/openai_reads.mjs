// Read one job with OpenAI's package for JavaScript. Prints id, status and cost.
import OpenAI from "openai";

const [base, apiKey, id] = process.argv.slice(2);
const video = await new OpenAI({ baseURL: `${base}/openai/v1`, apiKey }).videos.retrieve(id);
process.stdout.write(JSON.stringify([video.id, video.status, video.cost.actual]));
