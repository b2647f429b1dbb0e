// Read one job with the AI SDK. Prints id, status and cost.
import { createGateway } from "@ai-sdk/gateway";
import { experimental_getVideoStatus as getVideoStatus } from "ai";

const [base, apiKey, id] = process.argv.slice(2);
const model = createGateway({ baseURL: `${base}/vercel`, apiKey }).video("bytedance/seedance-2.0");
const found = await getVideoStatus(model, { operation: { id } });
const { generationId, cost } = found.providerMetadata.gateway;
process.stdout.write(JSON.stringify([generationId, found.status, cost]));
