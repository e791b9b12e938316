"""Incoming webhooks of Slack, and of Mattermost, Rocket.Chat and others that take the same JSON.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.alert_json import encode
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import UnavailableError
from logstreamd.alerts.notify.secret import SecretError
from logstreamd.alerts.notify.text import alert_lines, sample_line, subject

__all__ = ["SlackNotifier", "escaped", "slack_text"]

_MAX_CHARS = 3_500  # Slack advises against more than 4,000; escapes and the last lines need some of it
_SAMPLES = 3  # of an alert: a chat is narrow

# Slack's own mentions are written <!channel>, and < is escaped. Others read these words in any text.
_MENTION = re.compile(r"@(?=(?:all|channel|everyone|here)\b)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


class SlackNotifier:
    """Posts messages as text.

    Args:
        client: how.
        url: returns where to; asked for each message.
    """

    def __init__(self, client: HttpClient, url: Callable[[], str]) -> None:
        self._client = client
        self._url = url

    async def send(self, message: Message) -> None:
        """Deliver a message."""
        try:
            url = self._url()
        except SecretError as problem:
            raise UnavailableError(str(problem)) from problem
        await self._client.post(url, encode({"text": slack_text(message)}), {})

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


def escaped(text: str) -> str:
    """Return a text that is shown as it is: no link, no mention, no formatting that spans lines."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    return _MENTION.sub(f"@{_ZERO_WIDTH_SPACE}", text).replace("`", "'")


def slack_text(message: Message) -> str:
    """Return what is posted: the subject, and of the alerts as many as have room."""
    lines = [f"*{escaped(subject(message))}*"]
    room = _MAX_CHARS - len(lines[0])
    unsaid = message.truncated_alerts
    for number, block in enumerate(_blocks(message)):
        room -= len(block)
        if room < 0 and number > 0:
            unsaid += len(message.alerts) - number
            break
        lines.append(block[:_MAX_CHARS])
    if unsaid:
        lines.append(f"… and {unsaid} more")
    return "\n".join(lines)


def _blocks(message: Message) -> Iterator[str]:
    for alert in message.alerts:
        lines = [escaped(line) for line in alert_lines(alert)]
        samples = [escaped(sample_line(sample)) for sample in alert.samples[:_SAMPLES]]
        yield "\n".join([*lines, *(["```", *samples, "```"] if samples else [])])
