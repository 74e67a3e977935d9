"""The command line. Commands that are clients of the API live here beside those that run it.

What a command does is not decided here: it calls the service over HTTP, or asks
:mod:`service.assembly` for the parts it runs.
"""

from __future__ import annotations

from importlib import import_module

import click

from catalog.store.obstacles import Obstacle

#: The exit status of a command that Ctrl-C ended: what shells say of SIGINT.
INTERRUPTED = 130

#: Each command is the function of its name in the module of its name, which is imported when
#: the command is called: reading the help of one must not load the engine of another.
COMMANDS = {
    "serve": "Run the service: HTTP, workers, and a private PostgreSQL unless one is set.",
    "work": "Run a worker process beside the ones that serve starts.",
    "migrate": "Bring the database to this release's schema.",
    "credentials": "Show how to reach the service, with a fresh access token.",
    "clients": "Make credentials that may do less, list them, shut one out.",
    "ingest": "Send a local file or folder into a data set.",
    "export": "Export merged profiles and download them.",
    "jobs": "List, show and cancel export jobs.",
    "segments": "Check, define, evaluate and count segments.",
    "growingio": "Define what GrowingIO's clients ask for, and give them tokens.",
    "demo": "Generate customers, ingest them, export their profiles.",
    "compact": "Let small files of the profile store become one now, not when it is worth it.",
    "sweep": "Remove now what workers remove by themselves: leftovers, and what has had its time.",
    "doctor": "Look for what is wrong, and show what the settings were understood as.",
}


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"service.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"service.cli.{cmd_name}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what an operator has to put right is told without a trace."""
        try:
            return super().invoke(ctx)
        except Obstacle as obstacle:
            raise click.ClickException(str(obstacle)) from obstacle
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-exports")
def main() -> None:
    """Turns customer data from many sources into merged profiles and exports them as files."""
