"""Use cases of generations: from the request and its files to the video."""

from dataclasses import dataclass, replace

from service.domain.models.clip_limits import most_bytes
from service.domain.models.forms import RequestForms
from service.domain.models.registry import Registry
from service.domain.request_limits import RequestLimits
from service.media.clips.measurer import Measurer
from service.media.decoder_slots import DecoderSlots
from service.media.inspector import Inspector
from service.observability import metrics
from service.runtime.core import Core
from service.upstream.storage import FalStorage
from service.usecases.generations.admission import Admission
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.generations.cancel import GenerationCanceller
from service.usecases.generations.clips import Clips
from service.usecases.generations.completions import Drafts
from service.usecases.generations.concurrency import DownloadLimiter, LongPollLimiter
from service.usecases.generations.create import GenerationCreator
from service.usecases.generations.images import Images
from service.usecases.generations.inline_files import InlineFiles
from service.usecases.generations.queue_estimate import QueueEstimator
from service.usecases.generations.read import GenerationReader
from service.usecases.generations.refusal_counts import RefusalCounts
from service.usecases.generations.resends import ResendDetector
from service.usecases.generations.stream import StreamHub
from service.usecases.generations.uploads import Uploads
from service.usecases.generations.videos import Videos
from service.usecases.lifecycle.fal_callbacks import Callbacks


@dataclass(frozen=True, slots=True)
class GenerationServices:
    """Create, read, list, cancel and follow generations; images in and videos out."""

    creator: GenerationCreator
    reader: GenerationReader
    canceller: GenerationCanceller
    resends: ResendDetector
    admission: Admission
    refusals: RefusalCounts
    models: Registry
    forms: RequestForms
    fal_forms: RequestForms
    queue_estimator: QueueEstimator
    long_polls: LongPollLimiter
    streams: StreamHub
    fal_callbacks: Callbacks
    fal_storage: FalStorage
    images: Images
    uploads: Uploads
    body_memory: ByteLimiter
    videos: Videos


def build_generations(core: Core) -> GenerationServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    limits = RequestLimits(settings.max_prompt_characters, settings.resolutions, settings.bitrate_modes)
    longest = max(settings.max_prompt_characters, settings.max_fal_prompt_characters)
    for model_id in connections.models.enabled:
        metrics.ACCEPTED_BY_MODEL.labels(model_id)  # a counter that begins at zero shows its first increase
    reader = GenerationReader(stores.generations, connections.changes, lists=stores.generation_lists, reads=core.reads)
    admission, refusals = _admission(core, limits), RefusalCounts(stores.refusals, clock=clock)
    images, clips = _uploaded_files(core)
    creator = GenerationCreator(
        stores.generations,
        admission,
        InlineFiles(images, clips),
        reader,
        Drafts(reader, connections.models, core.prices, clock=clock),
        connections.nudger,
        refusals,
        queue_expiry=settings.queue_expiry,
        clock=clock,
    )
    estimator = QueueEstimator(stores.queue, stores.gate, slots=settings.upstream_concurrency)
    return GenerationServices(
        creator=creator,
        reader=reader,
        canceller=GenerationCanceller(reader, core.transitions, clock=clock),
        resends=ResendDetector(creator, stores.response_receipts, window=settings.resend_window, clock=clock),
        admission=admission,
        refusals=refusals,
        models=connections.models,
        forms=RequestForms(connections.models, limits),
        fal_forms=RequestForms(connections.models, replace(limits, prompt_characters=longest)),
        queue_estimator=estimator,
        long_polls=LongPollLimiter(limit=settings.waiting_calls),
        streams=StreamHub(stores.generations, connections.changes, estimator, tenant_limit=settings.event_streams),
        fal_callbacks=Callbacks(stores.callbacks, connections.verifier, connections.nudger, clock=clock),
        fal_storage=connections.fal_storage,
        images=images,
        uploads=Uploads(images, clips),
        body_memory=ByteLimiter("memory", total=settings.body_memory, tenant=settings.body_tenant_memory),
        videos=_videos(core, reader),
    )


def _admission(core: Core, limits: RequestLimits) -> Admission:
    return Admission(
        core.stores.money,
        core.connections.address_guard,
        prices=core.prices,
        input_seconds=core.stores.measurements,
        models=core.connections.models,
        account_budget=core.settings.account_daily_budget,
        accepted=limits,
        clock=core.clock,
    )


def _uploaded_files(core: Core) -> tuple[Images, Clips]:
    """Return what accepts images, and what accepts videos and sounds. They share decoders, and the space on disk."""
    settings, storage = core.settings, core.connections.fal_storage
    decoders, disk = DecoderSlots(), ByteLimiter("disk", total=settings.upload_disk, tenant=settings.upload_tenant_disk)
    inspector = Inspector(most_pixels=settings.max_image_pixels, most_bytes=settings.max_upload_bytes, slots=decoders)
    images = Images(
        inspector,
        storage,
        disk,
        max_bytes=settings.max_upload_bytes,
        timeout=settings.upload_timeout,
        clock=core.clock,
    )
    accepted = most_bytes(core.connections.models.enabled.values())
    clips = Clips(
        Measurer(decoders),
        core.stores.measurements,
        storage,
        disk,
        most_bytes={kind: min(size, settings.upload_tenant_disk) for kind, size in accepted.items()},
        timeout=settings.upload_timeout,
        clock=core.clock,
    )
    return images, clips


def _videos(core: Core, reader: GenerationReader) -> Videos:
    settings = core.settings
    limiter = DownloadLimiter(limit=settings.video_downloads, total=settings.video_downloads_total)
    return Videos(reader, core.connections.video_store, redirect=settings.media_redirect, limiter=limiter)
