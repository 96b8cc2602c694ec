"""Files of a campaign: importing calls, how an import goes, and what is saved of a campaign."""

from collections.abc import AsyncIterator
from pathlib import PurePath

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from outbound.api.files import CSV, NDJSON
from outbound.page.download import Download
from outbound.page.inner_api import path
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit, body_of, require

screens = Screens()

_PIECE = 64 << 10  # bytes
_OF_LINES = (".ndjson", ".jsonl", ".json")
_BATCH_MAX = 200  # characters


@screens.does("/campaigns/{campaign_id:int}/import")
async def import_calls(visit: Visit) -> Response:
    """Put a file of calls in a campaign's queue, or try it: then nothing is queued, and the report is shown."""
    campaign_id = int(visit.request.path_params["campaign_id"])
    require(visit, "calls:write")  # before a file is taken
    form = await visit.file_form()
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Refused(422, visit.t.plain("import.no_file"))
        wanted = {
            "campaign_id": campaign_id,
            "batch": str(form.get("batch") or "").strip() or PurePath(file.filename).name[:_BATCH_MAX],
            "again": _yes(form, "again"),
            "anyway": _yes(form, "anyway"),
            "dry_run": _yes(form, "dry_run"),
        }
        kind = NDJSON if file.filename.lower().endswith(_OF_LINES) else CSV
        headers = {"prefer": "respond-async"}
        answer = await visit.api.send_file(path("imports"), kind, _pieces(file), query=wanted, headers=headers)
    finally:
        await form.close()
    found = body_of(answer, visit.t)
    if wanted["dry_run"]:
        return visit.show("import_tried.html", screen="campaigns", found=found, campaign_id=campaign_id)
    return visit.go(f"{ROOT}/imports/{found['id']}", "import")


def _yes(form: FormData, name: str) -> str:
    return "true" if form.get(name) == "yes" else ""


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_PIECE):
        yield piece


@screens.shows("/imports/{import_id:int}")
async def show_import(visit: Visit) -> Response:
    """Show how far an import has come, and which lines it refused."""
    found = await visit.read("imports", int(visit.request.path_params["import_id"]))
    return visit.show("import.html", screen="campaigns", found=found)


@screens.shows("/imports/{import_id:int}/rejected.csv")
async def save_rejected(visit: Visit) -> Response:
    """Give the lines that an import refused as a file."""
    import_id = int(visit.request.path_params["import_id"])
    return Download(visit, f"import-{import_id}-rejected.csv", "imports", import_id, "rejected")


@screens.shows("/campaigns/{campaign_id:int}/calls.csv")
async def save_calls(visit: Visit) -> Response:
    """Give a campaign's calls as a file, the newest first."""
    campaign_id = int(visit.request.path_params["campaign_id"])
    return Download(visit, f"campaign-{campaign_id}-calls.csv", "exports", "calls", campaign_id=campaign_id)


@screens.shows("/campaigns/{campaign_id:int}/results.csv")
async def save_results(visit: Visit) -> Response:
    """Give what came of each callee of a campaign as a file."""
    campaign_id = int(visit.request.path_params["campaign_id"])
    return Download(visit, f"campaign-{campaign_id}-results.csv", "campaigns", campaign_id, "results")
