"""Runs measurements of clips as child processes. They share the decoders of the process with images."""

from typing import IO, Final

from service.domain.measurement import Container, Measurement
from service.errors import BadClip, ClipFormat, ClipLimit, ClipTruncated, ClipUnreadable
from service.media import decoder_process
from service.media.decoder_process import DecoderLimit
from service.media.decoder_slots import DecoderSlots

_FAULTS: Final[dict[str, type[BadClip]]] = {kind.code: kind for kind in (ClipFormat, ClipTruncated, ClipUnreadable)}
_CPU_SECONDS: Final = 10
#: Bytes of addresses: FFmpeg's libraries are 130 MB of them. A measurement has 40 MB in memory.
_MEMORY: Final = 600_000_000
#: On the clock: a busy machine needs longer than its CPU time.
_SECONDS: Final = 30.0


class Measurer:
    def __init__(self, slots: DecoderSlots) -> None:
        self._slots = slots

    async def measure(
        self, tenant_id: str, source: IO[bytes], container: Container, *, pointer: str = ""
    ) -> Measurement:
        """Measure a file. Raises a BadClip for ``pointer``, or ClipLimit."""
        source.seek(0)
        async with self._slots.slot(tenant_id, is_large=False):
            answer = await self._run(source, container)
        match answer:
            case {"code": ClipLimit.code, "reason": str(reason)}:
                raise ClipLimit(reason)
            case {"code": str(code), "reason": str(reason)}:
                raise _FAULTS.get(code, ClipUnreadable)(reason, pointer=pointer)
            case {"clip": dict(clip)}:
                return Measurement.of_json(clip)
        raise ClipUnreadable("The file cannot be measured.", pointer=pointer)

    async def _run(self, source: IO[bytes], container: Container) -> object:
        try:
            return await decoder_process.run(
                "service.media.clips.measuring",
                container,
                str(_CPU_SECONDS),
                str(_MEMORY),
                source=source,
                seconds=_SECONDS,
            )
        except DecoderLimit as limit:
            if limit.seconds is not None:
                raise ClipLimit(f"The measurement of the file took longer than {limit.seconds:g} seconds.") from None
            raise ClipLimit("The file takes more CPU time or memory than a measurement may.") from None
