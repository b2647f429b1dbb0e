// Read one job with @fal-ai/client. Prints id, status and the URL of the video.
import { createFalClient } from "@fal-ai/client";

const [base, credentials, requestId] = process.argv.slice(2);
const fal = createFalClient({ credentials, proxyUrl: { url: `${base}/fal/proxy`, when: "always" } });
const { status } = await fal.queue.status("bytedance/seedance-2.0", { requestId });
const result = await fal.queue.result("bytedance/seedance-2.0", { requestId });
process.stdout.write(JSON.stringify([result.requestId, status, result.data.video.url]));
