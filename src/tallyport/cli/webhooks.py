"""``tallyport webhooks``: who is told of events."""

import json

import click

from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table


@click.group()
def webhooks() -> None:
    """Work with the webhooks of a server: who is told of events by a request."""


@webhooks.command("list")
@json_option
@server_options
def list_(as_json: bool, url: str, token_file: str | None) -> None:
    """List webhooks by name."""
    with server(url, token_file) as client:
        found = list(client.webhooks.list())
    if as_json:
        click.echo(json.dumps({"webhooks": [webhook.raw for webhook in found]}))
        return
    rows = [(one.id, "off" if one.disabled else "on", one.name, one.url) for one in found]
    for text in table(("ID", "", "NAME", "URL"), rows):
        click.echo(text)


@webhooks.command()
@click.argument("address")
@click.option("--name", help="What to call it.")
@click.option(
    "--topic", "topics", multiple=True, metavar="TOPIC", help="Only this topic, such as job:failed. Repeatable."
)
@click.option("--job", help="Only of this job.")
@json_option
@server_options
def add(
    address: str,
    name: str | None,
    topics: tuple[str, ...],
    job: str | None,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Have events sent to ADDRESS. Prints the id and the signing secret, which is shown this once.

    \b
    Example:
      tallyport webhooks add https://example.com/hook --topic job:completed --topic job:failed
    """
    with server(url, token_file) as client:
        made = client.webhooks.create(address, name=name, topics=topics, job=job)
    click.echo(json.dumps(made.raw) if as_json else f"{made.id}\n{made.secret}")


@webhooks.command()
@click.argument("webhook")
@json_option
@server_options
def show(webhook: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Show a webhook, with its deliveries counted."""
    with server(url, token_file) as client:
        found = client.webhooks.get(webhook)
    if as_json:
        click.echo(json.dumps(found.raw))
        return
    counts = found.raw["webhook"].get("deliveries") or {}
    click.echo(f"id          {found.id}\nname        {line(found.name)}\nurl         {line(found.url)}")
    click.echo(f"topics      {', '.join(found.topics) or 'all'}")
    click.echo(f"sending     {f'no: {line(str(found.disabled_reason))}' if found.disabled else 'yes'}")
    click.echo(f"deliveries  {', '.join(f'{number} {state}' for state, number in counts.items())}")


@webhooks.command()
@click.argument("webhook")
@server_options
def rm(webhook: str, url: str, token_file: str | None) -> None:
    """Remove a webhook; what is pending for it is given up."""
    with server(url, token_file) as client:
        client.webhooks.delete(webhook)
    click.echo(f"removed {webhook}")


@webhooks.command()
@click.argument("webhook")
@server_options
def enable(webhook: str, url: str, token_file: str | None) -> None:
    """Send to a webhook again: what happens from now on."""
    with server(url, token_file) as client:
        client.webhooks.change(webhook, disabled=False)
    click.echo(f"enabled {webhook}")


@webhooks.command()
@click.argument("webhook")
@server_options
def disable(webhook: str, url: str, token_file: str | None) -> None:
    """Send nothing more to a webhook until it is enabled."""
    with server(url, token_file) as client:
        client.webhooks.change(webhook, disabled=True)
    click.echo(f"disabled {webhook}")


@webhooks.command()
@click.argument("webhook")
@json_option
@server_options
def test(webhook: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Send a message that tells nothing, now. Ends with 1 when the receiver did not take it."""
    with server(url, token_file) as client:
        found = client.webhooks.test(webhook)
    if as_json:
        click.echo(json.dumps(found))
    else:
        said = f"{found['status']}" if "status" in found else "no answer"
        click.echo(f"{said} after {found['milliseconds']} ms: {line(str(found['answer']))}")
    finish(Exit.DONE if found["success"] else Exit.ERROR)


@webhooks.command()
@click.argument("webhook")
@json_option
@server_options
def rotate(webhook: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Give a webhook a new signing secret and print it, alone. For a day the old one signs, too."""
    with server(url, token_file) as client:
        made = client.webhooks.rotate(webhook)
    click.echo(json.dumps(made.raw) if as_json else made.secret)


@webhooks.command()
@click.argument("webhook")
@click.option("--state", type=click.Choice(("pending", "delivered", "dead")), help="Only in this state.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most lines.")
@json_option
@server_options
def deliveries(webhook: str, state: str | None, limit: int, as_json: bool, url: str, token_file: str | None) -> None:
    """List deliveries, the newest first."""
    with server(url, token_file) as client:
        found = [one for one, _ in zip(client.webhooks.deliveries(webhook, state=state), range(limit), strict=False)]
    if as_json:
        click.echo(json.dumps({"deliveries": [one.raw for one in found]}))
        return
    rows = [(one.id, one.state, one.attempts, one.topic, one.raw.get("nextAttemptAt", "")) for one in found]
    for text in table(("ID", "STATE", "ATTEMPTS", "TOPIC", "NEXT"), rows, right=(2,)):
        click.echo(text)


@webhooks.command()
@click.argument("webhook")
@click.argument("delivery", required=False)
@server_options
def retry(webhook: str, delivery: str | None, url: str, token_file: str | None) -> None:
    """Have one delivery, or every dead letter, tried again."""
    with server(url, token_file) as client:
        number = client.webhooks.retry(webhook, delivery)
    click.echo(f"{number} to be tried again")
