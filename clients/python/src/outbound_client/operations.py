"""Each operation of the API's document as a method.  Written by `make openapi`; do not edit."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import TypeVar

from outbound_client import models
from outbound_client.transport import FILE_TYPE, Asking, Content, file, model, part

T = TypeVar("T")


class Operations:
    """The operations."""

    def _ask(self, asking: Asking, answer: type[T]) -> T:
        raise NotImplementedError

    def _lines(self, asking: Asking) -> Iterator[str]:
        raise NotImplementedError

    def create_call(self, body: models.NewCall, *, idempotency_key: str | None = None) -> models.QueuedCall:
        """Put one call in the queue; the same key never makes a second one."""
        return self._ask(
            Asking("POST", "/calls", body=model(body, models.NewCall), key=idempotency_key, takes_key=True),
            models.QueuedCall,
        )

    def list_calls(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        status: list[str] | None = None,
        business_id: int | None = None,
        campaign_id: int | None = None,
        batch: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        answered_by: str | None = None,
        error_code: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> models.CallList:
        """Find calls, the newest first: by when they ended, were dialed, or are due."""
        return self._ask(
            Asking(
                "GET",
                "/calls",
                {
                    "number": number,
                    "region": region,
                    "status": status,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "batch": batch,
                    "since": since,
                    "until": until,
                    "answered_by": answered_by,
                    "error_code": error_code,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.CallList,
        )

    def create_calls(self, body: models.NewCalls, *, idempotency_key: str | None = None) -> models.QueuedCalls:
        """Put up to 1,000 calls in the queue at once; the others are queued where one is refused."""
        return self._ask(
            Asking("POST", "/calls/bulk", body=model(body, models.NewCalls), key=idempotency_key, takes_key=True),
            models.QueuedCalls,
        )

    def show_call(self, call_id: int) -> models.ShownCall:
        """Show a call: its row, events, attempts and lead, and why it waits."""
        return self._ask(Asking("GET", f"/calls/{part('call_id', call_id, int)}"), models.ShownCall)

    def why_call(self, call_id: int) -> models.Why:
        """Say why a call is not being dialed right now."""
        return self._ask(Asking("GET", f"/calls/{part('call_id', call_id, int)}/why"), models.Why)

    def retry_call(
        self, call_id: int, body: models.Again | None = None, *, idempotency_key: str | None = None
    ) -> models.MadeAgain:
        """Make a call that has ended once more: a new call, within all rules; asked twice, it is one."""
        return self._ask(
            Asking(
                "POST",
                f"/calls/{part('call_id', call_id, int)}/retry",
                body=model(body, models.Again | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.MadeAgain,
        )

    def reschedule_call(
        self, call_id: int, body: models.Reschedule, *, idempotency_key: str | None = None
    ) -> models.Rescheduled:
        """Have a call that waits dialed from another moment on; one that is being dialed is not moved."""
        return self._ask(
            Asking(
                "POST",
                f"/calls/{part('call_id', call_id, int)}/reschedule",
                body=model(body, models.Reschedule),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Rescheduled,
        )

    def cancel_calls(self, body: models.Selection, *, idempotency_key: str | None = None) -> models.Canceled:
        """Close the calls that wait and end those that ring, of all that are like this; with `dry_run`, count them."""
        return self._ask(
            Asking("POST", "/calls/cancel", body=model(body, models.Selection), key=idempotency_key, takes_key=True),
            models.Canceled,
        )

    def show_callee(self, number: str, *, business_id: int | None = None, region: str | None = None) -> models.Callee:
        """Show what is known of a number: its calls, do-not-call entries, consents and, with `leads:read`, leads."""
        return self._ask(
            Asking("GET", f"/callees/{part('number', number, str)}", {"business_id": business_id, "region": region}),
            models.Callee,
        )

    def list_control(self) -> models.Controls:
        """Show what is paused, limited and held, and how much of each limit is used."""
        return self._ask(Asking("GET", "/control"), models.Controls)

    def pause(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Paused:
        """Begin no new call here; those in the air go on."""
        return self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/pause",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Paused,
        )

    def resume(self, kind: str, key: str, *, idempotency_key: str | None = None) -> models.Resumed:
        """Resume dialing, whether an operator or the breaker paused it."""
        return self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/resume",
                key=idempotency_key,
                takes_key=True,
            ),
            models.Resumed,
        )

    def drain(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Drained:
        """Pause, and say how many calls are in the air; `live` of `GET /control` says when none is."""
        return self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/drain",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Drained,
        )

    def cancel(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.CanceledScope:
        """Close calls that wait, and end those that ring; who is talking goes on."""
        return self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/cancel",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.CanceledScope,
        )

    def stop(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Stopped:
        """Pause, and hang up all calls that are in the air, also those in progress."""
        return self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/stop",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Stopped,
        )

    def limit(
        self, kind: str, key: str, body: models.Limits, *, idempotency_key: str | None = None
    ) -> models.SetLimits:
        """Say how fast, how many at once, how much in all, and how large a share; what is not given stays."""
        return self._ask(
            Asking(
                "PUT",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/limits",
                body=model(body, models.Limits),
                key=idempotency_key,
                takes_key=True,
            ),
            models.SetLimits,
        )

    def status(self) -> models.QueueState:
        """Show what is going on, and what to do about it; for a token of one business, of that one."""
        return self._ask(Asking("GET", "/status"), models.QueueState)

    def import_calls(
        self,
        content: Content,
        *,
        batch: str,
        business_id: int | None = None,
        campaign_id: int | None = None,
        again: bool | None = None,
        anyway: bool | None = None,
        dry_run: bool | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.ImportReport:
        """Put a file of calls in the queue, CSV or NDJSON; the report names each line that was refused."""
        return self._ask(
            Asking(
                "POST",
                "/imports",
                {
                    "batch": batch,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "again": again,
                    "anyway": anyway,
                    "dry_run": dry_run,
                    "to_column": to_column,
                },
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.ImportReport,
        )

    def list_imports(
        self,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        state: list[str] | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.ImportList:
        """List imports of files of calls, the newest first: how far each has come, and how it ended."""
        return self._ask(
            Asking(
                "GET",
                "/imports",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "state": state,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.ImportList,
        )

    def show_import(self, import_id: int) -> models.ShownImport:
        """Show an import: its state, how many bytes came, what came of its lines, and the first 1,000 refused ones."""
        return self._ask(Asking("GET", f"/imports/{part('import_id', import_id, int)}"), models.ShownImport)

    def export_rejected_lines(self, import_id: int) -> Iterator[str]:
        """Stream the first 1,000 lines of an import that were refused, with the reason of each."""
        return self._lines(
            Asking("GET", f"/imports/{part('import_id', import_id, int)}/rejected", accept="application/x-ndjson")
        )

    def import_suppressions(
        self,
        content: Content,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        everybody: bool | None = None,
        reason: str | None = None,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Put a file of numbers on the do-not-call list: phone, reason.  A second time adds nothing."""
        return self._ask(
            Asking(
                "POST",
                "/suppressions/import",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "everybody": everybody,
                    "reason": reason,
                    "region": region,
                    "to_column": to_column,
                },
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    def import_consents(
        self,
        content: Content,
        *,
        business_id: int | None = None,
        given_at: str | datetime | None = None,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Record a file of consents: phone, given_at, expires_at, source."""
        return self._ask(
            Asking(
                "POST",
                "/consents/import",
                {"business_id": business_id, "given_at": given_at, "region": region, "to_column": to_column},
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    def import_registry(
        self,
        content: Content,
        *,
        checked_at: str | datetime,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Record a registry's answers: phone, listed (yes or no)."""
        return self._ask(
            Asking(
                "POST",
                "/registry/import",
                {"checked_at": checked_at, "region": region, "to_column": to_column},
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    def export_calls(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        status: list[str] | None = None,
        business_id: int | None = None,
        campaign_id: int | None = None,
        batch: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        answered_by: str | None = None,
        error_code: str | None = None,
    ) -> Iterator[str]:
        """Stream the calls that `GET /calls` finds, newest first."""
        return self._lines(
            Asking(
                "GET",
                "/exports/calls",
                {
                    "number": number,
                    "region": region,
                    "status": status,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "batch": batch,
                    "since": since,
                    "until": until,
                    "answered_by": answered_by,
                    "error_code": error_code,
                },
                accept="application/x-ndjson",
            )
        )

    def export_leads(
        self,
        *,
        business_id: int | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
    ) -> Iterator[str]:
        """Stream leads, the one with the last contact first."""
        return self._lines(
            Asking(
                "GET",
                "/exports/leads",
                {"business_id": business_id, "since": since, "until": until},
                accept="application/x-ndjson",
            )
        )

    def export_audit(self) -> Iterator[str]:
        """Stream the audit, the newest entry first, each with its place in the chain."""
        return self._lines(Asking("GET", "/exports/audit", accept="application/x-ndjson"))

    def export_campaign_results(self, campaign_id: int) -> Iterator[str]:
        """Stream what came of each callee of a campaign: reached or not, last outcome, next call."""
        return self._lines(
            Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}/results", accept="application/x-ndjson")
        )

    def list_leads(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        business_id: int | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> models.LeadList:
        """List leads, the one with the last contact first."""
        return self._ask(
            Asking(
                "GET",
                "/leads",
                {
                    "number": number,
                    "region": region,
                    "business_id": business_id,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.LeadList,
        )

    def list_businesses(self, *, limit: int | None = None, before: int | None = None) -> models.BusinessList:
        """List the businesses that the token may see, the newest first."""
        return self._ask(Asking("GET", "/businesses", {"limit": limit, "before": before}), models.BusinessList)

    def add_business(self, body: models.NewBusiness, *, idempotency_key: str | None = None) -> models.AddedBusiness:
        """Add a business; it keeps to its region's calling hours unless `any_hour` is said."""
        return self._ask(
            Asking("POST", "/businesses", body=model(body, models.NewBusiness), key=idempotency_key, takes_key=True),
            models.AddedBusiness,
        )

    def show_business(self, business_id: int) -> models.ShownBusiness:
        """Show one business: its numbers, what it plays, what limits and holds it, and its newest 100 campaigns."""
        return self._ask(Asking("GET", f"/businesses/{part('business_id', business_id, int)}"), models.ShownBusiness)

    def change_business(
        self, business_id: int, body: models.ChangedBusiness, *, idempotency_key: str | None = None
    ) -> models.ChangedParts:
        """Update a business; what is not given stays."""
        return self._ask(
            Asking(
                "PATCH",
                f"/businesses/{part('business_id', business_id, int)}",
                body=model(body, models.ChangedBusiness),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedParts,
        )

    def use_retry_policy(
        self, business_id: int, body: models.UseRetryPolicy, *, idempotency_key: str | None = None
    ) -> models.ChangedParts:
        """Make a retry policy the default of a business."""
        return self._ask(
            Asking(
                "PUT",
                f"/businesses/{part('business_id', business_id, int)}/retry-policy",
                body=model(body, models.UseRetryPolicy),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedParts,
        )

    def list_campaigns(
        self, *, business_id: int | None = None, limit: int | None = None, before: int | None = None
    ) -> models.CampaignList:
        """List campaigns, the newest first."""
        return self._ask(
            Asking("GET", "/campaigns", {"business_id": business_id, "limit": limit, "before": before}),
            models.CampaignList,
        )

    def add_campaign(self, body: models.NewCampaign, *, idempotency_key: str | None = None) -> models.Added:
        """Add a campaign."""
        return self._ask(
            Asking("POST", "/campaigns", body=model(body, models.NewCampaign), key=idempotency_key, takes_key=True),
            models.Added,
        )

    def show_campaign(self, campaign_id: int) -> models.ShownCampaign:
        """Show a campaign, and how many calls of it are in each status."""
        return self._ask(Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}"), models.ShownCampaign)

    def change_campaign(
        self, campaign_id: int, body: models.ChangedCampaign, *, idempotency_key: str | None = None
    ) -> models.ChangedCampaignParts:
        """Update a campaign; what is not given stays, and null takes a thing away."""
        return self._ask(
            Asking(
                "PATCH",
                f"/campaigns/{part('campaign_id', campaign_id, int)}",
                body=model(body, models.ChangedCampaign),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedCampaignParts,
        )

    def preview_campaign(self, campaign_id: int, *, call_s: float | None = None) -> models.Preview:
        """Say what a campaign would do if it were launched now."""
        return self._ask(
            Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}/preview", {"call_s": call_s}),
            models.Preview,
        )

    def list_retry_policies(
        self, *, business_id: int | None = None, limit: int | None = None, before: int | None = None
    ) -> models.RetryPolicyList:
        """List retry policies, the newest first."""
        return self._ask(
            Asking("GET", "/retry-policies", {"business_id": business_id, "limit": limit, "before": before}),
            models.RetryPolicyList,
        )

    def add_retry_policy(self, body: models.NewRetryPolicy, *, idempotency_key: str | None = None) -> models.Added:
        """Add a retry policy of a business."""
        return self._ask(
            Asking(
                "POST", "/retry-policies", body=model(body, models.NewRetryPolicy), key=idempotency_key, takes_key=True
            ),
            models.Added,
        )

    def list_windows(self, *, limit: int | None = None, before: int | None = None) -> models.WindowList:
        """List the calling windows, the newest first; a token of one business sees presets, and those it keeps to."""
        return self._ask(Asking("GET", "/windows", {"limit": limit, "before": before}), models.WindowList)

    def add_window(self, body: models.NewWindow, *, idempotency_key: str | None = None) -> models.Added:
        """Add a calling window, by its hours or from a preset (us, uk, il)."""
        return self._ask(
            Asking("POST", "/windows", body=model(body, models.NewWindow), key=idempotency_key, takes_key=True),
            models.Added,
        )

    def show_window(self, window_id: int) -> models.ShownWindow:
        """Show a calling window with the days that have hours of their own."""
        return self._ask(Asking("GET", f"/windows/{part('window_id', window_id, int)}"), models.ShownWindow)

    def set_window_day(
        self, window_id: int, day: str, body: models.DayHours, *, idempotency_key: str | None = None
    ) -> models.ChangedDay:
        """Give one day hours of its own, or close it with `off`."""
        return self._ask(
            Asking(
                "PUT",
                f"/windows/{part('window_id', window_id, int)}/days/{part('day', day, str)}",
                body=model(body, models.DayHours),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedDay,
        )

    def refresh_windows(self, *, idempotency_key: str | None = None) -> models.Refreshed:
        """Let the windows of presets know the days off of this year and the next three."""
        return self._ask(Asking("POST", "/windows/refresh", key=idempotency_key, takes_key=True), models.Refreshed)

    def assign_business_window(
        self, business_id: int, body: models.AssignWindow, *, idempotency_key: str | None = None
    ) -> models.AssignedWindow:
        """Let the calls of a business keep to a window, or to none of its own."""
        return self._ask(
            Asking(
                "PUT",
                f"/businesses/{part('business_id', business_id, int)}/window",
                body=model(body, models.AssignWindow),
                key=idempotency_key,
                takes_key=True,
            ),
            models.AssignedWindow,
        )

    def assign_campaign_window(
        self, campaign_id: int, body: models.AssignWindow, *, idempotency_key: str | None = None
    ) -> models.AssignedWindow:
        """Let the calls of a campaign keep to a window beside its business's, or to none of its own."""
        return self._ask(
            Asking(
                "PUT",
                f"/campaigns/{part('campaign_id', campaign_id, int)}/window",
                body=model(body, models.AssignWindow),
                key=idempotency_key,
                takes_key=True,
            ),
            models.AssignedWindow,
        )

    def list_destinations(self, *, limit: int | None = None, before: int | None = None) -> models.DestinationList:
        """List where calls may go, the newest entry first: for everybody, and for businesses that the token may see."""
        return self._ask(Asking("GET", "/destinations", {"limit": limit, "before": before}), models.DestinationList)

    def set_destination(
        self, body: models.NewDestination, *, idempotency_key: str | None = None
    ) -> models.SetDestination:
        """Allow or close a destination, for everybody or for one business."""
        return self._ask(
            Asking(
                "PUT", "/destinations", body=model(body, models.NewDestination), key=idempotency_key, takes_key=True
            ),
            models.SetDestination,
        )

    def remove_destination(
        self, place: str, *, business_id: int | None = None, idempotency_key: str | None = None
    ) -> models.Removed:
        """Take the entry of exactly this place and business away."""
        return self._ask(
            Asking(
                "DELETE",
                f"/destinations/{part('place', place, str)}",
                {"business_id": business_id},
                key=idempotency_key,
                takes_key=True,
            ),
            models.Removed,
        )

    def check_destination(self, *, number: str, business_id: int | None = None) -> models.Verdict:
        """May this business call this number?"""
        return self._ask(
            Asking("GET", "/destinations/check", {"number": number, "business_id": business_id}), models.Verdict
        )

    def add_suppression(self, body: models.NewSuppression, *, idempotency_key: str | None = None) -> models.Suppressed:
        """Let nobody call a number from now on, and end its calls that wait."""
        return self._ask(
            Asking(
                "POST", "/suppressions", body=model(body, models.NewSuppression), key=idempotency_key, takes_key=True
            ),
            models.Suppressed,
        )

    def list_suppressions(
        self,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        everybody: bool | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.Suppressions:
        """List the do-not-call entries, the newest first; a token of one business sees that one's own."""
        return self._ask(
            Asking(
                "GET",
                "/suppressions",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "everybody": everybody,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.Suppressions,
        )

    def remove_suppression(self, body: models.DropSuppression, *, idempotency_key: str | None = None) -> models.Removed:
        """Take an entry off the list: the one of exactly this scope."""
        return self._ask(
            Asking(
                "POST",
                "/suppressions/remove",
                body=model(body, models.DropSuppression),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Removed,
        )

    def check_suppression(
        self, *, number: str, business_id: int | None = None, region: str | None = None
    ) -> models.AllKnown:
        """Show what is known of a number: do-not-call entries, consents, registry checks."""
        return self._ask(
            Asking("GET", "/suppressions/check", {"number": number, "business_id": business_id, "region": region}),
            models.AllKnown,
        )

    def give_consent(self, body: models.NewConsent, *, idempotency_key: str | None = None) -> models.Written:
        """Record that a number agrees to be called by a business."""
        return self._ask(
            Asking("POST", "/consents", body=model(body, models.NewConsent), key=idempotency_key, takes_key=True),
            models.Written,
        )

    def revoke_consent(self, body: models.RevokedConsent, *, idempotency_key: str | None = None) -> models.Written:
        """Record that a number does not agree, or no longer."""
        return self._ask(
            Asking(
                "POST", "/consents/revoke", body=model(body, models.RevokedConsent), key=idempotency_key, takes_key=True
            ),
            models.Written,
        )

    def show_person(self, number: str, *, region: str | None = None) -> models.Person:
        """Show all that is known of a person, for an access request."""
        return self._ask(Asking("GET", f"/persons/{part('number', number, str)}", {"region": region}), models.Person)

    def show_token(self) -> models.Me:
        """Show the token of this request: what it may see and do."""
        return self._ask(Asking("GET", "/token"), models.Me)

    def make_token(self, body: models.NewToken) -> models.MadeToken:
        """Make a token that may do no more than this one; its text is in this answer alone."""
        return self._ask(Asking("POST", "/tokens", body=model(body, models.NewToken)), models.MadeToken)

    def list_tokens(self, *, limit: int | None = None, before: int | None = None) -> models.TokenList:
        """List the tokens that this one may revoke, the newest first, without their text."""
        return self._ask(Asking("GET", "/tokens", {"limit": limit, "before": before}), models.TokenList)

    def revoke_token(self, token: str, *, idempotency_key: str | None = None) -> models.RevokedToken:
        """Refuse a token, by its id or its 8 letters, from now on; within 5 seconds it is refused everywhere."""
        return self._ask(
            Asking("DELETE", f"/tokens/{part('token', token, str)}", key=idempotency_key, takes_key=True),
            models.RevokedToken,
        )

    def list_audit(self, *, last: int | None = None, before: int | None = None) -> models.Audit:
        """List the latest entries of the audit, or the latest before a place, oldest first."""
        return self._ask(Asking("GET", "/audit", {"last": last, "before": before}), models.Audit)

    def verify_audit(self, *, head: str | None = None) -> models.Verified:
        """Recompute the chain of the audit, and name the first link that is wrong."""
        return self._ask(Asking("GET", "/audit/verify", {"head": head}), models.Verified)

    def add_webhook(self, body: models.NewEndpoint, *, idempotency_key: str | None = None) -> models.AddedEndpoint:
        """Post events to an address from now on."""
        return self._ask(
            Asking("POST", "/webhooks", body=model(body, models.NewEndpoint), key=idempotency_key, takes_key=True),
            models.AddedEndpoint,
        )

    def list_webhooks(self, *, limit: int | None = None, before: int | None = None) -> models.EndpointList:
        """List the endpoints, the newest first, what waits for each, and whether it takes what it is sent."""
        return self._ask(Asking("GET", "/webhooks", {"limit": limit, "before": before}), models.EndpointList)

    def change_webhook(
        self, endpoint_id: int, body: models.EndpointChange, *, idempotency_key: str | None = None
    ) -> models.EndpointState:
        """Change an endpoint; switched on, what waited for it is sent."""
        return self._ask(
            Asking(
                "PATCH",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}",
                body=model(body, models.EndpointChange),
                key=idempotency_key,
                takes_key=True,
            ),
            models.EndpointState,
        )

    def remove_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.RemovedEndpoint:
        """Remove an endpoint, and what was not delivered to it yet."""
        return self._ask(
            Asking("DELETE", f"/webhooks/{part('endpoint_id', endpoint_id, int)}", key=idempotency_key, takes_key=True),
            models.RemovedEndpoint,
        )

    def show_webhook_secret(self, endpoint_id: int) -> models.EndpointSecret:
        """Show the secret with which an endpoint verifies; it is derived, and stored nowhere."""
        return self._ask(
            Asking("GET", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/secret"), models.EndpointSecret
        )

    def rotate_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.RotatedSecret:
        """Give an endpoint another secret; for 24 hours both sign."""
        return self._ask(
            Asking(
                "POST", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/rotate", key=idempotency_key, takes_key=True
            ),
            models.RotatedSecret,
        )

    def test_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.Ping:
        """Send an endpoint a ping, as everything else is sent to it."""
        return self._ask(
            Asking(
                "POST", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/test", key=idempotency_key, takes_key=True
            ),
            models.Ping,
        )

    def list_webhook_deliveries(
        self,
        endpoint_id: int,
        *,
        state: list[str] | None = None,
        before_id: int | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.DeliveryList:
        """List what was sent to an endpoint, the newest event first, and what came of it."""
        return self._ask(
            Asking(
                "GET",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}/deliveries",
                {"state": state, "before_id": before_id, "limit": limit, "before": before},
            ),
            models.DeliveryList,
        )

    def replay_webhook(
        self, endpoint_id: int, body: models.Replay, *, idempotency_key: str | None = None
    ) -> models.Replayed:
        """Send events once more, under the ids that they had."""
        return self._ask(
            Asking(
                "POST",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}/replay",
                body=model(body, models.Replay),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Replayed,
        )

    def stream_events(self, *, event_type: list[str] | None = None, after: str | None = None) -> Iterator[str]:
        """Stream events as they happen (server-sent events), after the one that Last-Event-ID names."""
        return self._lines(
            Asking("GET", "/events", {"event_type": event_type, "after": after}, accept="text/event-stream")
        )


class AsyncOperations:
    """The operations, to be awaited."""

    async def _ask(self, asking: Asking, answer: type[T]) -> T:
        raise NotImplementedError

    def _lines(self, asking: Asking) -> AsyncIterator[str]:
        raise NotImplementedError

    async def create_call(self, body: models.NewCall, *, idempotency_key: str | None = None) -> models.QueuedCall:
        """Put one call in the queue; the same key never makes a second one."""
        return await self._ask(
            Asking("POST", "/calls", body=model(body, models.NewCall), key=idempotency_key, takes_key=True),
            models.QueuedCall,
        )

    async def list_calls(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        status: list[str] | None = None,
        business_id: int | None = None,
        campaign_id: int | None = None,
        batch: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        answered_by: str | None = None,
        error_code: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> models.CallList:
        """Find calls, the newest first: by when they ended, were dialed, or are due."""
        return await self._ask(
            Asking(
                "GET",
                "/calls",
                {
                    "number": number,
                    "region": region,
                    "status": status,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "batch": batch,
                    "since": since,
                    "until": until,
                    "answered_by": answered_by,
                    "error_code": error_code,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.CallList,
        )

    async def create_calls(self, body: models.NewCalls, *, idempotency_key: str | None = None) -> models.QueuedCalls:
        """Put up to 1,000 calls in the queue at once; the others are queued where one is refused."""
        return await self._ask(
            Asking("POST", "/calls/bulk", body=model(body, models.NewCalls), key=idempotency_key, takes_key=True),
            models.QueuedCalls,
        )

    async def show_call(self, call_id: int) -> models.ShownCall:
        """Show a call: its row, events, attempts and lead, and why it waits."""
        return await self._ask(Asking("GET", f"/calls/{part('call_id', call_id, int)}"), models.ShownCall)

    async def why_call(self, call_id: int) -> models.Why:
        """Say why a call is not being dialed right now."""
        return await self._ask(Asking("GET", f"/calls/{part('call_id', call_id, int)}/why"), models.Why)

    async def retry_call(
        self, call_id: int, body: models.Again | None = None, *, idempotency_key: str | None = None
    ) -> models.MadeAgain:
        """Make a call that has ended once more: a new call, within all rules; asked twice, it is one."""
        return await self._ask(
            Asking(
                "POST",
                f"/calls/{part('call_id', call_id, int)}/retry",
                body=model(body, models.Again | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.MadeAgain,
        )

    async def reschedule_call(
        self, call_id: int, body: models.Reschedule, *, idempotency_key: str | None = None
    ) -> models.Rescheduled:
        """Have a call that waits dialed from another moment on; one that is being dialed is not moved."""
        return await self._ask(
            Asking(
                "POST",
                f"/calls/{part('call_id', call_id, int)}/reschedule",
                body=model(body, models.Reschedule),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Rescheduled,
        )

    async def cancel_calls(self, body: models.Selection, *, idempotency_key: str | None = None) -> models.Canceled:
        """Close the calls that wait and end those that ring, of all that are like this; with `dry_run`, count them."""
        return await self._ask(
            Asking("POST", "/calls/cancel", body=model(body, models.Selection), key=idempotency_key, takes_key=True),
            models.Canceled,
        )

    async def show_callee(
        self, number: str, *, business_id: int | None = None, region: str | None = None
    ) -> models.Callee:
        """Show what is known of a number: its calls, do-not-call entries, consents and, with `leads:read`, leads."""
        return await self._ask(
            Asking("GET", f"/callees/{part('number', number, str)}", {"business_id": business_id, "region": region}),
            models.Callee,
        )

    async def list_control(self) -> models.Controls:
        """Show what is paused, limited and held, and how much of each limit is used."""
        return await self._ask(Asking("GET", "/control"), models.Controls)

    async def pause(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Paused:
        """Begin no new call here; those in the air go on."""
        return await self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/pause",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Paused,
        )

    async def resume(self, kind: str, key: str, *, idempotency_key: str | None = None) -> models.Resumed:
        """Resume dialing, whether an operator or the breaker paused it."""
        return await self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/resume",
                key=idempotency_key,
                takes_key=True,
            ),
            models.Resumed,
        )

    async def drain(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Drained:
        """Pause, and say how many calls are in the air; `live` of `GET /control` says when none is."""
        return await self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/drain",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Drained,
        )

    async def cancel(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.CanceledScope:
        """Close calls that wait, and end those that ring; who is talking goes on."""
        return await self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/cancel",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.CanceledScope,
        )

    async def stop(
        self, kind: str, key: str, body: models.Reasoned | None = None, *, idempotency_key: str | None = None
    ) -> models.Stopped:
        """Pause, and hang up all calls that are in the air, also those in progress."""
        return await self._ask(
            Asking(
                "POST",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/stop",
                body=model(body, models.Reasoned | None),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Stopped,
        )

    async def limit(
        self, kind: str, key: str, body: models.Limits, *, idempotency_key: str | None = None
    ) -> models.SetLimits:
        """Say how fast, how many at once, how much in all, and how large a share; what is not given stays."""
        return await self._ask(
            Asking(
                "PUT",
                f"/control/{part('kind', kind, str)}/{part('key', key, str)}/limits",
                body=model(body, models.Limits),
                key=idempotency_key,
                takes_key=True,
            ),
            models.SetLimits,
        )

    async def status(self) -> models.QueueState:
        """Show what is going on, and what to do about it; for a token of one business, of that one."""
        return await self._ask(Asking("GET", "/status"), models.QueueState)

    async def import_calls(
        self,
        content: Content,
        *,
        batch: str,
        business_id: int | None = None,
        campaign_id: int | None = None,
        again: bool | None = None,
        anyway: bool | None = None,
        dry_run: bool | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.ImportReport:
        """Put a file of calls in the queue, CSV or NDJSON; the report names each line that was refused."""
        return await self._ask(
            Asking(
                "POST",
                "/imports",
                {
                    "batch": batch,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "again": again,
                    "anyway": anyway,
                    "dry_run": dry_run,
                    "to_column": to_column,
                },
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.ImportReport,
        )

    async def list_imports(
        self,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        state: list[str] | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.ImportList:
        """List imports of files of calls, the newest first: how far each has come, and how it ended."""
        return await self._ask(
            Asking(
                "GET",
                "/imports",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "state": state,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.ImportList,
        )

    async def show_import(self, import_id: int) -> models.ShownImport:
        """Show an import: its state, how many bytes came, what came of its lines, and the first 1,000 refused ones."""
        return await self._ask(Asking("GET", f"/imports/{part('import_id', import_id, int)}"), models.ShownImport)

    def export_rejected_lines(self, import_id: int) -> AsyncIterator[str]:
        """Stream the first 1,000 lines of an import that were refused, with the reason of each."""
        return self._lines(
            Asking("GET", f"/imports/{part('import_id', import_id, int)}/rejected", accept="application/x-ndjson")
        )

    async def import_suppressions(
        self,
        content: Content,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        everybody: bool | None = None,
        reason: str | None = None,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Put a file of numbers on the do-not-call list: phone, reason.  A second time adds nothing."""
        return await self._ask(
            Asking(
                "POST",
                "/suppressions/import",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "everybody": everybody,
                    "reason": reason,
                    "region": region,
                    "to_column": to_column,
                },
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    async def import_consents(
        self,
        content: Content,
        *,
        business_id: int | None = None,
        given_at: str | datetime | None = None,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Record a file of consents: phone, given_at, expires_at, source."""
        return await self._ask(
            Asking(
                "POST",
                "/consents/import",
                {"business_id": business_id, "given_at": given_at, "region": region, "to_column": to_column},
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    async def import_registry(
        self,
        content: Content,
        *,
        checked_at: str | datetime,
        region: str | None = None,
        to_column: str | None = None,
        content_type: str = FILE_TYPE,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """Record a registry's answers: phone, listed (yes or no)."""
        return await self._ask(
            Asking(
                "POST",
                "/registry/import",
                {"checked_at": checked_at, "region": region, "to_column": to_column},
                content=file(content),
                content_type=content_type,
                key=idempotency_key,
                takes_key=True,
            ),
            models.Report,
        )

    def export_calls(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        status: list[str] | None = None,
        business_id: int | None = None,
        campaign_id: int | None = None,
        batch: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        answered_by: str | None = None,
        error_code: str | None = None,
    ) -> AsyncIterator[str]:
        """Stream the calls that `GET /calls` finds, newest first."""
        return self._lines(
            Asking(
                "GET",
                "/exports/calls",
                {
                    "number": number,
                    "region": region,
                    "status": status,
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "batch": batch,
                    "since": since,
                    "until": until,
                    "answered_by": answered_by,
                    "error_code": error_code,
                },
                accept="application/x-ndjson",
            )
        )

    def export_leads(
        self,
        *,
        business_id: int | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
    ) -> AsyncIterator[str]:
        """Stream leads, the one with the last contact first."""
        return self._lines(
            Asking(
                "GET",
                "/exports/leads",
                {"business_id": business_id, "since": since, "until": until},
                accept="application/x-ndjson",
            )
        )

    def export_audit(self) -> AsyncIterator[str]:
        """Stream the audit, the newest entry first, each with its place in the chain."""
        return self._lines(Asking("GET", "/exports/audit", accept="application/x-ndjson"))

    def export_campaign_results(self, campaign_id: int) -> AsyncIterator[str]:
        """Stream what came of each callee of a campaign: reached or not, last outcome, next call."""
        return self._lines(
            Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}/results", accept="application/x-ndjson")
        )

    async def list_leads(
        self,
        *,
        number: str | None = None,
        region: str | None = None,
        business_id: int | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> models.LeadList:
        """List leads, the one with the last contact first."""
        return await self._ask(
            Asking(
                "GET",
                "/leads",
                {
                    "number": number,
                    "region": region,
                    "business_id": business_id,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.LeadList,
        )

    async def list_businesses(self, *, limit: int | None = None, before: int | None = None) -> models.BusinessList:
        """List the businesses that the token may see, the newest first."""
        return await self._ask(Asking("GET", "/businesses", {"limit": limit, "before": before}), models.BusinessList)

    async def add_business(
        self, body: models.NewBusiness, *, idempotency_key: str | None = None
    ) -> models.AddedBusiness:
        """Add a business; it keeps to its region's calling hours unless `any_hour` is said."""
        return await self._ask(
            Asking("POST", "/businesses", body=model(body, models.NewBusiness), key=idempotency_key, takes_key=True),
            models.AddedBusiness,
        )

    async def show_business(self, business_id: int) -> models.ShownBusiness:
        """Show one business: its numbers, what it plays, what limits and holds it, and its newest 100 campaigns."""
        return await self._ask(
            Asking("GET", f"/businesses/{part('business_id', business_id, int)}"), models.ShownBusiness
        )

    async def change_business(
        self, business_id: int, body: models.ChangedBusiness, *, idempotency_key: str | None = None
    ) -> models.ChangedParts:
        """Update a business; what is not given stays."""
        return await self._ask(
            Asking(
                "PATCH",
                f"/businesses/{part('business_id', business_id, int)}",
                body=model(body, models.ChangedBusiness),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedParts,
        )

    async def use_retry_policy(
        self, business_id: int, body: models.UseRetryPolicy, *, idempotency_key: str | None = None
    ) -> models.ChangedParts:
        """Make a retry policy the default of a business."""
        return await self._ask(
            Asking(
                "PUT",
                f"/businesses/{part('business_id', business_id, int)}/retry-policy",
                body=model(body, models.UseRetryPolicy),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedParts,
        )

    async def list_campaigns(
        self, *, business_id: int | None = None, limit: int | None = None, before: int | None = None
    ) -> models.CampaignList:
        """List campaigns, the newest first."""
        return await self._ask(
            Asking("GET", "/campaigns", {"business_id": business_id, "limit": limit, "before": before}),
            models.CampaignList,
        )

    async def add_campaign(self, body: models.NewCampaign, *, idempotency_key: str | None = None) -> models.Added:
        """Add a campaign."""
        return await self._ask(
            Asking("POST", "/campaigns", body=model(body, models.NewCampaign), key=idempotency_key, takes_key=True),
            models.Added,
        )

    async def show_campaign(self, campaign_id: int) -> models.ShownCampaign:
        """Show a campaign, and how many calls of it are in each status."""
        return await self._ask(
            Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}"), models.ShownCampaign
        )

    async def change_campaign(
        self, campaign_id: int, body: models.ChangedCampaign, *, idempotency_key: str | None = None
    ) -> models.ChangedCampaignParts:
        """Update a campaign; what is not given stays, and null takes a thing away."""
        return await self._ask(
            Asking(
                "PATCH",
                f"/campaigns/{part('campaign_id', campaign_id, int)}",
                body=model(body, models.ChangedCampaign),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedCampaignParts,
        )

    async def preview_campaign(self, campaign_id: int, *, call_s: float | None = None) -> models.Preview:
        """Say what a campaign would do if it were launched now."""
        return await self._ask(
            Asking("GET", f"/campaigns/{part('campaign_id', campaign_id, int)}/preview", {"call_s": call_s}),
            models.Preview,
        )

    async def list_retry_policies(
        self, *, business_id: int | None = None, limit: int | None = None, before: int | None = None
    ) -> models.RetryPolicyList:
        """List retry policies, the newest first."""
        return await self._ask(
            Asking("GET", "/retry-policies", {"business_id": business_id, "limit": limit, "before": before}),
            models.RetryPolicyList,
        )

    async def add_retry_policy(
        self, body: models.NewRetryPolicy, *, idempotency_key: str | None = None
    ) -> models.Added:
        """Add a retry policy of a business."""
        return await self._ask(
            Asking(
                "POST", "/retry-policies", body=model(body, models.NewRetryPolicy), key=idempotency_key, takes_key=True
            ),
            models.Added,
        )

    async def list_windows(self, *, limit: int | None = None, before: int | None = None) -> models.WindowList:
        """List the calling windows, the newest first; a token of one business sees presets, and those it keeps to."""
        return await self._ask(Asking("GET", "/windows", {"limit": limit, "before": before}), models.WindowList)

    async def add_window(self, body: models.NewWindow, *, idempotency_key: str | None = None) -> models.Added:
        """Add a calling window, by its hours or from a preset (us, uk, il)."""
        return await self._ask(
            Asking("POST", "/windows", body=model(body, models.NewWindow), key=idempotency_key, takes_key=True),
            models.Added,
        )

    async def show_window(self, window_id: int) -> models.ShownWindow:
        """Show a calling window with the days that have hours of their own."""
        return await self._ask(Asking("GET", f"/windows/{part('window_id', window_id, int)}"), models.ShownWindow)

    async def set_window_day(
        self, window_id: int, day: str, body: models.DayHours, *, idempotency_key: str | None = None
    ) -> models.ChangedDay:
        """Give one day hours of its own, or close it with `off`."""
        return await self._ask(
            Asking(
                "PUT",
                f"/windows/{part('window_id', window_id, int)}/days/{part('day', day, str)}",
                body=model(body, models.DayHours),
                key=idempotency_key,
                takes_key=True,
            ),
            models.ChangedDay,
        )

    async def refresh_windows(self, *, idempotency_key: str | None = None) -> models.Refreshed:
        """Let the windows of presets know the days off of this year and the next three."""
        return await self._ask(
            Asking("POST", "/windows/refresh", key=idempotency_key, takes_key=True), models.Refreshed
        )

    async def assign_business_window(
        self, business_id: int, body: models.AssignWindow, *, idempotency_key: str | None = None
    ) -> models.AssignedWindow:
        """Let the calls of a business keep to a window, or to none of its own."""
        return await self._ask(
            Asking(
                "PUT",
                f"/businesses/{part('business_id', business_id, int)}/window",
                body=model(body, models.AssignWindow),
                key=idempotency_key,
                takes_key=True,
            ),
            models.AssignedWindow,
        )

    async def assign_campaign_window(
        self, campaign_id: int, body: models.AssignWindow, *, idempotency_key: str | None = None
    ) -> models.AssignedWindow:
        """Let the calls of a campaign keep to a window beside its business's, or to none of its own."""
        return await self._ask(
            Asking(
                "PUT",
                f"/campaigns/{part('campaign_id', campaign_id, int)}/window",
                body=model(body, models.AssignWindow),
                key=idempotency_key,
                takes_key=True,
            ),
            models.AssignedWindow,
        )

    async def list_destinations(self, *, limit: int | None = None, before: int | None = None) -> models.DestinationList:
        """List where calls may go, the newest entry first: for everybody, and for businesses that the token may see."""
        return await self._ask(
            Asking("GET", "/destinations", {"limit": limit, "before": before}), models.DestinationList
        )

    async def set_destination(
        self, body: models.NewDestination, *, idempotency_key: str | None = None
    ) -> models.SetDestination:
        """Allow or close a destination, for everybody or for one business."""
        return await self._ask(
            Asking(
                "PUT", "/destinations", body=model(body, models.NewDestination), key=idempotency_key, takes_key=True
            ),
            models.SetDestination,
        )

    async def remove_destination(
        self, place: str, *, business_id: int | None = None, idempotency_key: str | None = None
    ) -> models.Removed:
        """Take the entry of exactly this place and business away."""
        return await self._ask(
            Asking(
                "DELETE",
                f"/destinations/{part('place', place, str)}",
                {"business_id": business_id},
                key=idempotency_key,
                takes_key=True,
            ),
            models.Removed,
        )

    async def check_destination(self, *, number: str, business_id: int | None = None) -> models.Verdict:
        """May this business call this number?"""
        return await self._ask(
            Asking("GET", "/destinations/check", {"number": number, "business_id": business_id}), models.Verdict
        )

    async def add_suppression(
        self, body: models.NewSuppression, *, idempotency_key: str | None = None
    ) -> models.Suppressed:
        """Let nobody call a number from now on, and end its calls that wait."""
        return await self._ask(
            Asking(
                "POST", "/suppressions", body=model(body, models.NewSuppression), key=idempotency_key, takes_key=True
            ),
            models.Suppressed,
        )

    async def list_suppressions(
        self,
        *,
        business_id: int | None = None,
        campaign_id: int | None = None,
        everybody: bool | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.Suppressions:
        """List the do-not-call entries, the newest first; a token of one business sees that one's own."""
        return await self._ask(
            Asking(
                "GET",
                "/suppressions",
                {
                    "business_id": business_id,
                    "campaign_id": campaign_id,
                    "everybody": everybody,
                    "limit": limit,
                    "before": before,
                },
            ),
            models.Suppressions,
        )

    async def remove_suppression(
        self, body: models.DropSuppression, *, idempotency_key: str | None = None
    ) -> models.Removed:
        """Take an entry off the list: the one of exactly this scope."""
        return await self._ask(
            Asking(
                "POST",
                "/suppressions/remove",
                body=model(body, models.DropSuppression),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Removed,
        )

    async def check_suppression(
        self, *, number: str, business_id: int | None = None, region: str | None = None
    ) -> models.AllKnown:
        """Show what is known of a number: do-not-call entries, consents, registry checks."""
        return await self._ask(
            Asking("GET", "/suppressions/check", {"number": number, "business_id": business_id, "region": region}),
            models.AllKnown,
        )

    async def give_consent(self, body: models.NewConsent, *, idempotency_key: str | None = None) -> models.Written:
        """Record that a number agrees to be called by a business."""
        return await self._ask(
            Asking("POST", "/consents", body=model(body, models.NewConsent), key=idempotency_key, takes_key=True),
            models.Written,
        )

    async def revoke_consent(
        self, body: models.RevokedConsent, *, idempotency_key: str | None = None
    ) -> models.Written:
        """Record that a number does not agree, or no longer."""
        return await self._ask(
            Asking(
                "POST", "/consents/revoke", body=model(body, models.RevokedConsent), key=idempotency_key, takes_key=True
            ),
            models.Written,
        )

    async def show_person(self, number: str, *, region: str | None = None) -> models.Person:
        """Show all that is known of a person, for an access request."""
        return await self._ask(
            Asking("GET", f"/persons/{part('number', number, str)}", {"region": region}), models.Person
        )

    async def show_token(self) -> models.Me:
        """Show the token of this request: what it may see and do."""
        return await self._ask(Asking("GET", "/token"), models.Me)

    async def make_token(self, body: models.NewToken) -> models.MadeToken:
        """Make a token that may do no more than this one; its text is in this answer alone."""
        return await self._ask(Asking("POST", "/tokens", body=model(body, models.NewToken)), models.MadeToken)

    async def list_tokens(self, *, limit: int | None = None, before: int | None = None) -> models.TokenList:
        """List the tokens that this one may revoke, the newest first, without their text."""
        return await self._ask(Asking("GET", "/tokens", {"limit": limit, "before": before}), models.TokenList)

    async def revoke_token(self, token: str, *, idempotency_key: str | None = None) -> models.RevokedToken:
        """Refuse a token, by its id or its 8 letters, from now on; within 5 seconds it is refused everywhere."""
        return await self._ask(
            Asking("DELETE", f"/tokens/{part('token', token, str)}", key=idempotency_key, takes_key=True),
            models.RevokedToken,
        )

    async def list_audit(self, *, last: int | None = None, before: int | None = None) -> models.Audit:
        """List the latest entries of the audit, or the latest before a place, oldest first."""
        return await self._ask(Asking("GET", "/audit", {"last": last, "before": before}), models.Audit)

    async def verify_audit(self, *, head: str | None = None) -> models.Verified:
        """Recompute the chain of the audit, and name the first link that is wrong."""
        return await self._ask(Asking("GET", "/audit/verify", {"head": head}), models.Verified)

    async def add_webhook(
        self, body: models.NewEndpoint, *, idempotency_key: str | None = None
    ) -> models.AddedEndpoint:
        """Post events to an address from now on."""
        return await self._ask(
            Asking("POST", "/webhooks", body=model(body, models.NewEndpoint), key=idempotency_key, takes_key=True),
            models.AddedEndpoint,
        )

    async def list_webhooks(self, *, limit: int | None = None, before: int | None = None) -> models.EndpointList:
        """List the endpoints, the newest first, what waits for each, and whether it takes what it is sent."""
        return await self._ask(Asking("GET", "/webhooks", {"limit": limit, "before": before}), models.EndpointList)

    async def change_webhook(
        self, endpoint_id: int, body: models.EndpointChange, *, idempotency_key: str | None = None
    ) -> models.EndpointState:
        """Change an endpoint; switched on, what waited for it is sent."""
        return await self._ask(
            Asking(
                "PATCH",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}",
                body=model(body, models.EndpointChange),
                key=idempotency_key,
                takes_key=True,
            ),
            models.EndpointState,
        )

    async def remove_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.RemovedEndpoint:
        """Remove an endpoint, and what was not delivered to it yet."""
        return await self._ask(
            Asking("DELETE", f"/webhooks/{part('endpoint_id', endpoint_id, int)}", key=idempotency_key, takes_key=True),
            models.RemovedEndpoint,
        )

    async def show_webhook_secret(self, endpoint_id: int) -> models.EndpointSecret:
        """Show the secret with which an endpoint verifies; it is derived, and stored nowhere."""
        return await self._ask(
            Asking("GET", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/secret"), models.EndpointSecret
        )

    async def rotate_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.RotatedSecret:
        """Give an endpoint another secret; for 24 hours both sign."""
        return await self._ask(
            Asking(
                "POST", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/rotate", key=idempotency_key, takes_key=True
            ),
            models.RotatedSecret,
        )

    async def test_webhook(self, endpoint_id: int, *, idempotency_key: str | None = None) -> models.Ping:
        """Send an endpoint a ping, as everything else is sent to it."""
        return await self._ask(
            Asking(
                "POST", f"/webhooks/{part('endpoint_id', endpoint_id, int)}/test", key=idempotency_key, takes_key=True
            ),
            models.Ping,
        )

    async def list_webhook_deliveries(
        self,
        endpoint_id: int,
        *,
        state: list[str] | None = None,
        before_id: int | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> models.DeliveryList:
        """List what was sent to an endpoint, the newest event first, and what came of it."""
        return await self._ask(
            Asking(
                "GET",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}/deliveries",
                {"state": state, "before_id": before_id, "limit": limit, "before": before},
            ),
            models.DeliveryList,
        )

    async def replay_webhook(
        self, endpoint_id: int, body: models.Replay, *, idempotency_key: str | None = None
    ) -> models.Replayed:
        """Send events once more, under the ids that they had."""
        return await self._ask(
            Asking(
                "POST",
                f"/webhooks/{part('endpoint_id', endpoint_id, int)}/replay",
                body=model(body, models.Replay),
                key=idempotency_key,
                takes_key=True,
            ),
            models.Replayed,
        )

    def stream_events(self, *, event_type: list[str] | None = None, after: str | None = None) -> AsyncIterator[str]:
        """Stream events as they happen (server-sent events), after the one that Last-Event-ID names."""
        return self._lines(
            Asking("GET", "/events", {"event_type": event_type, "after": after}, accept="text/event-stream")
        )
