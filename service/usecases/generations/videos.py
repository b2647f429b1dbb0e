"""Videos on their way out: where one is, its bytes, and forgetting it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.domain.generation import Generation, StoredVideo
from service.domain.tenant import Tenant
from service.errors import MediaUnavailable, NotFound, VideoNotReady
from service.media.videos import VideoMissing, VideoStore, VideoStoreUnavailable
from service.usecases.generations.read import GenerationReader


@dataclass(frozen=True, slots=True)
class VideoRedirect:
    """At a URL that needs no key of ours."""

    url: str


@dataclass(frozen=True, slots=True)
class VideoStream:
    kept: StoredVideo
    content_type: str


class Videos:
    def __init__(self, reader: GenerationReader, videos: VideoStore | None, *, redirect: bool) -> None:
        self._reader = reader
        self._videos = videos
        self._redirect = redirect

    async def find(self, tenant: Tenant, generation_id: str, *, follow: bool = True) -> VideoRedirect | VideoStream:
        """``follow``: False where the store's own answer is not wanted, only what is known of the video.

        Raises:
            NotFound: no such generation, or it ended without a video.
            VideoNotReady: it has not ended.
            MediaUnavailable: the store is away.

        """
        g = await self._reader.get(tenant, generation_id)
        if g.output is None:
            if g.is_terminal:
                raise NotFound("The generation ended without a video.")
            raise VideoNotReady("The generation has not ended.")
        video = g.output.video
        if g.stored_video is None or self._videos is None:
            return VideoRedirect(video.source or video.url)
        if follow and self._redirect and self._videos.signs:
            try:
                return VideoRedirect(await self._videos.signed(g.stored_video.path))
            except VideoStoreUnavailable as error:
                raise MediaUnavailable("The store of videos did not answer.") from error
        return VideoStream(g.stored_video, video.content_type or "video/mp4")

    async def read(self, kept: StoredVideo, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes from ``start`` to before ``end``. Raises NotFound, MediaUnavailable."""
        if self._videos is None:
            raise NotFound("The video is not kept any more.")
        try:
            return await self._videos.read(kept.path, start, end)
        except VideoMissing:
            raise NotFound("The video is not kept any more.") from None
        except VideoStoreUnavailable as error:
            raise MediaUnavailable("The store of videos did not answer.") from error


async def forget(videos: VideoStore | None, g: Generation) -> None:
    """Delete its video, where one is kept. Raises MediaUnavailable: then its record must stay, to try again by."""
    if videos is None or g.stored_video is None:
        return
    try:
        await videos.delete(g.stored_video.path)
    except VideoStoreUnavailable as error:
        raise MediaUnavailable("The store of videos did not answer.") from error
