"""Videos of ended generations: their location, their bytes, and their deletion."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from service.domain.generation import Generation, StoredVideo
from service.domain.tenant import Tenant
from service.errors import MediaUnavailable, NotFound, VideoNotReady
from service.media.videos import VideoMissing, VideoStore, VideoStoreUnavailable
from service.usecases.generations.concurrency import DownloadLimiter
from service.usecases.generations.read import GenerationReader


@dataclass(frozen=True, slots=True)
class VideoRedirect:
    """The video is at a URL that needs no API key."""

    url: str


@dataclass(frozen=True, slots=True)
class VideoStream:
    kept: StoredVideo
    content_type: str


class Videos:
    def __init__(
        self, reader: GenerationReader, videos: VideoStore | None, *, redirect: bool, limiter: DownloadLimiter
    ) -> None:
        self._reader = reader
        self._videos = videos
        self._redirect = redirect
        self.slot: Final = limiter.slot
        """Held while a client reads a video."""

    async def find(self, tenant: Tenant, generation_id: str, *, follow: bool = True) -> VideoRedirect | VideoStream:
        """Return where the video is: at another URL, or in the video store.

        ``follow=False`` sends no request to the video store.

        Raises:
            NotFound: there is no such generation, or it ended without a video.
            VideoNotReady: it has not ended.
            MediaUnavailable: the video store is unavailable.

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
                raise MediaUnavailable("Video storage is temporarily unavailable.") from error
        return VideoStream(g.stored_video, video.content_type or "video/mp4")

    async def read(self, kept: StoredVideo, start: int, end: int) -> AsyncIterator[bytes]:
        """Return the bytes from ``start``, included, to ``end``, excluded. Raises NotFound, MediaUnavailable."""
        if self._videos is None:
            raise NotFound("The video was deleted.")
        try:
            return await self._videos.read(kept.path, start, end)
        except VideoMissing:
            raise NotFound("The video was deleted.") from None
        except VideoStoreUnavailable as error:
            raise MediaUnavailable("Video storage is temporarily unavailable.") from error


async def delete(videos: VideoStore | None, g: Generation) -> None:
    """Delete the stored video of a generation, if there is one.

    Raises MediaUnavailable. Then the record must stay, so that the deletion can be repeated.
    """
    if videos is None or g.stored_video is None:
        return
    try:
        await videos.delete(g.stored_video.path)
    except VideoStoreUnavailable as error:
        raise MediaUnavailable("Video storage is temporarily unavailable.") from error
