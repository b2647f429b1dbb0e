"""All routes of the gateway, and its OpenAPI document."""

from typing import Final

from fastapi import FastAPI

from service.api import callbacks, docs, health
from service.api.admin import adjustments, audit, bulk, dispatch, issuers, operators, tenants, unconfirmed
from service.api.admin import deliveries as admin_deliveries
from service.api.admin import end_users as admin_end_users
from service.api.admin import generations as any_generations
from service.api.admin import trail as admin_trail
from service.api.admin import usage as account_usage
from service.api.admin import webhook_endpoints as admin_webhook_endpoints
from service.api.dialects.openai import videos as openai_videos
from service.api.dialects.openrouter import videos as openrouter_videos
from service.api.dialects.vercel import models as vercel_models
from service.api.dialects.vercel import video_model
from service.api.fal import cdn, jwks, proxy, queue, run
from service.api.fal import uploads as fal_uploads
from service.api.openapi import describe
from service.api.v1 import (
    completions,
    deliveries,
    end_users,
    events,
    generations,
    me,
    models,
    stream_tickets,
    trail,
    uploads,
    usage,
    usage_reports,
    videos,
    webhook_endpoints,
)

#: In the order in which paths are matched.
_ROUTERS: Final = (
    generations.create_router,
    generations.router,
    completions.router,
    generations.read_router,
    events.router,
    stream_tickets.router,
    videos.router,
    queue.router,
    proxy.router,
    run.router,
    fal_uploads.router,
    cdn.router,
    jwks.router,
    video_model.router,
    vercel_models.router,
    openai_videos.create_router,
    openai_videos.read_router,
    openai_videos.router,
    openrouter_videos.router,
    openrouter_videos.content_router,
    me.router,
    models.router,
    uploads.router,
    end_users.router,
    usage.router,
    usage_reports.router,
    webhook_endpoints.router,
    webhook_endpoints.well_known,
    deliveries.router,
    tenants.router,
    account_usage.router,
    operators.router,
    admin_trail.router,
    trail.router,
    audit.router,
    bulk.router,
    dispatch.router,
    callbacks.router,
    admin_deliveries.router,
    admin_webhook_endpoints.router,
    admin_end_users.router,
    any_generations.router,
    unconfirmed.router,
    adjustments.router,
    issuers.router,
    health.router,
)


def install(app: FastAPI, *, path_prefix: str = "") -> None:
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)  # include_router would match the path of every request twice
    app.mount(docs.ASSETS, docs.assets())
    app.router.routes.extend(docs.router().routes)
    describe(app, path_prefix=path_prefix)
