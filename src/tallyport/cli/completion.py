"""``tallyport completion SHELL``."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(tallyport completion bash)"      in ~/.bashrc
    zsh:   eval "$(tallyport completion zsh)"       in ~/.zshrc
    fish:  tallyport completion fish > ~/.config/fish/completions/tallyport.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    click.echo(found(root, {}, "tallyport", "_TALLYPORT_COMPLETE").source())
