"""Each command that is not about a machine has its operation, by the same name and with the same answer."""

from typing import Any

import click
import typer

from outbound.api import app
from outbound.cli.app import app as cli
from tests import ROOT

# Commands about this machine, its servers or the database itself: no operation has them.
OF_A_MACHINE = {
    *("up", "demo", "worker", "scheduler", "web", "api", "simulator", "install-service"),
    *("migrate", "roles", "verify", "rollback", "cleanup", "purge", "dump", "restore", "recover", "adopt", "psql"),
    *("version", "doctor", "ready"),
    "webhook listen",
    "person forget",  # as the owner of the tables, whose password the API process has not
}
TWINS = {
    "status": {"status"},
    "calls": {"list_calls", "export_calls"},
    "call show": {"show_call"},
    "call retry": {"retry_call"},
    "call reschedule": {"reschedule_call"},
    "why": {"why_call"},
    "leads": {"list_leads", "export_leads"},
    "control": {"list_control"},
    "audit list": {"list_audit", "export_audit"},
    "audit verify": {"verify_audit"},
    "preview": {"preview_campaign"},
    "import": {"import_calls"},
    "imports list": {"list_imports"},
    "imports show": {"show_import", "export_rejected_lines"},
    "enqueue": {"create_call", "create_calls"},
    "pause": {"pause"},
    "resume": {"resume"},
    "drain": {"drain"},
    "cancel": {"cancel", "cancel_calls"},
    "stop": {"stop"},
    "limit": {"limit"},
    "business add": {"add_business"},
    "business set": {"change_business"},
    "business list": {"list_businesses"},
    "business show": {"show_business"},
    "campaign add": {"add_campaign"},
    "campaign set": {"change_campaign"},
    "campaign list": {"list_campaigns"},
    "campaign show": {"show_campaign"},
    "campaign results": {"export_campaign_results"},
    "retry-policy add": {"add_retry_policy"},
    "retry-policy use": {"use_retry_policy"},
    "retry-policy list": {"list_retry_policies"},
    "suppress add": {"add_suppression"},
    "suppress remove": {"remove_suppression"},
    "suppress check": {"check_suppression", "show_callee"},
    "suppress list": {"list_suppressions"},
    "suppress import": {"import_suppressions"},
    "consent give": {"give_consent"},
    "consent revoke": {"revoke_consent"},
    "consent import": {"import_consents"},
    "registry import": {"import_registry"},
    "person show": {"show_person"},
    "window add": {"add_window"},
    "window preset": {"add_window"},
    "window list": {"list_windows"},
    "window show": {"show_window"},
    "window day": {"set_window_day"},
    "window assign": {"assign_business_window", "assign_campaign_window"},
    "window refresh": {"refresh_windows"},
    "destination allow": {"set_destination"},
    "destination deny": {"set_destination"},
    "destination remove": {"remove_destination"},
    "destination list": {"list_destinations"},
    "destination check": {"check_destination"},
    "events": {"stream_events"},
    "webhook add": {"add_webhook"},
    "webhook list": {"list_webhooks"},
    "webhook set": {"change_webhook"},
    "webhook remove": {"remove_webhook"},
    "webhook test": {"test_webhook"},
    "webhook rotate": {"rotate_webhook"},
    "webhook secret": {"show_webhook_secret"},
    "webhook deliveries": {"list_webhook_deliveries"},
    "webhook replay": {"replay_webhook"},
    "token add": {"make_token"},
    "token list": {"list_tokens", "show_token"},
    "token revoke": {"revoke_token"},
}


def commands(group: Any, path: tuple[str, ...] = ()) -> set[str]:
    if not hasattr(group, "list_commands"):
        return {" ".join(path)}
    context = click.Context(group)
    return {
        name for one in group.list_commands(context) for name in commands(group.get_command(context, one), (*path, one))
    }


def test_every_command_has_its_operation_or_is_about_a_machine() -> None:
    assert commands(typer.main.get_command(cli)) == OF_A_MACHINE | TWINS.keys()


def test_every_operation_is_the_twin_of_a_command() -> None:
    operations = {about["operationId"] for path in app.document()["paths"].values() for about in path.values()}

    assert operations == set().union(*TWINS.values())


def test_the_document_that_is_committed_is_what_the_code_answers() -> None:
    committed = (ROOT / "ops" / "openapi.json").read_text()

    assert committed == app.document_text(), "run `make openapi`"
