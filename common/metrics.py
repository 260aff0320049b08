"""Figures for Prometheus: what every process counts, and `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest, start_http_server

if TYPE_CHECKING:  # a process without an API does without it
    import falcon

REQUESTS = Histogram(
    "wolke_request_seconds", "Time from a request to its answer", ["service", "operation", "method", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)  # fmt: skip
STEPS = Histogram("wolke_job_step_seconds", "Time that a step of a job took", ["kind", "step", "outcome"])
OVERTAKEN = Counter("wolke_job_overtaken_total", "Steps whose result was refused because another worker had the job", ["kind"])
PARKED = Gauge("wolke_jobs_parked", "Jobs that wait for an operator")
WAKES_LOST = Counter("wolke_wakes_lost_total", "Wakes that could not be sent; polling finds the work", ["topic"])
PULLS = Counter("wolke_agent_pulls_total", "Pulls answered", ["unchanged"])
REPORTS = Counter("wolke_agent_reports_total", "Reports taken")
UNKNOWN = Gauge("wolke_agent_unknown", "Things on this hypervisor that no row knows; they are left alone", ["kind"])


class Resource:
    """`/metrics`."""

    def on_get(self, _http: falcon.Request, response: falcon.Response) -> None:
        """Every figure of this process."""
        response.content_type = CONTENT_TYPE_LATEST
        response.data = generate_latest()


def serve(port: int) -> None:
    """Serve /metrics on 127.0.0.1:`port` from a thread; 0 serves nothing."""
    if port:
        start_http_server(port, addr="127.0.0.1")
