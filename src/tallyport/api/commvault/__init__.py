"""The dialect of ``/Job/{id}``, where a job is one execution, and failed items are read as JSON, XML or CSV."""
