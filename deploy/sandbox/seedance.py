"""The models behind the queue: check the input, fetch images, render the video, compute the cost."""

import asyncio
import functools
import math
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from PIL import Image

from sandbox import endings, video
from sandbox.dimensions import Dimensions, dimensions
from sandbox.drafts import Drafts
from sandbox.endpoints import ENDPOINTS
from sandbox.files import Files, StoredFile
from sandbox.images import STAND_IN, ImageProblemError, Images
from sandbox.input_videos import InputVideos, too_long
from sandbox.job import Job
from sandbox.outcome import Outcome, path_not_found
from sandbox.schema import Request
from sandbox.settings import Settings

BLOCKED = (endings.POLICY, endings.POLICY_OUTPUT)


class Seedance:
    def __init__(self, settings: Settings, files: Files) -> None:
        self.drafts = Drafts(settings)
        self._settings = settings
        self._files = files
        self._images = Images(files)
        self._videos = InputVideos(files)
        self._renderers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="render")

    def close(self) -> None:
        self._renderers.shutdown(wait=False, cancel_futures=True)

    def judge(self, job: Job) -> Outcome | None:
        """Decide everything that needs no rendering."""
        request = self._request(job)
        if isinstance(request, Outcome):
            return request
        endpoint, seconds = ENDPOINTS[job.endpoint], self._videos.seconds(request.video_urls or (), job.base)
        if seconds > endpoint.longest_input:
            return too_long(seconds, endpoint.longest_input)
        if job.behaviour.ending:
            return self._ended(job, job.behaviour.ending, request)
        if not self._renders(job, request) or job.behaviour.run_seconds == math.inf:
            size = dimensions(request.resolution, request.aspect_ratio, request.duration)
            return self._success(job, request, size, self._files.ready_video(), _seed(request))
        return None

    async def perform(self, job: Job) -> Outcome:
        request = self._request(job)
        if isinstance(request, Outcome):
            return request
        start = await self._start_image(request, job)
        if isinstance(start, Outcome):
            return start
        end = await self._image("end_image_url", request.end_image_url, job) if request.end_image_url else None
        if isinstance(end, Outcome):
            return end
        return await self._render(job, request, start, end)

    def _request(self, job: Job) -> Request | Outcome:
        endpoint = ENDPOINTS.get(job.endpoint)
        if endpoint is None:
            return path_not_found(job.path)
        request = endpoint.check(job.input)
        if isinstance(request, Outcome) or request.draft_id is None:
            return request
        return self.drafts.completion(request)

    def _renders(self, job: Job, request: Request) -> bool:
        """A completion has no prompt of its own that could ask for no video."""
        draft = self.drafts.find(request)
        return draft.render if draft else job.behaviour.render

    async def _start_image(self, request: Request, job: Job) -> Image.Image | Outcome | None:
        """Return the image that the video starts from; None: the endpoint takes none, or none is given."""
        if request.image_url is not None:
            return await self._image("image_url", request.image_url, job)
        if request.image_urls:
            return await self._image("image_urls", request.image_urls[0], job)
        return None

    async def _image(self, field: str, url: str, job: Job) -> Image.Image | Outcome:
        try:
            return await self._images.load(url, job.base)
        except ImageProblemError as problem:
            return problem.outcome(field, url)

    async def _render(self, job: Job, request: Request, start: Image.Image | None, end: Image.Image | None) -> Outcome:
        ratio = start.size if start else (16, 9)
        size = dimensions(request.resolution, request.aspect_ratio, request.duration, ratio)
        if start is None:
            start = await asyncio.to_thread(_stand_in)
        seed = _seed(request)
        scene = video.Scene(start, end, size, request.bitrate_mode, request.generate_audio, seed, request.codec)
        file = self._files.create("video.mp4")
        work = functools.partial(video.render, scene, file.path)
        await asyncio.get_running_loop().run_in_executor(self._renderers, work)
        return self._success(job, request, size, file, seed)

    def _ended(self, job: Job, ending: Outcome, request: Request) -> Outcome:
        located = endings.located(ending, ENDPOINTS[job.endpoint].schema.model_fields)
        if not (self._settings.bill_blocked and ending in BLOCKED):
            return located
        size = dimensions(request.resolution, request.aspect_ratio, request.duration)
        return self._billed(located, job, request, size)

    def _success(self, job: Job, request: Request, size: Dimensions, file: StoredFile, seed: int) -> Outcome:
        described = {
            "url": f"{job.base}/cdn/files/{file.key}",
            "content_type": "video/mp4",
            "file_name": "video.mp4",
            "file_size": file.size,
        }
        output = {"video": described, "seed": seed}
        if request.draft:
            output["draft_id"] = self.drafts.add(request, seed, render=job.behaviour.render)
        return self._billed(Outcome(200, output), job, request, size)

    def _billed(self, outcome: Outcome, job: Job, request: Request, size: Dimensions) -> Outcome:
        price = ENDPOINTS[job.endpoint].price
        tokens = size.tokens(self._videos.seconds(request.video_urls or (), job.base))
        return replace(outcome, units=tokens / price.unit_tokens, unit_price=price.rate(request))


def _stand_in() -> Image.Image:
    return Image.open(STAND_IN).convert("RGB")


def _seed(request: Request) -> int:
    return random.randrange(1 << 31) if request.seed is None else request.seed
