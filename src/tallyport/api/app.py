"""The HTTP application: routers, the order of what happens to a request, the OpenAPI document."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from tallyport import __version__
from tallyport.api import (
    access_tokens,
    accounts,
    admin_audit,
    documentation,
    health,
    installation,
    jobs,
    overview,
    problems,
    reports,
    sample,
    sign_in,
    views,
    webhooks,
)
from tallyport.api.attempts import Attempts
from tallyport.api.commvault import access_tokens as cv_tokens
from tallyport.api.commvault import events as cv_events
from tallyport.api.commvault import operations as cv_operations
from tallyport.api.commvault import paths as cv_paths
from tallyport.api.commvault import routes as cv_routes
from tallyport.api.commvault import session as cv_session
from tallyport.api.dryviq import connections, error_categories, history, items, maps
from tallyport.api.events import routes as event_routes
from tallyport.api.events.hub import Hub
from tallyport.api.flatfile import auth as flatfile_auth
from tallyport.api.flatfile import environments as flatfile_environments
from tallyport.api.flatfile import routes as flatfile_routes
from tallyport.api.metrics import Metrics
from tallyport.api.middleware import Bounded, Identified, Once, Rewritten, SignedIn
from tallyport.api.wiring import authorise
from tallyport.control.breakdowns import Breakdowns
from tallyport.control.counts import standing
from tallyport.control.desk import Desk
from tallyport.control.posting import posting
from tallyport.control.progress import Gauge, ahead_in
from tallyport.control.reasons import Reasons
from tallyport.control.reconciling import Reconciliations
from tallyport.control.throughput import Meter
from tallyport.domain.events import EXTENSIONS
from tallyport.store.database import Database
from tallyport.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What can be set of the HTTP application."""

    max_body: int = 8 * 1024 * 1024  # bytes of one request
    allow_private: bool = False  # webhooks may be sent into private networks and to this machine
    strict_topics: bool = False  # only the topics that the vendor's listeners know


def create_api(
    database: Database,
    *,
    nudge: Callable[[], None] = lambda: None,
    settings: ApiSettings | None = None,
    vault: Vault | None = None,
    labels: frozenset[str] | None = None,
) -> FastAPI:
    """Make the application. ``nudge`` wakes the engine after something was stored for it.

    ``labels`` say which places this server reaches; None: there is no other, and it reaches everything.
    """
    chosen = settings or ApiSettings()
    desk = Desk(
        database=database, nudge=nudge, vault=vault or Vault(), allow_private=chosen.allow_private, labels=labels
    )
    gauge = Gauge(ahead_in(database))
    hidden_topics = EXTENSIONS if chosen.strict_topics else frozenset()
    hub = Hub(database, gauge, hidden=hidden_topics)
    metrics = Metrics(lambda: standing(desk), lambda: len(hub))
    app = FastAPI(
        title="Tallyport",
        version=__version__,
        summary="Copy, sync and migrate content between platforms, and account for every item.",
        docs_url=None,  # the stock page loads its script from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        dependencies=[Depends(authorise)],
        generate_unique_id_function=_operation_id,
        responses=documentation.ERRORS,
        redirect_slashes=False,
        middleware=[  # outermost first
            Middleware(Identified, metrics=metrics),
            Middleware(Bounded, limit=chosen.max_body),
            Middleware(Rewritten, rewrite=cv_paths.canonical),
            Middleware(SignedIn, database=database),
            Middleware(Once, database=database),
        ],
    )
    app.state.desk = desk
    app.state.metrics = metrics
    app.state.gauge = gauge
    app.state.attempts = Attempts()
    app.state.post = posting(allow_private=chosen.allow_private)
    app.state.hidden_topics = hidden_topics
    app.state.hub = hub
    app.state.meter = Meter(database)
    app.state.breakdowns = Breakdowns()
    app.state.reconciliations = Reconciliations()
    app.state.reasons = Reasons()
    problems.install(app)
    for router in (
        health.router,
        sign_in.router,
        accounts.router,
        access_tokens.router,
        admin_audit.router,
        overview.router,
        installation.router,
        views.router,
        sample.router,
        reports.router,
        webhooks.router,
        connections.router,
        maps.router,
        event_routes.router,
        history.router,  # static names below /v1/jobs stand before {job}
        flatfile_routes.router,
        jobs.router,
        error_categories.router,  # before {job}
        error_categories.filters_router,
        items.router,
        items.jobs_router,
        flatfile_auth.router,
        flatfile_environments.router,
        cv_session.router,
        cv_tokens.router,
        cv_operations.router,  # static names below /Jobs and /Qcommand
        cv_events.router,
        cv_routes.router,
    ):
        app.include_router(router)
    documentation.install(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """Name an operation by its function: these names become methods of clients."""
    return route.name
