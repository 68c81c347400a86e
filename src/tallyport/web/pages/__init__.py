"""Every page, by its address."""

from tallyport.web.page import Route
from tallyport.web.pages import (
    connections,
    dashboard,
    failed,
    installation,
    items,
    job,
    jobs,
    maps,
    people,
    reports,
    signing,
    webhooks,
    wizard,
)

ROUTES: tuple[Route, ...] = (
    *signing.ROUTES,
    *dashboard.ROUTES,
    *jobs.ROUTES,
    *wizard.ROUTES,
    *reports.ROUTES,
    *job.ROUTES,
    *items.ROUTES,
    *failed.ROUTES,
    *connections.ROUTES,
    *maps.ROUTES,
    *people.ROUTES,
    *webhooks.ROUTES,
    *installation.ROUTES,
)
