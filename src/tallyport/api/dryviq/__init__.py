"""The dialect of the transfer jobs: ``/v1/jobs``, ``/v1/connections``, ``/v1/transfers``, ``/connect/token``."""
