"""Who may call what. A route without a line here is refused."""

from tallyport.control.desk import Right

R, U, M, A, L = Right.READ, Right.RUN, Right.MANAGE, Right.ADMIN, Right.AUDIT

PUBLIC = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/commandcenter/api"),
        ("POST", "/connect/token"),
        ("POST", "/v1/auth"),
        ("GET", "/v1/setup"),
        ("POST", "/v1/setup"),  # asks for the link's token
        ("POST", "/Login"),
        ("POST", "/Logout"),  # answers about the token itself
        ("POST", "/RenewLoginToken"),
    }
)

RULES: dict[tuple[str, str], Right] = {
    ("GET", "/openapi.json"): R,
    ("GET", "/readyz"): R,
    ("GET", "/metrics"): R,
    ("GET", "/connect/logout"): R,
    ("GET", "/v1/users/me"): R,
    ("POST", "/v1/users/me/password"): R,  # asks for the old one
    ("GET", "/v1/users"): L,
    ("POST", "/v1/users"): A,
    ("GET", "/v1/users/{user}"): L,
    ("PATCH", "/v1/users/{user}"): A,
    ("DELETE", "/v1/users/{user}/sessions"): R,  # one's own; of others: control/accounts.py
    ("GET", "/v1/tokens"): R,  # one's own; of others: control/tokens.py
    ("POST", "/v1/tokens"): R,
    ("POST", "/v1/tokens/{token}/rotate"): R,
    ("DELETE", "/v1/tokens/{token}"): R,
    ("GET", "/v1/audit"): L,
    ("GET", "/v1/audit.csv"): L,
    ("GET", "/v1/audit/verify"): L,
    # connections
    ("GET", "/v1/connections"): R,
    ("POST", "/v1/connections"): M,
    ("GET", "/v1/connections/platforms"): R,
    ("GET", "/v1/connections/platforms/{platform}"): R,
    ("GET", "/v1/connections/platforms/{platform}/new"): R,
    ("GET", "/v1/connections/{connection}"): R,
    ("PATCH", "/v1/connections/{connection}"): M,
    ("DELETE", "/v1/connections/{connection}"): M,
    ("GET", "/v1/connections/{connection}/items"): R,
    ("GET", "/v1/connections/{connection}/access"): R,
    ("PUT", "/v1/connections/{connection}/access"): A,
    # jobs
    ("GET", "/v1/jobs"): R,
    ("GET", "/v1/jobs.csv"): R,
    ("POST", "/v1/jobs"): M,
    ("PATCH", "/v1/jobs"): U,  # commands only
    ("GET", "/v1/jobs/history"): R,
    ("GET", "/v1/transfers/categories"): R,
    ("POST", "/v1/transfers/categories"): M,
    ("DELETE", "/v1/transfers/categories/{category}"): M,
    ("GET", "/v1/jobs/categories"): R,
    ("POST", "/v1/jobs/categories"): M,
    ("POST", "/v1/jobs/preview-mutation"): R,
    ("GET", "/v1/jobs/{job}"): R,
    ("PATCH", "/v1/jobs/{job}"): U,  # changing the definition asks for more: api/jobs.py
    ("DELETE", "/v1/jobs/{job}"): M,
    ("POST", "/v1/jobs/{job}/clone"): M,
    ("GET", "/v1/jobs/{job}/history"): R,
    ("GET", "/v1/jobs/{job}/history.csv"): R,
    ("GET", "/v1/jobs/{job}/failed-items"): R,
    ("POST", "/v1/jobs/{job}/failed-items/import"): U,
    ("GET", "/v1/jobs/{job}/events"): R,
    ("POST", "/v1/jobs/{job}/execute"): U,
    ("GET", "/v1/jobs/{job}/plan"): R,
    ("PUT", "/v1/jobs/{job}/plan"): M,
    ("PATCH", "/v1/jobs/{job}/plan"): M,
    ("POST", "/v1/jobs/{job}/ack"): U,
    ("POST", "/v1/jobs/{job}/outcome/ack"): U,
    ("POST", "/v1/jobs/{job}/complete"): U,
    ("POST", "/v1/jobs/{job}/fail"): U,
    ("POST", "/v1/jobs/{job}/cancel"): U,
    ("POST", "/v1/jobs/{job}/retry"): U,
    ("POST", "/v1/jobs/{job}/split"): M,
    ("GET", "/v1/events"): R,
    ("GET", "/v1/events/{event}"): R,
    ("POST", "/v1/events/{event}/ack"): U,
    # items
    ("GET", "/v1/transfers/items"): R,
    ("GET", "/v1/transfers/items.csv"): R,
    ("PATCH", "/v1/transfers/items"): U,
    ("GET", "/v1/transfers/items/flagged"): R,
    ("GET", "/v1/transfers/items/flagged.csv"): R,
    ("GET", "/v1/transfers/items/{item}"): R,
    ("PATCH", "/v1/transfers/items/{item}"): U,
    ("GET", "/v1/transfers/auditing"): R,
    ("GET", "/v1/transfers/auditing.csv"): R,
    ("GET", "/v1/transfers/stats"): R,
    ("GET", "/v1/transfers/{job}/items"): R,
    ("GET", "/v1/transfers/{job}/items.csv"): R,
    ("PATCH", "/v1/transfers/{job}/items"): U,
    ("GET", "/v1/transfers/{job}/stats"): R,
    # one execution as a job
    ("GET", "/WhoAmI"): R,
    ("POST", "/WhoAmI"): R,
    ("GET", "/Job"): R,
    ("POST", "/Jobs"): R,
    ("POST", "/JobDetails"): R,
    ("GET", "/Job/{job}"): R,
    ("GET", "/Job/{job}/FailedItems"): R,
    ("GET", "/Job/{job}/TaskDetails"): R,
    ("GET", "/Job/{job}/AdvancedDetails"): R,
    ("POST", "/Job/{job}/action/pause"): U,
    ("POST", "/Job/{job}/action/resume"): U,
    ("POST", "/Job/{job}/action/kill"): U,
    ("POST", "/Job/{job}/action/Resubmit"): U,
    ("POST", "/Jobs/MultiJobOperation"): U,
    ("GET", "/Events"): R,
}
