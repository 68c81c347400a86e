"""Every page, by its address."""

from tallyport.web.page import Route
from tallyport.web.pages import failed, items, job, jobs, signing

ROUTES: tuple[Route, ...] = (*signing.ROUTES, *jobs.ROUTES, *job.ROUTES, *items.ROUTES, *failed.ROUTES)
