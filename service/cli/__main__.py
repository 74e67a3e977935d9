"""``python -m service.cli``: the same as ``profile-exports``, without an installed script."""

from service.cli import main

main(prog_name="profile-exports")
