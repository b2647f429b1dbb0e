"""Jobs that the workers continue in parts: erasures, usage reports, bulk jobs, audits."""

from service.domain import bulk, erasure, usage
from service.store.money import audits
from service.usecases.operations.audit_jobs import AuditJobs
from service.usecases.operations.bulk.jobs import BulkJobs
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.tenants.usage_reports import UsageReports


class Jobs:
    """All kinds of jobs. Their names are in the same due set as generations."""

    def __init__(
        self, erasure_jobs: ErasureJobs, usage_reports: UsageReports, bulk_jobs: BulkJobs, audit_jobs: AuditJobs
    ) -> None:
        self._erasure_jobs = erasure_jobs
        self._usage_reports = usage_reports
        self._bulk_jobs = bulk_jobs
        self._audit_jobs = audit_jobs

    async def continue_job(self, name: str) -> bool:
        """Continue a job; False: the name is not one of a job."""
        if erasure.of_job(name) is not None:
            await self._erasure_jobs.continue_job(name)
        elif usage.tenant_of_report_job(name) is not None:
            await self._usage_reports.continue_job(name)
        elif bulk.of_job(name) is not None:
            await self._bulk_jobs.continue_job(name)
        elif name == audits.JOB:
            await self._audit_jobs.continue_job()
        else:
            return False
        return True
