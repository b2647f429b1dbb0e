"""The model behind the queue: checks the input, fetches images, renders the video, computes the cost."""

import asyncio
import functools
import math
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from PIL import Image

from sandbox import endings, video
from sandbox.dimensions import RATES, Dimensions, dimensions
from sandbox.files import Files, StoredFile
from sandbox.images import ImageProblemError, Images
from sandbox.job import Job
from sandbox.outcome import Outcome, path_not_found
from sandbox.schema import ImageToVideo, check
from sandbox.settings import Settings

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
BLOCKED = (endings.POLICY, endings.POLICY_OUTPUT)


class Seedance:
    def __init__(self, settings: Settings, files: Files) -> None:
        self._settings = settings
        self._files = files
        self._images = Images(files)
        self._renderers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="render")

    def close(self) -> None:
        self._renderers.shutdown(wait=False, cancel_futures=True)

    def judge(self, job: Job) -> Outcome | None:
        """Decide everything that needs no rendering."""
        if job.endpoint != ENDPOINT:
            return path_not_found(job.path)
        request = check(job.input)
        if isinstance(request, Outcome):
            return request
        if job.behaviour.ending:
            return self._ended(job.behaviour.ending, request)
        if not job.behaviour.render or job.behaviour.run_seconds == math.inf:
            size = dimensions(request.resolution, request.aspect_ratio, request.duration)
            return _success(job, request, size, self._files.ready_video(), _seed(request))
        return None

    async def perform(self, job: Job) -> Outcome:
        request = ImageToVideo.model_validate(job.input)
        start = await self._image("image_url", request.image_url, job)
        if isinstance(start, Outcome):
            return start
        end = await self._image("end_image_url", request.end_image_url, job) if request.end_image_url else None
        if isinstance(end, Outcome):
            return end
        return await self._render(job, request, start, end)

    async def _image(self, field: str, url: str, job: Job) -> Image.Image | Outcome:
        try:
            return await self._images.load(url, job.base)
        except ImageProblemError as problem:
            return problem.outcome(field, url)

    async def _render(self, job: Job, request: ImageToVideo, start: Image.Image, end: Image.Image | None) -> Outcome:
        size = dimensions(request.resolution, request.aspect_ratio, request.duration, start.size)
        seed = _seed(request)
        scene = video.Scene(start, end, size, request.bitrate_mode, request.generate_audio, seed)
        file = self._files.create("video.mp4")
        work = functools.partial(video.render, scene, file.path)
        await asyncio.get_running_loop().run_in_executor(self._renderers, work)
        return _success(job, request, size, file, seed)

    def _ended(self, ending: Outcome, request: ImageToVideo) -> Outcome:
        if not (self._settings.bill_blocked and ending in BLOCKED):
            return ending
        size = dimensions(request.resolution, request.aspect_ratio, request.duration)
        return replace(ending, units=size.units, unit_price=RATES[request.resolution])


def _seed(request: ImageToVideo) -> int:
    return random.randrange(1 << 31) if request.seed is None else request.seed


def _success(job: Job, request: ImageToVideo, size: Dimensions, file: StoredFile, seed: int) -> Outcome:
    output = {
        "url": f"{job.base}/cdn/files/{file.key}",
        "content_type": "video/mp4",
        "file_name": "video.mp4",
        "file_size": file.size,
    }
    return Outcome(200, {"video": output, "seed": seed}, size.units, RATES[request.resolution])
