"""Uploads of files: their first bytes decide whether they are images or clips."""

from collections.abc import AsyncIterator
from typing import Final

from service.domain.measurement import KIND, ClipKind
from service.errors import ImageFormat
from service.media import formats, spool
from service.media.clips import formats as clip_formats
from service.observability import metrics
from service.upstream.storage import UploadTarget
from service.usecases.generations.clips import Clips
from service.usecases.generations.images import Images, Upload

_ACCEPTED: Final[dict[ClipKind, str]] = {
    "video": "Videos must be MP4 or MOV.",
    "audio": "Audio files must be MP3 or WAV.",
}


class Uploads:
    def __init__(self, images: Images, clips: Clips) -> None:
        self._images = images
        self._clips = clips

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest file of any kind."""
        return max(self._images.most_bytes, *self._clips.most_bytes.values(), 0)

    def expected(self, label: str, file_name: str) -> tuple[str, str]:
        """Return content type and file name of what a client declares, before its bytes are known; by default JPEG."""
        container = clip_formats.expected(label, file_name)
        if container is not None and KIND[container] in self._clips.most_bytes:
            return clip_formats.content_type(container), f"{KIND[container]}.{container}"
        kind = formats.expected(label, file_name)
        return formats.content_type(kind), f"image.{formats.SUFFIX[kind]}"

    async def upload(
        self,
        tenant_id: str,
        chunks: AsyncIterator[bytes],
        *,
        target: UploadTarget | None = None,
        pointer: str = "",
        length: int = 0,
    ) -> Upload:
        """Check a file, then store it. Arguments and errors are those of ``Images.upload`` and ``Clips.upload``."""
        if not self._clips.most_bytes:  # a full disk refuses an image before its first byte is read
            return await self._images.upload(tenant_id, chunks, target=target, pointer=pointer, length=length)
        head, chunks = await spool.peek(chunks, clip_formats.HEAD_LENGTH)
        container = clip_formats.container_of(head)
        if container is not None and KIND[container] in self._clips.most_bytes:
            return await self._clips.upload(tenant_id, container, chunks, target=target, pointer=pointer, length=length)
        if head:
            self._require_image(head, pointer)
        return await self._images.upload(tenant_id, chunks, target=target, pointer=pointer, length=length)

    def _require_image(self, head: bytes, pointer: str) -> None:
        """Raises ImageFormat with the formats of clips that are accepted."""
        try:
            formats.accepted_format(head)
        except ImageFormat as refusal:
            kinds = " ".join(_ACCEPTED[kind] for kind in self._clips.most_bytes)
            metrics.IMAGES.labels(refusal.code).inc()
            raise ImageFormat(f"{refusal.reason} {kinds}", pointer=pointer) from None
