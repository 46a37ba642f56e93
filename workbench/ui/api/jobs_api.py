"""The route of the list of jobs."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from workbench.upkeep.jobs import Jobs


def jobs_router(jobs: Jobs) -> APIRouter:
    """`GET /api/v1/jobs`."""
    router = APIRouter(prefix="/api/v1", tags=["jobs"])

    @router.get("/jobs")
    def listed() -> list[dict[str, Any]]:
        """Clips, evaluations and sweeps that are under way, wait, or were interrupted."""
        return [asdict(job) for job in jobs.all()]

    return router
