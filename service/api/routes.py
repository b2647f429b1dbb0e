"""All routes of the gateway, and the document that describes them."""

from fastapi import FastAPI

from service.api import (
    adjusting,
    admin,
    auditing,
    callbacks,
    deliveries,
    dispatching,
    docs,
    end_users,
    events,
    generations,
    handlers,
    health,
    resolving,
    uploads,
    usage,
    videos,
    webhook_endpoints,
)
from service.api.fal import key_set, proxy, queue, run
from service.api.fal import uploads as fal_uploads
from service.api.openapi import describe


def install(app: FastAPI) -> None:
    for router in (
        generations.create_router,
        generations.router,
        events.router,
        videos.router,
        queue.router,
        proxy.router,
        run.router,
        fal_uploads.router,
        key_set.router,
        uploads.router,
        end_users.router,
        usage.router,
        webhook_endpoints.router,
        webhook_endpoints.well_known,
        deliveries.router,
        admin.router,
        auditing.router,
        dispatching.router,
        callbacks.router,
        resolving.router,
        adjusting.router,
        health.router,
        docs.router,
    ):
        app.router.routes.extend(router.routes)  # include_router would match every call's path twice
    app.mount(docs.ASSETS, docs.assets())
    describe(app)
    handlers.install(app)
